"""RFC 6121 §2: roster items, roster sets, and which answer a request for the roster gets."""

from __future__ import annotations

import enum

import attrs
from twisted.words.xish.domish import Element

from imsuite.rules.subscription import State
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import children, text_of


@attrs.frozen
class Limits:
    """What a roster set may hold (§2.3.3)."""

    name: int = 1023  # characters of a handle
    group: int = 1023  # characters of the name of a group
    groups: int = 64  # groups of one item


@attrs.frozen
class RosterItem:
    """A contact in a roster (§2.1.2).

    jid: bare JID of the contact; name: the handle, "" where there is none; groups: names, each
    once, in the order of the client; state: of the subscription; approved: the contact is
    pre-approved (§3.4).
    """

    jid: JID
    name: str = ""
    groups: tuple[str, ...] = ()
    state: State = State.NONE
    approved: bool = False


@attrs.frozen
class RosterSet:
    """What a client asks for: to keep a contact under a name and in groups, or to remove it."""

    jid: JID
    name: str = ""
    groups: tuple[str, ...] = ()
    remove: bool = False


def parse_set(query: Element, limits: Limits, owner: JID) -> RosterSet:
    """Return what a roster set asks for (§2.3, §2.4, §2.5).

    query: the payload of the IQ; owner: address of the account. Of the item's attributes only
    jid, name and subscription='remove' count (§2.1.2.5). Raises StanzaError

    - bad-request: not exactly one item, an item without jid, a contact with a resource, a group
      twice (§2.3.3);
    - jid-malformed;
    - not-acceptable: an empty group, or more than the limits allow (§2.3.3);
    - not-allowed: one's own address, whose presence comes without a subscription (§4.2.2).
    """
    items = children(query, NS.ROSTER, "item")
    if len(items) != 1:
        raise StanzaError("bad-request", text="a roster set holds one item")
    item = items[0]
    address = item.getAttribute("jid")
    if address is None:
        raise StanzaError("bad-request", text="the item has no jid")
    jid = parse(address)
    if jid.resource:
        raise StanzaError("bad-request", text="a contact is a bare JID")
    if item.getAttribute("subscription") == "remove":
        return RosterSet(jid, remove=True)
    if jid.full == owner.bare:
        raise StanzaError("not-allowed", text="nobody is a contact of oneself")
    name = item.getAttribute("name", "")
    if len(name) > limits.name:
        raise StanzaError("not-acceptable", text="the name is too long")
    return RosterSet(jid, name, _groups(item, limits))


def _groups(item: Element, limits: Limits) -> tuple[str, ...]:
    groups = tuple(text_of(group) for group in children(item, NS.ROSTER, "group"))
    if len(groups) > limits.groups:
        raise StanzaError("not-acceptable", text="too many groups")
    if len(set(groups)) < len(groups):
        raise StanzaError("bad-request", text="a group is named twice")
    for group in groups:
        if not group:
            raise StanzaError("not-acceptable", text="a group has no name")
        if len(group) > limits.group:
            raise StanzaError("not-acceptable", text="the name of a group is too long")
    return groups


def apply(item: RosterItem | None, wanted: RosterSet) -> RosterItem:
    """Return the item after a roster set that does not remove it (§2.3.1, §2.4.1).

    item: as it is, None if there is none yet. A set never touches the subscription; the state
    of a contact who asked before being in the roster is for the caller to put in.
    """
    if item is None:
        item = RosterItem(wanted.jid)
    return attrs.evolve(item, name=wanted.name, groups=wanted.groups)


def check_removal(item: RosterItem | None) -> RosterItem:
    """Return the item to remove. Raises StanzaError item-not-found if there is none (§2.5.3)."""
    if item is None:
        raise StanzaError("item-not-found")
    return item


def to_element(item: RosterItem) -> Element:
    """Return the item of a roster result or push (§2.1.2)."""
    attributes = {"jid": item.jid.full, "subscription": item.state.subscription}
    if item.name:
        attributes["name"] = item.name
    if item.state.pending_out:
        attributes["ask"] = "subscribe"
    if item.approved:
        attributes["approved"] = "true"
    element = Element((NS.ROSTER, "item"), attribs=attributes)
    for group in item.groups:
        element.addElement((NS.ROSTER, "group"), content=group)
    return element


def removed_element(jid: JID) -> Element:
    """Return the item of a push that tells of a removal (§2.5.1)."""
    return Element((NS.ROSTER, "item"), attribs={"jid": jid.full, "subscription": "remove"})


def query_element(items: tuple[Element, ...], version: int | None = None) -> Element:
    """Return the payload of a roster result or push, with its version if there is one (§2.6)."""
    query = Element((NS.ROSTER, "query"))
    if version is not None:
        query["ver"] = str(version)
    for item in items:
        query.addChild(item)
    return query


class Fetch(enum.Enum):
    """How to answer a request for the roster (§2.2, §2.6.3)."""

    PLAIN = enum.auto()  # the whole roster, no version: the client knows none
    WHOLE = enum.auto()  # the whole roster, with its version
    CHANGES = enum.auto()  # an empty result, then a push of each later change, in order
    CURRENT = enum.auto()  # an empty result


def fetch(ver: str | None, current: int, oldest: int) -> tuple[Fetch, int]:
    """Return how to answer a request for the roster, and with CHANGES since which version.

    ver: attribute of the request, None where it is absent. Versions are numbers that grow with
    each change; current: of the roster now; oldest: from which on all changes are known, those
    after it that is. A version that was never given out gets the whole roster.
    """
    if ver is None:
        return Fetch.PLAIN, current
    if not (ver.isascii() and ver.isdigit() and len(ver) <= 18):
        return Fetch.WHOLE, current
    known = int(ver)
    if known == current:
        return Fetch.CURRENT, current
    if oldest <= known < current:
        return Fetch.CHANGES, known
    return Fetch.WHOLE, current
