"""XEP-0442: archives of nodes."""

import re

import pytest

from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import child, children
from tests.archives import MAM, form, rsm
from tests.eventing import EVENT
from tests.eventing import publish as publish_to_own
from tests.helpers import holds, iq_error
from tests.owning import (
    NODE,
    SERVICE,
    affiliates,
    configures,
    creates,
    done,
    heard,
    publishes,
    subscribes,
    wants,
)

NAMES = [f"i{number}" for number in range(5)]


class Answer:
    """What came back: results, each Stanza; ids of these and names of their items; fin."""

    def __init__(self, stanzas):
        *self.results, self.answer = stanzas
        found = [child(each.element, MAM, "result") for each in self.results]
        self.ids = [each["id"] for each in found]
        self.queries = [each.getAttribute("queryid") for each in found]
        self.messages = [child(next(each.elements()), NS.CLIENT, "message") for each in found]
        self.items = [child(child(each, EVENT, "event"), EVENT, "items") for each in self.messages]
        self.names = [child(each, EVENT, "item")["id"] for each in self.items]
        self.fin = self.answer.child(MAM, "fin")

    @property
    def complete(self):
        return self.fin.getAttribute("complete") == "true"

    @property
    def set(self):
        """{name: text} of the <set/>, with the index of the first."""
        elements = list(child(self.fin, "http://jabber.org/protocol/rsm", "set").elements())
        found = {each.name: str(each) for each in elements}
        if "first" in found:
            found["index"] = elements[0].getAttribute("index")
        return found

    @property
    def error(self):
        error = self.answer.child(NS.CLIENT, "error")
        return [each.name for each in error.elements() if each.name != "text"]


def ask(client, page="", node=NODE, to=SERVICE, flip=False, **fields):
    """Let a client query the archive of a node; fields: with `_` for `-`."""
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    inner = (form(named) if named else "") + (rsm(page) if page else "")
    inner += "<flip-page/>" if flip else ""
    client.forget()
    client.says(
        f"<iq type='set' id='q' to='{to}'>"
        f"<query xmlns='{MAM}' queryid='f28' node='{node}'>{inner}</query></iq>"
    )
    found = Answer(client.stanzas)
    client.forget()
    return found


@pytest.fixture
def node(server, romeo):
    """A node of romeo's that keeps five items, one for each minute."""
    creates(romeo, max_items="10", persist_items="1")
    for name in NAMES:
        publishes(romeo, item=name, payload=f"<x xmlns='urn:x'>{name}</x>")
        server.advance(60)
    romeo.forget()
    return NODE


def test_items_come_in_the_order_of_publication(node, romeo, juliet):
    """§2, §3: one a message, before the result"""
    found = ask(juliet)
    assert found.names == NAMES
    assert len(set(found.ids)) == 5
    assert found.queries == ["f28"] * 5
    assert found.complete
    assert found.set == {
        "first": found.ids[0],
        "last": found.ids[-1],
        "index": "0",
        "count": "5",
    }
    for stanza, items in zip(found.results, found.items, strict=True):
        assert (stanza.sender, stanza.to) == (SERVICE, "juliet@example.org/balcony")
        assert items["node"] == NODE
        assert len(children(items, EVENT, "item")) == 1


def test_result_is_what_subscribers_were_told(node, romeo, juliet):
    """§3: but for from, to and id"""
    subscribes(juliet)
    juliet.forget()
    publishes(romeo, item="new")
    (told,) = heard(juliet)
    assert ask(juliet).items[-1].toXml() == told.toXml()


def test_pages(node, juliet):
    """XEP-0059 §2: forwards, backwards, the last, by number, none"""
    first = ask(juliet, "<max>2</max>")
    assert (first.names, first.complete) == (NAMES[:2], False)
    second = ask(juliet, f"<max>2</max><after>{first.ids[-1]}</after>")
    assert (second.names, second.complete) == (NAMES[2:4], False)
    assert second.set["index"] == "2"
    third = ask(juliet, f"<max>2</max><after>{second.ids[-1]}</after>")
    assert (third.names, third.complete) == (NAMES[4:], True)
    after = ask(juliet, f"<max>2</max><after>{third.ids[-1]}</after>")
    assert (after.names, after.complete, after.set) == ([], True, {"count": "5"})
    last = ask(juliet, "<max>2</max><before/>")
    assert (last.names, last.complete) == (NAMES[3:], False)
    before = ask(juliet, f"<max>3</max><before>{last.ids[0]}</before>")
    assert (before.names, before.complete) == (NAMES[:3], True)
    numbered = ask(juliet, "<max>2</max><index>3</index>")
    assert (numbered.names, numbered.set["index"]) == (NAMES[3:], "3")
    assert ask(juliet, "<max>0</max>").set == {"count": "5"}
    assert ask(juliet, "<max>2</max>", flip=True).names == NAMES[1::-1]


