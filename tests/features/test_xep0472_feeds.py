"""XEP-0472: nodes that are social feeds."""

import pytest

from tests.eventing import OWNER, asks, form, items, publish
from tests.helpers import holds, iq_error

ATOM = "http://www.w3.org/2005/Atom"
CONFIG = "http://jabber.org/protocol/pubsub#node_config"
BLOG, GALLERY = "urn:xmpp:microblog:0", "urn:xmpp:pubsub-social-feed:gallery:1"
FEED = "urn:xmpp:pubsub-social-feed:1"
POST = f"<entry xmlns='{ATOM}'><title>hello</title></entry>"
PICTURE = POST.replace("<title>", "<link rel='enclosure' href='https://x.example/a.png'/><title>")


def makes(client, node, type, to=None):
    """Let a client make a node of a type; return the answer."""
    inner = f"<create node='{node}'/><configure>{form(CONFIG, {'type': type})}</configure>"
    return asks(client, inner, "set", to=to)


def field(client, name, node=BLOG):
    """Return what the configuration of a node says."""
    answer = asks(client, f"<configure node='{node}'/>", ns=OWNER)
    after = answer.partition(f"var='pubsub#{name}'")[2]
    return after.partition("<value>")[2].partition("</value>")[0]


def test_first_post_makes_the_microblog(romeo):
    """§6.1.1, §6.2: as a feed has to be."""
    assert "type='result'" in romeo.says(publish(BLOG, POST))[-1]
    assert field(romeo, "type") == BLOG
    assert field(romeo, "max_items") == "max"
    assert field(romeo, "send_last_published_item") == "never"
    assert [field(romeo, name) for name in ("persist_items", "notify_retract")] == ["true"] * 2
    assert field(romeo, "deliver_payloads") == "false"


def test_client_may_want_the_microblog_otherwise(romeo):
    """§6.1.1: what SHOULD be is not enforced."""
    romeo.says(publish(BLOG, POST, options={"access_model": "open", "deliver_payloads": "true"}))
    assert field(romeo, "deliver_payloads") == "true"


@pytest.mark.parametrize(
    "payload", ["<mood xmlns='http://jabber.org/protocol/mood'/>", f"<feed xmlns='{ATOM}'/>"]
)
def test_what_is_no_post_is_refused(romeo, payload):
    """§4.2: also when it would be the first."""
    answer = romeo.says(publish(BLOG, payload))[-1]
    assert holds(answer, iq_error("pub", "bad-request"))
    assert "invalid-payload" in answer
    assert holds(items(romeo, BLOG), iq_error("items", "item-not-found"))


@pytest.mark.parametrize("to", [None, "pubsub.example.org"])
def test_gallery_has_pictures(romeo, to):
    """§6.3: on an account as on the service."""
    assert "type='result'" in makes(romeo, "pictures", GALLERY, to)
    refused = romeo.says(publish("pictures", POST, to=to))[-1]
    assert holds(refused, iq_error("pub", "bad-request"))
    assert "type='result'" in romeo.says(publish("pictures", PICTURE, to=to))[-1]


@pytest.mark.parametrize("to", [None, "pubsub.example.org"])
def test_feed_has_posts(romeo, to):
    """§4.2, §6.1"""
    makes(romeo, "family", FEED, to)
    assert "type='result'" in romeo.says(publish("family", POST, to=to))[-1]
    assert "type='error'" in romeo.says(publish("family", "<x xmlns='urn:x'/>", to=to))[-1]


def test_other_nodes_hold_anything(romeo):
    """§6: the type says what a node is."""
    makes(romeo, "notes", "urn:x")
    assert "type='result'" in romeo.says(publish("notes", "<x xmlns='urn:x'/>"))[-1]


@pytest.mark.parametrize("to", ["romeo@example.org", "pubsub.example.org"])
def test_support_is_advertised(romeo, to):
    """§3"""
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    answer = romeo.says(f"<iq type='get' id='d' to='{to}'>{query}</iq>")[-1]
    assert f"'{FEED}'" in answer
    assert f"'{GALLERY}'" in answer
