"""XEP-0060 §8.6, §8.7: owners approve subscriptions."""

import pytest

from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import child, children
from tests.eventing import CONFIG, asks, form
from tests.helpers import holds
from tests.owning import (
    AUTHORIZATION,
    NODE,
    SERVICE,
    affiliates,
    creates,
    done,
    fields,
    listed,
    names,
    publishes,
    read,
    refusal,
    states,
    subscribes,
    wants,
)

JULIET = "juliet@example.org"
COMMANDS = "http://jabber.org/protocol/commands"
GET_PENDING = "http://jabber.org/protocol/pubsub#get-pending"


@pytest.fixture
def node(romeo):
    """A node of romeo's to which nobody subscribes without his approval."""
    creates(romeo, access_model="authorize")
    return NODE


def requests(client):
    """Return the requests for approval that a client got: id and values of the form."""
    found = []
    for stanza in client.stanzas:
        shown = stanza.child(NS.DATA, "x") if stanza.kind == "message" else None
        if shown is not None and shown.getAttribute("type") == "form":
            found.append((stanza.id, fields(shown)))
    return found


def answers(client, request, allow, to=SERVICE, **changes):
    """Let an owner answer a request; changes: of fields, without `pubsub#`, None to leave out."""
    id, values = request
    values = values | {"allow": allow} | changes
    given = {name: value for name, value in values.items() if value is not None}
    given.pop("FORM_TYPE")
    client.says(f"<message to='{to}' id='{id}'>{form(AUTHORIZATION, given)}</message>")


def test_owner_is_asked(romeo, juliet, node):
    """§6.1.4, §8.6: the subscriber waits, and gets nothing."""
    romeo.forget()
    state, subid = subscribes(juliet)
    assert state == "pending"
    ((_, values),) = requests(romeo)
    assert values == {
        "FORM_TYPE": AUTHORIZATION,
        "subid": subid,
        "node": NODE,
        "subscriber_jid": JULIET,
        "allow": "false",
    }
    assert romeo.stanzas[-1].has(NS.CLIENT, "body")
    publishes(romeo)
    assert names(juliet) == []
    again = wants(juliet, f"<subscribe node='{NODE}' jid='{JULIET}'/>")
    assert refusal(again) == ("auth", "not-authorized", "pending-subscription")
    refused = wants(juliet, f"<items node='{NODE}'/>", "get")
    assert refusal(refused) == ("auth", "not-authorized", "not-subscribed")


@pytest.mark.parametrize(("allow", "state"), [("true", "subscribed"), ("0", "none")])
def test_owner_decides(romeo, juliet, node, allow, state):
    """§8.6: the subscriber is told, and gets the last item if that is good news."""
    publishes(romeo)
    romeo.forget()
    subscribes(juliet)
    answers(romeo, requests(romeo)[0], allow)
    assert states(juliet) == [(NODE, state)]
    assert ("items" in names(juliet)) is (state == "subscribed")
    assert listed(romeo, "subscriptions") == ([(JULIET, state)] if state != "none" else [])


def test_cancelled_form_leaves_it_pending(romeo, juliet, node):
    """§8.6: MUST remain in the pending state."""
    romeo.forget()
    subscribes(juliet)
    id, _ = requests(romeo)[0]
    kind = f"<field var='FORM_TYPE' type='hidden'><value>{AUTHORIZATION}</value></field>"
    cancelled = f"<x xmlns='jabber:x:data' type='cancel'>{kind}</x>"
    romeo.says(f"<message to='{SERVICE}' id='{id}'>{cancelled}</message>")
    assert states(juliet) == []
    answers(romeo, requests(romeo)[0], "1")
    assert states(juliet) == [(NODE, "subscribed")]


def test_first_answer_of_several_owners_counts(romeo, juliet, node):
    """§12.13: all are asked, the first approval wins."""
    mercutio = romeo.server.login("mercutio@example.org/street")
    done(affiliates(romeo, mercutio="owner"))
    romeo.forget()
    mercutio.forget()
    subscribes(juliet)
    answers(mercutio, requests(mercutio)[0], "1")
    answers(romeo, requests(romeo)[0], "0")
    assert states(juliet) == [(NODE, "subscribed")]
    assert romeo.stanzas[-1].type != "error"


