"""Records: what a message causes to be written, and how it is called."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock

from imsuite.core.record import Ids, Record, parse_id, public_id, unrefer
from imsuite.xmpp.stanza import make

IDS = st.integers(0, 2**63 - 1)


@given(IDS, IDS, IDS, IDS)
def test_public_ids_sort_as_messages_came(id, salt, other_id, other_salt):
    one, other = public_id(id, salt), public_id(other_id, other_salt)
    assert (one < other) == ((id, salt) < (other_id, other_salt))
    assert parse_id(one) == (id, salt)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "x",
        "0" * 31,
        "0" * 33,
        "g" * 32,
        "F" * 32,
        "f" * 32,
        "0" * 31 + "ü",
        "-" + "0" * 31,
        "0_" * 16,
        " " * 32,
    ],
)
def test_what_is_none_of_our_ids_is_none(text):
    assert parse_id(text) is None


def test_ids_ascend_whatever_the_clock_does():
    clock = Clock()
    clock.advance(1000)
    ids = Ids(clock)
    seen = [ids.next(), ids.next()]
    assert seen == [1_000_000_000, 1_000_000_001]
    clock.rightNow = 1
    seen += [ids.next()]
    ids.skip(5_000_000_000)
    seen += [ids.next()]
    clock.rightNow = 6000
    seen += [ids.next()]
    assert seen == sorted(set(seen))
    assert seen[-1] == 6_000_000_000


@pytest.fixture
def record():
    return Record(None, make("message", {"id": "1"}), Ids(Clock()))


def test_a_body_is_there_once_however_many_keep_it(record):
    one = record.hold("romeo@example.org", record.stanza)
    other = record.hold("juliet@example.org", record.stanza)
    assert one is other
    assert [record.bodies, one.refs] == [[one], 2]
    assert record.of("romeo@example.org").public == record.public


def test_a_message_that_changed_on_its_way_is_another(record):
    one = record.hold("romeo@example.org", record.stanza)
    changed = record.stanza.amended({"id": "2"})
    other = record.hold("juliet@example.org", changed)
    assert [one.refs, other.refs] == [1, 1]
    assert other.id > one.id
    assert record.of("juliet@example.org") is other


def test_a_body_that_nobody_keeps_is_not_written(record):
    changed = record.stanza.amended({"id": "2"})
    assert record.bodies == []
    body = record.keep(changed)
    assert [record.bodies, body.raw, body.id] == [[body], changed.raw, record.id]


def test_a_body_goes_with_the_last_who_refers_to_it(make):
    store = make().store
    add = "INSERT INTO message (id, salt, refs, raw) VALUES (?, 0, ?, ?)"

    def left(ids):
        store.transaction(unrefer, ids)
        return store.query("SELECT id, refs FROM message ORDER BY id").result

    store.execute(add, 1, 2, b"")
    store.execute(add, 2, 1, b"")
    assert left([]) == [(1, 2), (2, 1)]
    assert left([1, 2]) == [(1, 1)]
    assert left([1]) == []
