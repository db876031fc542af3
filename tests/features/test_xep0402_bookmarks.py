"""XEP-0402: bookmarks, one item each, and in the forms of older clients."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from imsuite.testing.memory import MemoryServer, now
from imsuite.xmpp.build import build
from tests.eventing import PUBSUB, asks, comes, configure, events, items, publish
from tests.helpers import holds, iq_error

NODE, STORAGE = "urn:xmpp:bookmarks:1", "storage:bookmarks"
PLAY, ORCHARD = "theplay@conference.shakespeare.lit", "orchard@conference.shakespeare.lit"
EXTENSION = "<state xmlns='urn:client' minimized='true'/>"
URL = "<url name='W' url='http://x.example/'/>"
PRIVATE = {
    "access_model": "whitelist",
    "persist_items": "true",
    "max_items": "max",
    "send_last_published_item": "never",
}


def conference(inner="", ns=NODE, **attributes):
    """Return a bookmark."""
    more = "".join(f" {name}='{value}'" for name, value in attributes.items())
    return f"<conference xmlns='{ns}'{more}>{inner}</conference>"


def adds(client, room=PLAY, inner="", **attributes):
    """Let a client add a bookmark as an item; return the answer."""
    payload = conference(inner, **attributes)
    return client.says(publish(NODE, payload, item=room, options=PRIVATE))[-1]


def removes(client, room):
    """Let a client take a bookmark back."""
    inner = f"<retract node='{NODE}' notify='true'><item id='{room}'/></retract>"
    return asks(client, inner, "set")


def storage(*inner):
    """Return bookmarks as older clients have them."""
    return f"<storage xmlns='{STORAGE}'>{''.join(inner)}</storage>"


def old(jid=PLAY, inner="", **attributes):
    """Return one of them."""
    return conference(inner, STORAGE, jid=jid, **attributes)


def writes(client, *inner):
    """Let an older client publish its bookmarks; return the answer."""
    return client.says(publish(STORAGE, storage(*inner), item="current"))[-1]


def stores(client, *inner):
    """Let a still older client store its bookmarks; return the answer."""
    query = f"<query xmlns='jabber:iq:private'>{storage(*inner)}</query>"
    return client.says(f"<iq type='set' id='p'>{query}</iq>")[-1]


def stored(client):
    """Return what that client reads."""
    query = f"<query xmlns='jabber:iq:private'><storage xmlns='{STORAGE}'/></query>"
    return client.says(f"<iq type='get' id='g'>{query}</iq>")[-1]


def rooms(answer):
    """Return the addresses of the rooms in items, or in an element of XEP-0048."""
    found = []

    def look(element):
        for node in element.elements():
            if node.name == "item" and node.getAttribute("id") != "current":
                found.append(node["id"])
            elif node.name == "conference":
                found.append(node["jid"])
            else:
                look(node)

    look(build(answer.encode(), "jabber:client"))
    return sorted(found)


def all_agree(client):
    """Return the rooms that a client reads, which are the same in each way."""
    native = rooms(items(client, NODE))
    assert rooms(items(client, STORAGE)) == native
    assert rooms(stored(client)) == native
    return native


def item(room, payload, node=NODE):
    """Return a pattern of the items of a node."""
    inner = f"<items node='{node}'><item id='{room}'>{payload}</item></items>"
    return f"<iq type='result'><pubsub xmlns='{PUBSUB}'>{inner}</pubsub></iq>"


def private(inner):
    """Return a pattern of the private storage."""
    return f"<iq type='result'><query xmlns='jabber:iq:private'>{storage(inner)}</query></iq>"


def test_older_clients_see_what_is_published(romeo):
    """§5.2.1: with the address as an attribute; passwords and all."""
    inner = "<nick>JC</nick><password>secret</password>"
    extensions = f"<extensions>{EXTENSION}</extensions>"
    assert holds(adds(romeo, PLAY, inner + extensions, name="Play", autojoin="1"), "<iq/>")
    seen = old(PLAY, inner + EXTENSION, name="Play", autojoin="true")
    assert holds(items(romeo, STORAGE), item("current", storage(seen), STORAGE))
    assert holds(stored(romeo), private(seen))


@pytest.mark.parametrize("write", [writes, stores])
def test_what_older_clients_write_becomes_items(romeo, write):
    """§5.2.2"""
    inner = "<nick>JC</nick><password>secret</password>"
    answer = write(romeo, old(PLAY, inner, name="Play", autojoin="1"), old(ORCHARD), URL)
    assert "type='result'" in answer
    expected = conference(inner, name="Play", autojoin="true")
    assert holds(items(romeo, NODE), item(PLAY, expected))
    assert all_agree(romeo) == [ORCHARD, PLAY]
    assert "http://x.example/" in stored(romeo)


@pytest.mark.parametrize("write", [writes, stores])
def test_list_replaces_all_and_only_changes_are_told(server, romeo, write):
    """§5.2.2: no notifications for unchanged items; retractions for those that are gone."""
    for room in (PLAY, ORCHARD):
        adds(romeo, room, name="N")
    garden = server.login("romeo@example.org/garden")
    comes(garden, NODE)
    garden.forget()
    write(romeo, old(PLAY, name="N"), old("new@x.example"))
    told = " ".join(event.raw.decode() for event in events(garden, NODE))
    assert PLAY not in told
    assert "<item id='new@x.example'" in told
    assert f"<retract id='{ORCHARD}'" in told
    assert all_agree(romeo) == ["new@x.example", PLAY]


def test_older_clients_are_told(server, romeo):
    """§5.2.1, XEP-0411 §4: once for each change, the one who made it too."""
    garden = server.login("romeo@example.org/garden")
    comes(garden, STORAGE)
    garden.forget()
    adds(romeo, PLAY)
    stores(romeo, old(PLAY), old(ORCHARD))
    removes(romeo, PLAY)
    told = [rooms(event.raw.decode()) for event in events(garden, STORAGE)]
    assert told == [[PLAY], [ORCHARD, PLAY], [ORCHARD]]


def test_extensions_survive_clients_that_drop_them(romeo):
    """§2: unknown elements are preserved."""
    adds(romeo, PLAY, f"<extensions>{EXTENSION}</extensions>", name="A")
    stores(romeo, old(PLAY, name="B"))
    expected = conference(f"<extensions>{EXTENSION}</extensions>", name="B")
    assert holds(items(romeo, NODE), item(PLAY, expected))
    assert EXTENSION.split()[1] in stored(romeo)


def test_web_pages_survive_clients_that_know_items(romeo):
    """§1: they have no items, and are not lost."""
    stores(romeo, URL, old(PLAY))
    adds(romeo, ORCHARD)
    removes(romeo, PLAY)
    assert all_agree(romeo) == [ORCHARD]
    assert "http://x.example/" in stored(romeo)


@pytest.mark.parametrize("jid", ["", "a b@c", "@x", "a@" + "b" * 1100])
def test_what_is_no_address_is_kept_and_has_no_item(romeo, jid):
    """§2: an item has the address of a room as its id."""
    assert "type='result'" in stores(romeo, old(jid, name="Bad"), old(PLAY))
    adds(romeo, ORCHARD)
    assert rooms(items(romeo, NODE)) == [ORCHARD, PLAY]
    assert "name='Bad'" in stored(romeo)


def test_items_that_are_no_bookmarks_are_left_alone(romeo):
    """§2: what others publish there is neither shown to older clients nor taken back."""
    romeo.says(publish(NODE, "<x xmlns='urn:x'/>", item="a@b", options=PRIVATE))
    romeo.says(publish(NODE, conference(), item="no address @", options=PRIVATE))
    adds(romeo, PLAY)
    assert rooms(stored(romeo)) == [PLAY]
    stores(romeo, old(ORCHARD))
    assert rooms(items(romeo, NODE)) == ["a@b", "no address @", ORCHARD]


def test_item_with_another_spelling_is_the_same_room(romeo):
    """§2: an address is compared in its prepared form, an id as it is."""
    adds(romeo, PLAY.upper(), name="A")
    assert rooms(stored(romeo)) == [PLAY]
    stores(romeo, old(PLAY, name="B"))
    assert holds(items(romeo, NODE), item(PLAY.upper(), conference(name="B")))
    stores(romeo)
    assert rooms(items(romeo, NODE)) == []


def test_empty_list_takes_all_away(romeo):
    """§5.2.2"""
    adds(romeo, PLAY)
    stores(romeo)
    assert all_agree(romeo) == []


def test_first_list_takes_nothing_away(romeo, server):
    """§5.2.2: who never saw the items did not mean to remove them."""
    adds(romeo, PLAY, name="new")
    now(server.store.execute("DELETE FROM bookmarks"))  # as if they were from before
    writes(romeo, old(PLAY, name="old"), old(ORCHARD))
    assert all_agree(romeo) == [ORCHARD, PLAY]
    assert "name='new'" in stored(romeo)
    writes(romeo, old(ORCHARD))
    assert all_agree(romeo) == [ORCHARD]


@pytest.mark.parametrize("node", [NODE, STORAGE])
def test_nodes_are_private(romeo, juliet, node):
    """§5.1: by default, and they can not be made anything else."""
    adds(romeo)
    assert "type='error'" in items(juliet, node, to="romeo@example.org")
    for change in ({"access_model": "open"}, {"publish_model": "open"}):
        assert holds(configure(romeo, node, **change), iq_error("conf", "not-acceptable"))
    assert PLAY not in items(juliet, node, to="romeo@example.org")


@pytest.mark.parametrize("node", [NODE, STORAGE])
def test_public_node_is_not_made(romeo, node):
    """§5.1, §3.3"""
    payload = conference() if node == NODE else storage()
    romeo.says(publish(node, payload, item=PLAY, options={"access_model": "presence"}))
    assert holds(romeo.received[-1], iq_error("pub", "not-acceptable"))
    assert holds(items(romeo, node), iq_error("items", "item-not-found"))


@pytest.mark.server(options={"bookmarks": {"most": 2}})
def test_more_than_that_are_not_converted(romeo):
    """Each form keeps its own; nothing is lost."""
    many = [old(f"room{n}@x.example") for n in range(3)]
    assert "type='result'" in stores(romeo, *many)
    assert holds(items(romeo, NODE), iq_error("items", "item-not-found"))
    assert len(rooms(stored(romeo))) == 3


def test_bookmark_that_is_too_large_is_refused(romeo):
    """All of them are read whenever one changes."""
    answer = adds(romeo, PLAY, f"<nick>{'x' * 9000}</nick>")
    assert holds(answer, iq_error("pub", "not-acceptable"))
    assert "payload-too-big" in answer


def test_support_is_advertised(romeo):
    """§6: both kinds of older clients."""
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    answer = romeo.says(f"<iq type='get' id='d' to='romeo@example.org'>{query}</iq>")[-1]
    for feature in (f"{NODE}#compat", f"{NODE}#compat-pep"):
        assert f"'{feature}'" in answer


@pytest.mark.server(features=["default", "-conversion"])
def test_private_storage_is_not_claimed_without_its_feature(romeo):
    """§6"""
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    answer = romeo.says(f"<iq type='get' id='d' to='romeo@example.org'>{query}</iq>")[-1]
    assert f"'{NODE}#compat'" not in answer
    assert f"'{NODE}#compat-pep'" in answer


ROOM = st.sampled_from(["a@x.lit", "b@x.lit", "c@x.lit", "A@X.lit"])
NAME = st.sampled_from(["", "one", "two"])
CHANGE = st.one_of(
    st.tuples(st.just("adds"), ROOM, NAME),
    st.tuples(st.just("removes"), ROOM),
    st.tuples(st.sampled_from(["writes", "stores"]), st.lists(st.tuples(ROOM, NAME), max_size=3)),
)


@settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(CHANGE, max_size=6))
def test_all_clients_see_the_same_whoever_writes(changes):
    """§5.2: after any changes in any form; and none of it goes round in circles."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    try:
        adds(romeo, "first@x.lit")
        for kind, *given in changes:
            match kind:
                case "adds":
                    adds(romeo, given[0], name=given[1])
                case "removes":
                    removes(romeo, given[0])
                case _:
                    lists = [old(room, name=name) for room, name in given[0]]
                    (writes if kind == "writes" else stores)(romeo, *lists)
                    seen = {room.lower() for room, _ in given[0]}
                    assert {each.lower() for each in rooms(items(romeo, NODE))} == seen
        native = {each.lower() for each in rooms(items(romeo, NODE))}
        assert {each.lower() for each in rooms(items(romeo, STORAGE))} == native
        assert {each.lower() for each in rooms(stored(romeo))} == native
    finally:
        server.stop()
    assert server.failures.take() == []


def test_bookmarks_agree_again_after_a_crash():
    """§5.2: as the server was killed between the two forms, either way."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    adds(romeo, PLAY)
    server = MemoryServer(features=["default", "-bookmarks"], before=server)
    romeo = server.login("romeo@example.org/orchard")
    adds(romeo, ORCHARD)
    juliet = server.login("juliet@example.org/balcony")
    juliet.says(publish(STORAGE, storage(old(PLAY)), item="current"))
    server = MemoryServer(before=server)
    romeo = server.login("romeo@example.org/orchard")
    answer = items(romeo, STORAGE)
    assert PLAY in answer
    assert ORCHARD in answer
    juliet = server.login("juliet@example.org/balcony")
    assert PLAY in items(juliet, NODE)
    server.stop()
