"""A storm in which messages are kept: links break, the server is killed, the disk is full.

Beside this, `storm` has everything else; what must hold here is in `ledger`.
"""

from __future__ import annotations

import random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail

from benchmarks.storm import ledger
from benchmarks.storm.device import NS_SM, Device
from benchmarks.storm.late import LateStore
from benchmarks.storm.ledger import Said
from benchmarks.storm.storm import Wrong
from benchmarks.storm.words import DOMAINS, PASSWORD
from imsuite.core.record import Record
from imsuite.store.dialect import StoreError, StoreFull
from imsuite.store.groups import commit
from imsuite.store.pool import Store
from imsuite.store.users import NoSuchAccount
from imsuite.testing.memory import MemoryServer
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError

ACCOUNTS = ("romeo@example.org", "juliet@example.org", "mercutio@example.net")
CAREFUL = "juliet@example.org"  # all of its devices can resume, so nothing may pass it by
RESOURCES = ("a", "b")
SECONDS = 60  # for which a session waits to be resumed
OPTIONS = {"management": {"seconds": SECONDS, "most": 50, "timeout": 20}, "csi": {"stanzas": 5}}
FULL = 0.05  # of commits fail
QUERY = (
    "<iq type='set' id='{}'><query xmlns='urn:xmpp:mam:2'>"
    "<set xmlns='http://jabber.org/protocol/rsm'><max>{}</max>{}</set></query></iq>"
)
PAYLOADS = (
    *(["<body>n{}</body>"] * 6),
    "<composing xmlns='http://jabber.org/protocol/chatstates'/>",
    "<body>x</body><no-store xmlns='urn:xmpp:hints'/>",
)


class FullStore(LateStore):
    """A late store of which commits of messages fail now and then. refused: their numbers."""

    def __init__(self, store: Store, dice: random.Random, full: float) -> None:
        super().__init__(store, dice)
        self.refused: set[int] = set()
        self._full = full
        self._refuse = self._groups._refuse
        self._groups._refuse = self._note  # type: ignore[method-assign]

    def _note(self, group: list[Record], why: Exception) -> None:
        """Remember whom the store refuses: also what had only been gathered by then."""
        ids = [record.stanza.id or "" for record in group if record.stanza is not None]
        self.refused.update(int(id[1:]) for id in ids if id.startswith("n"))
        self._refuse(group, why)

    def forget(self) -> None:
        """Drop what is under way: nobody is left who waits for it."""
        for call in (*self._reads, *self._writes):
            if call.outcome is not None:
                call.outcome.addErrback(lambda failure: None)

    def run(self, function: Any, *args: object) -> Deferred[Any]:
        """As the store's, later, or not."""
        if function is not commit or self.prompt or self._dice.random() >= self._full:
            return super().run(function, *args)
        return self._begin(self._writes, lambda: fail(StoreFull("the disk is full")))


class Gone:
    """The store of a server that was killed: it never answers."""

    def __init__(self, store: Store) -> None:
        self.ids, self.clock, self.dialect = store.ids, store.clock, store.dialect

    def __getattr__(self, name: str) -> Any:
        return lambda *args: Deferred()


@attrs.define
class Tally:
    """What happened."""

    steps: int = 0
    said: int = 0
    resumed: int = 0
    crashes: int = 0
    restarts: int = 0
    removals: int = 0
    heard: int = 0

    def line(self) -> str:
        """One line for people."""
        return ", ".join(f"{value} {name}" for name, value in attrs.asdict(self).items())


