"""XEP-0060: Publish-Subscribe: the service, what it says of itself, and how nodes are made."""

import pytest

from imsuite.core.interfaces import ILoaded
from imsuite.core.service_interfaces import INodes
from imsuite.testing.memory import now
from imsuite.xmpp.address import parse
from tests.eventing import CONFIG, PUBSUB, form
from tests.helpers import holds, iq_error, value
from tests.owning import (
    SERVICE,
    creates,
    done,
    names,
    owns,
    publishes,
    refusal,
    subscribes,
    wants,
)

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


def asks_info(client, node=None, ns=INFO, inner=""):
    """Let a client discover; return the answer."""
    about = "" if node is None else f" node='{node}'"
    query = f"<query xmlns='{ns}'{about}>{inner}</query>"
    return client.says(f"<iq type='get' id='d' to='{SERVICE}'>{query}</iq>")[-1]


def create(node, **config):
    more = f"<configure>{form(CONFIG, config)}</configure>" if config else ""
    return f"<create node='{node}'/>{more}"


# discovery


def test_service_is_found(romeo):
    """XEP-0030 §4: among the items of the domain."""
    query = f"<query xmlns='{ITEMS}'/>"
    (answer,) = romeo.says(f"<iq type='get' id='i' to='example.org'>{query}</iq>")
    assert holds(answer, f"<iq><query xmlns='{ITEMS}'><item jid='{SERVICE}'/></query></iq>")


@pytest.mark.server(options={"pubsub": {"subdomain": "nodes", "name": "News"}})
def test_service_is_where_the_operator_wants_it(romeo):
    """[features.pubsub] subdomain, name."""
    query = f"<query xmlns='{INFO}'/>"
    (answer,) = romeo.says(f"<iq type='get' id='i' to='nodes.example.org'>{query}</iq>")
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{INFO}'>"
        "<identity category='pubsub' type='service' name='News'/></query></iq>",
    )


def test_service_says_what_it_can(romeo):
    """§5.1, §10"""
    answer = asks_info(romeo)
    for name in ("", "#publish", "#last-published", "#rsm", "#config-node-max", "#collections"):
        assert f"'{PUBSUB}{name}'" in answer, name
    assert f"{PUBSUB}#auto-create" not in answer  # it does not, unless the operator says so


@pytest.mark.server(options={"pubsub": {"auto_create": True}})
def test_auto_create_is_said_where_it_is_done(romeo):
    """§7.1.4"""
    assert f"{PUBSUB}#auto-create" in asks_info(romeo)
    publishes(romeo, "fresh")
    assert holds(asks_info(romeo, "fresh"), "<iq type='result'/>")


def test_nodes_are_listed(romeo, juliet):
    """§5.2: with their titles; those that somebody may not read are left out."""
    creates(romeo, "open", title="For all")
    creates(romeo, "closed", access_model="whitelist")
    creates(romeo, "asked", access_model="authorize")
    hers = asks_info(juliet, ns=ITEMS)
    assert holds(
        hers,
        f"<iq><query xmlns='{ITEMS}'><item jid='{SERVICE}' node='asked'/>"
        f"<item jid='{SERVICE}' node='open' name='For all'/></query></iq>",
    )
    assert "closed" not in hers
    assert "closed" in asks_info(romeo, ns=ITEMS)


def test_nodes_are_listed_page_by_page(romeo):
    """§5.2: large results by XEP-0059."""
    for name in "abcde":
        creates(romeo, name)
    rsm = "<set xmlns='http://jabber.org/protocol/rsm'><max>2</max><after>b</after></set>"
    answer = asks_info(romeo, ns=ITEMS, inner=rsm)
    assert holds(
        answer,
        f"<iq><query xmlns='{ITEMS}'><item node='c'/><item node='d'/>"
        "<set xmlns='http://jabber.org/protocol/rsm'><first index='2'>c</first><last>d</last>"
        "<count>5</count></set></query></iq>",
    )
    assert "'e'" not in answer


