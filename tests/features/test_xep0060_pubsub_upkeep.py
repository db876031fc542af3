"""XEP-0060: what happens to nodes by itself."""

import pytest

from imsuite.core.service_interfaces import INodes
from imsuite.features.xep0060_pubsub.upkeep import EVERY
from imsuite.testing.memory import MemoryServer, now
from tests.eventing import ids
from tests.helpers import fitting
from tests.owning import (
    affiliates,
    configures,
    creates,
    done,
    listed,
    names,
    publishes,
    read,
    subscribes,
    wants,
)


def kept(client, node="n"):
    """Return the ids of the items of a node, oldest first."""
    pubsub = next(read(done(wants(client, f"<items node='{node}'/>", "get"))).elements())
    return [item["id"] for item in next(pubsub.elements()).elements()]


def stored(server):
    """Return how many items are in the store."""
    ((count,),) = now(server.host.store.query("SELECT COUNT(*) FROM node_item"))
    return count


def test_items_expire(server, romeo, juliet):
    """pubsub#item_expire: to the second for who asks; later they leave the store."""
    creates(romeo, "n", item_expire="60")
    publishes(romeo, "n", "a")
    server.advance(30)
    publishes(romeo, "n", "b")
    server.advance(29)
    assert kept(romeo) == ["a", "b"]
    server.advance(2)
    assert kept(romeo) == ["b"]
    assert "'a'" not in wants(romeo, "<items node='n'><item id='a'/></items>", "get")
    assert "not-found" in wants(romeo, "<retract node='n'><item id='a'/></retract>")
    server.advance(60)
    subscribes(juliet, "n")
    assert ids(juliet, "n") == []  # the last item is too old
    assert stored(server) == 2
    server.advance(EVERY)
    assert stored(server) == 0
    assert names(juliet) == []


def test_expired_items_make_room(server, romeo):
    """§7.1.3.3: a node is not full of what is not there."""
    creates(romeo, "n", item_expire="60", max_items="2", publish_node_full="reject")
    publishes(romeo, "n", "a")
    publishes(romeo, "n", "b")
    server.advance(61)
    publishes(romeo, "n", "c")
    assert kept(romeo) == ["c"]
    server.advance(EVERY)
    publishes(romeo, "n", "d")
    publishes(romeo, "n", "e")
    assert kept(romeo) == ["d", "e"]


@pytest.mark.server(options={"pubsub": {"item_days": 1}})
def test_service_keeps_items_for_some_days(server, romeo):
    """[features.pubsub] item_days: whatever the node says."""
    creates(romeo, "n")
    publishes(romeo, "n", "a")
    server.advance(86_401)
    assert kept(romeo) == []


def test_items_go_with_their_publisher(server, romeo, juliet):
    """pubsub#purge_offline: with the last resource, and only what that one published."""
    creates(romeo, "n", purge_offline="1", publish_model="open")
    creates(romeo, "stays", publish_model="open")
    phone = server.login("juliet@example.org/phone")
    subscribes(romeo, "n")
    publishes(romeo, "n", "his")
    publishes(juliet, "n", "hers")
    publishes(juliet, "stays", "hers")
    romeo.forget()
    juliet.says("<presence type='unavailable'/>")
    assert kept(romeo) == ["his", "hers"]
    phone.closes()
    assert kept(romeo) == ["his"]
    assert kept(romeo, "stays") == ["hers"]
    retracted = "<message><event xmlns='http://jabber.org/protocol/pubsub#event'>"
    retracted += "<items node='n'><retract id='hers'/></items></event></message>"
    assert len(fitting(romeo.received, retracted)) == 1


def test_nothing_goes_on_after_the_end(server, romeo):
    """A host that stopped asks its store for nothing."""
    creates(romeo, "n", item_expire="60")
    engine = server.host.find_feature(INodes)
    engine.upkeep.stop()
    engine.upkeep.stop()
    server.advance(2 * EVERY)


def test_what_was_taken_back_does_not_keep_the_rest(server, romeo, juliet):
    """pubsub#purge_offline: all that is still there goes, however much it is."""
    creates(romeo, "n", purge_offline="1", publish_model="open", max_items="max")
    for number in range(5):
        publishes(juliet, "n", f"i{number}")
    engine = server.host.find_feature(INodes)
    ids_ = ["i0", "never", "i1"]
    assert now(engine.upkeep._purge("pubsub.example.org", "n", ids_, juliet.jid)) is True
    assert kept(romeo) == ["i2", "i3", "i4"]


def test_expired_item_does_not_come_back_as_the_last(server, romeo, juliet):
    """§6.1.7: an owner who lets items stay from now on does not bring it back."""
    creates(romeo, "n", item_expire="60")
    publishes(romeo, "n", "a")
    server.advance(EVERY + 61)
    done(configures(romeo, "n", item_expire="max"))
    subscribes(juliet, "n")
    assert ids(juliet, "n") == []


def test_people_of_another_host_get_last_items():
    """§12.2: their account says what they subscribe to, and our service has it."""
    server = MemoryServer(domains=("example.org", "example.net"))
    romeo = server.login("romeo@example.org/orchard")
    paris = server.login("paris@example.net/yard")
    creates(romeo, "n")
    publishes(romeo, "n", "a")
    wants(paris, "<subscribe node='n' jid='paris@example.net'/>")
    paris.says("<presence type='unavailable'/>")
    paris.forget()
    paris.says("<presence/>")
    assert ids(paris, "n") == ["a"]
    server.stop()


def test_nodes_of_a_removed_owner_go_from_all_hosts():
    """Nobody inherits a node at the service of another host of the server, nor is it nobody's."""
    server = MemoryServer(domains=("example.org", "example.net"))
    paris = server.login("paris@example.net/yard")
    creates(paris, "n")
    publishes(paris, "n", "a")
    creates(paris, "ours")
    romeo = server.login("romeo@example.org/orchard")
    done(affiliates(paris, "ours", romeo="owner"))
    now(server.router.hosts["example.net"].registrar.delete("paris"))
    assert "item-not-found" in wants(romeo, "<items node='n'/>", "get")
    assert listed(romeo, "affiliations", "ours") == [("romeo@example.org", "owner")]
    server.stop()


def test_coming_and_going_reads_little(server, romeo, juliet):
    """Who follows many nodes asks the store once for those that are not in memory."""
    for number in range(30):
        creates(romeo, f"n{number}")
        subscribes(juliet, f"n{number}")
    engine = server.host.find_feature(INodes)
    engine.nodes._loaded.clear()
    asked, read = [], server.store.read
    server.store.read = lambda function, *given: (asked.append(function), read(function, *given))[1]
    juliet.says("<presence type='unavailable'/>")
    juliet.says("<presence/>")
    server.store.read = read
    assert len(asked) <= 4
