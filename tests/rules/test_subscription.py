"""RFC 6121 §3 and Appendix A: presence subscriptions."""

import pytest

from imsuite.rules import subscription
from imsuite.rules.subscription import Outcome, Request, State, inbound, outbound, removal

# Appendix A, written down a second time: state | route or deliver | new state, "-" for the same

OUTBOUND = {
    "subscribe": """
        None                  | MUST     | None + Pending Out
        None + Pending Out    | MUST     | -
        None + Pending In     | MUST     | None + Pending Out+In
        None + Pending Out+In | MUST     | -
        To                    | MUST     | -
        To + Pending In       | MUST     | -
        From                  | MUST     | From + Pending Out
        From + Pending Out    | MUST     | -
        Both                  | MUST     | -
    """,
    "unsubscribe": """
        None                  | MUST     | -
        None + Pending Out    | MUST     | None
        None + Pending In     | MUST     | -
        None + Pending Out+In | MUST     | None + Pending In
        To                    | MUST     | None
        To + Pending In       | MUST     | None + Pending In
        From                  | MUST     | -
        From + Pending Out    | MUST     | From
        Both                  | MUST     | From
    """,
    "subscribed": """
        None                  | MUST NOT | -
        None + Pending Out    | MUST NOT | -
        None + Pending In     | MUST     | From
        None + Pending Out+In | MUST     | From + Pending Out
        To                    | MUST NOT | -
        To + Pending In       | MUST     | Both
        From                  | MUST NOT | -
        From + Pending Out    | MUST NOT | -
        Both                  | MUST NOT | -
    """,
    "unsubscribed": """
        None                  | MUST NOT | -
        None + Pending Out    | MUST NOT | -
        None + Pending In     | MUST     | None
        None + Pending Out+In | MUST     | None + Pending Out
        To                    | MUST NOT | -
        To + Pending In       | MUST     | To
        From                  | MUST     | None
        From + Pending Out    | MUST     | None + Pending Out
        Both                  | MUST     | To
    """,
}
INBOUND = {
    "subscribe": """
        None                  | MUST     | None + Pending In
        None + Pending Out    | MUST     | None + Pending Out+In
        None + Pending In     | MUST NOT | -
        None + Pending Out+In | MUST NOT | -
        To                    | MUST     | To + Pending In
        To + Pending In       | MUST NOT | -
        From                  | MUST NOT | -
        From + Pending Out    | MUST NOT | -
        Both                  | MUST NOT | -
    """,
    "unsubscribe": """
        None                  | MUST NOT | -
        None + Pending Out    | MUST NOT | -
        None + Pending In     | MUST     | None
        None + Pending Out+In | MUST     | None + Pending Out
        To                    | MUST NOT | -
        To + Pending In       | MUST     | To
        From                  | MUST     | None
        From + Pending Out    | MUST     | None + Pending Out
        Both                  | MUST     | To
    """,
    "subscribed": """
        None                  | MUST NOT | -
        None + Pending Out    | MUST     | To
        None + Pending In     | MUST NOT | -
        None + Pending Out+In | MUST     | To + Pending In
        To                    | MUST NOT | -
        To + Pending In       | MUST NOT | -
        From                  | MUST NOT | -
        From + Pending Out    | MUST     | Both
        Both                  | MUST NOT | -
    """,
    "unsubscribed": """
        None                  | MUST NOT | -
        None + Pending Out    | MUST     | None
        None + Pending In     | MUST NOT | -
        None + Pending Out+In | MUST     | None + Pending In
        To                    | MUST     | None
        To + Pending In       | MUST     | None + Pending In
        From                  | MUST NOT | -
        From + Pending Out    | MUST     | From
        Both                  | MUST     | From
    """,
}


def state_called(words):
    """Return the state that the appendix calls so."""
    return State[words.replace(" + ", "_").replace("+", "_").replace(" ", "_").upper()]


def rows(tables):
    """Yield kind, state, whether to pass it on, and new state of each row."""
    for kind, table in tables.items():
        for line in table.strip().splitlines():
            before, must, after = (cell.strip() for cell in line.split("|"))
            state = state_called(before)
            yield kind, state, must == "MUST", state if after == "-" else state_called(after)


