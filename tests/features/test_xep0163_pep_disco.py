"""XEP-0163 §6: accounts and their nodes in service discovery."""

from tests.eventing import (
    INFO,
    MOOD,
    PUBSUB,
    TUNE,
    publishes,
)
from tests.helpers import fitting, holds, iq_error

DISCO_ITEMS = "http://jabber.org/protocol/disco#items"
INFO_OF = (
    "<iq type='get' id='info' to='{}'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
)
ITEMS_OF = (
    "<iq type='get' id='nodes' to='{}'><query xmlns='http://jabber.org/protocol/disco#items'/></iq>"
)


def test_account_says_that_it_is_a_service(romeo):
    """§6.1"""
    romeo.says(INFO_OF.format("romeo@example.org"))
    (answer,) = fitting(romeo.received, "<iq id='info' type='result'/>")
    assert holds(
        answer,
        f"<iq><query xmlns='{INFO}'><identity category='account' type='registered'/>"
        "<identity category='pubsub' type='pep'/></query></iq>",
    )
    for name in (
        "access-open",
        "access-presence",
        "access-roster",
        "access-whitelist",
        "auto-create",
        "auto-subscribe",
        "config-node",
        "config-node-max",
        "create-and-configure",
        "create-nodes",
        "delete-items",
        "delete-nodes",
        "filtered-notifications",
        "item-ids",
        "last-published",
        "multi-items",
        "persistent-items",
        "presence-notifications",
        "presence-subscribe",
        "publish",
        "publish-options",
        "purge-nodes",
        "retract-items",
        "retrieve-items",
        "subscribe",
    ):
        assert f"'{PUBSUB}#{name}'" in answer, name


def test_contact_learns_that_the_account_is_a_service(friends):
    """§6.2"""
    _, juliet = friends
    (answer,) = juliet.says(INFO_OF.format("romeo@example.org"))
    assert holds(answer, f"<iq><query xmlns='{INFO}'><identity category='pubsub'/></query></iq>")
    assert f"'{PUBSUB}#auto-create'" in answer


def test_stranger_does_not_learn_it(romeo, juliet):
    """XEP-0030 §8, pitfall 34"""
    (answer,) = juliet.says(INFO_OF.format("romeo@example.org"))
    assert holds(answer, iq_error("info", "service-unavailable"))


def test_server_says_that_its_accounts_are_services(romeo):
    """XEP-0222 §5, XEP-0223 §5: on behalf of all."""
    (answer,) = romeo.says(INFO_OF.format("example.org"))
    assert holds(
        answer,
        f"<iq><query xmlns='{INFO}'><identity category='pubsub' type='pep'/>"
        f"<feature var='{PUBSUB}#publish-options'/></query></iq>",
    )


def nodes(client, whom, id="nodes"):
    client.says(ITEMS_OF.format(whom).replace("'nodes'", f"'{id}'"))
    (answer,) = fitting(client.received, f"<iq id='{id}' type='result'/>")
    return answer


def test_nodes_are_listed_to_those_who_may_read_them(friends):
    """§6.2"""
    romeo, juliet = friends
    publishes(romeo, TUNE)
    publishes(romeo, MOOD, id="w", options={"access_model": "whitelist"})
    assert f"node='{TUNE}'" in nodes(juliet, "romeo@example.org")
    assert MOOD not in nodes(juliet, "romeo@example.org", "n2")
    for node in (TUNE, MOOD):
        assert f"node='{node}'" in nodes(romeo, "romeo@example.org", f"own{node[-1]}")


def test_nodes_are_not_listed_to_strangers(romeo, juliet):
    """XEP-0030 §8, pitfall 34"""
    publishes(romeo, TUNE)
    assert "<item" not in nodes(juliet, "romeo@example.org")


def test_node_tells_about_itself(friends):
    """XEP-0060 §5.4, §5.5: and its items, to those who may read it."""
    romeo, juliet = friends
    publishes(romeo, TUNE, item="a")
    ask = INFO_OF.replace("/></iq>", f" node='{TUNE}'/></iq>").format("romeo@example.org")
    (answer,) = juliet.says(ask)
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{INFO}' node='{TUNE}'>"
        "<identity category='pubsub' type='leaf'/></query></iq>",
    )
    ask = ITEMS_OF.replace("/></iq>", f" node='{TUNE}'/></iq>").format("romeo@example.org")
    (answer,) = juliet.says(ask)
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{DISCO_ITEMS}' node='{TUNE}'>"
        "<item jid='romeo@example.org' name='a'/></query></iq>",
    )


def test_node_that_may_not_be_read_is_not_there(friends):
    """§6.2: for disco."""
    romeo, juliet = friends
    publishes(romeo, MOOD, options={"access_model": "whitelist"})
    ask = INFO_OF.replace("/></iq>", f" node='{MOOD}'/></iq>").format("romeo@example.org")
    (answer,) = juliet.says(ask)
    assert holds(answer, iq_error("info", "item-not-found"))
    ask = ITEMS_OF.replace("/></iq>", f" node='{MOOD}'/></iq>").format("romeo@example.org")
    (answer,) = juliet.says(ask)
    assert holds(answer, iq_error("nodes", "item-not-found"))


def test_list_of_nodes_costs_the_same_for_many(server, friends):
    """§6.2: a contact does not make the server read node after node."""
    romeo, juliet = friends
    for number in range(30):
        publishes(romeo, f"urn:n{number}", options={"access_model": "whitelist"})
    publishes(romeo, TUNE)
    server.host.features["pubsub"].nodes._loaded.clear()
    asked, read = [], server.store.read
    server.store.read = lambda function, *given: (asked.append(function), read(function, *given))[1]
    juliet.says(ITEMS_OF.format("romeo@example.org"))
    server.store.read = read
    assert len(asked) <= 3
    (answer,) = fitting(juliet.received, "<iq id='nodes' type='result'/>")
    assert TUNE in answer
    assert "urn:n" not in answer
