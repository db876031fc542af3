"""What everybody said, was promised and heard: the facts that a verdict is made of."""

from __future__ import annotations

import enum
from collections.abc import Callable

import attrs


class State(enum.Enum):
    """What its sender knows of a message."""

    WAITING = "waiting"  # not acknowledged yet
    ACKED = "acknowledged"
    DOUBT = "in doubt"  # the link broke first; it is not sent again
    REFUSED = "refused"  # an error came back
    RETURNED = "returned"  # it was acknowledged, and an error came back later


@attrs.define
class Said:
    """A message."""

    device: str  # who said it: account/resource
    number: int  # counts the messages of that device, from 1
    to: str  # account
    state: State = State.WAITING
    again: bool = False  # sent twice because nobody said whether it had arrived
    counted: bool = False  # the server counts it as handled (XEP-0198), whatever it says to it

    @property
    def key(self) -> tuple[str, int]:
        """What its body says."""
        return self.device, self.number

    @property
    def account(self) -> str:
        """Whose device it is."""
        return self.device.partition("/")[0]


@attrs.frozen
class Heard:
    """A message that reached a device."""

    device: str  # of the sender
    number: int
    id: str | None  # of the archive (XEP-0359)
    session: int  # counts the sessions of the device that heard it, from 1
    way: str  # live, late (with a delay), carbon or archive

    @property
    def key(self) -> tuple[str, int]:
        """What its body says."""
        return self.device, self.number


@attrs.frozen
class Seen:
    """A presence that reached a watcher."""

    device: str
    available: bool
    session: int  # of the watcher


@attrs.define
class Diary:
    """What one device has gone through."""

    device: str  # account/resource
    managed: bool  # XEP-0198
    carbons: bool = False
    reads: bool = False  # fetches from the archive what it missed
    leaves: bool = False  # goes away, also for longer than its session waits, and comes back
    watches: bool = False  # has a subscription to the presence of everybody
    sessions: int = 0  # that it bound
    resumed: int = 0
    failed: int = 0  # resumptions that were refused
    heard: list[Heard] = attrs.field(factory=list)
    caught: int = 0  # messages of rooms
    seen: list[Seen] = attrs.field(factory=list)
    settled: int = 0  # how much of `heard` the server knows to have arrived
    unsure: set[int] = attrs.field(factory=set)  # places in `heard` that may come once more
    left: set[int] = attrs.field(factory=set)  # likewise, if a crash undid the end of a session

    @property
    def account(self) -> str:
        """Whose device it is."""
        return self.device.partition("/")[0]

    @property
    def steady(self) -> bool:
        """Whether its session has to go on through everything."""
        return self.managed and not self.leaves

    def settle(self) -> None:
        """Note that the server knows of all that was heard so far."""
        self.settled = len(self.heard)

    def leave(self) -> None:
        """Note that the session has ended in order, if the server lives long enough to know it."""
        self.left.update(range(self.settled, len(self.heard)))
        self.settle()

    def unsettle(self) -> None:
        """Note that the session is over, and nobody told the server what had arrived."""
        self.unsure.update(range(self.settled, len(self.heard)))
        self.settle()


@attrs.define
class Ledger:
    """All of a run. trap: called at each moment a fault may be tied to, with its name."""

    said: dict[tuple[str, int], Said] = attrs.field(factory=dict)
    diaries: dict[str, Diary] = attrs.field(factory=dict)
    wrong: list[str] = attrs.field(factory=list)  # rules that were broken in plain sight
    faults: dict[str, int] = attrs.field(factory=dict)
    trap: Callable[[str], None] | None = None

    def say(self, device: str, number: int, to: str) -> Said:
        """Note a message before it is sent."""
        said = self.said[device, number] = Said(device, number, to)
        self.moment("said")
        return said

    def acknowledge(self, said: Said) -> None:
        """Note that the server has taken it."""
        if said.state is State.WAITING:
            said.state = State.ACKED
        self.moment("acknowledged")

    def refuse(self, said: Said) -> None:
        """Note that an error came back."""
        said.state = State.RETURNED if said.state is State.ACKED else State.REFUSED

    def hear(self, diary: Diary, heard: Heard) -> None:
        """Note what a device heard."""
        diary.heard.append(heard)
        self.moment("heard")

    def complain(self, what: str) -> None:
        """Note a rule that was broken."""
        self.wrong.append(what)

    def moment(self, name: str) -> None:
        """Let the trap snap."""
        if self.trap is not None:
            self.trap(name)

    def count(self, state: State) -> int:
        """Return how many messages are in a state."""
        return sum(said.state is state for said in self.said.values())
