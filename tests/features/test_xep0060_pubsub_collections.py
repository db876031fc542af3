"""XEP-0248: nodes that contain nodes."""

import random

import pytest

from imsuite.core.service_interfaces import INodes
from imsuite.features.xep0060_pubsub.collections import Moves
from imsuite.testing.memory import now
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import child, children
from tests.eventing import EVENT, PUBSUB
from tests.owning import (
    NODE,
    SERVICE,
    affiliates,
    configures,
    creates,
    done,
    form,
    headers,
    heard,
    names,
    owns,
    publishes,
    read,
    refusal,
    shown,
    subscribes,
    wants,
)

JULIET = "juliet@example.org"
INVALID = ("cancel", "not-allowed", "invalid-options")
FULL = ("cancel", "not-allowed", "max-nodes-exceeded")
FORBIDDEN = ("auth", "forbidden")


@pytest.fixture
def blogs(romeo):
    """A collection of romeo's, with a leaf in it."""
    creates(romeo, "blogs", node_type="collection")
    creates(romeo, collection="blogs")
    return "blogs"


def collection(client, name, **config):
    creates(client, name, node_type="collection", **config)


def moves(client, word, child, parent="blogs"):
    """Let a client associate or dissociate a node; return the answer."""
    return owns(client, f"<collection node='{parent}'><{word} node='{child}'/></collection>")


def disco(client, kind, node=None):
    """Return the answer's query."""
    about = f" node='{node}'" if node else ""
    client.says(f"<iq type='get' id='d' to='{SERVICE}'><query xmlns='{kind}'{about}/></iq>")
    return child(client.stanzas[-1].element, kind, "query")


def items_of(client, node=None):
    found = disco(client, NS.DISCO_ITEMS, node)
    return [each.getAttribute("node") for each in children(found, NS.DISCO_ITEMS, "item")]


# discovery


def test_service_says_that_it_has_collections(juliet, romeo, blogs):
    """§3.1, §3.2"""
    said = {
        each["var"] for each in children(disco(juliet, NS.DISCO_INFO), NS.DISCO_INFO, "feature")
    }
    assert {f"{PUBSUB}#collections", f"{PUBSUB}#multi-collections"} <= said
    (identity,) = children(disco(juliet, NS.DISCO_INFO, "blogs"), NS.DISCO_INFO, "identity")
    assert (identity["category"], identity["type"]) == ("pubsub", "collection")


def test_hierarchy_is_discovered(romeo, juliet, blogs):
    """§3.2: level by level."""
    creates(romeo, "lonely")
    assert sorted(items_of(juliet)) == ["blogs", "lonely"]
    assert items_of(juliet, "blogs") == [NODE]


# notifications


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({}, []),
        ({"subscription_type": "items"}, ["items", "items", "purge"]),
        ({"subscription_type": "all"}, ["items", "items", "purge"]),
        ({"subscription_type": "items", "subscription_depth": "0"}, []),
    ],
)
def test_items_are_told_through_the_collection(romeo, juliet, blogs, options, expected):
    """§4.1, §4.2: by the name of the leaf, and that of the collection in a header."""
    subscribes(juliet, "blogs", **options)
    publishes(romeo, item="a")
    done(wants(romeo, f"<retract node='{NODE}' notify='1'><item id='a'/></retract>"))
    done(owns(romeo, f"<purge node='{NODE}'/>"))
    assert names(juliet) == expected
    if expected:
        assert {event["node"] for event in heard(juliet)} == {NODE}
        assert headers(juliet, "Collection") == ["blogs"]


def test_nodes_are_told_through_the_collection(romeo, juliet, blogs):
    """§4.3, §4.4: made, configured, taken out and deleted."""
    subscribes(juliet, "blogs")
    creates(romeo, "other", collection="blogs", notify_config="1")
    assert names(juliet) == ["create", "collection"]
    assert headers(juliet, "Collection") == []
    created, associated = heard(juliet)
    assert created["node"] == "other"
    assert associated["node"] == "blogs"
    assert child(associated, EVENT, "associate")["node"] == "other"
    juliet.forget()
    done(configures(romeo, "other", title="Other"))
    assert names(juliet) == ["configuration"]
    assert headers(juliet, "Collection") == ["blogs"]
    juliet.forget()
    done(moves(romeo, "dissociate", "other"))
    assert child(heard(juliet)[0], EVENT, "dissociate")["node"] == "other"
    juliet.forget()
    done(owns(romeo, f"<delete node='{NODE}'/>"))
    assert names(juliet) == ["delete"]