@pytest.mark.parametrize(("kind", "state", "route", "new"), list(rows(OUTBOUND)))
def test_outbound(kind, state, route, new):
    """A.2.1-A.2.4"""
    outcome = outbound(kind, state)
    assert (outcome.route, outcome.state) == (route, new)
    assert not outcome.deliver
    assert outcome.answer is None


@pytest.mark.parametrize(("kind", "state", "deliver", "new"), list(rows(INBOUND)))
def test_inbound(kind, state, deliver, new):
    """A.3.1-A.3.4"""
    outcome = inbound(kind, state)
    assert (outcome.deliver, outcome.state) == (deliver, new)
    assert not outcome.route


def test_the_appendix_has_72_rows():
    assert len(list(rows(OUTBOUND))) + len(list(rows(INBOUND))) == 2 * 4 * 9


EVERY = [(kind, state) for kind in subscription.KINDS for state in State]


@pytest.mark.parametrize("side", [inbound, outbound])
@pytest.mark.parametrize(("kind", "state"), EVERY)
@pytest.mark.parametrize("approved", [False, True])
def test_what_an_item_shows_is_pushed_when_it_changes_and_only_then(side, kind, state, approved):
    """§3.1.2, §3.1.5, §3.1.6, §3.2.2, §3.2.3, §3.3.2, §3.3.3, §3.4.2; A.1: a request never."""
    outcome = side(kind, state, approved)
    before = (state.subscription, state.pending_out, approved)
    after = (outcome.state.subscription, outcome.state.pending_out, outcome.approved)
    assert outcome.push == (before != after)


@pytest.mark.parametrize("side", [inbound, outbound])
@pytest.mark.parametrize(("kind", "state"), EVERY)
@pytest.mark.parametrize("approved", [False, True])
def test_request_is_stored_while_it_is_pending(side, kind, state, approved):
    """§3.1.3"""
    outcome = side(kind, state, approved)
    expected = {(False, True): Request.STORE, (True, False): Request.FORGET}
    changed = (state.pending_in, outcome.state.pending_in)
    assert outcome.request == expected.get(changed, Request.KEEP)


@pytest.mark.parametrize("state", [State.FROM, State.FROM_PENDING_OUT, State.BOTH])
def test_repeated_request_is_answered_for_the_user(state):
    """§3.1.3: the contact is subscribed already."""
    assert inbound("subscribe", state) == Outcome(state, answer="subscribed", available=True)


@pytest.mark.parametrize("state", [State.NONE_PENDING_IN, State.TO_PENDING_IN])
def test_approval_is_followed_by_presence(state):
    """§3.1.5"""
    outcome = outbound("subscribed", state)
    assert outcome.available
    assert outcome.push
    assert not outcome.approved


@pytest.mark.parametrize("state", [State.FROM, State.FROM_PENDING_OUT, State.BOTH])
def test_cancellation_comes_after_unavailable_presence(state):
    """§3.2.2"""
    outcome = outbound("unsubscribed", state)
    assert outcome.unavailable
    assert outcome.route
    assert not outcome.gone


@pytest.mark.parametrize("state", [State.FROM, State.FROM_PENDING_OUT, State.BOTH])
def test_who_unsubscribes_is_sent_unavailable_presence(state):
    """§3.3.3"""
    outcome = inbound("unsubscribe", state)
    assert outcome.gone
    assert outcome.deliver
    assert not outcome.unavailable


@pytest.mark.parametrize("state", [state for state in State if not state.from_])
def test_nobody_else_is_sent_unavailable_presence(state):
    """§3.2.2, §3.3.3: it would tell a stranger who is online."""
    assert not outbound("unsubscribed", state).unavailable
    assert not inbound("unsubscribe", state).gone


# §3.4: pre-approval


@pytest.mark.parametrize("state", [State.NONE, State.NONE_PENDING_OUT, State.TO])
def test_subscribed_before_a_request_is_a_pre_approval(state):
    """§3.4.2: noted and pushed, not routed."""
    assert outbound("subscribed", state) == Outcome(state, approved=True, push=True)
    assert outbound("subscribed", state, approved=True) == Outcome(state, approved=True)


@pytest.mark.parametrize("state", [State.FROM, State.FROM_PENDING_OUT, State.BOTH])
def test_subscribed_to_a_subscriber_is_ignored(state):
    """§3.4.2"""
    assert outbound("subscribed", state) == Outcome(state)


