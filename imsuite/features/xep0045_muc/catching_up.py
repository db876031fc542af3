"""What somebody who enters is told of who is there, and who is not (§7.2.2, XEP-0436)."""

from __future__ import annotations

from imsuite.core.fanout import Fan
from imsuite.features.xep0045_muc.room import Client, Occupant, Room
from imsuite.features.xep0045_muc.telling import (
    NS_MUC,
    NS_USER,
    NS_VERSIONS,
    News,
    X,
    finish,
    gone,
    is_shown,
    tell_one,
    with_x,
)
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.xmpp.stanza import Stanza, child, make, quoted


def tell_of_others(room: Room, comer: Occupant, client: Client, stanza: Stanza) -> None:
    """Send the presence of all others; of those alone who changed, where the client knows the rest.

    stanza: with which it enters.
    """
    known = None if room.log is None else _version(stanza)
    changes = None
    if known is not None and room.log is not None:
        changes = room.log.since(known)
        if changes is None and known:
            _reset(room, client, room.log.word)
    for other in list(room.occupants.values()):
        if other is not comer and is_shown(other) and (changes is None or other.nick in changes):
            tell_one(other, client, comer.knows_all)
    if known is None:
        return
    if changes is None:  # XEP-0436 §4.1: those who are members and not there
        absent = [entry.nick for _, entry in room.affiliated(*_MEMBERS) if entry.nick]
    else:
        absent = [nick for nick, present in changes.items() if not present]
    for nick in absent:
        if room.find(nick) is None:
            _tell_absent(room, nick, client)


_MEMBERS = (Affiliation.OWNER, Affiliation.ADMIN, Affiliation.MEMBER)


def _version(stanza: Stanza) -> str | None:
    """Return the version that a client knows, "" for none yet, None if it asks for none."""
    for ns in (NS_USER, NS_MUC):
        x = stanza.child(ns, "x")
        found = None if x is None else child(x, NS_VERSIONS, "version")
        if found is not None:
            return str(found.getAttribute("ver", ""))
    return None


def _reset(room: Room, client: Client, word: str) -> None:
    """XEP-0436 §4.2: what the client knows is too old to begin with."""
    inner = b"<reset xmlns='%s' ver=%s/>" % (NS_VERSIONS.encode(), quoted(word))
    x = b"<x xmlns='%s'>%s</x>" % (NS_USER.encode(), inner)
    fan = Fan(room.host, make("presence", {"from": room.bare}, x, X))
    fan.send(client.jid, client.written)
    finish(room, fan)


def _tell_absent(room: Room, nick: str, client: Client) -> None:
    """Tell that somebody is not there; who it is does not matter any more."""
    holder = room.reserved_for(nick) or ""
    absent = Occupant(room, nick, holder, Role.NONE)
    affiliation = room.affiliation(holder) if holder else Affiliation.NONE
    news = News(affiliation=affiliation, role=Role.NONE)
    fan = Fan(room.host, with_x(gone(absent), absent, None, news, ()))
    fan.send(client.jid, client.written)
    finish(room, fan)
