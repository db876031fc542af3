"""What owners may change about the people of a node, and what follows (XEP-0060 §4, §8.8, §8.9)."""

from __future__ import annotations

import enum
from collections.abc import Mapping

from imsuite.rules.node_access import AccessModel, Affiliation, Subscribed

A = Affiliation
# §4.1, the state chart: from the affiliation on the left, an owner may bring about those on the
# right. It has no "publish-only", which stands where "publisher" does and may turn into it.
_CHART: Mapping[Affiliation, frozenset[Affiliation]] = {
    A.OUTCAST: frozenset((A.NONE, A.MEMBER, A.PUBLISH_ONLY, A.PUBLISHER, A.OWNER)),
    A.NONE: frozenset((A.OUTCAST, A.MEMBER, A.PUBLISH_ONLY, A.PUBLISHER, A.OWNER)),
    A.MEMBER: frozenset((A.OUTCAST, A.NONE, A.PUBLISH_ONLY, A.PUBLISHER, A.OWNER)),
    A.PUBLISH_ONLY: frozenset((A.OUTCAST, A.NONE, A.PUBLISHER, A.OWNER)),
    A.PUBLISHER: frozenset((A.OUTCAST, A.NONE, A.PUBLISH_ONLY, A.OWNER)),
    A.OWNER: frozenset((A.NONE,)),  # resigns
}
# §4.1, the table of privileges: who may not subscribe, whatever the access model says
NEVER_SUBSCRIBED = frozenset((A.PUBLISH_ONLY, A.OUTCAST))
# §8.6: whose pending request is approved by the affiliation
APPROVED = frozenset((A.OWNER, A.PUBLISHER, A.MEMBER))
# §8.8.2: what an owner may set; nobody is put back into waiting for approval, and no node here
# wants its subscriptions to be configured first
_SETTABLE = frozenset((Subscribed.NONE, Subscribed.SUBSCRIBED))


class Refusal(enum.Enum):
    """Why an affiliation or a subscription is not changed."""

    NOT_IN_CHART = enum.auto()  # §4.1 has no way from here to there
    NOT_OTHERS = enum.auto()  # an owner resigns, nobody else does it
    LAST_OWNER = enum.auto()  # §8.9.2.4: somebody has to own the node


def refused_affiliation(
    before: Affiliation, after: Affiliation, owners: int, himself: bool, supreme: bool
) -> Refusal | None:
    """Return why an owner may not change an affiliation so, None if it may (§4.1, §8.9.2).

    owners: how many the node has; himself: whose affiliation it is asks for it; supreme: who
    asks owns the service, and so may dismiss owners.
    """
    if before is after:
        return None
    if after not in _CHART[before]:
        return Refusal.NOT_IN_CHART
    if before is Affiliation.OWNER:
        if not (himself or supreme):
            return Refusal.NOT_OTHERS
        if owners <= 1:
            return Refusal.LAST_OWNER
    return None


def refused_subscription(
    before: Subscribed, after: Subscribed, affiliation: Affiliation
) -> Refusal | None:
    """Return why an owner may not set a subscription to a state, None if it may (§8.8.2)."""
    if before is after:
        return None
    if after not in _SETTABLE:
        return Refusal.NOT_IN_CHART
    if after is Subscribed.SUBSCRIBED and affiliation in NEVER_SUBSCRIBED:
        return Refusal.NOT_IN_CHART
    return None


def subscription_after(
    state: Subscribed, affiliation: Affiliation, access: AccessModel, allowed: bool
) -> Subscribed:
    """Return the state of a subscription after an affiliation or the access model changed.

    affiliation, access: as they are now; allowed: the access model lets the subscriber subscribe
    without being asked (presence, roster groups and whitelist are looked at by the caller).
    §8.6: owners and publishers need no approval, outcasts get none. §4.5: who could not
    subscribe now does not stay; but whom an owner has let in, or who was there when the model
    became "authorize", has nothing to wait for.
    """
    if state is Subscribed.NONE or affiliation in NEVER_SUBSCRIBED:
        return Subscribed.NONE
    if affiliation in APPROVED or allowed:
        return Subscribed.SUBSCRIBED if state is Subscribed.PENDING else state
    if access is AccessModel.AUTHORIZE:
        return state
    return Subscribed.NONE