def test_leaf_says_what_it_is(romeo, juliet):
    """§5.3, §5.4"""
    creates(romeo, "n", title="Musings", type="urn:x", max_items="7", language="en")
    subscribes(juliet, "n")
    answer = asks_info(juliet, "n")
    fields = {
        "type": "urn:x",
        "creator": "romeo@example.org",
        "creation_date": "2026-01-01T00:00:00Z",
        "title": "Musings",
        "language": "en",
        "access_model": "open",
        "publish_model": "publishers",
        "max_items": "7",
        "owner": "romeo@example.org",
        "num_subscribers": "1",
    }
    for name, said in fields.items():
        pattern = (
            f"<iq><query xmlns='{INFO}' node='n'><identity category='pubsub' type='leaf'/>"
            f"<x xmlns='jabber:x:data' type='result'><field var='pubsub#{name}'>"
            f"<value>{said}</value></field></x></query></iq>"
        )
        if name == "creation_date":
            pattern = pattern.replace(said, "{when}")
        assert holds(answer, pattern), (name, answer)


def test_closed_node_does_not_describe_itself_to_strangers(romeo, juliet):
    """§5.3 is for everybody, §5.4 for those who may read it."""
    creates(romeo, "closed", access_model="whitelist", title="Secret")
    answer = asks_info(juliet, "closed")
    assert holds(answer, f"<iq type='result'><query xmlns='{INFO}'><feature/></query></iq>")
    assert "jabber:x:data" not in answer
    assert "jabber:x:data" in asks_info(romeo, "closed")


def test_items_are_listed(romeo, juliet):
    """§5.5: by name, without a node."""
    creates(romeo, "n")
    publishes(romeo, "n", "one")
    publishes(romeo, "n", "two")
    answer = asks_info(juliet, "n", ITEMS)
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{ITEMS}' node='n'>"
        f"<item jid='{SERVICE}' name='one'/><item jid='{SERVICE}' name='two'/></query></iq>",
    )
    assert "node='n' name" not in answer


@pytest.mark.parametrize("ns", [INFO, ITEMS])
def test_node_that_is_not_there_is_not_found(romeo, ns):
    """XEP-0030 §7"""
    assert holds(asks_info(romeo, "nothing", ns), iq_error("d", "item-not-found"))


# making nodes


def test_node_is_made(romeo):
    """§8.1.2: its creator owns it."""
    done(wants(romeo, create("n")))
    answer = wants(romeo, "<affiliations node='n'/>", "get")
    owner = "<affiliations node='n'><affiliation node='n' affiliation='owner'/></affiliations>"
    assert holds(answer, f"<iq><pubsub xmlns='{PUBSUB}'>{owner}</pubsub></iq>")


def test_node_is_made_once(romeo, juliet):
    """§8.1.1"""
    done(wants(romeo, create("n")))
    assert refusal(wants(juliet, create("n"))) == ("cancel", "conflict")


def test_instant_nodes_have_names(romeo):
    """§8.1.1"""
    pattern = f"<iq type='result'><pubsub xmlns='{PUBSUB}'><create node='{{name}}'/></pubsub></iq>"
    one, other = (value(wants(romeo, "<create/>"), pattern) for _ in range(2))
    assert one
    assert one != other
    publishes(romeo, one)


def test_node_is_made_and_configured(romeo):
    """§8.1.3"""
    done(wants(romeo, create("n", title="Musings", access_model="whitelist", max_items="max")))
    shown = owns(romeo, "<configure node='n'/>", "get")
    assert "<value>Musings</value>" in shown
    assert "<value>whitelist</value>" in shown
    assert "<value>max</value>" in shown


