"""Who takes part in a run."""

from __future__ import annotations

import random

import attrs

from benchmarks.torture.device import Device
from benchmarks.torture.ledger import Diary, Ledger
from benchmarks.torture.managed import Managed
from benchmarks.torture.stream import Place

PASSWORD = "wherefore-art-thou"
STEADY, TWINS, PLAIN, FLAKY, FLIGHTY = ("steady", "twins", "plain", "flaky", "flighty")
SHORT = 2  # seconds for which the session of one who is flighty waits


def account_names(scale: int) -> list[str]:
    """Return the accounts of all who take part."""
    kinds = (STEADY, TWINS, PLAIN, FLAKY, FLIGHTY)
    return [f"{kind}{number}" for kind in kinds for number in range(scale)] + [
        "watcher0",
        "watcher1",
    ]


@attrs.define
class Cast:
    """The devices of a run.

    steady: stream management, always there; twins: two such devices of one account, with carbons;
    plain: without stream management, they read the archive when they come; flaky: steady, with a
    bad link; flighty: they also leave, and stay away for longer than their sessions wait; two
    watchers see the presence of all others, one with stream management and one without.
    """

    ledger: Ledger
    devices: list[Device]
    accounts: list[str]  # that say and hear something
    password: str = PASSWORD

    @classmethod
    def make(
        cls, place: Place, seed: int, scale: int, pause: float, *, carbons: bool = True
    ) -> Cast:
        """Return a cast. scale: accounts of each kind; pause: seconds between two bursts."""
        ledger = Ledger()
        devices: list[Device] = []

        def add(kind: type[Device], name: str, **about: bool) -> Device:
            managed = issubclass(kind, Managed)
            dice = random.Random(f"{seed}/{name}")
            made = kind(place, ledger, Diary(name, managed=managed, **about), PASSWORD, dice)
            made.pause = pause
            devices.append(made)
            return made

        for number in range(scale):
            add(Managed, f"{STEADY}{number}/one")
            add(Managed, f"{TWINS}{number}/one", carbons=carbons)
            if carbons:
                add(Managed, f"{TWINS}{number}/two", carbons=True)
            add(Device, f"{PLAIN}{number}/one", reads=True)
            add(Managed, f"{FLAKY}{number}/one")
            flighty = add(Managed, f"{FLIGHTY}{number}/one", leaves=True)
            assert isinstance(flighty, Managed)
            flighty.longest = SHORT
        add(Managed, "watcher0/one", watches=True)
        add(Device, "watcher1/one", watches=True)
        accounts = [name for name in account_names(scale) if not name.startswith("watcher")]
        for device in devices:
            device.peers = [account for account in accounts if account != device.account]
        return cls(ledger, devices, accounts)

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
            device
            for device in self.devices
            if isinstance(device, Managed) and device.account.startswith((FLAKY, FLIGHTY))
        ]
