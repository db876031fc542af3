"""XEP-0160 §2.3: what is said of a message that waited, put between its bytes as they lie.

A message is not parsed for that: what is read of it is whether it names XEP-0203 at all.
"""

from __future__ import annotations

from imsuite.core.record import public_id
from imsuite.features.xep0160_offline.storage import Row
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import normalised
from imsuite.xmpp.stanza import Stanza, children, quoted
from imsuite.xmpp.times import SECOND, format_datetime

NS_SID = "urn:xmpp:sid:0"

_DELAY = NS.DELAY.encode()
_FROM = b"<message from='"  # how a message begins that a client here has sent
_END = b"</message>"


class Stamps:
    """Says when messages to an account came, and where in its archive they are."""

    def __init__(self, domain: str, owner: str) -> None:
        self._domain = domain
        self._delay = b"<delay xmlns='%s' from=%s stamp='" % (_DELAY, quoted(domain))
        self._id = b"<stanza-id xmlns='%s' by=%s id='" % (NS_SID.encode(), quoted(owner))
        self._second = -1  # the last one that was written, and how
        self._text = ""

    def put(self, row: Row) -> bytes:
        """Return a message as a session gets it. row: its body is there."""
        id, own, salt, raw = row
        inner = b""
        if _DELAY not in raw or not _has_delay(Stanza.parse(raw), self._domain):
            inner = b"%s%s'>Offline Storage</delay>" % (self._delay, self._when(id).encode())
        if not own:  # without an archive that has it an id would lead nowhere (XEP-0313 §3.5)
            inner += b"%s%s'/>" % (self._id, public_id(id, salt).encode())
        if raw.endswith(_END):
            return b"%s%s%s" % (raw[: -len(_END)], inner, _END)
        return Stanza("message", NS.CLIENT, {}, (), raw).plus(inner).raw

    def _when(self, id: int) -> str:
        """Return when a message came; those that follow came in the same second, often."""
        second, micros = divmod(id, SECOND)
        if second != self._second:
            self._second = second
            self._text = format_datetime(second * SECOND)[:-1]
        return f"{self._text}.{micros:06d}Z" if micros else f"{self._text}Z"


def sender_of(raw: bytes) -> str | None:
    """Return who sent a message."""
    sender = sent_by(raw)
    if not sender or b"&" in sender:
        return Stanza.parse(raw).sender
    return sender.decode()


def sent_by(raw: bytes) -> bytes:
    """Return the bytes that name the sender of a message, or b"" where they stand elsewhere."""
    if not raw.startswith(_FROM):
        return b""
    return raw[len(_FROM) : raw.index(b"'", len(_FROM))]


def _has_delay(stanza: Stanza, domain: str) -> bool:
    """Tell whether the server has said before when a message came (XEP-0198 §4)."""
    if not stanza.has(NS.DELAY, "delay"):
        return False
    delays = children(stanza.element, NS.DELAY, "delay")
    return any(normalised(delay.getAttribute("from")) == domain for delay in delays)
