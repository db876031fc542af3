"""RFC 6121 §4: presence."""

import pytest
from twisted.words.xish.domish import Element

from imsuite.rules import presence
from imsuite.rules.presence import Answer, Broadcast, Shown
from imsuite.rules.roster import RosterItem
from imsuite.rules.subscription import State
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError

ROMEO = parse("romeo@example.org")

# what a presence says


@pytest.mark.parametrize(
    ("text", "priority"),
    [(None, 0), ("0", 0), ("-128", -128), ("127", 127), ("+5", 5), ("007", 7), (" 1\n", 1)],
)
def test_priority(text, priority):
    """§4.7.2.3"""
    assert presence.parse_priority(text) == priority


@pytest.mark.parametrize(
    "text", ["", " ", "128", "-129", "1.5", "1e1", "0x1", "high", "\u0661", "1 1", "9" * 9999]
)
def test_wrong_priority_is_a_bad_request(text):
    """§4.7.2.3"""
    with pytest.raises(StanzaError) as caught:
        presence.parse_priority(text)
    assert caught.value.condition == "bad-request"


@pytest.mark.parametrize("text", ["away", "chat", "dnd", "xa"])
def test_show(text):
    """§4.7.2.1"""
    assert presence.parse_show(text) == text
    assert presence.parse_show(None) == ""


@pytest.mark.parametrize("text", ["", "online", "Away", " away"])
def test_wrong_show_is_a_bad_request(text):
    """§4.7.2.1"""
    with pytest.raises(StanzaError):
        presence.parse_show(text)


def element(*pairs, ns=NS.CLIENT):
    """Return a presence with these children."""
    made = Element((ns, "presence"))
    for name, text in pairs:
        made.addElement((ns, name), content=text)
    return made


def test_presence_is_read():
    """§4.7.2"""
    assert presence.read(element()) == Shown("", 0)
    said = element(("show", "dnd"), ("status", "here"), ("status", "ici"), ("priority", "-1"))
    assert presence.read(said) == Shown("dnd", -1)
    assert presence.read(element(("show", "xa"), ns=NS.SERVER), NS.SERVER) == Shown("xa", 0)


@pytest.mark.parametrize("name", ["show", "priority"])
def test_neither_show_nor_priority_comes_twice(name):
    """§4.7.2.1, §4.7.2.3"""
    value = {"show": "away", "priority": "1"}[name]
    with pytest.raises(StanzaError):
        presence.read(element((name, value), (name, value)))


def test_elements_of_other_namespaces_do_not_count():
    said = element(("show", "away"))
    said.addElement(("urn:example", "show"), content="nowhere")
    assert presence.read(said).show == "away"


# broadcast

FIRST = Broadcast(subscribers=True, own=True, others=True, probe=True, requests=True, offline=True)
LATER = Broadcast(subscribers=True, own=True)


def test_initial_presence():
    """§4.2.2; XEP-0160 §2"""
    assert presence.available(None, 0) == FIRST


def test_later_presence_only_goes_out():
    """§4.4.2"""
    assert presence.available(0, 5) == LATER
    assert presence.available(-1, -1) == LATER


def test_stored_messages_wait_for_a_priority_that_is_not_negative():
    """XEP-0160 §2"""
    first = presence.available(None, -1)
    assert not first.offline
    assert first.probe
    assert first.requests
    later = presence.available(-1, 0)
    assert later.offline
    assert not later.probe


def test_unavailable_presence_goes_where_the_available_one_went():
    """§4.5.2"""
    assert presence.unavailable(-5) == Broadcast(subscribers=True, own=True, directed=True)


def test_resource_that_was_not_available_only_leaves_those_it_turned_to():
    """§4.5.2, §4.6.3"""
    assert presence.unavailable(None) == Broadcast(directed=True)


def test_presence_follows_the_subscriptions():
    """§4.2.2, §4.3.1"""
    roster = [RosterItem(parse(f"{state.name.lower()}@x"), state=state) for state in State]
    assert presence.subscribers(roster) == ("from@x", "from_pending_out@x", "both@x")
    assert presence.contacts(roster) == ("to@x", "to_pending_in@x", "both@x")


