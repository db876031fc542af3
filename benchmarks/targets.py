"""What imsuite must reach, as asked, and the judgement of what was measured."""

from collections.abc import Sequence

import attrs

from benchmarks.figures import least, middle, ratio
from benchmarks.loads.load import Measurement

JUDGED = "imsuite"
PEERS = ("prosody-gen", "ejabberd")  # tuned; the better one is the base of ratios
CHAT = ("flood", "one", "500", "1000")
ROOMS = ("room-100", "room-300", "room-1000")
JOINS = ("join-300", "join-300-one")
NOTIFICATIONS = ("pubsub-1000", "pep-1000")


@attrs.frozen
class Target:
    """A bound on one figure of one load."""

    load: str
    figure: str  # attribute of Measurement
    most: float
    relative: bool  # to the better of the peers, or to the base
    unit: str = ""
    base: str = ""  # another load, on the same server
    peers: str = ""  # another load, in which the peers do less

    def __str__(self) -> str:
        word = {"cpu": "CPU", "kib": "memory"}.get(self.figure, self.figure)
        than = f"peer in {self.peers}" if self.peers else "peer"
        unit = f"× {self.base or than}" if self.relative else self.unit
        return f"{word} ≤ {self.most:g} {unit}"

    def value(self, measurements: Sequence[Measurement], server: str) -> float | None:
        """Return the figure in the target's terms, None when it was not measured."""
        own = figure(measurements, self.load, server, self.figure)
        if self.base:
            return ratio(own, figure(measurements, self.base, server, self.figure))
        if self.relative:
            load = self.peers or self.load
            return ratio(own, better_peer(measurements, load, server, self.figure))
        return own


def both(name: str) -> tuple[str, str]:
    """Return the names of a load over plain TCP and over TLS."""
    return name, f"{name}-tls"


TARGETS = (
    *(Target(load, "cpu", 0.35, True) for name in CHAT for load in both(name)),
    *(Target(load, "p99", 5.0, False, "ms") for load in both("1000")),
    *(
        Target(load, "cpu", 0.3, True)
        for name in ("presence", "presence-one")
        for load in both(name)
    ),
    Target("login-tls", "cpu", 0.6, True),
    Target("idle", "kib", 8.0, False, "KiB"),
    Target("idle-tls", "kib", 32.0, False, "KiB"),
    *(Target(load, "cpu", 0.4, True) for load in ("managed", "managed-one", "managed-500")),
    *(Target(load, "cpu", 0.05, True) for load in ("archive", "archive-one", "archive-100")),
    # what durability adds is less than the whole
    *(Target(load, "p50", 10.0, False, "ms") for load in ("archive-1000", "archive-4000")),
    *(
        Target(f"{profile}-{phase}", "cpu", 0.3, True)
        for profile in ("offline-sql", "offline")
        for phase in ("store", "drain")
    ),
    *(
        Target(load, "cpu", 0.3, True)
        for name in (*ROOMS, *JOINS, *NOTIFICATIONS)
        for load in both(name)
    ),
    *(Target(f"{name}-archive", "cpu", 0.3, True) for name in ROOMS),
    # each as it is by itself: our rooms have archives, theirs have none
    *(Target(f"{name}-archive", "cpu", 0.3, True, peers=name) for name in ROOMS),
    Target("page-1000000", "p50", 1.2, True, base="page-1000"),
    Target("memory", "kib", 8192.0, False, "KiB"),
)


@attrs.frozen
class Verdict:
    """A target beside what was measured; value None: it was not."""

    target: Target
    value: float | None  # in the target's terms: a ratio, ms or KiB

    @property
    def passed(self) -> bool | None:
        """Whether the target is reached, None when it was not measured."""
        return None if self.value is None else self.value <= self.target.most

    @property
    def word(self) -> str:
        """The verdict as it is printed."""
        return {True: "pass", False: "FAIL", None: "not measured"}[self.passed]


def figure(measurements: Sequence[Measurement], load: str, server: str, name: str) -> float | None:
    """Return the median of a figure over the rounds."""
    return middle(
        getattr(one, name) for one in measurements if (one.load, one.server) == (load, server)
    )


def against_peers(
    measurements: Sequence[Measurement], load: str, server: str, name: str
) -> float | None:
    """Return a server's figure as a multiple of the better peer's, medians both."""
    own = figure(measurements, load, server, name)
    return ratio(own, better_peer(measurements, load, server, name))


def better_peer(
    measurements: Sequence[Measurement], load: str, server: str, name: str
) -> float | None:
    """Return the figure of the better of the peers other than a server."""
    return least(figure(measurements, load, peer, name) for peer in PEERS if peer != server)


def judge(measurements: Sequence[Measurement], server: str = JUDGED) -> list[Verdict]:
    """Return the verdict on each target whose load was run."""
    loads = {one.load for one in measurements}
    return [
        Verdict(target, target.value(measurements, server))
        for target in TARGETS
        if target.load in loads
    ]
