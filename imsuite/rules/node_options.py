"""Options of subscriptions to nodes (XEP-0060 §6.3, §16.4.2, XEP-0248 §5.1).

Moments are microseconds since 1970 UTC.
"""

from __future__ import annotations

import json
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

import attrs
from wokkel.data_form import Form

from imsuite.xmpp import forms
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.times import format_datetime, parse_datetime

NS_SUBSCRIBE_OPTIONS = "http://jabber.org/protocol/pubsub#subscribe_options"
NS_ERRORS = "http://jabber.org/protocol/pubsub#errors"
DAY = 86_400_000  # milliseconds: how often digests come unless the subscriber says otherwise
LONGEST_DIGEST = 366 * DAY

# XEP-0060 §16.4.2, in its order
SHOWS = {
    "away": "Away",
    "chat": "Want to Chat",
    "dnd": "Do Not Disturb",
    "online": "Available",
    "xa": "Extended Away",
}
# XEP-0248 §5.1
TYPES = {
    "items": "Items published to nodes in the collection",
    "nodes": "Nodes that come into the collection, change or leave it",
    "all": "Both",
}
_INVALID = (NS_ERRORS, "invalid-options")


@attrs.frozen
class Terms:
    """What a subscriber wants of one subscription (XEP-0060 §16.4.2, XEP-0248 §9.2.1).

    shows: presence in which it wants to hear of events, of SHOWS; empty: in any, or in none;
    expire: when the lease ends, None for never (§12.18); temporary: it ends with the presence of
    the subscriber (§12.4); type: of TYPES; depth: levels below a collection, None for all.
    """

    deliver: bool = True
    digest: bool = False
    digest_frequency: int = DAY  # milliseconds
    expire: int | None = None
    temporary: bool = False
    include_body: bool = False
    shows: frozenset[str] = frozenset()
    type: str = "nodes"
    depth: int | None = 1


DEFAULT = Terms()


@attrs.frozen
class Offer:
    """Which options a node has for a subscriber; the others stay at their defaults.

    collection: what XEP-0248 adds; digest: the node keeps what a digest is made of; body: there
    is a way to say its payloads in words (§12.7); presence: the service knows when the subscriber
    is there; lease: longest lease in µs, 0 for no limit; frequency: shortest time between
    digests in ms.
    """

    collection: bool = False
    digest: bool = True
    body: bool = False
    presence: bool = True
    lease: int = 0
    frequency: int = 60_000


def to_form(type: str, options: Terms, offer: Offer) -> Form:
    """Return the options as a form of that type: "form" or "result" (§6.3.3)."""
    fields = [forms.field("boolean", "pubsub#deliver", options.deliver, "Enable delivery?")]
    if offer.digest:
        fields += [
            forms.field(
                "boolean", "pubsub#digest", options.digest, "Receive digests instead of each event?"
            ),
            forms.field(
                "text-single",
                "pubsub#digest_frequency",
                options.digest_frequency,
                "Least number of milliseconds between two digests",
            ),
        ]
    fields.append(
        forms.field(
            "text-single",
            "pubsub#expire",
            _expiry(options),
            "When the subscription ends (a DateTime, or 'presence': when you go offline)",
        )
    )
    if offer.body:
        fields.append(
            forms.field(
                "boolean",
                "pubsub#include_body",
                options.include_body,
                "Receive a message body in addition to the payload?",
            )
        )
    if offer.presence:
        fields.append(
            forms.field(
                "list-multi",
                "pubsub#show-values",
                [show for show in SHOWS if show in options.shows],
                "Presence in which to receive events; none chosen: always",
                SHOWS,
            )
        )
    if offer.collection:
        fields += [
            forms.field(
                "list-single",
                "pubsub#subscription_type",
                options.type,
                "What to be told about nodes in the collection",
                TYPES,
            ),
            forms.field(
                "text-single",
                "pubsub#subscription_depth",
                "all" if options.depth is None else options.depth,
                "How many levels of nodes below the collection ('all' for every one)",
            ),
        ]
    return forms.make(type, NS_SUBSCRIBE_OPTIONS, fields)


