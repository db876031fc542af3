"""XEP-0470: attachments and their summary."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules import attachments
from imsuite.rules.attachments import NS_ATTACHMENTS, NS_SUMMARY, Target
from imsuite.xmpp.build import build
from imsuite.xmpp.stanza import to_bytes
from tests.helpers import holds

BALCONY = Target("juliet@capulet.lit", "urn:xmpp:microblog:0", "balcony-restoration-afd1")
NODE = (
    "urn:xmpp:pubsub-attachments:1/xmpp:juliet@capulet.lit"
    "?;node=urn%3Axmpp%3Amicroblog%3A0;item=balcony-restoration-afd1"
)


def attached(inner):
    """Return a payload."""
    return build(
        f"<attachments xmlns='{NS_ATTACHMENTS}'>{inner}</attachments>".encode(), NS_ATTACHMENTS
    )


def reactions(*emoji):
    """Return reactions."""
    return f"<reactions>{''.join(f'<reaction>{each}</reaction>' for each in emoji)}</reactions>"


def test_name_of_the_node():
    """§4.1: the example."""
    assert attachments.attachments_of(BALCONY) == NODE
    assert attachments.target_of(NODE) == BALCONY


@pytest.mark.parametrize(
    "node",
    [
        "urn:xmpp:microblog:0",
        NS_ATTACHMENTS,
        f"{NS_ATTACHMENTS}/",
        f"{NS_ATTACHMENTS}/http://x.example/?;node=a;item=b",
        f"{NS_ATTACHMENTS}/xmpp:juliet@capulet.lit",
        f"{NS_ATTACHMENTS}/xmpp:juliet@capulet.lit?;node=a",
        f"{NS_ATTACHMENTS}/xmpp:juliet@capulet.lit?;item=b",
        f"{NS_ATTACHMENTS}/xmpp:juliet@capulet.lit?;node=;item=b",
        f"{NS_ATTACHMENTS}/xmpp:juliet@capulet.lit?;node=a;node=c;item=b",
        f"{NS_ATTACHMENTS}/xmpp:juliet@capulet.lit/balcony?;node=a;item=b",
        f"{NS_ATTACHMENTS}/xmpp:a%20b@capulet.lit?;node=a;item=b",
        f"{NS_ATTACHMENTS}/xmpp:juliet@capulet.lit?;node={NS_SUMMARY}%2Fa;item=b",
        f"{NS_ATTACHMENTS}/xmpp:juliet@capulet.lit?;node={NS_ATTACHMENTS}%2Fa;item=b",
    ],
)
def test_what_names_no_item_is_for_none(node):
    """§4.1: nor is anything attached to attachments."""
    assert attachments.target_of(node) is None


NAME = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)


@given(NAME, NAME)
def test_every_item_has_a_node(node, item):
    """§4.1: whatever it is called."""
    target = Target("juliet@capulet.lit", node, item)
    assert attachments.target_of(attachments.attachments_of(target)) == target


@given(st.text(max_size=60))
def test_no_name_breaks_reading(text):
    """Names of nodes come from anybody."""
    attachments.target_of(f"{NS_ATTACHMENTS}/{text}")
    attachments.target_of(f"{NS_ATTACHMENTS}/xmpp:{text}")


def test_summary_node():
    """§4.6: the example."""
    node = attachments.summary_of("urn:xmpp:microblog:0")
    assert node == "urn:xmpp:pubsub-attachments:summary:1/urn:xmpp:microblog:0"
    assert attachments.is_summary(node)
    assert attachments.summarised(node) == "urn:xmpp:microblog:0"


ROMEO = "romeo@montague.lit"


@pytest.mark.parametrize(
    ("id", "payload", "valid"),
    [
        (ROMEO, attached("<noticed/>"), True),
        (ROMEO, attached(""), True),
        (f"{ROMEO}/123", attached(""), False),
        ("juliet@capulet.lit", attached(""), False),
        (None, attached(""), False),
        (ROMEO, None, False),
        (ROMEO, build(b"<attachments xmlns='urn:x'/>", "urn:x"), False),
        (ROMEO, build(f"<noticed xmlns='{NS_ATTACHMENTS}'/>".encode(), NS_ATTACHMENTS), False),
    ],
)
def test_what_may_be_attached(id, payload, valid):
    """§4.5"""
    assert attachments.is_valid(id, payload, ROMEO) is valid


@pytest.mark.parametrize(
    ("payloads", "summary"),
    [
        ([], None),
        ([None, attached(""), attached(reactions()), attached("<other xmlns='urn:x'/>")], None),
        ([attached("<noticed timestamp='2022-07-11T12:07:24Z'/>")], "<noticed count='1'/>"),
        ([attached("<noticed/><noticed/>"), attached("<noticed/>")], "<noticed count='2'/>"),
        ([attached("<noticed xmlns='urn:x'/>")], None),
        ([attached(reactions("a", "b")), attached(reactions("b", "b"))],
         "<reactions><reaction count='2'>b</reaction><reaction>a</reaction></reactions>"),
        ([attached(reactions("", " ", "x" * 65))], None),
        ([attached(reactions(" a ") + reactions("a"))],
         "<reactions><reaction>a</reaction></reactions>"),
    ],
)  # fmt: skip
def test_attachments_are_summarised(payloads, summary):
    """§4.7.3, §4.8.2: each JID counts once."""
    found = attachments.summarise(payloads)
    if summary is None:
        assert found is None
        return
    text = to_bytes(found).decode()
    assert holds(text, f"<summary xmlns='{NS_SUMMARY}'>{summary}</summary>")
    assert text.count("<reaction") == summary.count("<reaction")
    assert ("count='1'" in text) == ("count='1'" in summary)


def test_summary_is_bounded():
    """Anybody may invent reactions."""
    many = [attached(reactions(*(f"{n}-{k}" for k in range(20)))) for n in range(20)]
    assert to_bytes(attachments.summarise(many)).count(b"<reaction>") == 100
