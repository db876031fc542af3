"""XEP-0472: which nodes are social feeds, and what has to be in their posts."""

from __future__ import annotations

from twisted.words.xish.domish import Element

from imsuite.xmpp.stanza import children

NS_ATOM = "http://www.w3.org/2005/Atom"
FEED = "urn:xmpp:pubsub-social-feed:1"
GALLERY = "urn:xmpp:pubsub-social-feed:gallery:1"
MICROBLOG = "urn:xmpp:microblog:0"  # a type, and the node of an account (§6.2)
PROFILES = frozenset((FEED, GALLERY, MICROBLOG))

# §6.1.1: what every profile has
BASE = {
    "pubsub#notify_retract": "true",
    "pubsub#max_items": "max",
    "pubsub#persist_items": "true",
    "pubsub#send_last_published_item": "never",
    "pubsub#deliver_payloads": "false",
}


def is_entry(payload: Element | None) -> bool:
    """Tell whether a payload is a post (§4.2)."""
    return payload is not None and (payload.uri, payload.name) == (NS_ATOM, "entry")


def has_picture(entry: Element) -> bool:
    """Tell whether a post has a picture attached (§6.3)."""
    return any(
        link.getAttribute("rel") == "enclosure"
        and link.getAttribute("href")
        and link.getAttribute("type", "image/").strip().lower().startswith("image/")
        for link in children(entry, NS_ATOM, "link")
    )


def fits(type: str, payload: Element | None) -> bool:
    """Tell whether a payload may be published in a node of that pubsub#type (§4.2, §6.3)."""
    if type not in PROFILES:
        return True
    if payload is None or not is_entry(payload):
        return False
    return type != GALLERY or has_picture(payload)
