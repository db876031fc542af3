"""XEP-0060 §12.4, §12.18, §16.4.2: subscriptions that end by themselves, and digests."""

import pytest

from imsuite.testing.memory import MemoryServer, now
from imsuite.xmpp.stanza import children
from imsuite.xmpp.times import SECOND, format_datetime
from tests.eventing import EVENT, asks
from tests.owning import (
    NODE,
    SUBSCRIBE_OPTIONS,
    affiliates,
    configures,
    creates,
    done,
    form,
    heard,
    listed,
    names,
    owns,
    publishes,
    states,
    subscribes,
    wants,
)

JULIET = "juliet@example.org"
DAY = 86_400
HOUR = 3_600
SILENT = {"ping": {"idle": 0}}  # clients in memory answer no pings while time passes

pytestmark = pytest.mark.server(options=SILENT)


@pytest.fixture
def node(romeo):
    """A node that romeo owns."""
    creates(romeo)
    return NODE


def later(server, seconds):
    """Return a moment so many seconds from now, as a DateTime."""
    return format_datetime(int((server.clock.seconds() + seconds) * SECOND))


def sets(client, **options):
    done(
        wants(
            client,
            f"<options node='{NODE}' jid='{JULIET}'>{form(SUBSCRIBE_OPTIONS, options)}</options>",
        )
    )
    client.forget()


# leases


def test_lease_ends(server, romeo, juliet, node):
    """§12.18: the subscriber is told, and hears no more."""
    subscribes(juliet, expire=later(server, HOUR))
    server.advance(HOUR - 120)
    publishes(romeo, item="a")
    assert names(juliet) == ["items"]
    juliet.forget()
    server.advance(240)
    assert states(juliet) == [(NODE, "none")]
    assert listed(romeo, "subscriptions") == []
    juliet.forget()
    publishes(romeo, item="b")
    assert heard(juliet) == []


def test_lease_that_is_over_delivers_nothing(server, romeo, juliet, node):
    """§12.18: even before anybody looked."""
    subscribes(juliet, expire=later(server, 30))
    server.advance(31)
    publishes(romeo)
    assert "items" not in names(juliet)


def test_holder_of_a_lease_is_warned(server, juliet, node):
    """§12.18: a day before, once, with the moment."""
    expiry = later(server, 2 * DAY)
    _, subid = subscribes(juliet, expire=expiry)
    server.advance(DAY - HOUR)
    assert heard(juliet) == []
    server.advance(2 * HOUR)
    (event,) = heard(juliet)
    assert event.name == "subscription"
    assert (event["expiry"], event["subscription"], event["subid"]) == (expiry, "subscribed", subid)
    server.advance(HOUR)
    assert len(heard(juliet)) == 1


def test_lease_is_renewed(server, romeo, juliet, node):
    """§12.18: by new options; the warning moves, too."""
    subscribes(juliet, expire=later(server, HOUR))
    sets(juliet, expire=later(server, 3 * DAY))
    server.advance(2 * HOUR)
    assert heard(juliet) == []
    server.advance(2 * DAY)
    assert [event.getAttribute("expiry") is None for event in heard(juliet)] == [False]
    sets(juliet, expire="")
    server.advance(7 * DAY)
    assert heard(juliet) == []
    assert listed(romeo, "subscriptions") == [(JULIET, "subscribed")]


@pytest.mark.server(options=SILENT | {"pubsub": {"lease": 1}})
def test_lease_is_no_longer_than_the_service_allows(server, juliet, node):
    """§12.18: MUST change the value to now and the maximum."""
    subscribes(juliet, expire=later(server, 30 * DAY))
    answer = wants(juliet, f"<options node='{NODE}' jid='{JULIET}'/>", "get")
    assert later(server, DAY) in answer


# temporary subscriptions


def test_temporary_subscription_ends_with_presence(server, romeo, juliet, node):
    """§12.4: of the last resource, if the bare JID is subscribed."""
    other = server.login("juliet@example.org/chamber")
    subscribes(juliet, expire="presence")
    juliet.says("<presence type='unavailable'/>")
    assert listed(romeo, "subscriptions") == [(JULIET, "subscribed")]
    other.closes()
    assert listed(romeo, "subscriptions") == []


