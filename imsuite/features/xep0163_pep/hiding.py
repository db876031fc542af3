"""XEP-0030 §8, RFC 6121 §8.5.1: who may not know of an account learns nothing from its nodes."""

from __future__ import annotations

from twisted.words.xish.domish import Element

from imsuite.rules.node_errors import not_subscribed, refusal
from imsuite.rules.nodes import NS_OWNER
from imsuite.xmpp.errors import StanzaError

_OF_OTHERS = frozenset(("create", "publish", "retract"))
_OF_SUBSCRIBERS = frozenset(("options", "unsubscribe"))


def named(pubsub: Element) -> list[str]:
    """Return the nodes that a request names."""
    nodes = (each.getAttribute("node") for each in pubsub.elements())
    return [node for node in nodes if node]


def refused(pubsub: Element, why: StanzaError) -> StanzaError:
    """Return what a stranger is told, which is what he would be told of a node that is closed.

    why: what was found out without looking at any node.
    """
    if why.condition != "item-not-found":
        return why
    verbs = {each.name for each in pubsub.elements()}
    if pubsub.uri == NS_OWNER or not verbs.isdisjoint(_OF_OTHERS):
        return StanzaError("forbidden")
    if not verbs.isdisjoint(_OF_SUBSCRIBERS):
        return not_subscribed()
    return refusal("presence-subscription-required")
