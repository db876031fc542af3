"""Presence of occupants, as each of the others may see it (XEP-0045 §7.2, §15.6)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import attrs

from imsuite.core.fanout import Fan
from imsuite.core.hooks import ROOM_PRESENCE, Passing
from imsuite.features.xep0045_muc.room import Client, Occupant, Room
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.rules.room import shows_presence
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, escaped, quoted

if TYPE_CHECKING:
    from imsuite.core.record import Record

NS_MUC = "http://jabber.org/protocol/muc"
NS_USER = f"{NS_MUC}#user"
NS_VERSIONS = "urn:xmpp:muc-presence-versioning:0"
X = f"{NS_USER}}}x"
# what only the room may say (§18.2; XEP-0421 §4), and what brought the presence here
_OURS = frozenset((X, f"{NS_MUC}}}x", "urn:xmpp:occupant-id:0}occupant-id", "urn:xmpp:hats:0}hats"))


@attrs.frozen
class News:
    """What a presence says besides who it is.

    codes: status codes for all; own: those that only the occupant itself gets, beside 110; nick:
    the new one (§7.6); actor: nickname of who did it; reason; affiliation, role: where they are
    not what the occupant has, as when it leaves; extra: whole elements inside <x/>; own_extra:
    those that only the occupant itself gets.
    """

    codes: tuple[int, ...] = ()
    own: tuple[int, ...] = ()
    nick: str = ""
    actor: str = ""
    reason: str = ""
    affiliation: Affiliation | None = None
    role: Role | None = None
    extra: bytes = b""
    own_extra: bytes = b""


NOTHING = News()
GONE = News(role=Role.NONE)


def cleaned(stanza: Stanza, occupant_jid: str) -> Stanza:
    """Return a presence as from an occupant, without what only the room may say."""
    if not _OURS.isdisjoint(stanza.children):
        element = stanza.element
        stanza = stanza.without(
            [node for node in element.elements() if f"{node.uri}}}{node.name}" in _OURS]
        )
    return stanza.amended({"from": occupant_jid, "to": None})


def shown(occupant: Occupant, client: Client) -> Stanza:
    """Return the presence of a client as the room shows it, but for the <x/>.

    A presence must not wait, so handlers of the hook must not either.
    """
    host = occupant.room.host
    stanza = client.presence
    if stanza.attrs["from"] != occupant.jid:
        stanza = stanza.amended({"from": occupant.jid})
    switch = host.switch(ROOM_PRESENCE)
    if not switch.steps:
        return stanza
    passing = Passing(stanza, None, parse(client.jid))  # type: ignore[arg-type] # a service's
    passing.host, passing.room, passing.occupant = host, occupant.room, occupant
    later = switch.run(passing)
    assert later is None, "handlers of ROOM_PRESENCE do not wait"
    return passing.stanza


def gone(occupant: Occupant) -> Stanza:
    """Return an empty presence of somebody who is not there any more."""
    raw = b"<presence from=%s type='unavailable'/>" % quoted(occupant.jid)
    attributes = {"from": occupant.jid, "type": "unavailable"}
    return Stanza("presence", "jabber:client", attributes, (), raw)


def with_x(
    stanza: Stanza,
    occupant: Occupant,
    jid: str | None,
    news: News,
    codes: Iterable[int],
    version: str = "",
) -> Stanza:
    """Return a presence with what the room says of the occupant.

    jid: real one, None to hide it; version: of what is seen in the room (XEP-0436), "" for none.
    """
    affiliation = news.affiliation or occupant.affiliation
    role = news.role or occupant.role
    item = b"<item affiliation='%s' role='%s'" % (affiliation.value.encode(), role.value.encode())
    if jid is not None:
        item += b" jid=" + quoted(jid)
    if news.nick:
        item += b" nick=" + quoted(news.nick)
    inside = b""
    if news.actor:
        inside += b"<actor nick=%s/>" % quoted(news.actor)
    if news.reason:
        inside += b"<reason>%s</reason>" % escaped(news.reason)
    item += b">%s</item>" % inside if inside else b"/>"
    status = b"".join(b"<status code='%d'/>" % code for code in codes)
    if version:
        item += b"<version xmlns='%s' ver=%s/>" % (NS_VERSIONS.encode(), quoted(version))
    x = b"<x xmlns='%s'>%s%s%s</x>" % (NS_USER.encode(), item, news.extra, status)
    return stanza.plus(x, X)


def is_shown(occupant: Occupant, role: Role | None = None) -> bool:
    """Tell whether others hear of an occupant (muc#roomconfig_presencebroadcast).

    role: that it is going to have, None for the one it has.
    """
    return shows_presence(occupant.room.config, role or occupant.role)


def tell_all(
    occupant: Occupant,
    stanza: Stanza,
    news: News = NOTHING,
    *,
    record: Record | None = None,
    own: Iterable[str] | None = None,
    others: bool = True,
) -> None:
    """Send presence of an occupant to everybody in the room, and to itself with 110.

    own: its clients that get it, None for all; others: whether anybody else does; record: what
    must be durable before anybody sees it.
    """
    room = occupant.room
    host = room.host
    if room.log is not None and others:
        room.log.note(occupant.nick, stanza.type != "unavailable" and is_shown(occupant))
    version = "" if room.log is None else room.log.word
    if others and is_shown(occupant):
        _tell_others(occupant, stanza, news, version, record)
    codes = sorted({110, *news.codes, *news.own})
    if news.own_extra:
        news = attrs.evolve(news, extra=news.extra + news.own_extra)
    for jid in list(occupant.clients) if own is None else own:
        fan = Fan(host, with_x(stanza, occupant, jid, news, codes, version), record)
        fan.send(jid)
        finish(room, fan)


def _tell_others(
    occupant: Occupant, stanza: Stanza, news: News, version: str, record: Record | None
) -> None:
    """Send presence of an occupant to everybody else."""
    room = occupant.room
    real = occupant.main.jid if occupant.clients else None
    fans: dict[bool, Fan] = {}
    for other, client in room.clients():
        if other is occupant:
            continue
        knows = other.knows_all
        fan = fans.get(knows)
        if fan is None:
            jid = real if knows else None
            seen = with_x(stanza, occupant, jid, news, news.codes, version)
            fan = fans[knows] = Fan(room.host, seen, record)
        fan.send(client.jid, client.written)
    for fan in fans.values():
        finish(room, fan)


def tell_one(occupant: Occupant, to: Client, knows_all: bool) -> None:
    """Send the presence of an occupant to somebody who has just entered (§7.2.2)."""
    fan = occupant.cards.get(knows_all)
    if fan is None:
        jid = occupant.main.jid if knows_all else None
        stanza = with_x(shown(occupant, occupant.main), occupant, jid, NOTHING, ())
        fan = occupant.cards[knows_all] = Fan(occupant.room.host, stanza)
    fan.send(to.jid, to.written)
    finish(occupant.room, fan)


def finish(room: Room, fan: Fan) -> None:
    """Let what waits for handlers of recipients go on by itself."""
    later = fan.finished()
    if later is not None:
        room.host.spawn(_wait(later))


async def _wait(later: object) -> None:
    try:
        await later  # type: ignore[misc]
    except (Dropped, StanzaError):
        pass