def test_temporary_subscription_of_a_client_ends_with_its_presence(server, romeo, juliet, node):
    """§12.4: others of the account do not keep it."""
    server.login("juliet@example.org/chamber")
    subscribes(juliet, jid=juliet.jid.full, expire="presence")
    juliet.says("<presence type='unavailable'/>")
    assert listed(romeo, "subscriptions") == []


def test_lasting_subscription_outlives_presence(romeo, juliet, node):
    """§12.4"""
    subscribes(juliet)
    juliet.closes()
    assert listed(romeo, "subscriptions") == [(JULIET, "subscribed")]


def test_temporary_subscription_ends_after_a_crash():
    """§12.4: whose client did not come back is not there."""
    first = MemoryServer(options=SILENT)
    creates(first.login("romeo@example.org/orchard"))
    subscribes(first.login("juliet@example.org/balcony"), expire="presence")
    second = first.crash()
    romeo = second.login("romeo@example.org/orchard")
    second.advance(120)
    assert listed(romeo, "subscriptions") == []
    second.stop()
    assert second.failures.take() == []


def test_node_that_becomes_temporary_ends_subscriptions_of_who_is_away(server, romeo, juliet, node):
    """§12.4: pubsub#tempsub"""
    subscribes(juliet)
    juliet.closes()
    done(configures(romeo, tempsub="1"))
    assert listed(romeo, "subscriptions") == []


# digests


def items(event):
    """Return the ids of the items of an event."""
    return [each["id"] for each in children(event, EVENT, "item")]


def digests(server, juliet, **options):
    subscribes(juliet, digest="1", digest_frequency=str(HOUR * 1000), **options)


def test_digest_gathers_what_was_published(server, romeo, juliet, node):
    """§16.4.2: pubsub#digest, pubsub#digest_frequency; no event by itself."""
    digests(server, juliet)
    for item in "abc":
        publishes(romeo, item=item)
    assert heard(juliet) == []
    server.advance(HOUR + 60)
    (event,) = heard(juliet)
    assert (event.name, event["node"], items(event)) == ("items", NODE, ["a", "b", "c"])
    juliet.forget()
    publishes(romeo, item="d")
    server.advance(HOUR + 60)
    assert [items(event) for event in heard(juliet)] == [["d"]]


def test_digest_without_anything_new_is_not_sent(server, romeo, juliet, node):
    """§16.4.2: nor with what was published before the subscription."""
    publishes(romeo, item="before")
    digests(server, juliet)
    juliet.forget()
    server.advance(3 * HOUR)
    assert heard(juliet) == []


def test_digest_has_no_item_that_is_gone(server, romeo, juliet, node):
    """§16.4.2; that it is gone is told at once."""
    digests(server, juliet)
    publishes(romeo, item="a")
    publishes(romeo, item="b")
    done(wants(romeo, f"<retract node='{NODE}' notify='1'><item id='a'/></retract>"))
    assert names(juliet) == ["items"]
    juliet.forget()
    server.advance(HOUR + 60)
    assert [items(event) for event in heard(juliet)] == [["b"]]


def test_digest_waits_for_the_presence_that_was_chosen(server, romeo, juliet, node):
    """§16.4.2: pubsub#show-values"""
    digests(server, juliet, **{"show-values": ["online"]})
    juliet.says("<presence><show>dnd</show></presence>")
    publishes(romeo, item="a")
    server.advance(2 * HOUR)
    assert heard(juliet) == []
    juliet.says("<presence/>")
    server.advance(60)
    assert [items(event) for event in heard(juliet)] == [["a"]]


def test_digest_is_only_for_who_has_access(server, romeo, juliet, node):
    """§12.3: at the time it is sent."""
    digests(server, juliet)
    publishes(romeo, item="a")
    done(affiliates(romeo, juliet="outcast"))
    juliet.forget()
    server.advance(2 * HOUR)
    assert heard(juliet) == []


def test_long_digest_goes_on_in_the_next(server, romeo, juliet, node):
    """§12.11: no message grows without limit."""
    digests(server, juliet)
    done(configures(romeo, max_items="200"))
    for number in range(130):
        publishes(romeo, item=f"i{number}")
    server.advance(HOUR + 60)
    server.advance(120)
    assert [len(items(event)) for event in heard(juliet)] == [100, 30]