def test_only_owners_approve(romeo, juliet, node):
    """§8.6: nobody approves himself."""
    romeo.forget()
    subscribes(juliet)
    answers(juliet, requests(romeo)[0], "1")
    assert refusal(juliet.received[-1]) == ("auth", "forbidden")
    assert listed(romeo, "subscriptions") == []


@pytest.mark.parametrize(
    ("changes", "condition"),
    [
        ({"node": None}, "bad-request"),
        ({"subscriber_jid": None}, "bad-request"),
        ({"allow": "perhaps"}, "bad-request"),
        ({"subscriber_jid": "@"}, "jid-malformed"),
        ({"node": "nowhere"}, "item-not-found"),
    ],
)
def test_answers_that_can_not_be(romeo, juliet, node, changes, condition):
    """§8.6"""
    romeo.forget()
    subscribes(juliet)
    answers(romeo, requests(romeo)[0], **({"allow": "1"} | changes))
    assert refusal(romeo.received[-1])[1] == condition


@pytest.mark.parametrize("changes", [{"subid": "other"}, {"subscriber_jid": "a@example.org"}])
def test_answer_about_something_else_changes_nothing(romeo, juliet, node, changes):
    """§8.6"""
    romeo.forget()
    subscribes(juliet)
    answers(romeo, requests(romeo)[0], "1", **changes)
    assert states(juliet) == []
    answers(romeo, requests(romeo)[0], "1", subid=None)
    assert states(juliet) == [(NODE, "subscribed")]


def test_message_without_such_a_form_is_refused(romeo):
    """RFC 6121 §8.5: nobody reads it."""
    romeo.says(f"<message to='{SERVICE}' id='m'><body>hi</body></message>")
    assert refusal(romeo.received[-1]) == ("cancel", "service-unavailable")
    other = form("urn:other", {"allow": "1"})
    romeo.says(f"<message to='{SERVICE}' id='m'>{other}</message>")
    assert refusal(romeo.received[-1]) == ("modify", "bad-request")


def test_account_approves_for_its_nodes(romeo, juliet):
    """XEP-0163: by a message to itself."""
    config = f"<configure>{form(CONFIG, {'access_model': 'authorize'})}</configure>"
    done(asks(romeo, f"<create node='mine'/>{config}", "set"))
    romeo.forget()
    done(asks(juliet, f"<subscribe node='mine' jid='{JULIET}'/>", "set", to=romeo.jid.bare))
    answers(romeo, requests(romeo)[0], "1", to=romeo.jid.bare)
    assert states(juliet) == [("mine", "subscribed")]


# the command


def command(client, inner="", more=""):
    client.says(
        f"<iq type='set' id='c' to='{SERVICE}'>"
        f"<command xmlns='{COMMANDS}' node='{GET_PENDING}'{more}>{inner}</command></iq>"
    )
    return next(s for s in reversed(client.received) if "id='c'" in s.partition(">")[0])


def test_owner_asks_what_is_pending(romeo, juliet, node):
    """§8.7: one message for each request on the node that was chosen."""
    creates(romeo, "other", access_model="authorize")
    mercutio = romeo.server.login("mercutio@example.org/street")
    subscribes(juliet)
    subscribes(mercutio)
    romeo.forget()
    answer = read(done(command(romeo)))
    stage = child(answer, COMMANDS, "command")
    shown = child(stage, NS.DATA, "x")
    (field,) = [each for each in children(shown, NS.DATA, "field") if "list" in each["type"]]
    offered = [
        "".join(child(option, NS.DATA, "value").children)
        for option in children(field, NS.DATA, "option")
    ]
    assert (field["var"], offered) == ("pubsub#node", [NODE])
    submitted = form(AUTHORIZATION, {"node": NODE})
    answer = command(romeo, submitted, f" sessionid='{stage['sessionid']}'")
    assert holds(answer, f"<iq type='result'><command xmlns='{COMMANDS}' status='completed'/></iq>")
    assert [values["subscriber_jid"] for _, values in requests(romeo)] == [
        JULIET,
        "mercutio@example.org",
    ]
    answers(romeo, requests(romeo)[1], "1")
    assert states(mercutio) == [(NODE, "subscribed")]


def test_command_is_for_owners(juliet, romeo, node):
    """§8.7.3.3"""
    subscribes(juliet)
    assert refusal(command(juliet))[1] == "forbidden"


def test_nothing_is_pending(romeo, node):
    """§8.7.2"""
    assert "status='completed'" in command(romeo)