class Keeping:
    """A server in memory and devices that come back to it.

    late: the store answers late; full: part of the commits that fail.
    """

    def __init__(self, seed: int, late: bool = False, full: float = 0.0) -> None:
        self.dice = dice = random.Random(seed)
        self.name = f"keeping, seed {seed}{', late' if late else ''}{', full' if full else ''}"
        self._late, self._full = late, full
        self.late: FullStore | None = None
        self.server = MemoryServer(DOMAINS, options=OPTIONS)
        for jid in ACCOUNTS:
            self.server.account(jid, PASSWORD)
        self.devices = [
            Device(dice, jid, resource, jid == CAREFUL)
            for jid in ACCOUNTS
            for resource in RESOURCES
        ]
        self.tally = Tally()
        self.history: list[str] = []
        self.said: dict[int, Said] = {}
        self.refused: set[int] = set()
        for device in self.devices:
            device.acked, device.again = self._acked, self._again
            device.wrong = self.wrong
        self._slow_down()

    def _slow_down(self) -> None:
        """Put a late store between the server and its store."""
        if not (self._late or self._full):
            return
        self.late = FullStore(self.server.store, self.dice, self._full)
        self.late.refused = self.refused
        store: Any = self.late
        for host in self.server.hosts:
            host.store = store
            host.users.store = store

    def wrong(self, what: str) -> Exception:
        """Return what to raise."""
        last = "\n".join(self.history[-40:])
        return Wrong(f"{self.name}, step {self.tally.steps}: {what}\n{last}")

    def note(self, text: str) -> None:
        """Keep in mind what happened."""
        self.history.append(f"{self.tally.steps}: {text}")
        del self.history[:-2000]

    # one step

    def step(self) -> None:
        """Let something happen, then check. Raises Wrong."""
        try:
            self._act()
            self.settle()
            self.tally.steps += 1
            if self.late is None or self.dice.random() < 0.05:
                self.drain()
                self.check()
        except Wrong:
            raise
        except Exception as why:
            raise self.wrong(f"{type(why).__name__}: {why}") from why

    def _act(self) -> None:
        dice = self.dice
        device = dice.choice(self.devices)
        chance = dice.random()
        if chance < 0.01:
            self._crash() if dice.random() < 0.6 else self._restart()
        elif chance < 0.03:
            seconds = dice.choice((0.5, 3, 25, 25, SECONDS + 5))
            self.note(f"{seconds} s pass")
            self.server.advance(seconds)
        elif chance < 0.032:
            self._remove(dice.choice([jid for jid in ACCOUNTS if jid != CAREFUL]))
        elif device.phase == "off":
            self.note(f"{device} connects{' to resume' if device.id else ''}")
            self.tally.resumed += device.id is not None
            device.connects(self.server)
        elif device.phase != "bound" or chance < 0.12:
            self._trouble(device)
        else:
            for _ in range(dice.choice((1, 1, 2, 6))):
                if device.phase == "bound":
                    self._say(device)

    def _trouble(self, device: Device) -> None:
        """Let a link, or a session, come to an end."""
        chance = self.dice.random()
        if chance < 0.5:
            self.note(f"{device} vanishes")
            device.vanishes()
        elif chance < 0.8:
            self.note(f"{device} comes on another link")
            device.connects(self.server)
        elif chance < 0.9:
            self.note(f"{device} says goodbye")
            device.puts("</stream:stream>")
        elif chance < 0.95 and device.counting:
            self.note(f"{device} acknowledges too much")
            device.acknowledges(1000)
        elif device.phase == "bound":
            self.note(f"{device} forgets its session")
            device.id = None
            device.vanishes()

    def _say(self, device: Device) -> None:
        dice = self.dice
        chance = dice.random()
        if chance < 0.6:
            self._message(device)
        elif chance < 0.68:
            device.acknowledges()
        elif chance < 0.74:
            device.puts(f"<r xmlns='{NS_SM}'/>" if device.counting else " ")
        elif chance < 0.8:
            device.puts(f"<{dice.choice(('active', 'inactive'))} xmlns='urn:xmpp:csi:0'/>")
        elif chance < 0.86:
            show = dice.choice(("", "<priority>-1</priority>", "<show>away</show>"))
            type = "" if dice.random() < 0.9 else " type='unavailable'"
            self.note(f"{device} presence {show}{type}")
            device.says(f"<presence{type}>{show}</presence>")
        elif chance < 0.92:
            device.obliging = not device.obliging
        elif chance < 0.96:
            page = dice.choice(("", "<before/>", "<after>nothing</after>"))
            device.says(QUERY.format("q", dice.choice((0, 1, 3, 10**30)), page))
        else:
            device.says("<iq type='get' id='p'><ping xmlns='urn:xmpp:ping'/></iq>")

    def _message(self, device: Device) -> None:
        dice = self.dice
        to = dice.choice(ACCOUNTS)
        full = f"{to}/{dice.choice((*RESOURCES, 'c'))}" if dice.random() < 0.4 else to
        number = self.tally.said = self.tally.said + 1
        payload = dice.choice(PAYLOADS).format(number)
        kept = payload.startswith("<body>n")
        if kept:
            self.said[number] = Said(number, device.full, device.bare, to)
            for bare in {device.bare, to} & {jid for jid in ACCOUNTS if not self._exists(jid)}:
                self.said[number].void.add(bare)
        self.note(f"{device} n{number} to {full}: {payload}")
        device.says(
            f"<message to='{full}' type='chat' id='n{number}'>{payload}</message>",
            number if kept else None,
        )

    def _exists(self, bare: str) -> bool:
        jid = parse(bare)
        host = self.server.router.hosts[jid.domain]
        return bool(
            self.server.store.query(
                "SELECT 1 FROM accounts WHERE localpart = ? AND host = ?", jid.local, host.domain
            ).result
        )

    def _again(self, number: int | None) -> None:
        """Note what is said a second time; an error may have answered the first."""
        if number is not None:
            self.said[number].again = True

    def _acked(self, numbers: list[int]) -> None:
        for number in numbers:
            self.said[number].acked = True

    # the server

    def _crash(self) -> None:
        self.note("the server is killed")
        self.tally.crashes += 1
        self._go(self.server.crash)

    def _restart(self) -> None:
        self.note("the server is restarted")
        self.tally.restarts += 1
        self.drain()
        if self.late is not None:
            self.late.prompt = True
        self._go(self.server.restart)

    def _go(self, how: Any) -> None:
        self._failures()
        old = self.server
        if self.late is not None:
            self.late.forget()
            old.store = self.late.store
        self.server = how()
        for device in self.devices:
            device.is_cut_off(reads=self.dice.random() < 0.5)
        for host in old.hosts:
            gone: Any = Gone(self.server.store)
            host.store = host.users.store = gone
        self._slow_down()

    def _remove(self, bare: str) -> None:
        """Remove an account as an administrator does, and make it anew."""
        self.note(f"{bare} is removed")
        self.tally.removals += 1
        jid = parse(bare)
        host = self.server.router.hosts[jid.domain]

        async def remove() -> None:
            try:
                await host.registrar.delete(jid.local)
            except (NoSuchAccount, StanzaError):
                pass

        host.spawn(remove())
        for each in self.said.values():
            if bare in (each.sender, each.to):
                each.void.add(bare)
        self.drain()
        self.server.account(bare, PASSWORD) if self.late is None else self._make(bare)
        for each in self.said.values():
            if bare in (each.sender, each.to):
                each.void.add(bare)

    def _make(self, bare: str) -> None:
        assert self.late is not None
        self.late.prompt = True
        self.server.account(bare, PASSWORD)
        self.late.prompt = False

    # what comes of it

    def settle(self) -> bool:
        """Let the server do what it can now; tell whether any device heard anything."""
        moved = False
        for _ in range(20):
            if self.late is not None:
                for _ in range(self.dice.choice((0, 0, 0, 1, 2, 5))):
                    self.late.turn()
            self.server.settle()
            heard = [device.hears() for device in self.devices]
            self.tally.heard += sum(heard)
            moved = moved or any(heard)
            if not any(heard):
                break
        return moved

    def drain(self) -> None:
        """Let everything happen that is under way."""
        for _ in range(100_000):
            while self.late:
                self.late.turn()
            if not self.settle() and not self.late:
                return
        raise self.wrong("it never comes to rest")

    def _failures(self) -> None:
        failures = self.server.failures.take(StoreError)
        if failures:
            raise self.wrong("\n".join(failures))

    def check(self) -> None:
        """Check everything while nothing is under way. Raises Wrong."""
        self._failures()
        told = {number for device in self.devices for number in device.refused}
        found = ledger.problems(self.server, self.said, self.refused | told)
        if found:
            raise self.wrong("\n".join(found))

    # the end

    def end(self) -> None:
        """Let everybody go; nothing may be left. Raises Wrong."""
        self.drain()
        self.check()
        for device in self.devices:
            device.vanishes()
        for _ in range(4):
            self.server.advance(SECONDS + 5)
            self.drain()
        self.check()
        if not self._full:  # a full disk keeps nothing for those who are not there
            self._nothing_passed_by()
        found = ledger.remains(self.server)
        if found:
            raise self.wrong("\n".join(found))
        if self.late is not None:
            self.late.prompt = True
        self.server.stop()
        self._failures()

    def _nothing_passed_by(self) -> None:
        """Let a last device of the careful account get what is left, and look what it has not got.

        It is a new one, and the others have never told anybody that they had something.
        """
        last = Device(self.dice, CAREFUL, "last", True)
        last.acked, last.wrong = self._acked, self.wrong
        self.devices.append(last)
        last.connects(self.server)
        for _ in range(50):
            self.drain()
            last.puts("<presence/>")
            last.acknowledges()
            self.server.advance(1)
        got = {
            number for device in self.devices if device.bare == CAREFUL for number in device.ever
        }
        kept = set(ledger.archived(self.server, CAREFUL))
        for number in sorted(kept - got):
            if self.said[number].to == CAREFUL and self.said[number].sender != CAREFUL:
                raise self.wrong(f"n{number} never came to {CAREFUL}")
        last.puts("</stream:stream>")
        self.drain()
        self.devices.remove(last)


def run(seed: int, steps: int, *, late: bool = False, full: float = 0.0) -> Tally:
    """Let a storm blow. Raises Wrong."""
    storm = Keeping(seed, late, full)
    try:
        for _ in range(steps):
            storm.step()
        storm.end()
    finally:
        storm.server.failures.stop()
    return storm.tally
