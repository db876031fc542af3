"""XEP-0060: what can be refused, in the words of pubsub#errors, and with which stanza error."""

from __future__ import annotations

from imsuite.xmpp.errors import StanzaError

NS_ERRORS = "http://jabber.org/protocol/pubsub#errors"

# XEP-0060 §4-§8, §12: application-specific condition, the condition beside it, and its type
REFUSALS = {
    "closed-node": ("not-allowed", "cancel"),
    "configuration-required": ("not-acceptable", "modify"),
    "invalid-jid": ("bad-request", "modify"),
    "invalid-options": ("bad-request", "modify"),
    "invalid-payload": ("bad-request", "modify"),
    "invalid-subid": ("not-acceptable", "modify"),
    "item-forbidden": ("bad-request", "modify"),
    "item-required": ("bad-request", "modify"),
    "jid-required": ("bad-request", "modify"),
    "max-items-exceeded": ("not-allowed", "cancel"),
    "max-nodes-exceeded": ("policy-violation", "wait"),
    "node-full": ("conflict", "cancel"),
    "nodeid-required": ("bad-request", "modify"),
    "not-in-roster-group": ("not-authorized", "auth"),
    "not-subscribed": ("unexpected-request", "cancel"),
    "payload-required": ("bad-request", "modify"),
    "payload-too-big": ("not-acceptable", "modify"),
    "pending-subscription": ("not-authorized", "auth"),
    "precondition-not-met": ("conflict", "cancel"),
    "presence-subscription-required": ("not-authorized", "auth"),
    "subid-required": ("bad-request", "modify"),
    "too-many-subscriptions": ("policy-violation", "wait"),
    "unsupported-access-model": ("not-acceptable", "modify"),
}


def refusal(word: str, text: str | None = None) -> StanzaError:
    """Return the error with that application-specific condition. word: of REFUSALS."""
    condition, type = REFUSALS[word]
    return StanzaError(condition, type, text, (NS_ERRORS, word))


def unsupported(feature: str, text: str | None = None) -> StanzaError:
    """Return the error that says which feature a node or service does not have (§6.1.3.10)."""
    app = (NS_ERRORS, "unsupported")
    return StanzaError("feature-not-implemented", "cancel", text, app, feature)


def not_subscribed() -> StanzaError:
    """Return the error for who wants items that only subscribers get (§6.5.9.3)."""
    return StanzaError("not-authorized", "auth", None, (NS_ERRORS, "not-subscribed"))