def test_depth_of_a_subscription(romeo, juliet, blogs):
    """§5.1: one level, unless more are asked for."""
    collection(romeo, "all")
    done(moves(romeo, "associate", "blogs", "all"))
    mercutio = romeo.server.login("mercutio@example.org/street")
    subscribes(juliet, "all", subscription_type="items")
    subscribes(mercutio, "all", subscription_type="items", subscription_depth="all")
    publishes(romeo)
    assert names(juliet) == []
    assert names(mercutio) == ["items"]
    assert headers(mercutio, "Collection") == ["all"]


def test_one_notification_through_several_collections(romeo, juliet, blogs):
    """§4.1: named all; §6.1.6 of XEP-0060: not more than one."""
    collection(romeo, "news")
    done(moves(romeo, "associate", NODE, "news"))
    subscribes(juliet)
    subscribes(juliet, "blogs", subscription_type="items")
    subscribes(juliet, "news", subscription_type="all")
    publishes(romeo)
    assert names(juliet) == ["items"]
    assert sorted(headers(juliet, "Collection")) == ["blogs", "news"]


def test_root_collection(romeo, juliet):
    """§7.1: subscribed without a node; everything is below it, and nobody owns it."""
    subscribes(juliet, node="", subscription_type="all", subscription_depth="all")
    creates(romeo)
    publishes(romeo)
    assert names(juliet) == ["create", "items"]
    assert headers(juliet, "Collection") == [""]
    assert "" not in items_of(juliet)
    assert refusal(owns(romeo, "<delete/>")) == ("cancel", "not-allowed")
    expected = ("modify", "bad-request", "nodeid-required")
    assert refusal(owns(romeo, "<configure/>", "get")) == expected
    shown = wants(juliet, f"<options jid='{JULIET}'/>", "get")
    assert "pubsub#subscription_depth" in done(shown)
    done(wants(juliet, f"<unsubscribe jid='{JULIET}'/>"))
    juliet.forget()
    creates(romeo, "other")
    assert heard(juliet) == []


# subscriptions


def test_second_subscription_of_one_kind_is_refused(juliet, romeo, blogs):
    """§5.1.3: once for nodes and once for items."""
    subscribes(juliet, "blogs", subscription_type="items")
    subscribes(juliet, "blogs")
    request = f"<subscribe node='blogs' jid='{JULIET}'/><options>{{}}</options>"
    submission = form(
        "http://jabber.org/protocol/pubsub#subscribe_options",
        {"subscription_type": "items", "subscription_depth": "all"},
    )
    assert refusal(wants(juliet, request.format(submission))) == ("cancel", "conflict")


def test_items_of_a_collection(romeo, juliet, blogs):
    """§5.2: of each leaf that has some."""
    creates(romeo, "other", collection="blogs")
    publishes(romeo, item="a")
    publishes(romeo, "other", item="b")
    answer = read(done(wants(juliet, "<items node='blogs'/>", "get")))
    found = {
        each["node"]: [item["id"] for item in children(each, PUBSUB, "item")]
        for each in children(child(answer, PUBSUB, "pubsub"), PUBSUB, "items")
    }
    assert found == {NODE: ["a"], "other": ["b"]}


def test_nothing_is_published_to_a_collection(romeo, blogs):
    """§3.1: MUST NOT"""
    answer = wants(romeo, "<publish node='blogs'><item/></publish>")
    assert refusal(answer) == ("cancel", "feature-not-implemented", "unsupported", "publish")


@pytest.mark.server(options={"pubsub": {"auto_create": True}})
def test_node_is_published_into_a_collection(romeo, juliet):
    """§4.3, XEP-0060 §7.1.4: where publishing makes nodes."""
    collection(romeo, "blogs")
    subscribes(juliet, "blogs", subscription_type="all")
    options = form("http://jabber.org/protocol/pubsub#publish-options", {"collection": "blogs"})
    inner = "<publish node='n'><item><x xmlns='urn:x'/></item></publish>"
    done(wants(romeo, f"{inner}<publish-options>{options}</publish-options>"))
    assert names(juliet) == ["create", "collection", "items"]
    assert shown(romeo, "blogs")["children"] == "n"


# configuration


def test_configuration_shows_the_graph(romeo, blogs):
    """§6.2.1, §7.3: parents and children are two sides of one thing."""
    assert shown(romeo, "blogs")["children"] == NODE
    assert shown(romeo)["collection"] == "blogs"
    assert "children" not in shown(romeo)
    collection(romeo, "news")
    done(configures(romeo, "news", children=NODE))
    assert shown(romeo)["collection"] == ["blogs", "news"]
    done(configures(romeo, "blogs", children=[]))
    assert shown(romeo)["collection"] == "news"
    done(configures(romeo, collection=""))
    assert shown(romeo)["collection"] == ""  # the root (§7.1)
    assert shown(romeo, "news")["children"] == []


