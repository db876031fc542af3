"""XEP-0060 §8.2 to §8.5: what owners do with their nodes."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.service_interfaces import INodes
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import child, children
from tests.eventing import CONFIG, EVENT, OWNER, PUBSUB, asks, events, form
from tests.helpers import holds
from tests.owning import (
    NODE,
    SERVICE,
    affiliates,
    configures,
    creates,
    done,
    fields,
    heard,
    listed,
    names,
    owns,
    publishes,
    read,
    refusal,
    shown,
    states,
    subscribes,
    wants,
)

FORBIDDEN = ("auth", "forbidden")
ABSENT = ("cancel", "item-not-found")
NO_NODE = ("modify", "bad-request", "nodeid-required")


@pytest.fixture
def node(romeo):
    """A node that romeo owns."""
    creates(romeo)
    return NODE


REQUESTS = [
    ("get", "<configure{}/>"),
    ("set", f"<configure{{}}>{form(CONFIG, {})}</configure>"),
    ("set", "<delete{}/>"),
    ("set", "<purge{}/>"),
    ("get", "<subscriptions{}/>"),
    ("set", "<subscriptions{}><subscription jid='a@x' subscription='none'/></subscriptions>"),
    ("get", "<affiliations{}/>"),
    ("set", "<affiliations{}><affiliation jid='a@x' affiliation='none'/></affiliations>"),
]


@pytest.mark.parametrize(("type", "inner"), REQUESTS)
def test_only_owners_do_what_owners_do(romeo, juliet, node, type, inner):
    """§8.2.3.2, §8.4.3.1, §8.5.3.2, §8.8.1.3, §8.8.2.3, §8.9.1.3, §8.9.2.3: forbidden."""
    request = inner.format(f" node='{NODE}'")
    assert refusal(owns(juliet, request, type)) == FORBIDDEN
    done(affiliates(romeo, juliet="publisher"))
    assert refusal(owns(juliet, request, type)) == FORBIDDEN
    done(owns(romeo, request, type))


@pytest.mark.parametrize(("type", "inner"), REQUESTS)
def test_node_that_is_not_there(romeo, type, inner):
    """§8.2.3.5, §8.4.3.2, §8.5.3.4, §8.8.1.3, §8.8.2.3, §8.9.1.3, §8.9.2.3: item-not-found."""
    assert refusal(owns(romeo, inner.format(" node='nowhere'"), type)) == ABSENT


@pytest.mark.parametrize(("type", "inner"), REQUESTS)
def test_request_without_a_node(romeo, type, inner):
    """§8.2.3.3; XEP-0248 §6.4.3.1: the root can not be deleted."""
    expected = ("cancel", "not-allowed") if "<delete" in inner else NO_NODE
    assert refusal(owns(romeo, inner.format(""), type)) == expected


@pytest.mark.parametrize(
    "inner", ["", "<strange node='n'/>", "<configure xmlns='urn:x' node='n'/>", "<purge node='n'/>"]
)
def test_requests_that_are_none(romeo, inner):
    """§8"""
    assert refusal(owns(romeo, inner, "get"))[:2] == ("modify", "bad-request")


# configuration


def test_owner_sees_and_changes_the_configuration(romeo, node):
    """§8.2.2, §8.2.5.1: what is not in the form stays (§8.2.4)."""
    assert shown(romeo)["title"] == []
    done(configures(romeo, title="Musings", access_model="whitelist"))
    found = shown(romeo)
    assert (found["title"], found["access_model"]) == ("Musings", "whitelist")
    done(configures(romeo, title=""))
    found = shown(romeo)
    assert (found["title"], found["access_model"]) == ([], "whitelist")


def test_configuration_is_stored(server, romeo, node):
    """§8.2.5.1: acknowledged is durable."""
    done(configures(romeo, title="Musings"))
    server.host.find_feature(INodes).nodes.forget_service(SERVICE)
    assert shown(romeo)["title"] == "Musings"


def test_cancelled_form_changes_nothing(romeo, node):
    """§8.2.4: MUST"""
    before = shown(romeo)
    cancelled = "<x xmlns='jabber:x:data' type='cancel'/>"
    done(owns(romeo, f"<configure node='{NODE}'>{cancelled}</configure>"))
    assert shown(romeo) == before


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ({"access_model": "friendly"}, ("modify", "not-acceptable", "unsupported-access-model")),
        ({"publish_model": "nobody"}, ("modify", "not-acceptable")),
        ({"max_items": "many"}, ("modify", "not-acceptable")),
        ({"deliver_payloads": ["1", "0"]}, ("modify", "not-acceptable")),
    ],
)
def test_configuration_that_can_not_be(romeo, node, given, expected):
    """§8.2.5.2: nothing is changed."""
    before = shown(romeo)
    assert refusal(configures(romeo, title="new", **given)) == expected
    assert shown(romeo) == before


@pytest.mark.parametrize(
    "inner",
    ["", "<x xmlns='jabber:x:data' type='form'/>", form("urn:other", {"title": "t"})],
)
def test_configuration_without_a_form_for_it(romeo, node, inner):
    """§8.2.4"""
    answer = owns(romeo, f"<configure node='{NODE}'>{inner}</configure>")
    assert refusal(answer) == ("modify", "bad-request")


@pytest.mark.parametrize("payloads", ["true", "false"])
def test_subscribers_hear_of_the_configuration(romeo, juliet, node, payloads):
    """§8.2.5.3: with the form where notifications have payloads."""
    subscribes(juliet)
    done(configures(romeo, notify_config="1", deliver_payloads=payloads))
    juliet.forget()
    done(configures(romeo, title="Musings"))
    (event,) = heard(juliet)
    assert (event.name, event["node"]) == ("configuration", NODE)
    found = child(event, NS.DATA, "x")
    assert (found is None) is (payloads == "false")
    if found is not None:
        assert found["type"] == "result"
        assert fields(found)["title"] == "Musings"


def test_subscribers_hear_of_no_configuration_unless_the_node_says_so(romeo, juliet, node):
    """§8.2.5.3: pubsub#notify_config; and of none that is as before."""
    subscribes(juliet)
    done(configures(romeo, title="Musings"))
    done(configures(romeo, notify_config="1"))
    juliet.forget()
    done(configures(romeo, title="Musings"))
    assert heard(juliet) == []


