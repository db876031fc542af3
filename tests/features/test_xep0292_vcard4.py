"""XEP-0292: cards and notes about contacts, in nodes."""

import pytest

from tests.eventing import asks, comes, configure, events, items, publish
from tests.helpers import holds, iq_error

NS = "urn:ietf:params:xml:ns:vcard-4.0"
CARD, CONTACTS = "urn:xmpp:vcard4", "urn:xmpp:contacts"
VCARD = f"<vcard xmlns='{NS}'><fn><text>Romeo Montague</text></fn></vcard>"


def test_card_is_for_everybody(romeo, juliet):
    """§4.1.1, §7: whoever asks for it gets it whole."""
    romeo.says(publish(CARD, VCARD))
    assert "Romeo Montague" in items(juliet, CARD, to="romeo@example.org")


def test_there_is_one_card(romeo):
    """§4.1.2: the whole card replaces the one before."""
    romeo.says(publish(CARD, VCARD, item="one"))
    romeo.says(publish(CARD, f"<vcard xmlns='{NS}'/>", item="two"))
    assert "Montague" not in items(romeo, CARD)


def test_who_is_told_fetches_the_card(friends):
    """§4.2.2: notifications have no payload."""
    romeo, juliet = friends
    comes(juliet, CARD)
    juliet.forget()
    romeo.says(publish(CARD, VCARD, item="one"))
    (event,) = events(juliet, CARD)
    assert "id='one'" in event.raw.decode()
    assert NS not in event.raw.decode()


def test_notes_about_contacts_are_private(server, romeo, juliet):
    """§5.2: there are as many as there are contacts, and one's other clients are told."""
    garden = server.login("romeo@example.org/garden")
    comes(garden, CONTACTS)
    garden.forget()
    for contact in ("juliet@example.org", "nurse@example.org"):
        romeo.says(publish(CONTACTS, VCARD, item=contact))
    assert items(romeo, CONTACTS).count("<vcard ") == 2
    assert "type='error'" in items(juliet, CONTACTS, to="romeo@example.org")
    assert all(NS in event.raw.decode() for event in events(garden, CONTACTS))
    assert len(events(garden, CONTACTS)) == 2


@pytest.mark.parametrize("node", [CARD, CONTACTS])
@pytest.mark.parametrize(
    "payload", ["<vCard xmlns='vcard-temp'/>", f"<vcards xmlns='{NS}'>{VCARD}</vcards>"]
)
def test_something_else_is_no_card(romeo, node, payload):
    """§2: the root element is <vcard/>."""
    answer = romeo.says(publish(node, payload))[-1]
    assert holds(answer, iq_error("pub", "bad-request"))
    assert "invalid-payload" in answer
    assert holds(items(romeo, node), iq_error("items", "item-not-found"))


def test_owner_decides_who_sees_the_card(romeo, juliet):
    """XEP-0060 §8.2: what is said above is how it begins."""
    romeo.says(publish(CARD, VCARD, options={"access_model": "presence"}))
    assert "type='error'" in items(juliet, CARD, to="romeo@example.org")
    assert "type='result'" in configure(romeo, CARD, access_model="open")
    assert "type='result'" in items(juliet, CARD, to="romeo@example.org")


def test_node_may_be_made_first(romeo, juliet):
    """XEP-0060 §8.1"""
    assert "type='result'" in asks(romeo, f"<create node='{CARD}'/>", "set")
    romeo.says(publish(CARD, VCARD))
    assert "Montague" in items(juliet, CARD, to="romeo@example.org")


def test_support_is_advertised(romeo):
    """§6"""
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    answer = romeo.says(f"<iq type='get' id='d' to='romeo@example.org'>{query}</iq>")[-1]
    assert f"'{NS}'" in answer