# directed presence


def test_directed_presence_is_remembered_until_it_is_taken_back():
    """§4.6.3"""
    directed = set()
    room, friend = parse("hall@rooms.example.org/Romeo"), parse("mercutio@example.org")
    for to in (room, friend, room):
        presence.note_directed(directed, to, None, most=2)
    for type in ("subscribe", "error", "probe"):
        presence.note_directed(directed, parse("x@y"), type, most=2)
    assert directed == {room.full, friend.full}
    presence.note_directed(directed, friend, "unavailable", most=2)
    presence.note_directed(directed, friend, "unavailable", most=2)
    assert directed == {room.full}


def test_directed_presence_goes_to_so_many_and_no_more():
    directed = {"a@b"}
    with pytest.raises(StanzaError) as caught:
        presence.note_directed(directed, parse("c@d"), None, most=1)
    assert caught.value.condition == "resource-constraint"
    presence.note_directed(directed, parse("a@b"), None, most=1)
    assert directed == {"a@b"}


def test_farewell_goes_to_those_the_broadcast_does_not_reach():
    """§4.5.2, §4.6.3"""
    directed = ["hall@rooms.example.org/Romeo", "friend@example.org", "stranger@example.org"]
    assert presence.farewell(directed, {"friend@example.org"}) == (
        "hall@rooms.example.org/Romeo",
        "stranger@example.org",
    )
    assert presence.farewell(directed, ()) == tuple(directed)


@pytest.mark.parametrize(
    ("sender", "state", "shared"),
    [
        ("friend@example.org/a", State.FROM, True),
        ("friend@example.org/a", State.BOTH, True),
        ("friend@example.org/a", State.TO, False),
        ("friend@example.org/a", State.NONE_PENDING_IN, False),
        ("romeo@example.org/balcony", State.NONE, True),
        ("example.org", State.NONE, True),
        ("example.com", State.NONE, False),
        ("hall@rooms.example.org/Tybalt", State.NONE, True),
        ("hall@rooms.example.org", State.NONE, True),
        ("hall@rooms.example.org.evil/Romeo", State.NONE, False),
        ("rooms.example.org", State.NONE, False),
        ("bare@example.com/any", State.NONE, True),
    ],
)
def test_presence_is_shared_by_subscription_or_directed_presence(sender, state, shared):
    """§8.5.3.1"""
    directed = ["hall@rooms.example.org/Romeo", "bare@example.com"]
    assert presence.shares_presence(ROMEO, parse(sender), state, directed) is shared


# probes


@pytest.mark.parametrize("state", [State.FROM, State.FROM_PENDING_OUT, State.BOTH])
def test_subscriber_learns_of_every_resource(state):
    """§4.3.2"""
    assert presence.answer_probe(state, "", ["phone", "desk"]) == Answer(("phone", "desk"))
    assert presence.answer_probe(state, "desk", ["phone", "desk"]) == Answer(("desk",))
    assert presence.answer_probe(state, "gone", ["phone"]) == Answer(unavailable=True)
    assert presence.answer_probe(state, "", []) == Answer(unavailable=True)


@pytest.mark.parametrize("state", [State.NONE, State.NONE_PENDING_OUT, State.TO])
@pytest.mark.parametrize("available", [[], ["phone"]])
@pytest.mark.parametrize("resource", ["", "phone"])
def test_nobody_else_learns_anything(state, available, resource):
    """§4.3.2; §8.5.1: an account that does not exist is in state None to everyone."""
    assert presence.answer_probe(state, resource, available) == Answer(refuse=True)


@pytest.mark.parametrize("state", [s for s in State if s.pending_in])
def test_probe_does_not_refuse_a_pending_request(state):
    """§4.3.2"""
    assert presence.answer_probe(state, "", ["phone"]) == Answer()


def test_probe_of_whom_presence_was_directed_at_is_not_refused():
    """§4.3.2, §4.6"""
    assert presence.answer_probe(State.NONE, "", ["phone"], directed=True) == Answer()


def test_own_resources_learn_of_each_other():
    """§4.2.2"""
    assert presence.answer_probe(State.NONE, "", ["phone"], own=True) == Answer(("phone",))