def test_fewer_items_fit_after_that(romeo, node):
    """§8.2.4, §7.1.3: the oldest go, without a word."""
    for number in range(5):
        publishes(romeo, item=f"i{number}")
    done(configures(romeo, max_items="2"))
    answer = wants(romeo, f"<items node='{NODE}'/>", "get")
    assert [f"'i{n}'" in answer for n in range(5)] == [False, False, False, True, True]
    publishes(romeo, item="i5")
    answer = wants(romeo, f"<items node='{NODE}'/>", "get")
    assert "'i3'" not in answer
    assert "'i5'" in answer


# what a stricter configuration does to subscriptions


def test_stricter_access_ends_subscriptions(romeo, juliet, node):
    """§4.5, §12.14: those on the list stay."""
    mercutio = romeo.server.login("mercutio@example.org/street")
    subscribes(juliet)
    subscribes(mercutio)
    done(affiliates(romeo, mercutio="member"))
    mercutio.forget()
    done(configures(romeo, access_model="whitelist"))
    assert states(juliet) == [(NODE, "none")]
    assert states(mercutio) == []
    assert listed(romeo, "subscriptions") == [("mercutio@example.org", "subscribed")]
    juliet.forget()
    publishes(romeo)
    assert heard(juliet) == []


def test_who_was_there_needs_no_approval(romeo, juliet, node):
    """§4.5: access model authorize is about requests to come."""
    subscribes(juliet)
    done(configures(romeo, access_model="authorize"))
    assert listed(romeo, "subscriptions") == [("juliet@example.org", "subscribed")]
    assert states(juliet) == []


def test_open_access_approves_who_waits(romeo, juliet):
    """§8.6: they get the last item, too (§12.2)."""
    creates(romeo, access_model="authorize")
    publishes(romeo)
    assert subscribes(juliet)[0] == "pending"
    done(configures(romeo, access_model="open"))
    assert states(juliet) == [(NODE, "subscribed")]
    assert names(juliet) == ["subscription", "items"]


def test_closed_access_denies_who_waits(romeo, juliet):
    """§8.6, §4.5"""
    creates(romeo, access_model="authorize")
    subscribes(juliet)
    done(configures(romeo, access_model="whitelist"))
    assert states(juliet) == [(NODE, "none")]


# defaults


