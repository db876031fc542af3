"""XEP-0452: MUC Mention Notifications."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from itertools import islice
from typing import Any
from urllib.parse import unquote

import attrs
from zope.interface import implementer

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import ROOM_MESSAGE, Passing, Stage
from imsuite.core.options import ge, option
from imsuite.core.service_interfaces import IRoomSettings
from imsuite.rules.affiliations import Affiliation
from imsuite.rules.room_config import Setting
from imsuite.rules.traffic import FORWARD, classify
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, InvalidAddress, parse
from imsuite.xmpp.stanza import Stanza, children, make, quoted
from imsuite.xmpp.times import format_datetime

NS_MENTIONS = "urn:xmpp:mmn:0"
NS_REFERENCE = "urn:xmpp:reference:0"
_START = b"<message"
_LONGEST = 3100  # characters of an address as a URI has it, before it is looked at

SETTING = Setting(
    "muc#roomconfig_forwardmentions",
    "forward_mentions",
    "boolean",
    "Forward Messages with Mentions to Affiliated Users Who Are Not Present",
    False,
)


@attrs.frozen
class Options:
    """[features.mentions]"""

    most: int = option(
        10, "How many of the mentions in one message are looked at.", ge(0), live=True
    )


@implementer(IRoomSettings)
class Mentions(Feature):
    """Tell those who are away that a room talks of them.

    Whom the owner of a room wants to be told at all is a setting of the room; who wants to be told
    has registered a nickname there (§2).
    """

    spec = "XEP-0452 0.2.2"
    options: Options

    def settings(self) -> Iterable[Setting]:
        """§3.1"""
        return (SETTING,)

    @on(ROOM_MESSAGE, Stage.COPY, kind="message", child=(NS_REFERENCE, "reference"))
    def forward(self, passing: Passing) -> None:
        """§3.2: once the message itself is durable."""
        room = passing.room
        if not room.config.forward_mentions or not classify(passing.stanza).room_archive:
            return
        told: dict[str, None] = {}
        for address in islice(_mentioned(passing.stanza), self.options.most):
            bare = _account(room, address)
            if bare is not None and _wants(room, bare):
                told[bare] = None
        if told:
            passing.after(partial(self._send, passing, tuple(told)))

    def _send(self, passing: Passing, told: Iterable[str]) -> None:
        record, room = passing.record, passing.room
        came = int(self.host.clock.seconds() * 1_000_000) if record is None else record.id
        inner = _wrapped(passing.stanza, came)
        for bare in told:
            attributes = {"from": room.bare, "to": bare}
            self.host.send(make("message", attributes, inner, f"{NS_MENTIONS}}}mentions"))


def _mentioned(stanza: Stanza) -> Iterable[JID]:
    """Yield the addresses that a message mentions (XEP-0372 §3.2)."""
    for reference in children(stanza.element, NS_REFERENCE, "reference"):
        uri = reference.getAttribute("uri", "")
        if reference.getAttribute("type") != "mention" or not uri.startswith("xmpp:"):
            continue
        path = uri.removeprefix("xmpp:").partition("?")[0].partition("#")[0]
        if len(path) <= _LONGEST:
            try:
                yield parse(unquote(path, errors="strict"))
            except (InvalidAddress, UnicodeDecodeError):
                continue


def _account(room: Any, address: JID) -> str | None:
    """Return the account that is meant: by its own address, or by that of an occupant."""
    if address.bare != room.bare:
        return address.bare
    found: str | None = room.reserved_for(address.resource) if address.resource else None
    return found


def _wants(room: Any, bare: str) -> bool:
    """Tell whether somebody is affiliated, has registered a nickname, and is not there (§2)."""
    entry = room.entries.get(bare)
    if entry is None or not entry.nick or room.affiliation(bare) < Affiliation.MEMBER:
        return False
    return not room.of_account(bare)


def _wrapped(stanza: Stanza, came: int) -> bytes:
    """Return the forwarded message. came: µs since 1970 UTC."""
    message = b"%s xmlns='%s'%s" % (_START, NS.CLIENT.encode(), stanza.raw[len(_START) :])
    return b"<mentions xmlns=%s><forwarded xmlns=%s><delay xmlns=%s stamp='%s'/>%s%s" % (
        quoted(NS_MENTIONS),
        quoted(FORWARD),
        quoted(NS.DELAY),
        format_datetime(came).encode(),
        message,
        b"</forwarded></mentions>",
    )
