"""Who lives in rooms and who publishes in a run."""

from __future__ import annotations

import random
from typing import TypeVar

import attrs

from benchmarks.torture.dweller import Dweller, Dwelling, ManagedDweller
from benchmarks.torture.ledger import Diary, Ledger
from benchmarks.torture.managed import Managed
from benchmarks.torture.orders import Orders
from benchmarks.torture.publisher import ManagedPublisher, Publisher, Publishing
from benchmarks.torture.ruler import Ruler
from benchmarks.torture.stream import Place

RULER, SITTER, SLEEPER = ("ruler", "sitter", "sleeper")
MOVER, WALKER, GUEST = ("mover", "walker", "guest")
PRESS, STALL = ("press", "stall")
SHORT = 2  # seconds for which the session of a mover waits
NAP = 3.0  # seconds for which a sleeper has no link
ROOMS = ("garden", "tomb")
_Kind = TypeVar("_Kind", bound=Dwelling)


def room_accounts(scale: int) -> list[str]:
    """Return the accounts of those who live in rooms."""
    kinds = (SITTER, SLEEPER, MOVER, WALKER, GUEST)
    return [RULER, *(f"{kind}{number}" for kind in kinds for number in range(scale))]


def node_accounts(scale: int) -> list[str]:
    """Return the accounts of those who publish."""
    return [f"{kind}{number}" for kind in (PRESS, STALL) for number in range(scale)]


@attrs.define
class Society:
    """The devices of a run that live in rooms or publish, and what they write down.

    ruler: owns both rooms; sitter: stream management, is in all the time; sleeper: so, without a
    link for seconds, in which it misses much; mover: with a bad link, with other nicknames, and
    away for longer than its sessions wait; walker: stream management, leaves rooms and comes back;
    guest: without stream management, its account has affiliations now and then. All but the ruler,
    sitters and sleepers are thrown out now and then. press and stall publish with and without
    stream management.
    """

    ledger: Orders
    rooms: tuple[str, ...]
    pubsub: str  # address of the service
    ruler: Ruler | None = None
    dwellers: list[Dwelling] = attrs.field(factory=list)  # the ruler, too
    publishers: list[Publishing] = attrs.field(factory=list)

    @classmethod
    def make(
        cls,
        place: Place,
        all: Ledger,
        parts: frozenset[str],
        about: tuple[int, int, float],
        password: str,
    ) -> Society:
        """Return one. about: seed, accounts of each kind, and seconds between two bursts."""
        seed, scale, pause = about
        ledger = Orders.of(all)
        rooms = tuple(f"{room}@conference.{place.domain}" for room in ROOMS)
        made = cls(ledger, rooms, f"pubsub.{place.domain}")

        def add(kind: type[_Kind], name: str, *, leaves: bool = False) -> _Kind:
            diary = Diary(f"{name}/one", managed=issubclass(kind, Managed), leaves=leaves)
            device = kind(place, ledger, diary, password, random.Random(f"{seed}/{name}"))
            device.pause = pause
            return device

        if "rooms" in parts:
            made.ruler = add(Ruler, RULER)
            made.dwellers.append(made.ruler)
            for number in range(scale):
                mover = add(ManagedDweller, f"{MOVER}{number}", leaves=True)
                mover.longest, mover.renames = SHORT, True
                walker = add(ManagedDweller, f"{WALKER}{number}")
                walker.roams = walker.renames = True
                guest = add(Dweller, f"{GUEST}{number}")
                guest.renames = True
                sitter = add(ManagedDweller, f"{SITTER}{number}")
                sleeper = add(ManagedDweller, f"{SLEEPER}{number}")
                sleeper.nap = NAP
                made.dwellers += [sitter, sleeper, mover, walker, guest]
            throwable = (MOVER, WALKER, GUEST)
            made.ruler.victims = tuple(f"{k}{n}" for k in throwable for n in range(scale))
            for dweller in made.dwellers:
                dweller.dwell(*rooms)
        if "nodes" in parts:
            for number in range(scale):
                made.publishers.append(add(ManagedPublisher, f"{PRESS}{number}"))
                made.publishers.append(add(Publisher, f"{STALL}{number}"))
            for publisher in made.publishers:
                publisher.publish_in(made.pubsub)
        return made

    @property
    def devices(self) -> list[Dwelling]:
        """All of them."""
        return [*self.dwellers, *self.publishers]

    @property
    def movers(self) -> list[Managed]:
        """Those who lose their links by themselves."""
        return [
            device
            for device in self.devices
            if isinstance(device, Managed)
            and device.account.startswith((MOVER, SLEEPER, WALKER, PRESS))
        ]

    def all_in(self) -> bool:
        """Tell whether everybody who does not leave is in the rooms."""
        return all(
            view.nick is not None and not view.begins
            for device in self.dwellers
            if device.diary.steady and not device.roams
            for view in device.views.values()
        )
