"""A storm in rooms that are taken away: a crowd, and all that seldom happens.

Accounts have two clients each; rooms ask for a password, are destroyed, made again by whoever
comes first, and unloaded; the door is slow; the disk is full for a while.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred, fail

from benchmarks.storm.crowd import ADMIN, MUC, OWNER, ROOMS, Crowd, Person, Tally, configure
from imsuite.core.feature import Feature, on
from imsuite.core.hooks import ROOM_JOINING, Passing, Stage
from imsuite.store.dialect import StoreFull
from imsuite.testing.memory import MemoryServer

SECRET = "open sesame"
_WRITES = ("run", "transaction", "execute")


class SlowDoor(Feature):
    """Lets those who enter a room wait until somebody opens."""

    spec = "XEP-0045 1.35.3"

    def __init__(self, host: Any, options: Any) -> None:
        super().__init__(host, options)
        self.waiting: list[Deferred[None]] = []
        self.shut = False

    @on(ROOM_JOINING, Stage.GUARD)
    async def wait(self, passing: Passing) -> None:
        """Wait."""
        if self.shut:
            later: Deferred[None] = Deferred()
            self.waiting.append(later)
            await later

    def open(self) -> None:
        """Let everybody in."""
        waiting, self.waiting = self.waiting, []
        for later in waiting:
            later.callback(None)


class FullDisk:
    """A store that refuses to write while it is full."""

    def __init__(self, store: Any) -> None:
        self._store = store
        self.full = False

    def __getattr__(self, name: str) -> Any:
        """Return what the store has, or what says that it is full."""
        found = getattr(self._store, name)
        if name not in _WRITES:
            return found

        def write(function: Callable[..., Any], *args: Any) -> Any:
            return fail(StoreFull("no space left")) if self.full else found(function, *args)

        return write


class Mob(Crowd):
    """A crowd of accounts with two clients each."""

    share = 2
    exact = False  # who could not be written may have been announced to some only

    def __init__(self, seed: int, people: int = 12) -> None:
        super().__init__(seed, people, late=True)
        assert self.late is not None
        self.disk = FullDisk(self.late.store)
        self.late.store = self.disk  # type: ignore[assignment]  # as a store
        self.name = f"mob of {people}, seed {seed}"

    def _open(self) -> MemoryServer:
        return MemoryServer(features=["default", SlowDoor])

    @property
    def door(self) -> Any:
        """What makes people wait."""
        return next(each for each in self.server.host.features.values() if type(each) is SlowDoor)

    def _resource(self, person: Person) -> str:
        return f"r{person.number}"

    def promptly(self, function: Any) -> None:
        """Do something while nothing waits."""
        if hasattr(self, "disk"):
            self.disk.full = False
        door = self.door
        door.shut = False
        door.open()
        super().promptly(function)

    def step(self) -> None:
        """Let somebody do something, or something happen."""
        dice = self.dice
        self.door.shut = dice.random() < 0.3
        if dice.random() < 0.3:
            self.door.open()
        self.disk.full = dice.random() < 0.04 or (self.disk.full and dice.random() < 0.7)
        if dice.random() < 0.1:
            rooms: Any = self.server.host.features["muc"]
            for room in ROOMS:
                rooms.rooms.unload(room)
        super().step()

    def _rules(self, person: Person, room: str) -> bool:
        seen = person.rooms[room]
        return seen.nick is not None and seen.people.get(seen.nick, ("",))[0] == "owner"

    def _act(self, person: Person, room: str) -> str:
        text = super()._act(person, room)
        if text.endswith(f"<x xmlns='{MUC}'/></presence>") and self.dice.random() < 0.8:
            inner = f"<x xmlns='{MUC}'><password>{SECRET}</password></x></presence>"
            return text.replace(f"<x xmlns='{MUC}'/></presence>", inner)
        return text

    def _rule(self, room: str) -> str:
        choice = self.dice.random()
        if choice < 0.06:
            return (
                f"<iq type='set' id='d' to='{room}'><query xmlns='{OWNER}'>"
                "<destroy><reason>r</reason></destroy></query></iq>"
            )
        if choice < 0.2:
            value = self.dice.choice("01")
            fields = {"passwordprotectedroom": value, "roomsecret": SECRET}
            return configure(room, {**fields, "persistentroom": self.dice.choice("01")})
        if choice < 0.3:
            item = f"<item jid='account{self.dice.randrange(3)}@example.org' affiliation='owner'/>"
            return f"<iq type='set' id='o' to='{room}'><query xmlns='{ADMIN}'>{item}</query></iq>"
        return super()._rule(room)

    def _positions(self, stay: list[int], place: dict[int, int]) -> list[int]:
        return [place[number] for number in stay if number in place]  # others went with a room

    def _failures(self) -> list[str]:
        return [line for line in super()._failures() if "no space left" not in line]


def run(seed: int, steps: int, *, people: int = 12) -> Tally:
    """Let a storm blow. Raises Wrong."""
    storm = Mob(seed, people)
    try:
        for _ in range(steps):
            storm.step()
        storm.end()
    finally:
        storm.server.failures.stop()
    return storm.tally
