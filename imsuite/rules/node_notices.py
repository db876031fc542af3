"""Whom an event of a node reaches, and what is said to them (XEP-0060 §7, XEP-0248 §4)."""

from __future__ import annotations

import enum
from collections.abc import Callable, Iterable

import attrs
from twisted.words.xish.domish import Element

from imsuite.rules.node_options import DEFAULT, Terms, is_over
from imsuite.xmpp.stanza import child, text_of


class Event(enum.Enum):
    """What there is to hear about (XEP-0248 §4)."""

    ITEMS = "items"  # published, retracted or purged
    NODES = "nodes"  # created, deleted, configured, associated or dissociated


class Verdict(enum.Enum):
    """What becomes of an event for one subscription."""

    NOTHING = enum.auto()
    NOW = enum.auto()
    DIGEST = enum.auto()  # it waits for the next digest


@attrs.frozen
class Interest:
    """A subscription that an event may concern.

    jid: of the subscriber as it subscribed; subid: of the subscription; collection: the node that
    is subscribed, None where that is the node of the event itself; distance: levels from it down
    to the node of the event, 0 for the node itself.
    """

    jid: str
    subid: str
    options: Terms = DEFAULT
    collection: str | None = None
    distance: int = 0


@attrs.frozen
class Notice:
    """One notification for one subscriber (§6.1.6: one, however many its subscriptions are).

    subids: of the subscriptions that it has to the node, where they are several; collections:
    through which it hears of it.
    """

    jid: str
    subids: tuple[str, ...] = ()
    collections: tuple[str, ...] = ()
    body: bool = False


def verdict(
    options: Terms,
    event: Event,
    distance: int,
    shows: frozenset[str] | None,
    kept: bool = False,
) -> Verdict:
    """Return what becomes of an event for a subscription.

    distance: levels between what is subscribed and the node of the event; shows: presence of
    the subscriber's resources, of SHOWS; empty where it is offline, None where nobody knows;
    kept: items were published that a digest will find.
    """
    if not options.deliver:
        return Verdict.NOTHING
    if distance:
        if options.type not in ("all", event.value):
            return Verdict.NOTHING
        if options.depth is not None and options.depth < distance:
            return Verdict.NOTHING
    if options.digest and kept and not distance:
        return Verdict.DIGEST
    if options.shows and shows is not None and options.shows.isdisjoint(shows):
        return Verdict.NOTHING
    return Verdict.NOW


def notices(
    interests: Iterable[Interest],
    event: Event,
    presence: Callable[[str], frozenset[str] | None],
    now: int,
    kept: bool = False,
) -> list[Notice]:
    """Return who is notified of an event at once, each once, in the order of subscriptions.

    presence: the shows of a subscriber, as `verdict` wants them; asked only where it matters;
    kept: as in `verdict`.
    """
    found: dict[str, list[Interest]] = {}
    for each in interests:
        if is_over(each.options, now):
            continue
        shows = presence(each.jid) if each.options.shows else None
        if verdict(each.options, event, each.distance, shows, kept) is Verdict.NOW:
            found.setdefault(each.jid, []).append(each)
    return [_notice(jid, several) for jid, several in found.items()]


def _notice(jid: str, several: list[Interest]) -> Notice:
    collections = dict.fromkeys(
        each.collection for each in several if each.distance and each.collection is not None
    )
    direct = [each.subid for each in several if not each.distance]
    return Notice(
        jid,
        tuple(direct) if len(direct) > 1 else (),
        tuple(collections),
        any(each.options.include_body for each in several),
    )


# XEP-0060 §12.7: payloads that can be said in words, and the children that say them, best first
_WORDS = {
    ("http://www.w3.org/2005/Atom", "entry"): ("summary", "title"),
    ("jabber:x:oob", "x"): ("desc", "url"),
    ("http://jabber.org/protocol/mood", "mood"): ("text",),
}
BODY_TYPES = frozenset(namespace for namespace, _ in _WORDS)


def words(payload: Element) -> str | None:
    """Return what a payload says as the body of a message, None where it can not be said."""
    for name in _WORDS.get((payload.uri or "", payload.name), ()):
        text = text_of(child(payload, payload.uri or "", name)).strip()
        if text:
            return text
    return None
