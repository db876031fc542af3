"""Parsers that streams share, and when they go."""

import gc
import sys
import weakref
from pyexpat import XMLParserType

import pytest

from imsuite.streams import expatpool
from imsuite.streams.expatpool import root_of
from imsuite.streams.parser import Reader
from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import MOST_USES
from tests.streams.reading import (
    END_TAG,
    HEAD,
    MESSAGE,
    opened,
    plain,
    raws,
)


def test_idle_reader_holds_nothing():
    reader = opened()
    reader.feed(MESSAGE)
    assert reader._parser is None
    assert sys.getsizeof(reader) < 120
    assert not hasattr(reader, "__dict__")
    assert reader._held == b""


def test_readers_of_one_kind_share_parsers():
    readers = [opened() for _ in range(50)]
    for _ in range(20):
        for reader in readers:
            assert raws(reader.feed(MESSAGE)) == [MESSAGE]
    assert readers[0]._root is readers[1]._root
    assert readers[0]._root.idle <= expatpool.MOST_IDLE


def test_many_open_stanzas_leave_a_small_pool():
    readers = [opened() for _ in range(3 * expatpool.MOST_IDLE)]
    for reader in readers:
        reader.feed(MESSAGE[:-1] + b" ")
        assert reader._parser is None or reader._parser.depth
    for reader in readers:
        assert len(reader.feed(b">")) == 1
    assert readers[0]._root.idle <= expatpool.MOST_IDLE


def test_parser_is_not_shared_after_an_error():
    broken, fine = opened(), opened()
    broken.feed(b"<message><a>")
    assert plain(broken.feed(b"</b>")) == ["not-well-formed"]
    assert raws(fine.feed(MESSAGE)) == [MESSAGE]


def test_parser_is_thrown_away_in_time():
    """expat forgets no name: without this, fresh names grow it for ever."""
    reader = opened(head=HEAD[:-1] + b" xmlns:recycled='urn:x'>")
    root = reader._root
    seen = set()
    for i in range(2 * MOST_USES + 10):
        parser = root.lease()
        seen.add(id(parser.expat))
        assert parser.uses < MOST_USES
        root.give_back(parser)
        assert len(reader.feed(b"<message><name%d/></message>" % i)) == 1
    used = root._idle[0].uses
    assert used < 2 * MOST_USES
    big = b"<message>" + b"x" * 200000 + b"</message>"
    for _ in range(6):
        reader.feed(big)
    assert root.idle == 0 or root._idle[0].total < expatpool.MOST_BYTES


def test_strange_roots_are_not_collected():
    """A peer chooses what its root declares."""
    before = len(expatpool._roots)
    try:
        for i in range(200):
            reader = opened(head=HEAD[:-1] + b" xmlns:p%d='urn:x'>" % i)
            assert raws(reader.feed(MESSAGE)) == [MESSAGE]
            reader.close()
        assert len(expatpool._roots) <= expatpool.MOST_ROOTS
    finally:
        for head in list(expatpool._roots)[before:]:
            del expatpool._roots[head]
    usual = root_of("stream:stream", {"": NS.CLIENT, "stream": NS.STREAM})
    assert usual.kept


@pytest.mark.parametrize("last", ["close", "restart", "error", "end"])
def test_nothing_waits_for_the_collector(last):
    """A parser and its handlers are a cycle until it is broken."""
    parsers = lambda: sum(isinstance(o, XMLParserType) for o in gc.get_objects())  # noqa: E731
    reader = opened()
    reader.feed(MESSAGE)
    gc.collect()
    gc.disable()
    try:
        before = parsers()
        for _ in range(50):
            reader.restart()
            reader.feed(HEAD + MESSAGE + b"<message>")
            if last == "error":
                reader.feed(b"</a>")
            elif last == "end":
                reader.feed(b"</message>" + END_TAG)
            elif last == "close":
                reader.close()
        reader.restart()
        assert parsers() <= before + 1
    finally:
        gc.enable()


def test_reader_goes_when_let_go():
    class Watched(Reader):
        __slots__ = ("__weakref__",)

    reader = Watched()
    reader.feed(HEAD + MESSAGE)
    gone = weakref.ref(reader)
    gc.disable()
    try:
        del reader
        assert gone() is None
    finally:
        gc.enable()
