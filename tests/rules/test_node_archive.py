"""XEP-0442: queries of archives of nodes, as values."""

import pytest
from twisted.words.xish.domish import Element

from imsuite.rules.node_archive import LATEST, Wanted, offered, read, uid
from imsuite.xmpp import rsm
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StanzaError
from tests.archives import MAM, form
from tests.archives import rsm as set_

MOMENT = 1_262_304_000_000_000  # 2010, µs since 1970 UTC


def query(inner="", attributes=""):
    """Return a <query/>."""
    found = build(f"<query xmlns='{MAM}' node='n'{attributes}>{inner}</query>".encode(), MAM)
    assert isinstance(found, Element)
    return found


def test_query_for_everything():
    """§2"""
    wanted = read(query(attributes=" queryid='f28'"), 10)
    assert wanted == Wanted(rsm.Page(10), id="f28")
    assert wanted.bounds() == (-1, LATEST + 1)
    assert wanted.named == []


def test_ids_are_moments():
    """Of publication, as no two items of a node have the same"""
    fields = {"after-id": uid(1), "before-id": uid(MOMENT), "ids": [uid(7), uid(5), uid(7)]}
    page = set_(f"<max>2</max><after>{uid(3)}</after>")
    wanted = read(query(form(fields) + page + "<flip-page/>"), 10)
    assert (wanted.after, wanted.before, wanted.page_after) == (1, MOMENT, 3)
    assert wanted.ids == (7, 5)
    assert wanted.flipped
    assert wanted.named == [1, MOMENT, 3]
    assert wanted.bounds() == (1, MOMENT)


def test_times_are_included():
    """XEP-0313 §4.1.2"""
    wanted = read(query(form({"start": "2010-01-01T00:00:00Z", "end": "2010-01-01T00:00:01Z"})), 10)
    assert wanted.bounds() == (MOMENT - 1, MOMENT + 1_000_001)


@pytest.mark.parametrize("id", ["", "x", "-1", "0x1", "A", "1" * 16, "١"])
def test_other_ids_are_not_there(id):
    """XEP-0313 §4.3"""
    with pytest.raises(StanzaError) as caught:
        read(query(form({"after-id": id})), 10)
    assert caught.value.condition == "item-not-found"


def test_unknown_fields_are_refused():
    """XEP-0313 §4.1.5: also those of archives of messages"""
    for name in ("with", "{urn:xmpp:fulltext:0}fulltext", "include-groupchat"):
        with pytest.raises(StanzaError) as caught:
            read(query(form({name: "x"})), 10)
        assert caught.value.condition == "feature-not-implemented"
    names = [field.var for field in offered().fieldList]
    assert names == ["start", "end", "before-id", "after-id", "ids"]