def test_filters(node, juliet):
    """XEP-0313 §4.1: by time, both ends included; by results; by ids"""
    everything = ask(juliet)
    stamps = [
        child(next(child(each.element, MAM, "result").elements()), NS.DELAY, "delay")["stamp"]
        for each in everything.results
    ]
    assert ask(juliet, start=stamps[1], end=stamps[3]).names == NAMES[1:4]
    assert ask(juliet, start="2100-01-01T00:00:00Z").names == []
    ids = everything.ids
    between = ask(juliet, after_id=ids[0], before_id=ids[4])
    assert between.names == NAMES[1:4]
    assert between.set["count"] == "3"
    paged = ask(juliet, f"<max>1</max><after>{ids[1]}</after>", after_id=ids[0], before_id=ids[4])
    assert (paged.names, paged.set["index"]) == (NAMES[2:3], "1")
    assert ask(juliet, ids=[ids[3], ids[1]]).names == [NAMES[1], NAMES[3]]
    assert ask(juliet, "<max>1</max>", ids=[ids[3], ids[1]]).names == [NAMES[1]]
    assert not ask(juliet, "<max>1</max><before/>", ids=[ids[3], ids[1]]).complete
    assert ask(juliet, start=stamps[2], ids=[ids[3], ids[1]]).names == [NAMES[3]]


def test_what_is_not_there_is_an_error(node, juliet):
    """XEP-0313 §4.3: item-not-found"""
    ids = ask(juliet).ids
    for uid in ("nonsense", "f", f"{int(ids[0], 16) + 1:x}"):
        for field in ("after_id", "before_id", "ids"):
            assert ask(juliet, **{field: uid}).error == ["item-not-found"]
        for name in ("after", "before"):
            assert ask(juliet, f"<{name}>{uid}</{name}>").error == ["item-not-found"]
    assert ask(juliet, node="nothing").error == ["item-not-found"]
    assert ask(juliet, node="").error == ["bad-request", "nodeid-required"]
    assert ask(juliet, with_="romeo@example.org").error == ["feature-not-implemented"]
    assert ask(juliet, start="yesterday").error == ["bad-request"]


def test_retracted_items_are_gone(node, romeo, juliet):
    """§3: what is kept is what the node has"""
    ids = ask(juliet).ids
    wants(romeo, f"<retract node='{NODE}'><item id='{NAMES[0]}'/></retract>")
    assert ask(juliet).names == NAMES[1:]
    assert ask(juliet, f"<after>{ids[0]}</after>").error == ["item-not-found"]


def test_item_that_is_published_again_is_another_result(node, romeo, juliet):
    """XEP-0060 §7.1.2: it takes the place of the first."""
    before = ask(juliet)
    publishes(romeo, item=NAMES[0])
    after = ask(juliet)
    assert after.names == [*NAMES[1:], NAMES[0]]
    assert after.ids[:-1] == before.ids[1:]
    assert after.ids[-1] not in before.ids


def test_what_expired_is_not_told(server, node, romeo, juliet):
    """XEP-0060 §16.4.4: item_expire"""
    ids = ask(juliet).ids
    done(configures(romeo, item_expire="150"))
    assert ask(juliet).names == NAMES[3:]
    assert ask(juliet, ids=ids[0]).error == ["item-not-found"]


@pytest.mark.parametrize(
    ("model", "error"),
    [
        ("whitelist", ["not-allowed", "closed-node"]),
        ("authorize", ["not-authorized", "not-subscribed"]),
    ],
)
def test_access_is_looked_at_when_it_is_asked(node, romeo, juliet, model, error):
    """XEP-0060 §6.5.9: as for items"""
    done(configures(romeo, access_model=model))
    assert ask(juliet).error == error
    assert ask(romeo).names == NAMES


def test_outcasts_get_nothing(node, romeo, juliet):
    """XEP-0060 §4.1"""
    affiliates(romeo, juliet="outcast")
    assert ask(juliet).error == ["forbidden"]


def test_nodes_that_keep_nothing_have_no_archive(romeo, juliet):
    """§3"""
    creates(romeo, persist_items="0")
    publishes(romeo)
    assert ask(juliet).error == ["feature-not-implemented", "unsupported"]
    creates(romeo, "folder", node_type="collection")
    assert ask(juliet, node="folder").error == ["feature-not-implemented", "unsupported"]