def _expiry(options: Terms) -> str | None:
    if options.temporary:
        return "presence"
    return None if options.expire is None else format_datetime(options.expire)


def from_form(form: Form, before: Terms, offer: Offer, now: int) -> Terms:
    """Return the options after a form was submitted (§6.3.5); what it does not name stays.

    A lease that is too long is cut to what the service allows (§12.18).
    Raises StanzaError bad-request with invalid-options (§6.3.6.2).
    """
    try:
        after = _read(form, before, offer, now)
    except StanzaError as why:
        raise StanzaError("bad-request", text=why.text, app=_INVALID) from None
    for name, offered in (
        ("digest", offer.digest),
        ("include_body", offer.body),
        ("shows", offer.presence),
        ("temporary", offer.presence),
        ("type", offer.collection),
        ("depth", offer.collection),
    ):
        if not offered and getattr(after, name) not in (
            getattr(before, name),
            getattr(DEFAULT, name),
        ):
            raise StanzaError("bad-request", text=f"no {name} for this node", app=_INVALID)
    return after


def _read(form: Form, before: Terms, offer: Offer, now: int) -> Terms:
    changes: dict[str, Any] = {}  # by names of attributes
    for var, name in (
        ("pubsub#deliver", "deliver"),
        ("pubsub#digest", "digest"),
        ("pubsub#include_body", "include_body"),
    ):
        value = forms.boolean(form, var)
        if value is not None:
            changes[name] = value
    frequency = forms.number(form, "pubsub#digest_frequency", None, 0, LONGEST_DIGEST)
    if frequency is not None:
        changes["digest_frequency"] = max(frequency, offer.frequency)
    if forms.texts(form, "pubsub#expire") is not None:
        changes |= _lease(forms.text(form, "pubsub#expire", ""), offer, now)
    shows = forms.choices(form, "pubsub#show-values", SHOWS)
    if shows is not None:
        changes["shows"] = frozenset(shows)
    type = forms.choice(form, "pubsub#subscription_type", TYPES)
    if type is not None:
        changes["type"] = type
    depth = forms.text(form, "pubsub#subscription_depth")
    if depth is not None:
        found = None
        if depth != "all":
            found = forms.number(form, "pubsub#subscription_depth", None, 0)
        changes["depth"] = found
    return attrs.evolve(before, **changes)


def _lease(text: str | None, offer: Offer, now: int) -> dict[str, Any]:
    if not text:
        return {"expire": None, "temporary": False}
    if text == "presence":
        return {"expire": None, "temporary": True}
    moment = parse_datetime(text)
    if moment <= now:
        raise StanzaError("bad-request", text="the lease is over already")
    if offer.lease:
        moment = min(moment, now + offer.lease)
    return {"expire": moment, "temporary": False}


def to_text(options: Terms) -> str:
    """Return options as they are stored: what differs from the defaults, "" for nothing."""
    changed = {
        name: sorted(value) if name == "shows" else value
        for name, value in attrs.asdict(options, recurse=False).items()
        if value != getattr(DEFAULT, name)
    }
    return json.dumps(changed, separators=(",", ":")) if changed else ""


def from_text(text: str) -> Terms:
    """Return options that `to_text` wrote."""
    if not text:
        return DEFAULT
    found = json.loads(text)
    if "shows" in found:
        found["shows"] = frozenset(found["shows"])
    return Terms(**found)


def is_over(options: Terms, now: int) -> bool:
    """Tell whether a lease ended (§12.18)."""
    return options.expire is not None and options.expire <= now


def overlap(first: Terms, second: Terms) -> bool:
    """Tell whether two subscriptions to one collection tell of the same events (XEP-0248 §5.1.3).

    One of which then is unnecessary.
    """
    return first.type == second.type or "all" in (first.type, second.type)
