"""Stream management as the load generator speaks it (XEP-0198 §4): h, <r/> and <a/>."""

import re

from benchmarks.checking import Faults
from benchmarks.dialogue import Counted, Session
from benchmarks.loop import Link, Loop, Stalled

EVERY = 5  # stanzas after which we ask for an acknowledgement, as busy clients do
ASK = b"<r xmlns='urn:xmpp:sm:3'/>"
NAMESPACE = b"urn:xmpp:sm:3"
LONGEST = 120  # bytes a nonza has at most: what is kept back to find one that came in two pieces
ENOUGH = 30.0  # seconds for the last acknowledgement

# outside of stanzas only: what is inside has no such element unless somebody sent it
NONZA = re.compile(
    rb"<(?P<name>[ra])\b(?P<attributes>[^<>]*\burn:xmpp:sm:3\b[^<>]*?)(?:/>|></(?P=name)\s*>)"
)
H = re.compile(rb"\bh=['\"](\d+)['\"]")


def answer(counted: Counted, link: Link, nonza: re.Match[bytes]) -> Faults:
    """Do what the server's nonza asks: count its h, or send ours."""
    if nonza["name"] == b"r":
        link.send(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % counted.received)
        return Faults()
    h = H.search(nonza["attributes"])
    if h is None or not counted.acked <= int(h[1]) <= counted.sent:
        return Faults(unacknowledged=1, example=f"{nonza[0]!r} with {counted}")
    counted.acked = int(h[1])
    return Faults()


def without_nonzas(received: bytes) -> bytes:
    """Return what was received without the elements of stream management."""
    return NONZA.sub(b"", received)


def settle(loop: Loop, sessions: list[Session]) -> Faults:
    """Wait until the server has acknowledged all stanzas, its links being read by somebody."""
    counters = []
    for session in sessions:
        assert session.counted is not None
        counters.append(session.counted)
        session.link.send(ASK)
    try:
        loop.run(lambda: all(one.acked >= one.sent for one in counters), ENOUGH, "the last h")
    except Stalled:
        pass  # counted below
    missing = sum(abs(one.sent - one.acked) for one in counters)
    return Faults(unacknowledged=missing, example=f"{missing} not in the last h" if missing else "")
