"""Who takes part in a run."""

from __future__ import annotations

import random
from collections.abc import Iterable

import attrs

from benchmarks.torture.device import Device
from benchmarks.torture.ledger import Diary, Ledger
from benchmarks.torture.managed import Managed
from benchmarks.torture.society import Society, node_accounts, room_accounts
from benchmarks.torture.stream import Place

PASSWORD = "wherefore-art-thou"
STEADY, TWINS, PLAIN, FLAKY, FLIGHTY = ("steady", "twins", "plain", "flaky", "flighty")
SHORT = 2  # seconds for which the session of one who is flighty waits


PARTS = ("chat", "rooms", "nodes")
WATCHERS = ("watcher0", "watcher1")


def account_names(scale: int) -> list[str]:
    """Return the accounts of all who may take part."""
    return [*_talkers(scale), *WATCHERS, *room_accounts(scale), *node_accounts(scale)]


def _talkers(scale: int) -> list[str]:
    kinds = (STEADY, TWINS, PLAIN, FLAKY, FLIGHTY)
    return [f"{kind}{number}" for kind in kinds for number in range(scale)]


@attrs.define
class Cast:
    """The devices of a run. society: those who live in rooms and publish.

    steady: stream management, always there; twins: two such devices of one account, with carbons;
    plain: without stream management, they read the archive when they come; flaky: steady, with a
    bad link; flighty: they also leave, and stay away for longer than their sessions wait; two
    watchers see the presence of all others, one with stream management and one without.
    """

    ledger: Ledger
    devices: list[Device]
    accounts: list[str]  # that say and hear something
    society: Society
    password: str = PASSWORD

    @classmethod
    def make(
        cls,
        place: Place,
        seed: int,
        scale: int,
        pause: float,
        *,
        carbons: bool = True,
        parts: Iterable[str] = PARTS,
    ) -> Cast:
        """Return a cast.

        scale: accounts of each kind; pause: seconds between two bursts; parts: some of PARTS.
        """
        ledger, chosen = Ledger(), frozenset(parts)
        society = Society.make(place, ledger, chosen, (seed, scale, pause), PASSWORD)
        devices: list[Device] = []

        def add(kind: type[Device], name: str, **about: bool) -> Device:
            managed = issubclass(kind, Managed)
            dice = random.Random(f"{seed}/{name}")
            made = kind(place, ledger, Diary(name, managed=managed, **about), PASSWORD, dice)
            made.pause = pause
            devices.append(made)
            return made

        for number in range(scale if "chat" in chosen else 0):
            add(Managed, f"{STEADY}{number}/one")
            add(Managed, f"{TWINS}{number}/one", carbons=carbons)
            if carbons:
                add(Managed, f"{TWINS}{number}/two", carbons=True)
            add(Device, f"{PLAIN}{number}/one", reads=True)
            add(Managed, f"{FLAKY}{number}/one")
            flighty = add(Managed, f"{FLIGHTY}{number}/one", leaves=True)
            assert isinstance(flighty, Managed)
            flighty.longest = SHORT
        if "chat" in chosen:
            add(Managed, "watcher0/one", watches=True)
            add(Device, "watcher1/one", watches=True)
        accounts = _talkers(scale) if "chat" in chosen else []
        for device in devices:
            device.peers = [account for account in accounts if account != device.account]
        return cls(ledger, devices, accounts, society)

    @property
    def everybody(self) -> list[Device]:
        """All devices, those of the society too."""
        return [*self.devices, *self.society.devices]

    @property
    def watchers(self) -> list[Device]:
        """Those who only look."""
        return [device for device in self.devices if device.diary.watches]

    @property
    def talkers(self) -> list[Device]:
        """Those who talk."""
        return [device for device in self.devices if not device.diary.watches]

    @property
    def flighty(self) -> list[Managed]:
        """Those who lose their links by themselves."""
        return [
            *self.society.movers,
            *(
                device
                for device in self.devices
                if isinstance(device, Managed) and device.account.startswith((FLAKY, FLIGHTY))
            ),
        ]
