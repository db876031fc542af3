"""XEP-0198 §3 to §5: counting stanzas, and what a count that comes in means.

Inside the server counts go on for ever; on the wire they begin again at 2³².
"""

from __future__ import annotations

import re

import attrs

WRAP = 1 << 32
_COUNT = re.compile(r"[0-9]{1,10}")


@attrs.frozen
class TooHigh:
    """The other side says it has more than it was sent. h: what it said; sent: the truth."""

    h: int
    sent: int


def parse_count(text: str | None) -> int | None:
    """Return the value of an "h" attribute, or None if it is missing or no unsigned int (§8)."""
    if text is None or not _COUNT.fullmatch(text.strip()):
        return None
    value = int(text)
    return value if value < WRAP else None


def on_wire(count: int) -> int:
    """Return a count as it is sent (§4: it wraps)."""
    return count % WRAP


def acknowledged(h: int, acked: int, sent: int) -> int | TooHigh:
    """Return how many stanzas are acknowledged in all.

    h: what the other side said; acked: what it had acknowledged before; sent: what it was sent.
    An older count than the one before stands far below the next wrap, and so is too high.
    """
    count = acked + (h - acked) % WRAP
    return count if count <= sent else TooHigh(h, on_wire(sent))


def acknowledged_anew(h: int, acked: int, most: int) -> int | TooHigh:
    """Return how many are acknowledged in all, where nobody knows any more how many were sent.

    most: more than that since the last time cannot be.
    """
    more = (h - acked) % WRAP
    return acked + more if more < most else TooHigh(h, on_wire(acked))


def wants(value: str | None) -> bool:
    """Tell whether a boolean attribute is set (XML Schema 2 §3.2.2)."""
    return value is not None and value.strip() in ("true", "1")
