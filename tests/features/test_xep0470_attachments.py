"""XEP-0470: what contacts attach to the items of an account, and the summary."""

import pytest

from imsuite.rules.attachments import Target, attachments_of, summary_of
from tests.eventing import asks, configure, items, publish
from tests.helpers import holds, iq_error

NS, SUMMARY = "urn:xmpp:pubsub-attachments:1", "urn:xmpp:pubsub-attachments:summary:1"
BLOG = "urn:xmpp:microblog:0"
JULIET, ROMEO = "juliet@example.org", "romeo@example.org"
NODE = attachments_of(Target(JULIET, BLOG, "balcony"))
SUMMARIES = summary_of(BLOG)
POST = "<entry xmlns='http://www.w3.org/2005/Atom'><title>the balcony</title></entry>"
NOTICED = "<noticed timestamp='2022-07-11T12:07:24Z'/>"
PUBLIC = {"access_model": "open", "publish_model": "open"}


def posts(client, item="balcony", options=PUBLIC):
    """Let a client post something."""
    client.says(publish(BLOG, POST, item=item, options=options))
    assert "type='result'" in client.received[-1]


def reactions(*emoji):
    """Return reactions."""
    return f"<reactions>{''.join(f'<reaction>{each}</reaction>' for each in emoji)}</reactions>"


def attaches(client, inner, item=None, node=NODE, options=None):
    """Let a client attach something to juliet's post; return the answer."""
    payload = f"<attachments xmlns='{NS}'>{inner}</attachments>"
    more = {} if options is None else {"options": options}
    item = item or client.jid.bare
    return client.says(publish(node, payload, item=item, to=JULIET, **more))[-1]


def summary(client, item="balcony"):
    """Return the summary of an item, as text."""
    answer = items(client, SUMMARIES, to=JULIET)
    return answer.partition(f"<item id='{item}'")[2].partition("</item>")[0]


def field(client, name, node=NODE):
    """Return what the configuration of one of juliet's nodes says."""
    owner = "http://jabber.org/protocol/pubsub#owner"
    answer = asks(client, f"<configure node='{node}'/>", ns=owner)
    after = answer.partition(f"var='pubsub#{name}'")[2]
    return after.partition("<value>")[2].partition("</value>")[0]


def test_node_is_made_for_the_first(friends):
    """§4.3: as public as the post; it is juliet's."""
    romeo, juliet = friends
    posts(juliet)
    assert "type='result'" in attaches(romeo, NOTICED)
    assert NOTICED.split()[1].rstrip("/>") in items(romeo, NODE, to=JULIET)
    assert [field(juliet, name) for name in ("access_model", "publish_model")] == ["open"] * 2
    assert field(juliet, "max_items") == "max"


def test_stranger_may_be_the_first(romeo, juliet):
    """§4.3: where everybody may publish; and elsewhere there seems to be nothing."""
    posts(juliet)
    assert "type='result'" in attaches(romeo, NOTICED)
    juliet.says(publish("mine", POST, item="1"))
    hidden, missing = (
        attaches(romeo, NOTICED, node=attachments_of(Target(JULIET, node, "1")))
        for node in ("mine", "no-such-node")
    )
    assert hidden == missing
    assert "type='error'" in hidden


def test_summary_counts(friends, server):
    """§4.6, §4.7.3, §4.8.2: each JID once; it changes with every attachment."""
    romeo, juliet = friends
    posts(juliet)
    attaches(romeo, NOTICED + reactions("a", "b"))
    expected = f"<summary xmlns='{SUMMARY}'><noticed count='1'/>"
    assert expected in summary(juliet)
    assert "<reactions><reaction>a</reaction><reaction>b</reaction></reactions>" in summary(juliet)
    attaches(juliet, NOTICED + reactions("b"))
    assert "<noticed count='2'/>" in summary(romeo)
    assert "<reaction count='2'>b</reaction>" in summary(romeo)
    attaches(romeo, "")
    assert "<noticed count='1'/>" in summary(romeo)


def test_summary_goes_with_the_last_attachment(friends):
    """§4.6"""
    romeo, juliet = friends
    posts(juliet)
    attaches(romeo, NOTICED)
    retract = f"<retract node='{NODE}'><item id='{ROMEO}'/></retract>"
    assert "type='result'" in asks(romeo, retract, "set", to=JULIET)
    assert summary(juliet) == ""


@pytest.mark.parametrize("item", [JULIET, f"{ROMEO}/orchard", "something"])
def test_attachment_has_the_name_of_who_attaches(friends, item):
    """§4.5"""
    romeo, juliet = friends
    posts(juliet)
    attaches(romeo, NOTICED)
    assert holds(attaches(romeo, NOTICED, item=item), iq_error("pub", "bad-request"))


def test_something_else_is_no_attachment(friends):
    """§4.5"""
    romeo, juliet = friends
    posts(juliet)
    answer = romeo.says(publish(NODE, "<like xmlns='urn:x'/>", item=ROMEO, to=JULIET))[-1]
    assert holds(answer, iq_error("pub", "bad-request"))


