"""XEP-0060 §4: affiliations, and who may do what with a node."""

from __future__ import annotations

import enum

from imsuite.rules.node_errors import not_subscribed, refusal
from imsuite.xmpp.errors import StanzaError


class Affiliation(enum.StrEnum):
    """What a bare JID is to a node (§4.1)."""

    OWNER = "owner"
    PUBLISHER = "publisher"
    PUBLISH_ONLY = "publish-only"
    MEMBER = "member"
    NONE = "none"
    OUTCAST = "outcast"


class Subscribed(enum.StrEnum):
    """The state of a subscription (§4.2)."""

    NONE = "none"
    PENDING = "pending"
    UNCONFIGURED = "unconfigured"
    SUBSCRIBED = "subscribed"


class AccessModel(enum.StrEnum):
    """Who may subscribe to a node and retrieve its items (§4.5)."""

    AUTHORIZE = "authorize"
    OPEN = "open"
    PRESENCE = "presence"
    ROSTER = "roster"
    WHITELIST = "whitelist"


class PublishModel(enum.StrEnum):
    """Who may publish (§16.4.4)."""

    PUBLISHERS = "publishers"
    SUBSCRIBERS = "subscribers"
    OPEN = "open"


class May(enum.Flag):
    """The columns of the table of §4.1."""

    NOTHING = 0
    SUBSCRIBE = enum.auto()
    RETRIEVE = enum.auto()
    PUBLISH = enum.auto()
    DELETE_ITEM = enum.auto()  # anybody's
    DELETE_OWN = enum.auto()  # those it published
    PURGE = enum.auto()
    CONFIGURE = enum.auto()
    DELETE_NODE = enum.auto()


# §4.1, whose note lets a publisher delete others' items and purge; that is for owners here
AFFILIATIONS = {
    Affiliation.OWNER: ~May.NOTHING,
    Affiliation.PUBLISHER: May.SUBSCRIBE | May.RETRIEVE | May.PUBLISH | May.DELETE_OWN,
    Affiliation.PUBLISH_ONLY: May.PUBLISH | May.DELETE_OWN,
    Affiliation.MEMBER: May.SUBSCRIBE | May.RETRIEVE | May.DELETE_OWN,
    Affiliation.NONE: May.SUBSCRIBE | May.RETRIEVE | May.DELETE_OWN,
    Affiliation.OUTCAST: May.NOTHING,
}

# §4.5, §12.13: whom an access model is not asked about
_TRUSTED = frozenset((Affiliation.OWNER, Affiliation.PUBLISHER))
_LISTED = frozenset((Affiliation.OWNER, Affiliation.PUBLISHER, Affiliation.MEMBER))


def may(affiliation: Affiliation, what: May) -> bool:
    """Tell whether an affiliation lets do all of that (§4.1)."""
    return what in AFFILIATIONS[affiliation]


def may_publish(affiliation: Affiliation, model: PublishModel, subscribed: bool) -> bool:
    """Tell whether somebody may publish. subscribed: has a subscription that counts."""
    if may(affiliation, May.PUBLISH):
        return True
    if affiliation is Affiliation.OUTCAST:
        return False
    return model is PublishModel.OPEN or (model is PublishModel.SUBSCRIBERS and subscribed)


def barred(
    affiliation: Affiliation, model: AccessModel, knows: bool, in_group: bool, subscribed: bool
) -> StanzaError | None:
    """Return why somebody may not have the items of a node (§6.5.2, §6.5.9); None: it may.

    knows: may see the presence of the node's owner; in_group: is in a roster group that is
    allowed; subscribed: has a subscription that counts.
    """
    if not may(affiliation, May.RETRIEVE):
        return StanzaError("forbidden")
    if affiliation in _TRUSTED:
        return None
    if model is AccessModel.AUTHORIZE and not subscribed:
        # a member was let in by an owner as much as somebody whose request was approved
        return None if affiliation in _LISTED else not_subscribed()
    return _outside(affiliation, model, knows, in_group)


def unsubscribable(
    affiliation: Affiliation, model: AccessModel, knows: bool, in_group: bool
) -> StanzaError | None:
    """Return why somebody may not subscribe (§6.1.3); None: it may, or may ask for it."""
    if not may(affiliation, May.SUBSCRIBE):
        return StanzaError("forbidden")
    return _outside(affiliation, model, knows, in_group)


def first_state(affiliation: Affiliation, model: AccessModel) -> Subscribed:
    """Return the state of a new subscription that may be made (§6.1.4)."""
    if model is AccessModel.AUTHORIZE and affiliation not in _LISTED:
        return Subscribed.PENDING
    return Subscribed.SUBSCRIBED


def _outside(
    affiliation: Affiliation, model: AccessModel, knows: bool, in_group: bool
) -> StanzaError | None:
    """Return what keeps somebody out of a node that may be closed, None for nothing."""
    if affiliation in _TRUSTED:
        return None
    match model:
        case AccessModel.PRESENCE if not knows:
            return refusal("presence-subscription-required")
        case AccessModel.ROSTER if not (knows and in_group):  # §6.5.2 wants both
            return refusal("presence-subscription-required" if in_group else "not-in-roster-group")
        case AccessModel.WHITELIST if affiliation not in _LISTED:
            return refusal("closed-node")
    return None