def test_graph_is_stored(romeo, server, blogs):
    """§7.3: MUST always reflect the current state."""
    nodes = server.host.find_feature(INodes).nodes
    nodes.forget_service(SERVICE)
    nodes.collections._graphs.clear()
    assert shown(romeo, "blogs")["children"] == NODE


@pytest.mark.parametrize(
    ("node", "config", "expected"),
    [
        (NODE, {"children": "other"}, INVALID),
        ("other", {"collection": NODE}, INVALID),
        ("blogs", {"node_type": "leaf"}, INVALID),
        ("all", {"collection": "blogs"}, INVALID),
        ("blogs", {"children": "all"}, INVALID),
        ("blogs", {"collection": "blogs"}, INVALID),
        ("other", {"collection": "nowhere"}, ("cancel", "item-not-found")),
        ("blogs", {"children": [NODE, "nowhere"]}, ("cancel", "item-not-found")),
        ("blogs", {"children": [NODE, "other"], "children_max": "1"}, FULL),
        ("other", {"collection": "full"}, FULL),
        ("other", {"collection": "theirs"}, FORBIDDEN),
        ("blogs", {"children": [NODE, "hers"]}, FORBIDDEN),
    ],
)
def test_configurations_that_can_not_be(romeo, juliet, blogs, node, config, expected):
    """§6.2.3: nothing is changed."""
    creates(romeo, "other")
    collection(romeo, "all")
    done(configures(romeo, "blogs", collection="all"))
    collection(romeo, "full", children_max="0")
    collection(juliet, "theirs")
    creates(juliet, "hers")
    before = shown(romeo, node)
    assert refusal(configures(romeo, node, title="new", **config)) == expected
    assert shown(romeo, node) == before


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({"collection": "nowhere"}, ("cancel", "item-not-found")),
        ({"collection": NODE}, INVALID),
        ({"children": NODE}, INVALID),
        ({"node_type": "collection", "children": "hers"}, FORBIDDEN),
        ({"collection": "theirs"}, FORBIDDEN),
        ({"node_type": "collection", "children": "blogs", "collection": "blogs"}, INVALID),
    ],
)
def test_nodes_that_can_not_be_made(romeo, juliet, blogs, config, expected):
    """§6.1.3, §6.2.3: none is made."""
    collection(juliet, "theirs")
    creates(juliet, "hers")
    configure = f"<configure>{form('http://jabber.org/protocol/pubsub#node_config', config)}"
    answer = wants(romeo, f"<create node='made'/>{configure}</configure>")
    assert refusal(answer) == expected
    assert refusal(owns(romeo, "<configure node='made'/>", "get")) == ("cancel", "item-not-found")


def test_collection_is_made_with_its_children(romeo, juliet):
    """§6.1.1"""
    creates(romeo)
    collection(romeo, "blogs", children=NODE)
    assert shown(romeo)["collection"] == "blogs"
    subscribes(juliet, "blogs", subscription_type="items")
    publishes(romeo)
    assert headers(juliet, "Collection") == ["blogs"]


def test_leaf_becomes_a_collection(romeo):
    """§6.2.4: MUST purge its items."""
    creates(romeo)
    publishes(romeo, item="a")
    done(configures(romeo, node_type="collection"))
    creates(romeo, "other", collection=NODE)
    assert shown(romeo, NODE)["children"] == "other"
    assert "'a'" not in wants(romeo, f"<items node='{NODE}'/>", "get")


# associating


@pytest.mark.parametrize(
    ("policy", "who", "may"),
    [
        ({}, "juliet", False),
        ({}, "romeo", True),
        ({"children_association_policy": "all"}, "juliet", True),
        (
            {
                "children_association_policy": "whitelist",
                "children_association_whitelist": JULIET,
            },
            "juliet",
            True,
        ),
        ({"children_association_policy": "whitelist"}, "juliet", False),
    ],
)
def test_who_may_associate(romeo, juliet, policy, who, may):
    """§6.2.1, §6.5.3.1: nodes of one's own."""
    collection(romeo, "blogs", **policy)
    client = {"romeo": romeo, "juliet": juliet}[who]
    creates(client, "mine")
    answer = moves(client, "associate", "mine")
    if may:
        done(answer)
        assert shown(romeo, "blogs")["children"] == "mine"
    else:
        assert refusal(answer) == FORBIDDEN


