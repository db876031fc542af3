"""XEP-0490: how far a chat was shown, for the user's other clients."""

import pytest

from tests.eventing import asks, comes, configure, events, items, publish
from tests.helpers import fitting, holds, iq_error

NODE = "urn:xmpp:mds:displayed:0"
SID = "<stanza-id xmlns='urn:xmpp:sid:0' by='romeo@example.org' id='{}'/>"
MARKER = "<displayed xmlns='urn:xmpp:chat-markers:0' id='the-msg-1'/>"
PRIVATE = {
    "access_model": "whitelist",
    "persist_items": "true",
    "max_items": "max",
    "send_last_published_item": "never",
}


def mark(id="m1"):
    """Return a mark."""
    return f"<displayed xmlns='{NODE}'>{SID.format(id)}</displayed>"


def message(inner, to="juliet@example.org", type="chat"):
    """Return a message."""
    to = "" if to is None else f" to='{to}'"
    return f"<message id='m'{to} type='{type}'>{inner}</message>"


def item(chat, id):
    """Return a pattern of the items with one mark."""
    return (
        "<iq type='result'><pubsub xmlns='http://jabber.org/protocol/pubsub'>"
        f"<items node='{NODE}'><item id='{chat}'>{mark(id)}</item></items></pubsub></iq>"
    )


def test_mark_is_published_and_nobody_else_sees_it(server, romeo, juliet):
    """§4.5.3: the address is the id, the mark the payload; the message goes on without it."""
    garden = server.login("romeo@example.org/garden")
    comes(garden, NODE)
    garden.forget()
    romeo.says(message(MARKER + mark()))
    (heard,) = juliet.received
    assert holds(heard, message(MARKER))
    assert NODE not in heard
    assert holds(items(romeo, NODE), item("juliet@example.org", "m1"))
    (event,) = events(garden, NODE)
    assert "id='juliet@example.org'" in event.raw.decode()


def test_last_mark_of_each_chat_stays(romeo):
    """§4.1: an item for each chat."""
    for to, id in (("a@x.example", "1"), ("b@x.example", "2"), ("a@x.example", "3")):
        romeo.says(message(MARKER + mark(id), to))
    answer = items(romeo, NODE)
    assert holds(answer, item("a@x.example", "3"))
    assert holds(answer, item("b@x.example", "2"))
    assert "id='1'" not in answer


def test_node_is_private(romeo, juliet):
    """§7: also one that server assist made; it can not be opened."""
    romeo.says(message(MARKER + mark()))
    assert "type='error'" in items(juliet, NODE, to="romeo@example.org")
    assert holds(configure(romeo, NODE, access_model="open"), iq_error("conf", "not-acceptable"))
    assert fitting(
        romeo.says(publish(NODE, mark(), item="a@b", options=PRIVATE)), "<iq type='result'/>"
    )


def test_node_that_is_published_openly_is_not_made(romeo):
    """§7"""
    romeo.says(publish(NODE, mark(), item="a@b", options={"access_model": "open"}))
    assert holds(romeo.received[-1], iq_error("pub", "not-acceptable"))
    assert holds(items(romeo, NODE), iq_error("items", "item-not-found"))


def test_client_that_publishes_itself_needs_no_help(romeo):
    """§4.2"""
    romeo.says(publish(NODE, mark(), item="juliet@example.org", options=PRIVATE))
    romeo.says(message(MARKER + mark("m2")))
    assert holds(items(romeo, NODE), item("juliet@example.org", "m2"))


def test_own_clients_get_the_message_without_the_mark(server, romeo, juliet):
    """§5.2: it is taken out before the message is copied."""
    garden = server.login("romeo@example.org/garden")
    garden.says("<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>")
    garden.forget()
    romeo.says(message("<body>yes</body>" + mark()))
    (copy,) = fitting(garden.received, "<message><sent xmlns='urn:xmpp:carbons:2'/></message>")
    assert NODE not in copy


def test_archive_has_the_message_without_the_mark(romeo, juliet):
    """§5.2: it is taken out before the message is archived."""
    romeo.says(message("<body>yes</body>" + mark()))
    romeo.forget()
    romeo.says("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
    (found,) = fitting(romeo.received, "<message><result xmlns='urn:xmpp:mam:2'/></message>")
    assert "yes" in found
    assert NODE not in found


def test_all_marks_are_taken_out(romeo, juliet):
    """§7: whatever else is there."""
    romeo.says(message(mark("1") + "<body>a</body>" + mark("2")))
    assert NODE not in juliet.received[-1]
    assert holds(items(romeo, NODE), item("juliet@example.org", "1"))


def test_address_is_taken_as_it_is(romeo, juliet):
    """§5.1, §5.2: a full JID, as of somebody in a room, is another chat."""
    romeo.says(message(MARKER + mark(), "juliet@example.org/balcony"))
    assert holds(items(romeo, NODE), item("juliet@example.org/balcony", "m1"))


@pytest.mark.parametrize(
    "stanza", [message("<body>a</body>" + mark(), to=None), message(mark(), type="error")]
)
def test_mark_of_no_chat_is_only_taken_out(romeo, stanza):
    """§4.5.3: without an address there is no id."""
    romeo.says(stanza)
    assert not any(NODE in heard for heard in romeo.received)
    assert holds(items(romeo, NODE), iq_error("items", "item-not-found"))


def test_message_goes_on_when_the_mark_can_not_be_kept(romeo, juliet):
    """§4.5.3: the message is processed normally."""
    asks(romeo, f"<create node='{NODE}'/>", "set")
    assert holds(configure(romeo, NODE, max_payload_size="10"), "<iq type='result'/>")
    romeo.says(message("<body>a</body>" + mark()))
    assert holds(juliet.received[-1], message("<body>a</body>"))
    assert NODE not in juliet.received[-1]


def test_support_is_advertised(romeo):
    """§4.5.2: on the account."""
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    answer = romeo.says(f"<iq type='get' id='d' to='romeo@example.org'>{query}</iq>")[-1]
    assert "urn:xmpp:mds:server-assist:0" in answer
