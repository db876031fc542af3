"""RFC 6121 §3 and Appendix A: presence subscriptions, as tables.

"User" is the account whose roster it is and "contact" the other side. Outbound stanzas come
from the user's client, inbound ones from the contact. A contact who is not in the roster is in
state None (A.1).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

KINDS = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")


class State(enum.Enum):
    """A.1: the nine states of a subscription.

    subscription: that attribute of the roster item; pending_out: the user asked and has no
    answer yet, which the item shows as ask='subscribe'; pending_in: the contact asked, which no
    item shows; to, from_: whether the user receives the contact's presence, and the reverse.
    """

    NONE = ("none", False, False)
    NONE_PENDING_OUT = ("none", True, False)
    NONE_PENDING_IN = ("none", False, True)
    NONE_PENDING_OUT_IN = ("none", True, True)
    TO = ("to", False, False)
    TO_PENDING_IN = ("to", False, True)
    FROM = ("from", False, False)
    FROM_PENDING_OUT = ("from", True, False)
    BOTH = ("both", False, False)

    def __init__(self, subscription: str, pending_out: bool, pending_in: bool) -> None:
        self.subscription = subscription
        self.pending_out = pending_out
        self.pending_in = pending_in
        self.to = subscription in ("to", "both")
        self.from_ = subscription in ("from", "both")

    @staticmethod
    def of(subscription: str, pending_out: bool = False, pending_in: bool = False) -> State:
        """Return the state of these attributes. Raises ValueError if there is none."""
        state = _STATES.get((subscription, bool(pending_out), bool(pending_in)))
        if state is None:
            raise ValueError(f"no state: {subscription}, {pending_out}, {pending_in}")
        return state


_STATES = {state.value: state for state in State}


class Request(enum.Enum):
    """What becomes of the contact's subscription request, the whole stanza (§3.1.3)."""

    KEEP = enum.auto()  # as it is, stored or not
    STORE = enum.auto()  # it is this stanza: show it to every resource until it is answered
    FORGET = enum.auto()  # it was answered or taken back


@attrs.frozen
class Outcome:
    """What the user's server does about a subscription stanza, in the order of the fields.

    state, approved: from now on; approved shows as approved='true' in the roster item (§3.4);
    request: what to do with the stored request;
    unavailable: before anything is sent, every available resource of the user sends unavailable
    presence to the contact (§3.2.2);
    route: send the stanza to the contact, from the user's bare JID (outbound only);
    deliver: give it to the user's resources (inbound only): a subscribe to the available ones
    (§3.1.3), the others to the interested ones (§3.1.6, §3.2.3, §3.3.3);
    answer: type of a presence to send to the contact from the user's bare JID, or None;
    push: push the roster item, which is made if there is none yet;
    available, gone: at last, every available resource sends its presence (§3.1.5), or
    unavailable presence (§3.3.3), to the contact.
    """

    state: State
    approved: bool = False
    request: Request = Request.KEEP
    unavailable: bool = False
    route: bool = False
    deliver: bool = False
    answer: str | None = None
    push: bool = False
    available: bool = False
    gone: bool = False


Rows = Mapping[State, tuple[bool, State]]  # state -> whether to route or deliver, new state

MUST, MUST_NOT = True, False

# A.2.1
OUTBOUND_SUBSCRIBE: Rows = {
    State.NONE: (MUST, State.NONE_PENDING_OUT),
    State.NONE_PENDING_OUT: (MUST, State.NONE_PENDING_OUT),
    State.NONE_PENDING_IN: (MUST, State.NONE_PENDING_OUT_IN),
    State.NONE_PENDING_OUT_IN: (MUST, State.NONE_PENDING_OUT_IN),
    State.TO: (MUST, State.TO),
    State.TO_PENDING_IN: (MUST, State.TO_PENDING_IN),
    State.FROM: (MUST, State.FROM_PENDING_OUT),
    State.FROM_PENDING_OUT: (MUST, State.FROM_PENDING_OUT),
    State.BOTH: (MUST, State.BOTH),
}

# A.2.2
OUTBOUND_UNSUBSCRIBE: Rows = {
    State.NONE: (MUST, State.NONE),
    State.NONE_PENDING_OUT: (MUST, State.NONE),
    State.NONE_PENDING_IN: (MUST, State.NONE_PENDING_IN),
    State.NONE_PENDING_OUT_IN: (MUST, State.NONE_PENDING_IN),
    State.TO: (MUST, State.NONE),
    State.TO_PENDING_IN: (MUST, State.NONE_PENDING_IN),
    State.FROM: (MUST, State.FROM),
    State.FROM_PENDING_OUT: (MUST, State.FROM),
    State.BOTH: (MUST, State.FROM),
}

