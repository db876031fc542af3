"""XEP-0060: nodes in memory and in the store."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.interfaces import INodes
from imsuite.features.xep0060_pubsub.node import Turn
from imsuite.testing.memory import MemoryServer, now
from imsuite.xmpp.errors import StanzaError
from tests.eventing import ids
from tests.owning import (
    SERVICE,
    affiliates,
    creates,
    done,
    listed,
    owns,
    publishes,
    refusal,
    shown,
    subscribes,
    wants,
)

JULIET = "juliet@example.org"


def test_turns_come_one_after_the_other():
    """One node is changed by one at a time, and nothing is left of that."""
    turns, order, gate = {}, [], Deferred()

    async def take(name, key, later=None):
        async with Turn(turns, key):
            order.append(name)
            if later is not None:
                await later
            order.append(f"{name} went")

    for work in (take("a", ("s", "n"), gate), take("b", ("s", "n")), take("c", ("s", "m"))):
        Deferred.fromCoroutine(work)
    assert order == ["a", "c", "c went"]
    gate.callback(None)
    assert order[3:] == ["a went", "b", "b went"]
    assert turns == {}


def test_turn_ends_with_an_error():
    """Whoever waits gets it."""
    turns = {}

    async def fail():
        async with Turn(turns, ("s", "n")):
            raise StanzaError("conflict")

    for _ in range(2):
        with pytest.raises(StanzaError):
            now(fail())
    assert turns == {}


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_nodes_survive(end):
    """What was answered is durable: nodes, their people, items and options."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    juliet = server.login(f"{JULIET}/balcony")
    creates(romeo, "n", title="Musings", max_items="2", access_model="authorize")
    done(affiliates(romeo, "n", juliet="member"))
    _, subid = subscribes(juliet, "n", expire="2030-01-01T00:00:00Z")
    for item in "abc":
        publishes(romeo, "n", item)
    after = getattr(server, end)()
    romeo = after.login("romeo@example.org/orchard")
    juliet = after.login(f"{JULIET}/balcony", available=False)
    juliet.says("<presence/>")
    assert ids(juliet, "n") == ["c"]
    assert shown(romeo, "n")["title"] == "Musings"
    assert (JULIET, "member") in listed(romeo, "affiliations", "n")
    assert f"subid='{subid}'" in wants(juliet, "<subscriptions/>", "get")
    publishes(romeo, "n", "d")
    assert "'b'" not in wants(romeo, "<items node='n'/>", "get")
    assert ids(juliet, "n") == ["c", "d"]
    after.stop()
    assert after.failures.take() == []


@pytest.mark.server(options={"pubsub": {"loaded": 10}})
def test_few_nodes_stay_in_memory(server, romeo, juliet):
    """[features.pubsub] loaded: the others are read when they are used."""
    names = [f"n{number}" for number in range(30)]
    for name in names:
        creates(romeo, name, title=name)
        subscribes(juliet, name)
    nodes = server.host.find_feature(INodes).nodes
    loaded = [name for name in names if nodes.cached((SERVICE, name))]
    assert len(loaded) <= 10
    for name in names:
        publishes(romeo, name, name)
        assert shown(romeo, name)["title"] == name
    assert [item for name in names for item in ids(juliet, name)] == names


def test_deleted_node_is_gone(romeo, juliet):
    """§8.4: with all that belonged to it; the next one of the name begins anew."""
    creates(romeo, "n")
    subscribes(juliet, "n")
    publishes(romeo, "n", "a")
    done(owns(romeo, "<delete node='n'/>"))
    for inner in ("<items node='n'/>", "<subscriptions node='n'/>"):
        assert refusal(wants(juliet, inner, "get")) == ("cancel", "item-not-found")
    creates(juliet, "n")
    assert refusal(owns(romeo, "<configure node='n'/>", "get"))[1] == "forbidden"
    assert "<item " not in wants(juliet, "<items node='n'/>", "get")
    assert "<subscription " not in wants(juliet, "<subscriptions/>", "get")


def test_node_that_went_meanwhile_takes_nothing(server, romeo):
    """A publish that waited while the store lost the node writes no items for nobody."""
    creates(romeo, "n")
    publishes(romeo, "n", "a")
    now(server.host.store.execute("DELETE FROM node"))
    assert refusal(
        wants(romeo, "<publish node='n'><item id='b'><x xmlns='urn:x'/></item></publish>")
    ) == ("cancel", "item-not-found")
    assert now(server.host.store.query("SELECT item FROM node_item")) == [("a",)]


def test_failing_store_publishes_nothing(server, romeo, juliet):
    """The answer is an error, and nobody hears of what is not durable."""
    creates(romeo, "n")
    subscribes(juliet, "n")
    now(server.host.store.execute("ALTER TABLE node_item RENAME TO elsewhere"))
    answer = wants(romeo, "<publish node='n'><item id='b'><x xmlns='urn:x'/></item></publish>")
    assert refusal(answer)[1] == "internal-server-error"
    assert ids(juliet, "n") == []
    now(server.host.store.execute("ALTER TABLE elsewhere RENAME TO node_item"))
    publishes(romeo, "n", "c")
    assert ids(juliet, "n") == ["c"]
    server.failures.take()
