"""XEP-0280: who gets a copy of a message, and the copies.

A message is looked at once for its sender and once for its recipient, if both are here. What
makes it eligible by type and content is decided in rules/traffic.py; here is the rest of §6.1,
§7, §8 and §9.

The specification leaves some choices to the server. Taken here:

- the hint no-copy counts where it may be given, on messages to a full JID (XEP-0334 §4.3);
- a message to the account itself is copied as received only, so that no resource has it twice;
- a message is private between occupants of a room if it is marked so (§6.1: "by checking for the
  <x xmlns="http://jabber.org/protocol/muc#user"> element").
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Iterable, Iterator
from typing import TypeVar

import attrs

from imsuite.rules.traffic import CARBONS, FORWARD, Traffic, Wrapper
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID
from imsuite.xmpp.stanza import Stanza, quoted, with_attributes

T = TypeVar("T")

REMEMBERED = 65536  # messages; of these and as many again it is known that they were eligible


class Direction(enum.StrEnum):
    """Which way a message passes the account that copies are for; names the element of a copy."""

    SENT = "sent"  # the account sends it (§8)
    RECEIVED = "received"  # it reaches the account (§7)


@attrs.frozen
class Verdict:
    """Whether a message is copied to the account's other resources, and the rule that says so."""

    copied: bool
    rule: str


def verdict(
    direction: Direction, traffic: Traffic, sender: JID, to: JID, answers: bool = False
) -> Verdict:
    """Return whether an account gets copies of a message (§6.1, §9).

    sender, to: of the message; answers: it is an error, and what it answers was eligible.
    """
    if answers:
        return Verdict(True, "XEP-0280 §6.1: copied, an error that answers an eligible message")
    if not traffic.carbon:
        return Verdict(False, traffic.rules.carbon)
    if traffic.no_copy and to.resource:
        return Verdict(False, "XEP-0334 §4.3: not copied, it has the hint no-copy")
    if direction is Direction.RECEIVED and traffic.muc_private and sender.resource:
        return Verdict(False, "XEP-0280 §6.1: not copied, an occupant of a room says it privately")
    if direction is Direction.SENT and sender.bare == to.bare:
        return Verdict(False, "XEP-0280 §7: not copied as sent, the account receives it as well")
    return Verdict(True, traffic.rules.carbon)


def recipients(
    enabled: Iterable[T],
    sender: T | None = None,
    got: Collection[T] = (),
    joined: Collection[T] | None = None,
) -> list[T]:
    """Return which resources get a copy of a message that is copied (§7, §8).

    enabled: resources of the account that want copies; sender: the one that sent the message, if
    one of them did, whatever it wants itself; got: those that have the message itself, or to
    which it is addressed; joined: those in the room, where the message goes to an occupant and
    that is known (§6.1, note 1).
    """
    return [
        each
        for each in enabled
        if each != sender and each not in got and (joined is None or each in joined)
    ]


def copies(
    direction: Direction, stanza: Stanza, account: str, resources: Iterable[str]
) -> Iterator[Wrapper]:
    """Make a copy for each resource, in their order (§7, §8).

    stanza: the message as the account's clients may see it, with their stanza-id and without
    forged ones; account: its bare JID; resources: full JIDs.
    """
    word = direction.value.encode()
    inner = b"<%s xmlns='%s'><forwarded xmlns='%s'>%s</forwarded></%s></message>" % (
        word,
        CARBONS.encode(),
        FORWARD.encode(),
        _qualified(stanza.raw),
        word,
    )
    children = (f"{CARBONS}}}{direction.value}",)
    attributes = {"from": account}
    head = b"<message from=%s" % quoted(account)
    if stanza.type is not None:
        attributes["type"] = stanza.type
        head += b" type=%s" % quoted(stanza.type)
    for full in resources:
        raw = b"%s to=%s>%s" % (head, quoted(full), inner)
        yield Wrapper({**attributes, "to": full}, children, raw, stanza)


def _qualified(raw: bytes) -> bytes:
    """Return a message so that it can stand inside an element of another namespace."""
    if raw.startswith((b"<message ", b"<message>", b"<message/")):
        return b"<message xmlns='%s'%s" % (NS.CLIENT.encode(), raw[8:])
    return with_attributes(raw, {"xmlns": NS.CLIENT})


class Eligible:
    """Which messages were eligible, so that errors in reply to them are eligible too (§6.1).

    The oldest are forgotten when there are too many; a restart forgets all.
    """

    __slots__ = ("_most", "_old", "_young")

    def __init__(self, most: int = REMEMBERED) -> None:
        self._most = most
        # only hashes, that no message takes more than a few bytes
        self._young: set[int] = set()
        self._old: set[int] = set()

    def remember(self, account: str, peer: str, id: str | None) -> None:
        """Take note of an eligible message between two bare JIDs; id: of the stanza."""
        if len(self._young) >= self._most:
            self._old, self._young = self._young, set()
        self._young.add(hash((account, peer, id)))

    def answered(self, account: str, peer: str, id: str | None) -> bool:
        """Tell whether an error between the two, with that id, answers an eligible message."""
        found = hash((account, peer, id))
        return found in self._young or found in self._old