# A.2.3; where nothing is pending it may be a pre-approval, see PRE_APPROVABLE
OUTBOUND_SUBSCRIBED: Rows = {
    State.NONE: (MUST_NOT, State.NONE),
    State.NONE_PENDING_OUT: (MUST_NOT, State.NONE_PENDING_OUT),
    State.NONE_PENDING_IN: (MUST, State.FROM),
    State.NONE_PENDING_OUT_IN: (MUST, State.FROM_PENDING_OUT),
    State.TO: (MUST_NOT, State.TO),
    State.TO_PENDING_IN: (MUST, State.BOTH),
    State.FROM: (MUST_NOT, State.FROM),
    State.FROM_PENDING_OUT: (MUST_NOT, State.FROM_PENDING_OUT),
    State.BOTH: (MUST_NOT, State.BOTH),
}

# A.2.4; it also takes a pre-approval back (§3.2.2)
OUTBOUND_UNSUBSCRIBED: Rows = {
    State.NONE: (MUST_NOT, State.NONE),
    State.NONE_PENDING_OUT: (MUST_NOT, State.NONE_PENDING_OUT),
    State.NONE_PENDING_IN: (MUST, State.NONE),
    State.NONE_PENDING_OUT_IN: (MUST, State.NONE_PENDING_OUT),
    State.TO: (MUST_NOT, State.TO),
    State.TO_PENDING_IN: (MUST, State.TO),
    State.FROM: (MUST, State.NONE),
    State.FROM_PENDING_OUT: (MUST, State.NONE_PENDING_OUT),
    State.BOTH: (MUST, State.TO),
}

# A.3.1; in the last three the server answers for the user
INBOUND_SUBSCRIBE: Rows = {
    State.NONE: (MUST, State.NONE_PENDING_IN),
    State.NONE_PENDING_OUT: (MUST, State.NONE_PENDING_OUT_IN),
    State.NONE_PENDING_IN: (MUST_NOT, State.NONE_PENDING_IN),
    State.NONE_PENDING_OUT_IN: (MUST_NOT, State.NONE_PENDING_OUT_IN),
    State.TO: (MUST, State.TO_PENDING_IN),
    State.TO_PENDING_IN: (MUST_NOT, State.TO_PENDING_IN),
    State.FROM: (MUST_NOT, State.FROM),
    State.FROM_PENDING_OUT: (MUST_NOT, State.FROM_PENDING_OUT),
    State.BOTH: (MUST_NOT, State.BOTH),
}

# A.3.2
INBOUND_UNSUBSCRIBE: Rows = {
    State.NONE: (MUST_NOT, State.NONE),
    State.NONE_PENDING_OUT: (MUST_NOT, State.NONE_PENDING_OUT),
    State.NONE_PENDING_IN: (MUST, State.NONE),
    State.NONE_PENDING_OUT_IN: (MUST, State.NONE_PENDING_OUT),
    State.TO: (MUST_NOT, State.TO),
    State.TO_PENDING_IN: (MUST, State.TO),
    State.FROM: (MUST, State.NONE),
    State.FROM_PENDING_OUT: (MUST, State.NONE_PENDING_OUT),
    State.BOTH: (MUST, State.TO),
}

# A.3.3
INBOUND_SUBSCRIBED: Rows = {
    State.NONE: (MUST_NOT, State.NONE),
    State.NONE_PENDING_OUT: (MUST, State.TO),
    State.NONE_PENDING_IN: (MUST_NOT, State.NONE_PENDING_IN),
    State.NONE_PENDING_OUT_IN: (MUST, State.TO_PENDING_IN),
    State.TO: (MUST_NOT, State.TO),
    State.TO_PENDING_IN: (MUST_NOT, State.TO_PENDING_IN),
    State.FROM: (MUST_NOT, State.FROM),
    State.FROM_PENDING_OUT: (MUST, State.BOTH),
    State.BOTH: (MUST_NOT, State.BOTH),
}

# A.3.4
INBOUND_UNSUBSCRIBED: Rows = {
    State.NONE: (MUST_NOT, State.NONE),
    State.NONE_PENDING_OUT: (MUST, State.NONE),
    State.NONE_PENDING_IN: (MUST_NOT, State.NONE_PENDING_IN),
    State.NONE_PENDING_OUT_IN: (MUST, State.NONE_PENDING_IN),
    State.TO: (MUST, State.NONE),
    State.TO_PENDING_IN: (MUST, State.NONE_PENDING_IN),
    State.FROM: (MUST_NOT, State.FROM),
    State.FROM_PENDING_OUT: (MUST, State.FROM),
    State.BOTH: (MUST, State.FROM),
}