@pytest.mark.parametrize(
    ("state", "new"),
    [
        (State.NONE, State.FROM),
        (State.NONE_PENDING_OUT, State.FROM_PENDING_OUT),
        (State.TO, State.BOTH),
    ],
)
def test_request_of_a_pre_approved_contact_is_answered_at_once(state, new):
    """§3.4.2; it is not delivered, and the approval is used up."""
    assert inbound("subscribe", state, approved=True) == Outcome(
        new, answer="subscribed", push=True, available=True
    )


@pytest.mark.parametrize("state", [State.NONE, State.NONE_PENDING_OUT, State.TO])
def test_unsubscribed_takes_a_pre_approval_back(state):
    """§3.2.2: pushed, not routed."""
    assert outbound("unsubscribed", state, approved=True) == Outcome(state, push=True)


@pytest.mark.parametrize(("kind", "state"), EVERY)
def test_contact_cannot_change_a_pre_approval_but_by_using_it(kind, state):
    outcome = inbound(kind, state, approved=True)
    assert outcome.approved is not (kind == "subscribe" and state in subscription.PRE_APPROVED)


# roster attributes


@pytest.mark.parametrize(
    ("state", "shown"),
    [
        (State.NONE, ("none", False, False)),
        (State.NONE_PENDING_OUT, ("none", True, False)),
        (State.NONE_PENDING_IN, ("none", False, True)),
        (State.NONE_PENDING_OUT_IN, ("none", True, True)),
        (State.TO, ("to", False, False)),
        (State.TO_PENDING_IN, ("to", False, True)),
        (State.FROM, ("from", False, False)),
        (State.FROM_PENDING_OUT, ("from", True, False)),
        (State.BOTH, ("both", False, False)),
    ],
)
def test_states_in_roster_attributes(state, shown):
    """A.1"""
    assert (state.subscription, state.pending_out, state.pending_in) == shown
    assert State.of(*shown) is state
    assert state.to == (state.subscription in ("to", "both"))
    assert state.from_ == (state.subscription in ("from", "both"))


@pytest.mark.parametrize("shown", [("both", True), ("from", False, True), ("remove",)])
def test_other_attributes_are_no_state(shown):
    with pytest.raises(ValueError, match="no state"):
        State.of(*shown)


@pytest.mark.parametrize(
    ("state", "kinds"),
    [
        (State.NONE, ()),
        (State.NONE_PENDING_OUT, ("unsubscribe",)),
        (State.NONE_PENDING_IN, ("unsubscribed",)),
        (State.NONE_PENDING_OUT_IN, ("unsubscribe", "unsubscribed")),
        (State.TO, ("unsubscribe",)),
        (State.TO_PENDING_IN, ("unsubscribe", "unsubscribed")),
        (State.FROM, ("unsubscribed",)),
        (State.FROM_PENDING_OUT, ("unsubscribe", "unsubscribed")),
        (State.BOTH, ("unsubscribe", "unsubscribed")),
    ],
)
def test_removal_ends_both_subscriptions(state, kinds):
    """§2.5.2"""
    assert removal(state) == kinds
    for kind in kinds:
        state = outbound(kind, state).state
    assert state is State.NONE


# two servers


@pytest.mark.parametrize("kind", subscription.KINDS)
@pytest.mark.parametrize("state", State)
def test_two_servers_that_agree_go_on_agreeing(kind, state):
    """A.2 and A.3 fit together: what one side routes brings the other to the mirrored state."""
    mirror = {
        State.NONE: State.NONE,
        State.NONE_PENDING_OUT: State.NONE_PENDING_IN,
        State.NONE_PENDING_IN: State.NONE_PENDING_OUT,
        State.NONE_PENDING_OUT_IN: State.NONE_PENDING_OUT_IN,
        State.TO: State.FROM,
        State.TO_PENDING_IN: State.FROM_PENDING_OUT,
        State.FROM: State.TO,
        State.FROM_PENDING_OUT: State.TO_PENDING_IN,
        State.BOTH: State.BOTH,
    }
    ours = outbound(kind, state)
    theirs = inbound(kind, mirror[state]).state if ours.route else mirror[state]
    assert theirs is mirror[ours.state]