@pytest.mark.parametrize("node", [NODE, SUMMARIES])
def test_nobody_makes_the_nodes(juliet, node):
    """§4.4: nor does the owner."""
    posts(juliet)
    assert holds(asks(juliet, f"<create node='{node}'/>", "set"), iq_error("q", "not-allowed"))


def test_nobody_writes_summaries(friends):
    """§4.6"""
    romeo, juliet = friends
    posts(juliet)
    payload = f"<summary xmlns='{SUMMARY}'><noticed count='1000'/></summary>"
    answer = juliet.says(publish(SUMMARIES, payload, item="balcony"))[-1]
    assert holds(answer, iq_error("pub", "forbidden"))
    attaches(romeo, NOTICED)
    for client in (romeo, juliet):
        answer = client.says(publish(SUMMARIES, payload, item="balcony", to=JULIET))[-1]
        assert "type='error'" in answer
    assert "count='1'" in summary(juliet)


@pytest.mark.parametrize(
    "node",
    [
        attachments_of(Target(JULIET, BLOG, "no-such-item")),
        attachments_of(Target(JULIET, "no-such-node", "balcony")),
        attachments_of(Target("nurse@example.org", BLOG, "balcony")),
        f"{NS}/what is this",
    ],
)
def test_nothing_is_attached_to_nothing(friends, node):
    """§4.1: the owner does not get a node either."""
    romeo, juliet = friends
    posts(juliet)
    for client in (romeo, juliet):
        assert holds(attaches(client, NOTICED, node=node), iq_error("pub", "item-not-found"))
    assert "type='error'" in items(juliet, node)


@pytest.mark.parametrize("model", ["publishers", "subscribers"])
def test_who_may_not_publish_may_not_attach(friends, model):
    """§4.3: the models are those of the node; whether the item is there is nobody's business."""
    romeo, juliet = friends
    posts(juliet, options={"access_model": "open", "publish_model": model})
    assert holds(attaches(romeo, NOTICED), iq_error("pub", "item-not-found"))
    assert "type='result'" in attaches(juliet, NOTICED)
    assert "type='error'" in attaches(romeo, NOTICED)


def test_who_sees_the_item_sees_what_is_attached(friends, server):
    """§4.3, §4.6: nobody else; XEP-0060 §16.4.4 lets also those publish who see nothing."""
    romeo, juliet = friends
    posts(juliet, options={"access_model": "presence", "publish_model": "open"})
    assert "type='result'" in attaches(romeo, NOTICED)
    tybalt = server.login("tybalt@example.org/street")
    assert "type='error'" in items(tybalt, NODE, to=JULIET)
    assert "type='error'" in items(tybalt, SUMMARIES, to=JULIET)
    assert "type='result'" in attaches(tybalt, NOTICED)
    assert "count='2'" in summary(romeo)


def test_access_follows_the_node(friends, server):
    """§4.3: both nodes change with what they are about."""
    romeo, juliet = friends
    tybalt = server.login("tybalt@example.org/street")
    posts(juliet)
    attaches(romeo, NOTICED)
    assert "count='1'" in summary(tybalt)
    assert "type='result'" in configure(juliet, BLOG, access_model="presence")
    for node in (NODE, SUMMARIES):
        assert "type='error'" in items(tybalt, node, to=JULIET)
        assert field(juliet, "access_model", node) == "presence"
    assert field(juliet, "publish_model", SUMMARIES) == "publishers"
    configure(juliet, BLOG, publish_model="publishers")
    assert "type='error'" in attaches(romeo, "")


@pytest.mark.parametrize("node", [NODE, SUMMARIES])
def test_access_is_not_changed_by_itself(friends, node):
    """§4.3, §4.6: by the owner; other things are."""
    romeo, juliet = friends
    posts(juliet)
    attaches(romeo, NOTICED)
    for change in ({"access_model": "whitelist"}, {"publish_model": "subscribers"}):
        assert holds(configure(juliet, node, **change), iq_error("conf", "not-allowed"))
    assert "type='result'" in configure(juliet, node, title="What people think")


def test_attachments_go_with_the_item(friends):
    """§4.6: nobody else could take them away."""
    romeo, juliet = friends
    for item in ("balcony", "garden"):
        posts(juliet, item)
        attaches(romeo, NOTICED, node=attachments_of(Target(JULIET, BLOG, item)))
    asks(juliet, f"<retract node='{BLOG}'><item id='balcony'/></retract>", "set")
    assert holds(items(juliet, NODE), iq_error("items", "item-not-found"))
    assert summary(juliet) == ""
    assert "count='1'" in summary(juliet, "garden")


def test_support_is_advertised(romeo):
    """§6: on the account."""
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    answer = romeo.says(f"<iq type='get' id='d' to='{ROMEO}'>{query}</iq>")[-1]
    assert f"'{NS}'" in answer