@pytest.mark.parametrize(
    "inner",
    [
        f"<configure>{form(CONFIG, {})}</configure><create node='n'/>",
        f"<create node='n'/><configure node='n'>{form(CONFIG, {})}</configure>",
        f"<create node='n'/><configure>{form('urn:x', {})}</configure>",
        "<create node='n'/><configure><x xmlns='jabber:x:data' type='cancel'/></configure>",
        "<create node='n'/><configure><x xmlns='jabber:x:data' type='form'/></configure>",
        "<create node='n'/><configure/><configure/>",
    ],
)
def test_configuration_follows_the_name(romeo, inner):
    """§8.1.3"""
    wrong = refusal(wants(romeo, inner))
    assert wrong == ("modify", "bad-request")
    assert refusal(wants(romeo, "<items node='n'/>", "get")) == ("cancel", "item-not-found")


@pytest.mark.parametrize(
    ("config", "error"),
    [
        ({"access_model": "secret"}, ("modify", "not-acceptable", "unsupported-access-model")),
        ({"max_items": "many"}, ("modify", "not-acceptable")),
        ({"max_items": "1001"}, ("modify", "not-acceptable")),
        ({"notify_retract": "perhaps"}, ("modify", "not-acceptable")),
        ({"max_payload_size": "65537"}, ("modify", "not-acceptable")),
    ],
)
def test_wrong_configuration_makes_no_node(romeo, config, error):
    """§8.1.2, §8.2.5.2"""
    assert refusal(wants(romeo, create("n", **config))) == error
    done(wants(romeo, create("n")))


def test_name_has_a_limit(romeo):
    """§4.6.2: as a resourcepart may be long."""
    done(wants(romeo, create("x" * 1023)))
    assert refusal(wants(romeo, create("ü" * 512))) == ("modify", "not-acceptable")


@pytest.mark.server(options={"pubsub": {"creators": "admins"}})
def test_only_administrators_make_nodes(server, romeo):
    """§8.1.1: forbidden to others. [features.pubsub] creators."""
    assert refusal(wants(romeo, create("n"))) == ("auth", "forbidden")
    now(server.host.users.set_admin("romeo", True))
    done(wants(romeo, create("n")))


@pytest.mark.server(domains=("example.org", "example.net"))
def test_local_people_make_nodes(server):
    """[features.pubsub] creators: also those of another domain of this server."""
    paris = server.login("paris@example.net/yard")
    done(wants(paris, create("n")))


@pytest.mark.server(options={"pubsub": {"nodes": 2}})
def test_nodes_of_one_creator_have_a_limit(romeo, juliet):
    """[features.pubsub] nodes"""
    creates(romeo, "a")
    creates(romeo, "b")
    assert refusal(wants(romeo, create("c"))) == ("wait", "policy-violation", "max-nodes-exceeded")
    creates(juliet, "c")
    done(owns(romeo, "<delete node='a'/>"))
    creates(romeo, "d")


def test_administrator_owns_all_nodes(server, romeo, juliet):
    """§6.1.3.1, §8: some kind of admin privilege."""
    creates(romeo, "n", access_model="whitelist")
    assert refusal(owns(juliet, "<configure node='n'/>", "get"))[1] == "forbidden"
    now(server.host.users.set_admin("juliet", True))
    done(owns(juliet, "<configure node='n'/>", "get"))
    done(wants(juliet, "<items node='n'/>", "get"))


# what else comes to the service


@pytest.mark.parametrize(
    ("type", "inner"),
    [
        ("set", ""),
        ("set", "<items node='n'/>"),
        ("get", "<publish node='n'/>"),
        ("set", "<dance/>"),
        ("set", "<publish xmlns='urn:x'/>"),
    ],
)
def test_request_that_is_none(romeo, type, inner):
    """RFC 6120 §8.3.3.1"""
    assert refusal(wants(romeo, inner, type)) == ("modify", "bad-request")


@pytest.mark.parametrize("to", [f"n@{SERVICE}", f"{SERVICE}/n", f"n@{SERVICE}/x"])
def test_nobody_is_at_the_service(romeo, to):
    """RFC 6120 §8.3.3: one error, whatever is asked."""
    (answer,) = romeo.says(f"<iq type='get' id='x' to='{to}'><query xmlns='{INFO}'/></iq>")
    assert holds(answer, "<iq type='error' id='x'/>")


