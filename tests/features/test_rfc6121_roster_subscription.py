"""RFC 6121 §3 and Appendix A: subscriptions through the protocol, in every state and direction."""

import pytest

from imsuite.core.hooks import Passing
from imsuite.rules.subscription import INBOUND, KINDS, OUTBOUND, PRE_APPROVABLE, State
from imsuite.testing.memory import now
from imsuite.testing.patterns import read
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import make
from tests.helpers import fitting, holds

pytestmark = pytest.mark.server(features=["bind", "roster", "presence", "messages"])

FETCH = "<iq type='get' id='f'><query xmlns='jabber:iq:roster'/></iq>"
ROSTER = "{jabber:iq:roster}"
# how the user (u) and the contact (c) come into each state, seen from the user (A.1)
WAYS = {
    State.NONE: "",
    State.NONE_PENDING_OUT: "u subscribe",
    State.NONE_PENDING_IN: "c subscribe",
    State.NONE_PENDING_OUT_IN: "u subscribe, c subscribe",
    State.TO: "u subscribe, c subscribed",
    State.TO_PENDING_IN: "u subscribe, c subscribed, c subscribe",
    State.FROM: "c subscribe, u subscribed",
    State.FROM_PENDING_OUT: "c subscribe, u subscribed, u subscribe",
    State.BOTH: "u subscribe, c subscribed, c subscribe, u subscribed",
}
MIRROR = {
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
CASES = [pytest.param(kind, state, id=f"{kind}-{state.name}") for kind in KINDS for state in State]
FAR = "juliet@far.example"


def steps(state):
    return [step.split() for step in WAYS[state].split(", ") if step]


def items(client):
    """Return subscription, ask and approved of each contact, as the client sees its roster."""
    (answer,) = client.says(FETCH)
    return {
        item.get("jid"): (item.get("subscription"), item.get("ask"), item.get("approved"))
        for item in read(answer).iter(f"{ROSTER}item")
    }


def shown(state, approved=False):
    """Return what a roster item shows of a state."""
    ask = "subscribe" if state.pending_out else None
    return state.subscription, ask, "true" if approved else None


def is_in_state(client, contact, state, approved=False):
    """Compare the roster; without an item a contact is in no other state than these two."""
    found = items(client).get(contact)
    if found is None:
        return state in (State.NONE, State.NONE_PENDING_IN) and not approved
    return found == shown(state, approved)


def is_asked(server, jid, contact):
    """Tell whether a request of the contact waits for that account."""
    late = server.login(f"{jid}/late", available=False, roster=False)
    got = fitting(late.says("<presence/>"), f"<presence type='subscribe' from='{contact}'/>")
    late.closes()
    return bool(got)


@pytest.fixture
def pair(server):
    """A user and a contact of the same server, both available."""
    return server.login("romeo@example.org/orchard"), server.login("juliet@example.org/balcony")


def go(pair, state):
    romeo, juliet = pair
    for who, kind in steps(state):
        one, other = (romeo, juliet) if who == "u" else (juliet, romeo)
        one.says(f"<presence type='{kind}' to='{other.jid.bare}'/>")
    romeo.forget()
    juliet.forget()


@pytest.mark.parametrize("state", State)
def test_state_is_reached(server, pair, state):
    """A.1: and the other side is in the state that goes with it."""
    go(pair, state)
    assert is_in_state(pair[0], "juliet@example.org", state)
    assert is_in_state(pair[1], "romeo@example.org", MIRROR[state])
    assert is_asked(server, "romeo@example.org", "juliet@example.org") is state.pending_in
    assert is_asked(server, "juliet@example.org", "romeo@example.org") is state.pending_out


@pytest.mark.parametrize(("kind", "state"), CASES)
def test_between_two_accounts(server, pair, kind, state):
    """A.2 for the one who sends, A.3 for the one who receives."""
    go(pair, state)
    romeo, juliet = pair
    routed, after = OUTBOUND[kind][state]
    theirs = MIRROR[state]
    delivered, theirs_after = INBOUND[kind][theirs] if routed else (False, theirs)
    approved = kind == "subscribed" and state in PRE_APPROVABLE
    romeo.says(f"<presence type='{kind}' id='1' to='juliet@example.org'><x xmlns='u'/></presence>")
    got, back = list(juliet.received), list(romeo.received)

    # §3.1.2: stamped with the bare JID, and whole
    told = fitting(got, f"<presence type='{kind}' from='romeo@example.org' id='1'/>")
    assert len(told) == int(delivered)
    for stanza in told:
        assert holds(stanza, "<presence to='juliet@example.org'><x xmlns='u'/></presence>")
    # who loses the presence of somebody sees that one go, who gains it sees it come
    for client, before, later, contact in (
        (got, theirs, theirs_after, "romeo@example.org/orchard"),
        (back, state, after, "juliet@example.org/balcony"),
    ):
        gone = fitting(client, f"<presence from='{contact}' type='unavailable'/>")
        here = [
            each
            for each in fitting(client, f"<presence from='{contact}'/>")
            if read(each).get("type") is None
        ]
        assert len(gone) == int(before.to and not later.to)
        repeated = kind == "subscribe" and before.to and client is back  # §3.1.3
        assert len(here) == int((later.to and not before.to) or repeated)
    # §3: a push tells of every change that a roster shows
    for client, before, later, jid, mark in (
        (back, state, after, "juliet@example.org", approved),
        (got, theirs, theirs_after, "romeo@example.org", False),
    ):
        pushes = fitting(client, "<iq type='set'><query xmlns='jabber:iq:roster'/></iq>")
        changed = shown(before) != shown(later, mark)
        assert len(pushes) == int(changed)
        if changed:
            (item,) = read(pushes[0]).iter(f"{ROSTER}item")
            told = tuple(item.get(name) for name in ("subscription", "ask", "approved"))
            assert (item.get("jid"), told) == (jid, shown(later, mark))
    assert is_in_state(romeo, "juliet@example.org", after, approved)
    assert is_in_state(juliet, "romeo@example.org", theirs_after)
    assert is_asked(server, "romeo@example.org", "juliet@example.org") is after.pending_in
    assert is_asked(server, "juliet@example.org", "romeo@example.org") is theirs_after.pending_in


class Remote:
    """Other servers: notes what goes there."""

    def __init__(self):
        self.sent = []

    def receive(self, passing):
        self.sent.append(passing.stanza.raw.decode())


@pytest.fixture
def far(server, pair):
    """What goes to other servers; romeo's contact is there."""
    server.router.remote = Remote()
    return server.router.remote


def arrive(server, kind, to="romeo@example.org", sender=FAR):
    """Let a stanza of another server come in."""
    stanza = make("presence", {"type": kind, "from": sender, "to": to, "id": "2"})
    later = server.router.route(Passing(stanza, None, parse(sender)))
    if later is not None:
        now(later)
    server.settle()


@pytest.mark.parametrize(("kind", "state"), CASES)
def test_from_another_server(server, pair, far, kind, state):
    """A.3: also what a contact sends who is in another state than we think."""
    romeo = pair[0]
    for who, step in steps(state):
        if who == "u":
            romeo.says(f"<presence type='{step}' to='{FAR}'/>")
        else:
            arrive(server, step)
    romeo.forget()
    far.sent.clear()
    delivered, after = INBOUND[kind][state]
    arrive(server, kind)
    told = fitting(romeo.received, f"<presence type='{kind}' from='{FAR}'/>")
    assert len(told) == int(delivered)
    assert is_in_state(romeo, FAR, after)
    assert is_asked(server, "romeo@example.org", FAR) is after.pending_in
    answers = fitting(
        far.sent, f"<presence type='subscribed' to='{FAR}' from='romeo@example.org'/>"
    )
    assert len(answers) == int(kind == "subscribe" and state.from_)
    gone = f"<presence type='unavailable' from='romeo@example.org/orchard' to='{FAR}'/>"
    assert len(fitting(far.sent, gone)) == int(state.from_ and not after.from_)


@pytest.mark.parametrize(("kind", "state"), CASES)
def test_to_another_server(server, pair, far, kind, state):
    """A.2: what is sent there, in which order."""
    romeo = pair[0]
    for who, step in steps(state):
        if who == "u":
            romeo.says(f"<presence type='{step}' to='{FAR}'/>")
        else:
            arrive(server, step)
    far.sent.clear()
    romeo.says(f"<presence type='{kind}' to='{FAR}/any'/>")
    routed, after = OUTBOUND[kind][state]
    expected = []
    if state.from_ and not after.from_:
        expected.append(("unavailable", "romeo@example.org/orchard"))  # §3.2.2: before it
    if routed:
        expected.append((kind, "romeo@example.org"))
    if after.from_ and not state.from_:
        expected.append((None, "romeo@example.org/orchard"))
    sent = [read(each) for each in far.sent]
    assert [(each.get("type"), each.get("from")) for each in sent] == expected
    assert {each.get("to") for each in sent} <= {FAR}


# requests


def test_request_is_shown_whole_at_every_login_until_it_is_answered(server, romeo):
    """§3.1.3, pitfall 23"""
    server.account("juliet@example.org")
    romeo.says(
        "<presence type='subscribe' to='juliet@example.org' id='r'><status>please</status>"
        "<nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick></presence>"
    )
    pattern = (
        "<presence type='subscribe' from='romeo@example.org' to='juliet@example.org' id='r'>"
        "<status>please</status><nick xmlns='http://jabber.org/protocol/nick'>Romeo</nick>"
        "</presence>"
    )
    for name in ("one", "two"):
        juliet = server.login(f"juliet@example.org/{name}", available=False)
        assert len(fitting(juliet.says("<presence/>"), pattern)) == 1
        assert fitting(juliet.says("<presence/>"), pattern) == []  # pitfall 25
    juliet.says("<presence type='unsubscribed' to='romeo@example.org'/>")
    third = server.login("juliet@example.org/three", available=False)
    assert fitting(third.says("<presence/>"), pattern) == []


def test_request_survives_that_the_account_is_loaded_anew(server, romeo):
    """§3.1.3: it is in the store."""
    server.account("juliet@example.org")
    romeo.says("<presence type='subscribe' to='juliet@example.org'/>")
    server.host.forget("juliet")
    assert is_asked(server, "juliet@example.org", "romeo@example.org")


def test_request_that_was_taken_back_is_not_shown(server, romeo):
    server.account("juliet@example.org")
    romeo.says("<presence type='subscribe' to='juliet@example.org'/>")
    romeo.says("<presence type='unsubscribe' to='juliet@example.org'/>")
    assert not is_asked(server, "juliet@example.org", "romeo@example.org")


def test_repeated_request_is_shown_once(romeo, juliet):
    """A.3.1"""
    for _ in range(3):
        romeo.says("<presence type='subscribe' to='juliet@example.org'/>")
    assert len(fitting(juliet.received, "<presence type='subscribe'/>")) == 1


def test_request_does_not_put_the_contact_into_the_roster(romeo, juliet):
    """§3.1.3: None + Pending In is not shown."""
    romeo.says("<presence type='subscribe' to='juliet@example.org'/>")
    assert items(juliet) == {}


@pytest.mark.server(
    features=["bind", "roster", "presence", "messages"], options={"roster": {"requests": 2}}
)
def test_requests_are_limited(server):
    """Only so many wait for one account; more are dropped in silence."""
    server.account("juliet@example.org")
    for name in ("a", "b", "c"):
        one = server.login(f"{name}@example.org/x")
        got = one.says("<presence type='subscribe' to='juliet@example.org'/>")
        assert fitting(got, "<presence type='error'/>") == []
    assert [is_asked(server, "juliet@example.org", f"{n}@example.org") for n in "abc"] == [
        True,
        True,
        False,
    ]


def test_huge_request_is_kept_without_its_content(server, romeo):
    """Strangers may ask, and not fill the store of whoever is away."""
    server.account("juliet@example.org")
    romeo.says(
        "<presence type='subscribe' to='juliet@example.org'>"
        f"<status>{'x' * 20_000}</status></presence>"
    )
    juliet = server.login("juliet@example.org/balcony", available=False)
    (got,) = fitting(juliet.says("<presence/>"), "<presence type='subscribe'/>")
    assert len(got) < 200


def test_request_of_a_name_in_other_spelling_is_the_same_contact(romeo, juliet):
    """Pitfall 13"""
    romeo.says("<presence type='subscribe' to='JULIET@EXAMPLE.org/balcony'/>")
    (got,) = fitting(juliet.received, "<presence type='subscribe'/>")
    assert read(got).get("to") == "juliet@example.org"
    assert list(items(romeo)) == ["juliet@example.org"]


@pytest.mark.parametrize("kind", KINDS)
def test_nobody_subscribes_to_oneself(romeo, kind):
    """§3: own resources see each other anyway (§4.2.2)."""
    assert romeo.says(f"<presence type='{kind}' to='romeo@example.org'/>") == []
    assert items(romeo) == {}


@pytest.mark.parametrize("kind", KINDS)
def test_subscription_needs_an_address(romeo, kind):
    (got,) = romeo.says(f"<presence type='{kind}'/>")
    assert "bad-request" in got


def test_request_to_nobody_is_met_with_silence(romeo):
    """§8.5.1, pitfall 20: and the roster shows that it waits."""
    got = romeo.says("<presence type='subscribe' to='nobody@example.org'/>")
    assert fitting(got, "<presence/>") == []
    assert items(romeo) == {"nobody@example.org": ("none", "subscribe", None)}


def test_request_that_finds_no_server_is_answered_and_shown_in_the_roster(romeo):
    """§3.1.2: the state is kept, and whoever shows a roster must know."""
    got = romeo.says(f"<presence type='subscribe' id='1' to='{FAR}'/>")
    assert len(fitting(got, "<presence type='error' id='1'/>")) == 1
    push = f"<iq><query xmlns='jabber:iq:roster'><item jid='{FAR}' ask='subscribe'/></query></iq>"
    assert len(fitting(got, push)) == 1


def test_answer_that_finds_no_server_is_no_error_of_the_contact(server, pair):
    """§3.4: what fails in our answer is not the fault of who asked."""
    romeo = pair[0]
    romeo.says(f"<presence type='subscribed' to='{FAR}'/>")
    arrive(server, "subscribe")
    assert items(romeo) == {FAR: ("from", None, None)}


# pre-approval


def test_preapproved_request_is_answered_at_once(server, romeo):
    """§3.4.2, pitfall 24"""
    got = romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    assert len(got) == 1  # only a push, §3.4.2
    assert "approved='true'" in got[0]
    juliet = server.login("juliet@example.org/balcony")
    assert juliet.received == []
    romeo.forget()
    got = juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    assert len(fitting(got, "<presence type='subscribed' from='romeo@example.org'/>")) == 1
    assert fitting(got, "<presence from='romeo@example.org/orchard'/>")
    assert fitting(romeo.received, "<presence type='subscribe'/>") == []
    assert items(romeo)["juliet@example.org"][0] == "from"
    assert items(juliet)["romeo@example.org"][0] == "to"


def test_preapproval_works_while_one_is_away(server):
    """§3.4.2"""
    romeo = server.login("romeo@example.org/orchard")
    romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    romeo.closes()
    server.host.forget("romeo")
    juliet = server.login("juliet@example.org/balcony")
    got = juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    assert fitting(got, "<presence type='subscribed' from='romeo@example.org'/>")


def test_preapproval_can_be_taken_back(server, romeo, juliet):
    """§3.4.2: by "unsubscribed"; the contact hears of none of it."""
    romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    romeo.says("<presence type='unsubscribed' to='juliet@example.org'/>")
    assert juliet.received == []
    assert items(romeo) == {"juliet@example.org": ("none", None, None)}
    juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    assert fitting(romeo.received, "<presence type='subscribe' from='juliet@example.org'/>")


def test_preapproval_is_offered(server, romeo):
    """§3.4.1"""
    link = server.connect()
    stream = link.receiver
    stream.host = server.host
    stream.authenticated(now(server.host.account("romeo")), lambda: None)
    sent = link.feed(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        b" to='example.org' version='1.0'>"
    )
    assert b"<sub xmlns='urn:xmpp:features:pre-approval'/>" in sent
    assert b"<ver xmlns='urn:xmpp:features:rosterver'/>" in sent


def test_stranger_can_not_make_items_in_a_roster(server, pair):
    """A.3: inbound answers to nothing change nothing."""
    for kind in ("subscribed", "unsubscribed", "unsubscribe"):
        arrive(server, kind)
    assert items(pair[0]) == {}
    assert pair[0].received[:-1] == []


@pytest.mark.parametrize("kind", ["subscribed", "unsubscribed", "unsubscribe"])
def test_answers_are_for_the_resources_that_asked_for_the_roster(server, pair, kind):
    """§3.1.6, §3.2.3, §3.3.3: the interested ones, available or not."""
    careless = server.login("juliet@example.org/careless", roster=False)
    silent = server.login("juliet@example.org/silent", available=False)
    romeo = pair[0]
    go(pair, State.NONE_PENDING_IN if kind == "subscribed" else State.BOTH)
    careless.forget()
    silent.forget()
    romeo.says(f"<presence type='{kind}' to='juliet@example.org'/>")
    pattern = f"<presence type='{kind}' from='romeo@example.org'/>"
    assert fitting(careless.received, pattern) == []
    assert len(fitting(silent.received, pattern)) == 1
    assert len(fitting(pair[1].received, pattern)) == 1
