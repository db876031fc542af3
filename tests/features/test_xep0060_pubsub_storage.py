"""XEP-0060: what is stored of nodes, in both databases."""

import pytest
from twisted.internet.task import Clock

from imsuite.features.xep0060_pubsub import item_storage, storage
from imsuite.features.xep0060_pubsub.item_storage import Item
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.node_access import AccessModel, Affiliation, Subscribed
from imsuite.rules.nodes import NodeConfig
from imsuite.store.pool import Store
from imsuite.testing.memory import now
from tests.postgres import empty_database

SERVICE, ROMEO, JULIET = "pubsub.example.org", "romeo@example.org", "juliet@example.org"
CONFIG = NodeConfig(title="Musings", access_model=AccessModel.AUTHORIZE, item_expire=60)
HERS = Subscription(JULIET, JULIET, "s1", Subscribed.SUBSCRIBED, '{"deliver":false}', 5, 9)


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs_postgres)])
def run(request):
    """Run a function in a transaction of a store that has node 1, "n", and items a to e."""
    url = "sqlite:///:memory:" if request.param == "sqlite" else empty_database()
    store = Store(url, Clock(), None)
    now(store.migrate(storage.TABLES))

    def run(function, *args):
        return now(store.transaction(function, *args))

    assert run(storage.insert_node, SERVICE, "n", 1, CONFIG, ROMEO, 17)
    run(storage.set_affiliation, SERVICE, 1, ROMEO, Affiliation.OWNER)
    for stamp, id in enumerate("abcde", 1):
        who = f"{JULIET}/balcony" if id == "b" else f"{ROMEO}/orchard"
        assert run(item_storage.put_item, SERVICE, 1, Item(id, stamp, who, id.encode()))
    yield run
    now(store.close())


def ids(items):
    return "".join(item.id for item in items)


def test_node_is_found_as_it_was_written(run):
    """All that is loaded at once."""
    run(storage.save_subscription, SERVICE, 1, HERS)
    row = run(storage.find_node, SERVICE, "n")
    assert (row.id, row.config, row.creator, row.created) == (1, CONFIG, ROMEO, 17)
    assert row.affiliations == {ROMEO: Affiliation.OWNER}
    assert row.subscriptions == {"s1": HERS}
    assert row.count == 5
    assert row.last == Item("e", 5, f"{ROMEO}/orchard", b"e")
    assert run(storage.find_node, SERVICE, "m") is None


def test_name_is_taken_once(run):
    """At a service; another one may have it too."""
    assert not run(storage.insert_node, SERVICE, "n", 2, CONFIG, JULIET, 18)
    assert run(storage.insert_node, JULIET, "n", 2, CONFIG, JULIET, 18)
    assert run(storage.count_nodes, SERVICE) == 1
    assert run(storage.count_nodes, SERVICE, JULIET) == 0
    assert run(storage.node_names, JULIET) == ["n"]


def test_node_goes_whole(run):
    """With its items and people."""
    run(storage.save_subscription, SERVICE, 1, HERS)
    run(storage.delete_node, SERVICE, 1)
    assert not run(storage.node_exists, SERVICE, 1)
    assert run(storage.find_node, SERVICE, "n") is None
    assert run(item_storage.count_items, SERVICE, 1) == 0
    assert run(storage.subscribed_nodes, JULIET, 10) == []


def test_configuration_is_changed(run):
    """And found by what is looked for."""
    assert run(storage.expiring, 0, 10) == [(1, SERVICE, "n", 60)]
    run(storage.save_config, SERVICE, 1, NodeConfig(send_last_published_item="never"))
    assert run(storage.node_configs, SERVICE, 10)[0][1].send_last_published_item == "never"
    assert run(storage.expiring, 0, 10) == []
    assert run(storage.waiting_nodes, [SERVICE], ["n"]) == []


def test_nodes_that_wait_for_presence(run):
    """Those that have an item, of many services and names at once."""
    run(storage.insert_node, JULIET, "empty", 2, CONFIG, JULIET, 18)
    services = [f"u{number}@example.org" for number in range(250)] + [SERVICE, JULIET]
    names = [f"n{number}" for number in range(120)] + ["n", "empty"]
    assert run(storage.waiting_nodes, services, names) == [(SERVICE, "n")]
    assert run(storage.waiting_nodes, [], []) == []


