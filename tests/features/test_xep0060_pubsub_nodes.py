"""XEP-0060: nodes in memory and in the store."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.service_interfaces import INodes, IPep
from imsuite.features.xep0060_pubsub import people, subscribing
from imsuite.features.xep0060_pubsub.node import Turn
from imsuite.rules.node_access import Affiliation
from imsuite.testing.memory import MemoryServer, now
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StanzaError
from tests.eventing import ids
from tests.eventing import publishes as publishes_own
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


def test_node_that_was_forgotten_while_it_changed_is_read_again(server, romeo, juliet):
    """What another one read meanwhile is not what the store has."""
    creates(romeo, "n")
    engine = server.host.find_feature(INodes)
    nodes, site = engine.nodes, engine.service

    async def change():
        async with nodes.turn(SERVICE, "n"):
            node = await nodes.find(site, "n")
            nodes.forget([node.key])  # as when somebody's account is removed
            await nodes.load(site, "n")
            await nodes.apply(site, node, affiliations={JULIET: Affiliation.MEMBER})

    now(change())
    assert (JULIET, "member") in listed(romeo, "affiliations", "n")


def test_what_is_read_while_its_account_goes_is_not_kept(server, romeo):
    """Who takes the name later does not find the nodes of the one before."""
    publishes_own(romeo, "urn:own", item="a")
    nodes = server.host.find_feature(INodes).nodes
    nodes.forget_service(romeo.jid.bare)
    account = server.host.accounts["romeo"]
    site = server.host.find_feature(IPep).site(account)
    gate, read = Deferred(), server.store.read

    def late(function, *given):
        found = read(function, *given)
        return gate.addCallback(lambda _: found)

    server.store.read = late
    loading = Deferred.fromCoroutine(nodes.load(site, "urn:own"))
    server.store.read = read
    now(server.store.execute("DELETE FROM node"))
    nodes.forget_service(romeo.jid.bare)
    gate.callback(None)
    assert loading.result is None
    assert nodes.cached((romeo.jid.bare, "urn:own")) is None


def test_node_that_is_made_while_its_account_loads_is_known(server):
    """The account was read before there was the node, and is there after it."""
    server.account("romeo@example.org")
    host = server.host
    account = now(host.account("romeo"))
    engine, site = host.find_feature(INodes), host.find_feature(IPep).site(account)
    host.forget("romeo")
    gate, read = Deferred(), server.store.read

    def late(function, *given):
        found = read(function, *given)
        return gate.addCallback(lambda _: found)

    server.store.read = late
    loading = Deferred.fromCoroutine(host.account("romeo"))
    server.store.read = read
    making = Deferred.fromCoroutine(
        engine.publish(site, "urn:own", [("a", build(b"<x xmlns='u'/>", "u"))], account.jid)
    )
    gate.callback(None)
    assert loading.called
    assert making.result == ["a"]
    assert engine.held("romeo@example.org").names == {"urn:own"}


def test_node_takes_so_many_people(romeo, juliet, monkeypatch):
    """§6.1.3.8: an owner does not fill the memory with addresses."""
    creates(romeo, "n")
    monkeypatch.setattr(people, "MOST_PEOPLE", 3)
    monkeypatch.setattr(subscribing, "MOST_PEOPLE", 3)
    many = "".join(f"<subscription jid='p{n}@x' subscription='subscribed'/>" for n in range(5))
    answer = owns(romeo, f"<subscriptions node='n'>{many}</subscriptions>")
    assert refusal(answer)[1] == "not-acceptable"
    assert len(listed(romeo, "subscriptions", "n")) == 3
    answer = wants(juliet, f"<subscribe node='n' jid='{JULIET}'/>")
    assert refusal(answer)[2] == "too-many-subscriptions"
    many = "".join(f"<affiliation jid='p{n}@x' affiliation='member'/>" for n in range(5))
    owns(romeo, f"<affiliations node='n'>{many}</affiliations>")
    assert len(listed(romeo, "affiliations", "n")) == 3
