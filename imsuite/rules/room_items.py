"""XEP-0045 §8, §9, §17.4: the items with which moderators, admins and owners change people."""

from __future__ import annotations

import attrs
from twisted.words.xish.domish import Element

from imsuite.rules.affiliations import Affiliation, Role, affiliation, role
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import child, children, text_of

NS_ADMIN = "http://jabber.org/protocol/muc#admin"
LONGEST_REASON = 1000  # characters


@attrs.frozen
class Change:
    """What one item asks for: a role or an affiliation.

    jid: whom it concerns, None for who has the nickname; nick: for a role whom it concerns, for an
    affiliation with a jid the nickname to reserve, "" for none any more, None to leave it.
    """

    role: Role | None = None
    affiliation: Affiliation | None = None
    jid: JID | None = None
    nick: str | None = None
    reason: str = ""


def read_changes(query: Element) -> tuple[Change, ...]:
    """Return what a set asks for.

    Raises StanzaError: jid-malformed, not-acceptable for a reason that is too long, bad-request
    for everything else that is no list of changes, such as an item with both a role and an
    affiliation (§17.4).
    """
    changes = tuple(_change(item) for item in children(query, NS_ADMIN, "item"))
    if not changes:
        raise StanzaError("bad-request", text="there is no item")
    return changes


def _change(item: Element) -> Change:
    wanted_role, wanted_affiliation = _wanted(item)
    address, nick = item.getAttribute("jid"), item.getAttribute("nick")
    if not address and not nick:
        raise StanzaError("bad-request", text="an item names nobody")
    reason = text_of(child(item, NS_ADMIN, "reason")).strip()
    if len(reason) > LONGEST_REASON:
        raise StanzaError("not-acceptable", text="the reason is too long")
    jid = parse(address) if address else None
    return Change(wanted_role, wanted_affiliation, jid, nick, reason)


def read_list(query: Element) -> tuple[Role | Affiliation, ...]:
    """Return the roles and affiliations whose lists a get asks for. Raises StanzaError bad-request.

    There is no list of those who have none.
    """
    wanted: list[Role | Affiliation] = []
    for item in children(query, NS_ADMIN, "item"):
        found = next(each for each in _wanted(item) if each is not None)
        if found in (Role.NONE, Affiliation.NONE):
            raise StanzaError("bad-request", text="there is no list of those who have none")
        wanted.append(found)
    if not wanted:
        raise StanzaError("bad-request", text="there is no item")
    return tuple(dict.fromkeys(wanted))


def _wanted(item: Element) -> tuple[Role, None] | tuple[None, Affiliation]:
    """Return the role or the affiliation of an item."""
    of_role, of_affiliation = item.getAttribute("role"), item.getAttribute("affiliation")
    if (of_role is None) == (of_affiliation is None):
        raise StanzaError("bad-request", text="an item has either a role or an affiliation")
    if of_role is not None:
        return role(of_role), None
    return None, affiliation(of_affiliation)