def test_people_are_listed(run):
    """§5.6, §5.7"""
    run(storage.save_subscription, SERVICE, 1, HERS)
    run(storage.set_affiliation, SERVICE, 1, JULIET, Affiliation.MEMBER)
    run(storage.set_affiliation, SERVICE, 1, JULIET, Affiliation.PUBLISHER)
    assert run(storage.subscriptions_of, SERVICE, JULIET) == [("n", HERS)]
    assert run(storage.subscribed_nodes, JULIET, 10) == [(SERVICE, "n")]
    assert run(storage.affiliations_of, SERVICE, JULIET) == [("n", Affiliation.PUBLISHER)]
    run(storage.set_affiliation, SERVICE, 1, JULIET, Affiliation.NONE)
    assert run(storage.affiliations_of, SERVICE, JULIET) == []


def test_person_is_forgotten(run):
    """In all nodes; who is an owner too is their creator then."""
    run(storage.save_subscription, SERVICE, 1, HERS)
    run(storage.set_affiliation, SERVICE, 1, JULIET, Affiliation.OWNER)
    assert run(storage.owned_alone, SERVICE, ROMEO) == []
    assert run(storage.forget_person, SERVICE, ROMEO) == [(SERVICE, "n")]
    row = run(storage.find_node, SERVICE, "n")
    assert row.creator == JULIET
    assert row.last.publisher == ""
    assert run(storage.owned_alone, SERVICE, JULIET) == ["n"]
    run(storage.forget_person, SERVICE, JULIET)
    row = run(storage.find_node, SERVICE, "n")
    assert (row.creator, row.affiliations, row.subscriptions) == (SERVICE, {}, {})


def test_items_are_read_in_pages(run):
    """XEP-0059: by place, from both ends, and only those that are not too old."""

    def page(most, since=0, after=None, before=None, index=0, backwards=False):
        return ids(
            run(
                item_storage.item_page,
                SERVICE,
                1,
                most,
                since,
                after,
                before,
                index,
                backwards,
            )
        )

    assert page(10) == "abcde"
    assert page(2, after=2) == "cd"
    assert page(2, before=4, backwards=True) == "bc"
    assert page(2, since=2) == "cd"
    assert page(10, since=2, after=1) == "cde"
    assert page(2, index=3) == "de"
    assert ids(run(item_storage.newest, SERVICE, 1, 2)) == "ed"
    assert run(item_storage.item_names, SERVICE, 1, 3) == ["c", "d", "e"]
    assert run(item_storage.stamp_of, SERVICE, 1, "c") == 3
    assert run(item_storage.stamp_of, SERVICE, 1, "c", 3) is None
    assert run(item_storage.count_items, SERVICE, 1, 1, 4) == 2


def test_items_are_read_by_id(run):
    """In the order in which they are wanted, however many that are."""
    wanted = ["d", *(f"x{number}" for number in range(250)), "a", "d"]
    assert ids(run(item_storage.items_by_id, SERVICE, 1, wanted)) == "da"


def test_items_are_replaced_and_removed(run):
    """§7.1.2: what is written over is the newest."""
    assert not run(item_storage.put_item, SERVICE, 1, Item("a", 6, ROMEO))
    assert ids(run(item_storage.newest, SERVICE, 1, 9)) == "aedcb"
    assert run(item_storage.delete_oldest, SERVICE, 1, 2) == ["b", "c"]
    assert run(item_storage.delete_items, SERVICE, 1, ["d", "x"]) == 1
    assert run(item_storage.delete_until, SERVICE, 1, 5) == 1
    assert ids(run(item_storage.newest, SERVICE, 1, 9)) == "a"


def test_items_that_go_with_their_publisher(run):
    """pubsub#purge_offline: of an account's own nodes too."""
    assert run(storage.purging, JULIET, 10) == []
    run(storage.save_config, SERVICE, 1, NodeConfig(purge_offline=True))
    run(storage.insert_node, JULIET, "hers", 2, NodeConfig(purge_offline=True), JULIET, 18)
    run(item_storage.put_item, JULIET, 2, Item("own", 7, f"{JULIET}/balcony"))
    assert sorted(run(storage.purging, JULIET, 10)) == [
        (JULIET, "hers", "own"),
        (SERVICE, "n", "b"),
    ]
