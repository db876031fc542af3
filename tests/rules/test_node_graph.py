"""XEP-0248: nodes in collections, as a graph without circles."""

import random

import attrs
import pytest

from imsuite.rules.node_errors import NS_ERRORS
from imsuite.rules.node_graph import (
    ROOT,
    Graph,
    check_parent,
    check_room,
    check_type,
    may_associate,
)
from imsuite.rules.nodes import COLLECTION, Limits, NodeConfig
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError

LEAF = NodeConfig()
HOLDER = NodeConfig(node_type=COLLECTION)
#        all
#       /   \
#    blogs  news      lonely
#     /  \  /
#  hamlet both
EDGES = [
    ("blogs", "all"),
    ("news", "all"),
    ("hamlet", "blogs"),
    ("both", "blogs"),
    ("both", "news"),
]


@pytest.fixture
def graph():
    return Graph(EDGES)


def refused(call, *arguments):
    """Return the application-specific condition of a refusal, which is not-allowed."""
    with pytest.raises(StanzaError) as caught:
        call(*arguments)
    assert (caught.value.condition, caught.value.type) == ("not-allowed", "cancel")
    assert caught.value.app[0] == NS_ERRORS
    return caught.value.app[1]


@pytest.mark.parametrize(
    ("node", "above"),
    [
        ("lonely", [(ROOT, 1)]),
        ("all", [(ROOT, 1)]),
        ("blogs", [("all", 1), (ROOT, 2)]),
        ("both", [("blogs", 1), ("news", 1), ("all", 2), (ROOT, 3)]),
    ],
)
def test_collections_around_a_node(graph, node, above):
    """§3.1, §7.1: each once, by the shortest way."""
    assert list(graph.above(node)) == above


def test_nodes_in_a_collection(graph):
    """§6.2.1: pubsub#children and pubsub#collection say the same."""
    assert graph.children("blogs") == ("hamlet", "both")
    assert graph.parents("both") == ("blogs", "news")
    assert list(graph.below("all", 10)) == ["blogs", "news", "hamlet", "both"]
    assert list(graph.below("all", 2)) == ["blogs", "news"]
    assert list(graph.below("hamlet", 10)) == []


def test_moving_a_node(graph):
    """§6.5, §6.6"""
    graph.put("both", ["all", "all"])
    assert graph.parents("both") == ("all",)
    assert graph.children("blogs") == ("hamlet",)
    assert graph.children("news") == ()
    graph.put("both", [ROOT])
    assert graph.is_below_root("both")


def test_nodes_of_a_deleted_collection_stay_in_their_others(graph):
    """§7.2: MUST"""
    assert graph.drop("blogs") == ("hamlet", "both")
    assert graph.parents("both") == ("news",)
    assert graph.is_below_root("hamlet")
    assert graph.children("all") == ("news",)


@pytest.mark.parametrize(("node", "parent"), [("all", "both"), ("all", "all"), ("blogs", "hamlet")])
def test_circles_are_refused(graph, node, parent):
    """§6.2.3.5"""
    assert refused(check_parent, graph, node, parent, HOLDER, Limits()) == "invalid-options"


def test_leaf_has_no_nodes_in_it(graph):
    """§6.2.3.1"""
    assert refused(check_parent, graph, "lonely", "hamlet", LEAF, Limits()) == "invalid-options"
    assert refused(check_type, LEAF, LEAF, 1) == "invalid-options"
    check_type(LEAF, LEAF, 0)


def test_collection_does_not_become_a_leaf():
    """§6.2.3.4, §6.2.4: but a leaf a collection."""
    assert refused(check_type, HOLDER, LEAF, 0) == "invalid-options"
    check_type(LEAF, HOLDER, 3)


@pytest.mark.parametrize(
    ("children", "own", "service", "full"),
    [
        (2, None, 2, False),
        (3, None, 2, True),
        (3, 2, 10, True),
        (2, 2, 10, False),
        (1, 0, 10, True),
    ],
)
def test_collection_is_full(children, own, service, full):
    """§6.2.3.3"""
    arguments = children, attrs.evolve(HOLDER, children_max=own), Limits(children=service)
    if full:
        assert refused(check_room, *arguments) == "max-nodes-exceeded"
    else:
        check_room(*arguments)


def test_what_is_there_already_needs_no_room(graph):
    """§6.5.3.2"""
    config = attrs.evolve(HOLDER, children_max=2)
    check_parent(graph, "both", "blogs", config, Limits())
    assert refused(check_parent, graph, "lonely", "blogs", config, Limits()) == "max-nodes-exceeded"


@pytest.mark.parametrize(
    ("policy", "owner", "jid", "may"),
    [
        ("owners", True, "a@x/r", True),
        ("owners", False, "a@x/r", False),
        ("whitelist", True, "b@y/r", True),
        ("whitelist", False, "a@x/r", True),
        ("whitelist", False, "c@z/r", True),
        ("whitelist", False, "b@y/r", False),
        ("all", False, "b@y/r", True),
    ],
)
def test_association_policy(policy, owner, jid, may):
    """§6.2.1, §9.2.2"""
    config = attrs.evolve(
        HOLDER,
        children_association_policy=policy,
        children_association_whitelist=("a@x", "z"),
    )
    assert may_associate(config, parse(jid), owner) is may


@pytest.mark.parametrize("seed", range(10))
def test_graph_never_has_a_circle(seed):
    """§3.1: MUST NOT, whatever is asked for."""
    chance = random.Random(seed)
    graph = Graph()
    nodes = [f"n{number}" for number in range(12)]
    for _ in range(400):
        node = chance.choice(nodes)
        if chance.random() < 0.1:
            graph.drop(node)
            continue
        parents = []
        for parent in chance.sample(nodes, 3):
            try:
                check_parent(graph, node, parent, HOLDER, Limits())
            except StanzaError:
                continue
            parents.append(parent)
        graph.put(node, parents)
        for each in nodes:
            above = dict(graph.above(each))
            assert each not in above
            assert ROOT in above
            assert set(graph.parents(each)) == {n for n in nodes if each in graph.children(n)}
            assert all(each in graph.below(parent, 100) for parent in above if parent != ROOT)