def test_digest_is_not_for_nodes_that_keep_nothing(romeo, juliet):
    """§6.3.6.2: what can not be done is not offered."""
    creates(romeo, persist_items="0")
    subscribes(juliet)
    shown = wants(juliet, f"<options node='{NODE}' jid='{JULIET}'/>", "get")
    assert "pubsub#digest" not in shown


def test_deleted_node_has_nothing_due(server, romeo, juliet, node):
    """§8.4: nothing happens later."""
    digests(server, juliet, expire=later(server, 2 * DAY))
    publishes(romeo)
    done(owns(romeo, f"<delete node='{NODE}'/>"))
    juliet.forget()
    server.advance(3 * DAY)
    assert heard(juliet) == []


def test_digests_of_a_node_of_an_account(server, romeo, juliet):
    """XEP-0163 §4.1: an explicit subscription is one as any other."""
    config = form("http://jabber.org/protocol/pubsub#node_config", {"access_model": "open"})
    done(asks(romeo, f"<create node='mine'/><configure>{config}</configure>", "set"))
    options = form(SUBSCRIBE_OPTIONS, {"digest": "1", "digest_frequency": str(HOUR * 1000)})
    inner = f"<subscribe node='mine' jid='{JULIET}'/><options>{options}</options>"
    done(asks(juliet, inner, "set", to="romeo@example.org"))
    done(
        asks(romeo, "<publish node='mine'><item id='a'><x xmlns='urn:x'/></item></publish>", "set")
    )
    assert heard(juliet) == []
    server.advance(HOUR + 60)
    assert [items(event) for event in heard(juliet)] == [["a"]]


def test_removed_subscriber_has_nothing_due(server, romeo, juliet, node):
    """XEP-0077 §3.2: what was to happen is forgotten when its time comes."""
    digests(server, juliet)
    publishes(romeo)
    juliet.says("<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>")
    server.advance(2 * HOUR)
    assert now(server.store.query("SELECT * FROM node_due")) == []


def test_removed_account_has_nothing_due(server, romeo, juliet):
    """XEP-0077 §3.2: nor whose node it was."""
    done(asks(romeo, "<create node='mine'/>", "set"))
    options = form(SUBSCRIBE_OPTIONS, {"digest": "1"})
    inner = f"<subscribe node='mine' jid='{romeo.jid.bare}'/><options>{options}</options>"
    done(asks(romeo, inner, "set"))
    assert len(now(server.store.query("SELECT * FROM node_due"))) == 1
    romeo.says("<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>")
    assert now(server.store.query("SELECT * FROM node_due")) == []


@pytest.mark.server(domains=("example.org", "example.net"), options=SILENT)
@pytest.mark.parametrize("domain", ["example.org", "example.net"])
def test_each_host_looks_after_its_own(server, domain):
    """§16.4.2: several hosts have one store."""
    service = f"pubsub.{domain}"
    romeo, juliet = (server.login(f"{name}@{domain}/r") for name in ("romeo", "juliet"))
    done(asks(romeo, "<create node='n'/>", "set", to=service))
    options = {"digest": "1", "digest_frequency": "60000", "expire": later(server, HOUR)}
    inner = f"<subscribe node='n' jid='juliet@{domain}'/><options>{{}}</options>"
    done(asks(juliet, inner.format(form(SUBSCRIBE_OPTIONS, options)), "set", to=service))
    published = "<publish node='n'><item id='a'><x xmlns='urn:x'/></item></publish>"
    done(asks(romeo, published, "set", to=service))
    server.advance(120)
    assert [items(event) for event in heard(juliet)] == [["a"]]
    juliet.forget()
    server.advance(HOUR)
    assert states(juliet) == [("n", "none")]


@pytest.mark.server(domains=("example.org", "example.net"), options=SILENT)
def test_temporary_subscription_to_a_node_of_another_host(server, romeo, node):
    """§12.4: whose presence is known here as well."""
    nurse = server.login("nurse@example.net/home")
    subscribes(nurse, expire="presence")
    assert listed(romeo, "subscriptions") == [("nurse@example.net", "subscribed")]
    nurse.closes()
    assert listed(romeo, "subscriptions") == []