def test_message_to_the_service_comes_back(romeo):
    """RFC 6121 §8.5.1: it does not talk."""
    (answer,) = romeo.says(f"<message id='m' to='{SERVICE}'><body>hello?</body></message>")
    assert holds(
        answer,
        "<message type='error' id='m'><error>"
        "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>",
    )


def test_errors_are_not_answered(romeo):
    """RFC 6120 §8.3.1"""
    assert (
        romeo.says(f"<message type='error' to='{SERVICE}'><error type='cancel'/></message>") == []
    )
    assert romeo.says(f"<iq type='error' id='x' to='{SERVICE}'><error type='cancel'/></iq>") == []


# accounts


def test_who_takes_a_name_inherits_nothing(server, romeo, juliet):
    """What somebody was to nodes goes with the account."""
    creates(juliet, "n", access_model="whitelist")
    done(owns(juliet, f"<affiliations node='n'>{OWNS.format('romeo')}</affiliations>"))
    done(wants(romeo, "<subscribe node='n' jid='romeo@example.org'/>"))
    romeo.says("<iq type='set' id='bye'><query xmlns='jabber:iq:register'><remove/></query></iq>")
    again = server.login("romeo@example.org/garden")
    assert refusal(wants(again, "<items node='n'/>", "get"))[2] == "closed-node"
    assert "subscription " not in wants(again, "<subscriptions/>", "get")
    assert "affiliation " not in wants(again, "<affiliations/>", "get")


def test_nodes_go_with_their_only_owner(server, romeo, juliet):
    """What nobody owns any more is deleted; what others own stays, and names him no more."""
    creates(romeo, "his")
    creates(romeo, "theirs", itemreply="publisher", publish_model="open")
    done(owns(romeo, f"<affiliations node='theirs'>{OWNS.format('juliet')}</affiliations>"))
    creates(juliet, "hers", itemreply="publisher", publish_model="open")
    subscribes(juliet, "his")
    for node in ("his", "theirs", "hers"):
        publishes(romeo, node)
    juliet.forget()
    romeo.says("<iq type='set' id='bye'><query xmlns='jabber:iq:register'><remove/></query></iq>")
    assert names(juliet) == ["delete"]
    assert refusal(wants(juliet, "<items node='his'/>", "get")) == ("cancel", "item-not-found")
    for node in ("theirs", "hers"):
        assert "<item id='i'><x " in wants(juliet, f"<items node='{node}'/>", "get")
        assert "romeo" not in asks_info(juliet, node)
    done(wants(juliet, "<retract node='hers'><item id='i'/></retract>"))


def test_anonymous_people_have_no_nodes(server, romeo):
    """§6.1.3.6, §8.1.1: nobody knows who will have that name next."""
    creates(romeo, "n")
    session = romeo.session
    session.account.temporary = True
    assert refusal(wants(romeo, "<subscribe node='n' jid='romeo@example.org'/>")) == (
        "cancel",
        "forbidden",
    )
    assert refusal(wants(romeo, create("m"))) == ("auth", "forbidden")
    session.account.temporary = False


@pytest.mark.server(options={"pubsub": {"auto_create": True, "creators": "admins"}})
def test_publishing_makes_nodes_for_those_who_may(romeo):
    """§7.1.4, §8.1.1"""
    item = "<publish node='n'><item><x xmlns='urn:x'/></item></publish>"
    assert refusal(wants(romeo, item)) == ("auth", "forbidden")


OWNS = "<affiliation jid='{}@example.org' affiliation='owner'/>"


def test_engine_is_found(host):
    """Other features ask it for nodes."""
    engine = host.find_feature(INodes)
    assert ILoaded.providedBy(engine)
    assert engine.service.jid == SERVICE
    assert engine.service.owner(parse(SERVICE))