OUTBOUND: Mapping[str, Rows] = {
    "subscribe": OUTBOUND_SUBSCRIBE,
    "unsubscribe": OUTBOUND_UNSUBSCRIBE,
    "subscribed": OUTBOUND_SUBSCRIBED,
    "unsubscribed": OUTBOUND_UNSUBSCRIBED,
}
INBOUND: Mapping[str, Rows] = {
    "subscribe": INBOUND_SUBSCRIBE,
    "unsubscribe": INBOUND_UNSUBSCRIBE,
    "subscribed": INBOUND_SUBSCRIBED,
    "unsubscribed": INBOUND_UNSUBSCRIBED,
}

# §3.4.2: states in which an outbound subscribed is a pre-approval
PRE_APPROVABLE = frozenset((State.NONE, State.NONE_PENDING_OUT, State.TO))

# §3.4.2: what the pre-approved contact's request makes of them, at once
PRE_APPROVED = {
    State.NONE: State.FROM,
    State.NONE_PENDING_OUT: State.FROM_PENDING_OUT,
    State.TO: State.BOTH,
}


def _outbound(kind: str, state: State, approved: bool) -> Outcome:
    route, new = OUTBOUND[kind][state]
    still_approved = approved
    if kind == "subscribed":
        # an approval answers the request; what is not asked for is approved in advance
        still_approved = approved or state in PRE_APPROVABLE
    elif kind == "unsubscribed":
        still_approved = False
    ended = state.from_ and not new.from_
    return Outcome(
        state=new,
        approved=still_approved,
        request=_request(state, new),
        unavailable=ended,
        route=route,
        push=_shown(state, approved) != _shown(new, still_approved),
        available=new.from_ and not state.from_,
    )


def _inbound(kind: str, state: State, approved: bool) -> Outcome:
    if kind == "subscribe" and approved and state in PRE_APPROVED:
        # the approval is used up, so that it does not outlive a later cancellation
        return Outcome(state=PRE_APPROVED[state], answer="subscribed", push=True, available=True)
    deliver, new = INBOUND[kind][state]
    # §3.1.3: the contact's server has lost what ours still knows, presence included
    repeated = kind == "subscribe" and state.from_
    return Outcome(
        state=new,
        approved=approved,
        request=_request(state, new),
        deliver=deliver,
        answer="subscribed" if repeated else None,
        push=_shown(state, approved) != _shown(new, approved),
        available=repeated,
        gone=state.from_ and not new.from_,
    )


def _request(old: State, new: State) -> Request:
    if old.pending_in == new.pending_in:
        return Request.KEEP
    return Request.STORE if new.pending_in else Request.FORGET


def _shown(state: State, approved: bool) -> tuple[str, bool, bool]:
    """Return what the roster item shows."""
    return state.subscription, state.pending_out, approved


_EVERY_CASE = [(kind, state, yes) for kind in KINDS for state in State for yes in (False, True)]
_OUTBOUND_OUTCOMES = {case: _outbound(*case) for case in _EVERY_CASE}
_INBOUND_OUTCOMES = {case: _inbound(*case) for case in _EVERY_CASE}


def outbound(kind: str, state: State, approved: bool = False) -> Outcome:
    """Return what to do about a stanza from the user to the contact (A.2).

    kind: one of KINDS; approved: the contact is pre-approved.
    """
    return _OUTBOUND_OUTCOMES[kind, state, approved]


def inbound(kind: str, state: State, approved: bool = False) -> Outcome:
    """Return what to do about a stanza from the contact to the user (A.3).

    kind: one of KINDS; approved: the contact is pre-approved.
    """
    return _INBOUND_OUTCOMES[kind, state, approved]


def removal(state: State) -> tuple[str, ...]:
    """Return the types of the presences that removing the item sends to the contact (§2.5.2).

    They come from the user's bare JID, in this order. Before "unsubscribed" every available
    resource sends unavailable presence if the contact was subscribed (`state.from_`). Requests
    that nobody has answered yet end too: the user's is taken back, the contact's refused.
    """
    kinds = []
    if state.to or state.pending_out:
        kinds.append("unsubscribe")
    if state.from_ or state.pending_in:
        kinds.append("unsubscribed")
    return tuple(kinds)