@pytest.mark.server(options={"nodearchives": {"page": 2}})
def test_a_page_is_never_longer_than_the_option(node, juliet):
    """[features.nodearchives] page"""
    assert ask(juliet).names == NAMES[:2]
    assert ask(juliet, "<max>5</max>").names == NAMES[:2]
    assert ask(juliet, ids=["1", "2", "3"]).error == ["policy-violation"]


def test_large_items_have_shorter_pages(server, romeo, juliet):
    """Half a megabyte, and at least one item"""
    creates(romeo, max_items="40", persist_items="1")
    for number in range(20):
        payload = f"<x xmlns='urn:x'>{'x' * 60_000}</x>"
        publishes(romeo, item=f"i{number}", payload=payload)
    found, seen = ask(juliet), []
    while True:
        seen += found.names
        if found.complete:
            break
        assert 0 < len(found.names) < 10
        found = ask(juliet, f"<after>{found.ids[-1]}</after>")
    assert seen == [f"i{number}" for number in range(20)]
    assert ask(juliet, "<before/>").names == seen[-8:]


def test_deliver_payloads_is_as_in_notifications(node, romeo, juliet):
    """§3: in the same manner"""
    done(configures(romeo, deliver_payloads="0"))
    assert not list(child(ask(juliet).items[0], EVENT, "item").elements())


def test_form_and_metadata(node, juliet):
    """XEP-0313 §4.1.5, §5"""
    juliet.says(f"<iq type='get' id='f' to='{SERVICE}'><query xmlns='{MAM}' node='{NODE}'/></iq>")
    names = re.findall(r"var='([^']*)'", juliet.received[-1])
    assert names == ["FORM_TYPE", "start", "end", "before-id", "after-id", "ids"]
    ids = ask(juliet).ids
    metadata = f"<metadata xmlns='{MAM}' node='{NODE}'/>"
    juliet.says(f"<iq type='get' id='m' to='{SERVICE}'>{metadata}</iq>")
    ends = [each["id"] for each in juliet.stanzas[-1].payload.elements()]
    assert ends == [ids[0], ids[-1]]


def test_disco(node, romeo, juliet):
    """XEP-0313 §7: the service, and the nodes that keep items"""
    creates(romeo, "fleeting", persist_items="0")

    def features(node=""):
        about = f" node='{node}'" if node else ""
        query = f"<query xmlns='{NS.DISCO_INFO}'{about}/>"
        juliet.says(f"<iq type='get' id='d' to='{SERVICE}'>{query}</iq>")
        found = children(juliet.stanzas[-1].payload, NS.DISCO_INFO, "feature")
        return [each["var"] for each in found]

    assert {MAM, f"{MAM}#extended"} <= set(features())
    assert MAM in features(NODE)
    assert MAM not in features("fleeting")


# accounts


@pytest.fixture
def own(server, friends):
    """A node of romeo's account, for contacts."""
    romeo, _ = friends
    for name in NAMES:
        more = {"access_model": "presence", "persist_items": "1", "max_items": "10"}
        romeo.says(publish_to_own("urn:x:tunes", "<x xmlns='urn:x'/>", item=name, options=more))
        server.advance(60)
    romeo.forget()
    return "urn:x:tunes"


def test_own_nodes_have_archives(own, friends):
    """§2: of oneself, and of contacts"""
    for client in friends:
        found = ask(client, node=own, to="romeo@example.org")
        assert found.names == NAMES
        assert {each.sender for each in found.results} == {"romeo@example.org"}
    assert ask(friends[0], node="nothing", to="romeo@example.org").error == ["item-not-found"]


def test_strangers_learn_nothing(server, own, friends):
    """The same whether or not there is a node, or an account"""
    paris = server.login("paris@example.org/yard")
    told = {
        str(ask(paris, node=node, to=to).error)
        for node in (own, "nothing")
        for to in ("romeo@example.org", "nobody@example.org")
    }
    assert told == {"['forbidden']"}


def test_open_nodes_are_for_strangers(server, own, friends):
    """XEP-0060 §4.5"""
    paris, romeo = server.login("paris@example.org/yard"), friends[0]
    more = {"access_model": "open", "persist_items": "1", "max_items": "10"}
    romeo.says(publish_to_own("urn:x:open", "<x xmlns='urn:x'/>", item="one", options=more))
    assert ask(paris, node="urn:x:open", to="romeo@example.org").names == ["one"]


def test_messages_of_others_stay_theirs(own, friends):
    """XEP-0313 §8.1: without a node"""
    (answer,) = friends[1].says(
        f"<iq type='set' id='q' to='romeo@example.org'><query xmlns='{MAM}'/></iq>"
    )
    assert holds(answer, iq_error("q", "forbidden"))
