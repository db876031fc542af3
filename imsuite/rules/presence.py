"""RFC 6121 §4: who receives a presence, what a probe is answered, what a presence may say."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

import attrs
from twisted.words.xish.domish import Element

from imsuite.rules.roster import RosterItem
from imsuite.rules.subscription import State
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import children, text_of

LOWEST, HIGHEST = -128, 127  # priority (§4.7.2.3)
SHOWS = frozenset(("away", "chat", "dnd", "xa"))  # §4.7.2.1
_number = re.compile(r"[+-]?[0-9]+").fullmatch
_SPACE = " \t\r\n"  # that XML Schema leaves out around a number


# what a presence says


@attrs.frozen
class Shown:
    """What an available presence says. show: one of SHOWS, "" where it is absent."""

    show: str = ""
    priority: int = 0


def parse_priority(text: str | None) -> int:
    """Return a priority, 0 for None (§4.7.2.3). Raises StanzaError bad-request."""
    if text is None:
        return 0
    text = text.strip(_SPACE)
    # four characters spell the longest of them; a long row of digits is not worth reading
    priority = int(text) if len(text) <= 4 and _number(text) else HIGHEST + 1
    if not LOWEST <= priority <= HIGHEST:
        raise StanzaError("bad-request", text="the priority is no number from -128 to 127")
    return priority


def parse_show(text: str | None) -> str:
    """Return an availability, "" for None (§4.7.2.1). Raises StanzaError bad-request."""
    if text is None:
        return ""
    if text not in SHOWS:
        raise StanzaError("bad-request", text="the show is not one of away, chat, dnd, xa")
    return text


def read(presence: Element, ns: str = NS.CLIENT) -> Shown:
    """Return what an available presence says.

    ns: content namespace. Raises StanzaError bad-request for a wrong show or priority, or for
    more than one of either (§4.7.2.1, §4.7.2.3).
    """
    return Shown(
        parse_show(_only(presence, ns, "show")), parse_priority(_only(presence, ns, "priority"))
    )


def _only(presence: Element, ns: str, name: str) -> str | None:
    found = children(presence, ns, name)
    if len(found) > 1:
        raise StanzaError("bad-request", text=f"more than one {name}")
    return text_of(found[0]) if found else None


# broadcast


@attrs.frozen
class Broadcast:
    """What follows from a presence without `to`, in the order of the fields.

    subscribers: send it to the bare JID of each subscriber (`subscribers`); own: to each
    available resource of the account, the sender's among them; directed: unavailable presence
    to whom directed presence was sent (`farewell`);
    others: send the sender the presence of the account's other available resources; probe: send
    a probe from the bare JID to each contact (`contacts`); requests: show the sender the
    subscription requests that nobody has answered; offline: and the stored messages.
    """

    subscribers: bool = False
    own: bool = False
    directed: bool = False
    others: bool = False
    probe: bool = False
    requests: bool = False
    offline: bool = False


def available(before: int | None, priority: int) -> Broadcast:
    """Return what follows from available presence (§4.2.2, §4.4.2; XEP-0160 §2).

    before: priority of the resource's last presence, None if it was not available; priority:
    of this presence. Only the first presence asks for anything, except that stored messages
    wait until the priority is not negative.
    """
    initial = before is None
    return Broadcast(
        subscribers=True,
        own=True,
        others=initial,
        probe=initial,
        requests=initial,
        offline=priority >= 0 and (before is None or before < 0),
    )


def unavailable(before: int | None) -> Broadcast:
    """Return what follows from unavailable presence, or from the end of a session (§4.5.2).

    before: priority of the resource's last presence, None if it was not available; then nobody
    knows of it but those whom it sent directed presence (§4.6.3).
    """
    known = before is not None
    return Broadcast(subscribers=known, own=known, directed=True)


def subscribers(roster: Iterable[RosterItem]) -> tuple[str, ...]:
    """Return the bare JIDs that receive the user's presence (§4.2.2)."""
    return tuple(item.jid.full for item in roster if item.state.from_)


def contacts(roster: Iterable[RosterItem]) -> tuple[str, ...]:
    """Return the bare JIDs whose presence the user receives (§4.3.1)."""
    return tuple(item.jid.full for item in roster if item.state.to)


# directed presence


def note_directed(directed: set[str], to: JID, type: str | None, most: int) -> None:
    """Keep in mind to whom a resource sent directed presence (§4.6.3).

    directed: full strings of addresses, changed in place; type: of the presence; most: how many
    are kept. Raises StanzaError resource-constraint when one more would be too many.
    """
    if type == "unavailable":
        directed.discard(to.full)
    elif type is None and to.full not in directed:
        if len(directed) >= most:
            raise StanzaError("resource-constraint", text="directed presence to too many")
        directed.add(to.full)


def farewell(directed: Iterable[str], broadcast_to: Collection[str]) -> tuple[str, ...]:
    """Return to whom unavailable presence is directed when a resource goes (§4.5.2, §4.6.3).

    broadcast_to: the bare JIDs that the broadcast reaches. A room occupant's address gets its
    own even so, as the room may not understand one to its bare JID.
    """
    return tuple(to for to in directed if to not in broadcast_to)


def shares_presence(owner: JID, sender: JID, state: State, directed: Iterable[str]) -> bool:
    """Tell whether an account shares presence with a sender (§8.5.3.1).

    owner: address of the account; state: of the sender's bare JID in its roster; directed: to
    whom any of its resources sent directed presence: a room shares it with its occupants.
    """
    if state.from_ or sender.bare == owner.bare or sender.bare == owner.domain:
        return True
    occupant = sender.bare + "/"
    return any(to == sender.bare or to.startswith(occupant) for to in directed)


# probes


@attrs.frozen
class Answer:
    """How to answer a probe.

    resources: whose last broadcast presence to send, each with the time it came (XEP-0203);
    unavailable: send unavailable presence from the address that was asked for; refuse: send
    "unsubscribed" from the bare JID. Nothing of these: silence.
    """

    resources: tuple[str, ...] = ()
    unavailable: bool = False
    refuse: bool = False


def answer_probe(
    state: State,
    resource: str,
    available: Iterable[str],
    own: bool = False,
    directed: bool = False,
) -> Answer:
    """Return how to answer a probe (§4.3.2).

    state: of the prober's bare JID in the roster, NONE also if there is no such account, so
    that both look alike (§8.5.1); resource: of the address probed, "" for a bare JID; available:
    the account's available resources; own: the prober is the account itself; directed: one of
    its resources sent the prober directed presence.
    """
    if own or state.from_:
        found = tuple(name for name in available if resource in ("", name))
        return Answer(found, unavailable=not found)
    # "unsubscribed" would refuse the request that is waiting for its answer, or tell a room
    # that there was a subscription
    return Answer(refuse=not (state.pending_in or directed))