def test_nobody_shows_the_nodes_of_others(romeo, juliet, blogs):
    """§8.1: what is closed would be seen through an open collection."""
    collection(juliet, "hers")
    assert refusal(moves(juliet, "associate", NODE, "hers")) == FORBIDDEN


def test_dissociating(romeo, juliet, blogs):
    """§6.6: by the owner of either; what is not there can not be taken out."""
    assert refusal(moves(juliet, "dissociate", NODE)) == FORBIDDEN
    done(affiliates(romeo, "blogs", juliet="owner"))
    done(moves(juliet, "dissociate", NODE))
    assert shown(romeo, "blogs")["children"] == []
    assert refusal(moves(romeo, "dissociate", NODE)) == ("modify", "bad-request")


@pytest.mark.parametrize(
    ("inner", "expected"),
    [
        ("<collection/>", ("modify", "bad-request")),
        ("<collection node='blogs'/>", ("modify", "bad-request")),
        ("<collection node='blogs'><marry node='a'/></collection>", ("modify", "bad-request")),
        (
            "<collection node='blogs'><associate/></collection>",
            ("modify", "bad-request", "nodeid-required"),
        ),
        (
            "<collection><associate node='a'/></collection>",
            ("modify", "bad-request", "nodeid-required"),
        ),
        (
            "<collection node='blogs'><associate node='a'/></collection>",
            ("cancel", "item-not-found"),
        ),
        (
            f"<collection node='nowhere'><associate node='{NODE}'/></collection>",
            ("cancel", "item-not-found"),
        ),
        (f"<collection node='{NODE}'><associate node='blogs'/></collection>", INVALID),
        ("<collection node='blogs'><associate node='blogs'/></collection>", INVALID),
    ],
)
def test_associations_that_can_not_be(romeo, blogs, inner, expected):
    """§6.5.3, §6.6.3"""
    assert refusal(owns(romeo, inner)) == expected


def test_associating_twice_changes_nothing(romeo, juliet, blogs):
    """§6.5.2"""
    subscribes(juliet, "blogs")
    done(moves(romeo, "associate", NODE))
    assert heard(juliet) == []


@pytest.mark.parametrize(
    ("added", "condition"),
    [
        (("all", "blogs"), "not-allowed"),
        (("all", "all"), "not-allowed"),
        (("blogs", "gone"), "item-not-found"),
        (("gone", "blogs"), "item-not-found"),
    ],
)
def test_what_changed_meanwhile_is_seen_where_it_is_written(server, romeo, blogs, added, condition):
    """§3.1: MUST NOT, whoever else asks for the rest of a circle at the same moment."""
    collection(romeo, "all")
    done(moves(romeo, "associate", "blogs", "all"))
    collections = server.host.find_feature(INodes).nodes.collections
    with pytest.raises(StanzaError) as caught:
        now(server.store.transaction(collections.write, SERVICE, Moves(added=(added,))))
    assert caught.value.condition == condition


# deletion


def test_deleted_collection_leaves_its_nodes(romeo, juliet, blogs):
    """§6.4.2, §7.2: in their other collections, or the root."""
    collection(romeo, "news")
    done(moves(romeo, "associate", NODE, "news"))
    creates(romeo, "other", collection="blogs")
    subscribes(juliet, "blogs")
    done(owns(romeo, "<delete node='blogs'/>"))
    assert names(juliet) == ["delete"]
    assert shown(romeo)["collection"] == "news"
    assert shown(romeo, "other")["collection"] == ""
    collection(romeo, "blogs")
    assert shown(romeo, "blogs")["children"] == []


# all of it together


@pytest.mark.parametrize("seed", range(3))
def test_store_and_memory_agree_on_the_graph(server, romeo, seed):
    """§3.1, §7.3: whatever is asked for, there is no circle, and nothing is forgotten."""
    chance = random.Random(seed)
    every = [f"n{number}" for number in range(6)]
    for name in every:
        collection(romeo, name)
    for _ in range(80):
        a, b = chance.choice(every), chance.choice(every)
        match chance.randrange(5):
            case 0 | 1:
                moves(romeo, "associate", a, b)
            case 2:
                moves(romeo, "dissociate", a, b)
            case 3:
                configures(romeo, a, children=chance.sample(every, 2))
            case 4:
                owns(romeo, f"<delete node='{a}'/>")
                collection(romeo, a)
    collections = server.host.find_feature(INodes).nodes.collections
    site = server.host.find_feature(INodes).service
    edges = sorted(now(collections.graph(site)).edges())
    collections._graphs.clear()
    assert sorted(now(collections.graph(site)).edges()) == edges
    graph = now(collections.graph(site))
    assert all(name not in dict(graph.above(name)) for name in every)