@pytest.mark.parametrize(("attribute", "type"), [("", "leaf"), (" type='leaf'", "leaf")])
def test_default_configuration(juliet, attribute, type):
    """§8.3.2, §8.3.3: of a leaf unless another type is asked for."""
    answer = read(done(owns(juliet, f"<default{attribute}/>", "get")))
    default = child(child(answer, OWNER, "pubsub"), OWNER, "default")
    found = child(default, NS.DATA, "x")
    assert found["type"] == "form"
    assert fields(found)["node_type"] == type
    assert fields(found)["access_model"] == "open"


def test_default_configuration_of_a_collection(juliet):
    """XEP-0248 §6.3: with what only collections have."""
    answer = read(done(owns(juliet, "<default type='collection'/>", "get")))
    default = child(child(answer, OWNER, "pubsub"), OWNER, "default")
    found = fields(child(default, NS.DATA, "x"))
    assert found["node_type"] == "collection"
    assert "children_max" in found
    assert "max_items" not in found


def test_default_configuration_of_an_unknown_type(juliet):
    """§8.3.2: MUST be a node type."""
    assert refusal(owns(juliet, "<default type='tree'/>", "get")) == ("modify", "bad-request")


# deletion


def test_deleted_node_is_gone(romeo, juliet, node):
    """§8.4.2: subscribers hear of it, those who wait too."""
    mercutio = romeo.server.login("mercutio@example.org/street")
    subscribes(juliet)
    done(configures(romeo, access_model="authorize"))
    subscribes(mercutio)
    publishes(romeo)
    juliet.forget()
    done(owns(romeo, f"<delete node='{NODE}'/>"))
    for client in (juliet, mercutio):
        (event,) = heard(client)
        assert (event.name, event["node"]) == ("delete", NODE)
        assert list(event.elements()) == []
    assert refusal(wants(juliet, f"<items node='{NODE}'/>", "get")) == ABSENT
    creates(romeo)
    assert listed(romeo, "subscriptions") == []
    assert "<item " not in wants(romeo, f"<items node='{NODE}'/>", "get")


def test_deleted_node_redirects(romeo, juliet, node):
    """§8.4.1, §6.1.3.11: until there is one of that name again."""
    uri = "xmpp:hamlet@denmark.lit?;node=blog"
    subscribes(juliet)
    done(owns(romeo, f"<delete node='{NODE}'><redirect uri='{uri}'/></delete>"))
    (event,) = heard(juliet)
    assert child(event, EVENT, "redirect")["uri"] == uri
    answer = wants(juliet, f"<subscribe node='{NODE}' jid='juliet@example.org'/>")
    assert refusal(answer)[1] == "gone"
    assert uri in answer
    creates(romeo)
    subscribes(juliet)
    done(owns(romeo, f"<delete node='{NODE}'/>"))
    assert refusal(wants(juliet, f"<items node='{NODE}'/>", "get")) == ABSENT


@pytest.mark.parametrize("redirect", ["<redirect/>", "<redirect uri=''/>"])
def test_redirect_to_nowhere_is_refused(romeo, node, redirect):
    """§8.4.1"""
    answer = owns(romeo, f"<delete node='{NODE}'>{redirect}</delete>")
    assert refusal(answer) == ("modify", "bad-request")
    shown(romeo)


def test_deletion_can_be_silent(romeo, juliet):
    """§16.4.4: pubsub#notify_delete"""
    creates(romeo, notify_delete="0")
    subscribes(juliet)
    done(owns(romeo, f"<delete node='{NODE}'/>"))
    assert heard(juliet) == []


# purge


def test_purged_node_has_no_items(romeo, juliet, node):
    """§8.5.2: one notification, however many items there were."""
    subscribes(juliet)
    publishes(romeo, item="a")
    publishes(romeo, item="b")
    juliet.forget()
    done(owns(romeo, f"<purge node='{NODE}'/>"))
    (event,) = heard(juliet)
    assert (event.name, event["node"]) == ("purge", NODE)
    assert "<item " not in wants(romeo, f"<items node='{NODE}'/>", "get")


def test_purge_can_be_silent(romeo, juliet):
    """§8.5.2: if the node has been configured to notify on deletion of items."""
    creates(romeo, notify_retract="0")
    subscribes(juliet)
    publishes(romeo)
    juliet.forget()
    done(owns(romeo, f"<purge node='{NODE}'/>"))
    assert heard(juliet) == []


@pytest.mark.parametrize("config", [{"persist_items": "0"}, {"node_type": "collection"}])
def test_purge_of_what_keeps_no_items(romeo, config):
    """§8.5.3.3"""
    creates(romeo, **config)
    expected = ("cancel", "feature-not-implemented", "unsupported", "persistent-items")
    assert refusal(owns(romeo, f"<purge node='{NODE}'/>")) == expected


# accounts


def test_account_owns_its_nodes(romeo):
    """XEP-0163 §4: the same requests, to nobody else."""
    done(asks(romeo, "<create node='mine'/>", "set"))
    done(
        asks(
            romeo,
            f"<configure node='mine'>{form(CONFIG, {'title': 'T'})}</configure>",
            "set",
            ns=OWNER,
        )
    )
    answer = asks(romeo, "<affiliations node='mine'/>", ns=OWNER)
    assert holds(
        answer,
        f"<iq type='result'><pubsub xmlns='{OWNER}'><affiliations node='mine'>"
        "<affiliation jid='romeo@example.org' affiliation='owner'/></affiliations></pubsub></iq>",
    )
    done(asks(romeo, "<delete node='mine'/>", "set", ns=OWNER))


def test_account_has_no_collections(romeo):
    """XEP-0248 §6.1.3.1: its disco does not say it has."""
    configure = f"<configure>{form(CONFIG, {'node_type': 'collection'})}</configure>"
    answer = asks(romeo, f"<create node='mine'/>{configure}", "set")
    expected = ("cancel", "feature-not-implemented", "unsupported", "collections")
    assert refusal(answer) == expected
    assert refusal(asks(romeo, "<default type='collection'/>", ns=OWNER)) == expected
    assert "pubsub#collection" not in done(asks(romeo, "<default/>", ns=OWNER))


def test_what_the_service_says_it_can(juliet):
    """§10: the features of owners."""
    juliet.says(f"<iq type='get' id='d' to='{SERVICE}'><query xmlns='{NS.DISCO_INFO}'/></iq>")
    query = child(juliet.stanzas[-1].element, NS.DISCO_INFO, "query")
    said = {each["var"] for each in children(query, NS.DISCO_INFO, "feature")}
    for word in (
        "config-node delete-nodes purge-nodes retrieve-default manage-subscriptions collections"
        " modify-affiliations subscription-options retrieve-default-sub subscription-notifications"
    ).split():
        assert f"{PUBSUB}#{word}" in said


def test_notifications_come_from_the_service(romeo, juliet, node):
    """§12.3: each with an id of its own."""
    subscribes(juliet)
    publishes(romeo, item="a")
    publishes(romeo, item="b")
    found = events(juliet, NODE)
    assert {each.sender for each in found} == {SERVICE}
    assert len({each.id for each in found}) == 2


def test_items_that_a_smaller_node_loses_are_retracted(server, romeo, juliet):
    """§7.2.2, §8.2.4: who keeps a copy of the node drops them as well."""
    creates(romeo, "n", max_items="10")
    subscribes(juliet, "n")
    for item in "abcd":
        publishes(romeo, "n", item)
    juliet.forget()
    done(configures(romeo, "n", max_items="2"))
    (event,) = events(juliet, "n")
    assert "<retract id='a'/><retract id='b'/>" in event.raw.decode()
    juliet.forget()
    done(configures(romeo, "n", max_items="1", notify_retract="0"))
    assert "retract" in events(juliet, "n")[0].raw.decode()  # it was so when it was lost
    juliet.forget()
    publishes(romeo, "n", "e")
    done(configures(romeo, "n", persist_items="0"))
    assert all("retract" not in each.raw.decode() for each in events(juliet, "n"))


def test_nobody_deletes_the_next_node_of_a_name(server, romeo, juliet):
    """§8.4.3.1: whose node it was when the request came is not whose it is when its turn comes."""
    creates(romeo, "n")
    nodes = server.host.find_feature(INodes).nodes
    site, gate = server.host.find_feature(INodes).service, Deferred()

    async def replace():
        async with nodes.turn(SERVICE, "n"):
            await gate
            node = await nodes.find(site, "n")
            config = node.config
            await nodes.remove(site, node)
            await nodes.create(site, "n", config, juliet.jid)

    Deferred.fromCoroutine(replace())
    romeo.says(
        f"<iq type='set' id='late' to='{SERVICE}'><pubsub xmlns='{OWNER}'><delete node='n'/>"
        "</pubsub></iq>"
    )
    gate.callback(None)
    assert "forbidden" in romeo.received[-1]
    assert "<items " in done(wants(juliet, "<items node='n'/>", "get"))
