"""Feeds mutated streams to the parser: `python -m benchmarks.fuzz_parser --count 1000000 --seed 1`.

Each input is a good stream that was damaged, cut at random. None may crash, hang, give something
that is no event, give a stanza that does not mean the same by itself, or make the process grow.
The same seed gives the same inputs; a failure prints the seed, the number and the input.
"""

from __future__ import annotations

import argparse
import faulthandler
import gc
import random
import signal
import sys
import time
from pathlib import Path

import attrs

from imsuite.streams.parser import END, Header, Limits, Reader
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.stanza import Stanza

LONGEST = 10  # seconds for one input; then the stack is printed and the process ends
CHECKED = 8  # one stanza in so many is opened
SMALL = Limits(stanza_bytes=600, tag_bytes=200, depth=6, attributes=5, namespaces=4, elements=12)
ROOTS = (
    b"xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'",
    b"xmlns:stream='http://etherx.jabber.org/streams' xmlns=\"jabber:server\" xmlns:db='urn:db'",
    b"xmlns:stream='http://etherx.jabber.org/streams'",
)
SEEDS = (
    b"<message to='a@b' type='chat'><body>Art thou?</body><active xmlns='urn:c'/></message>",
    b'<message xmlns="jabber:client" xml:lang="en"><body>&lt;&#228;\xc3\xa4</body></message>',
    b"<iq id='1' type='get'><query xmlns='jabber:iq:roster'/></iq>",
    b"<iq xmlns:f='urn:f'><f:x f:y='z'><f:x/></f:x></iq>",
    b"<db:result from='a' to='b'>key</db:result>",
    b"<r xmlns='urn:xmpp:sm:3'/>",
    b"<presence/>",
    b"<message id='>'><![CDATA[ < it's > ]]></message>",
    b"<stream:features><a xmlns='b'/></stream:features>",
    b"<a:b xmlns:a='c'><a:b/></a:b>",
)
TOKENS = (
    *(b"<", b">", b"/", b"'", b'"', b"&", b";", b"=", b" ", b":", b"]]>", b"/>", b"</", b"<!"),
    *(b"<!--", b"-->", b"<?xml version='1.0'?>", b"<?a?>", b"<![CDATA[", b"<!DOCTYPE a [", b"]"),
    *(
        b"&amp;",
        b"&a;",
        b"&#0;",
        b"&#x41;",
        b"xmlns=''",
        b" xmlns:b='c'",
        b" xmlns='jabber:client'",
    ),
    *(
        b"xml:",
        b"stream:",
        b"\x00",
        b"\xff",
        b"\xc3",
        b"\xed\xa0\x80",
        b"\xef\xbb\xbf",
        b"\r",
        b"\n",
    ),
    *(b"<a>", b"</a>", b"<a/>", b"</stream:stream>", b"<stream:stream>", b"x" * 300, b"<a>" * 9),
)


@attrs.define
class Tally:
    """What came of the inputs."""

    inputs: int = 0
    bytes: int = 0
    stanzas: int = 0
    opened: int = 0
    errors: int = 0
    ends: int = 0
    slowest: float = 0.0  # seconds

    def line(self, grown: int, seconds: float) -> str:
        """One line for people; grown: KiB."""
        return (
            f"{self.inputs} inputs, {self.bytes} bytes, {self.stanzas} stanzas, "
            f"{self.opened} of them opened, {self.errors} stream errors, {self.ends} ends, "
            f"slowest {self.slowest * 1000:.1f} ms, "
            f"grown {grown} KiB, {seconds:.1f} s"
        )


def good(dice: random.Random) -> bytes:
    """Return a stream that is well-formed, if its prefixes are declared."""
    root = b"<stream:stream %s version='1.0'>" % dice.choice(ROOTS)
    head = b"<?xml version='1.0'?>" if dice.random() < 0.5 else b""
    stanzas = [dice.choice(SEEDS) for _ in range(dice.randint(1, 4))]
    end = b"</stream:stream>" if dice.random() < 0.3 else b""
    return head + root + dice.choice((b"", b" ", b"\r\n")).join(stanzas) + end


def damaged(data: bytes, dice: random.Random) -> bytes:
    """Return data with a few changes."""
    text = bytearray(data)
    for _ in range(dice.choice((0, 1, 1, 1, 2, 3, 6))):
        at = dice.randrange(len(text) + 1)
        to = min(len(text), at + dice.choice((1, 1, 2, 5, 20)))
        what = dice.randrange(6)
        if what == 0:
            text[at:at] = dice.choice(TOKENS)
        elif what == 1:
            del text[at:to]
        elif what == 2:
            text[at:to] = dice.choice(TOKENS)
        elif what == 3:
            text[at:at] = text[at:to] * dice.randint(1, 3)
        elif what == 4:
            text[at:at] = bytes([dice.randrange(256)])
        elif at < len(text):
            text[at] ^= 1 << dice.randrange(8)
    return bytes(text)


def pieces(data: bytes, dice: random.Random) -> list[bytes]:
    """Return data cut: mostly in few pieces, sometimes in single bytes."""
    size = dice.choice((1, 7, 40, 200, 100000, 100000))
    if size == 1 or size > len(data):
        return [data[i : i + size] for i in range(0, len(data), size)]
    cut, at = [], 0
    while at < len(data):
        to = at + dice.randint(1, size)
        cut.append(data[at:to])
        at = to
    return cut


def try_one(data: bytes, dice: random.Random, tally: Tally) -> None:
    """Read one input, and check what comes. Raises whatever is wrong."""
    limits = SMALL if dice.random() < 0.3 else Limits()
    reader = Reader(limits)
    begun = ended = False
    for piece in pieces(data, dice):
        events = reader.feed(piece)
        assert reader.pending <= max(limits.stanza_bytes, limits.tag_bytes)
        for event in events:
            assert not ended
            if isinstance(event, Stanza):
                assert begun
                tally.stanzas += 1
                assert len(event.raw) <= limits.stanza_bytes
                if tally.stanzas % CHECKED == 0:
                    tally.opened += 1
                    check(event)
            elif isinstance(event, Header):
                assert not begun
                begun = True
            elif event is END:
                assert begun
                tally.ends += 1
                ended = True
            else:
                assert isinstance(event, StreamError)
                tally.errors += 1
                ended = True
    reader.close()
    assert reader.pending == 0


def check(stanza: Stanza) -> None:
    """Raise unless the bytes of a stanza say by themselves what the stanza says."""
    # the default namespace of a stream without one is nobody's, so the stanza carries its own
    element = build(stanza.raw, stanza.ns)
    assert element.name == stanza.kind
    assert element.uri == stanza.ns
    names = (
        f"{child.uri}}}{child.name}" if child.uri else child.name for child in element.elements()
    )
    assert tuple(names) == stanza.children
    assert len(element.attributes) == len(stanza.attrs)


def resident() -> int:
    """Return the memory of this process in KiB, 0 where /proc does not tell."""
    try:
        status = Path("/proc/self/status").read_text()
    except OSError:
        return 0
    return int(status.partition("VmRSS:")[2].split()[0])


def run(count: int, seed: int) -> tuple[Tally, int]:
    """Try count inputs; return what came of them, and the growth in KiB after the first tenth."""
    tally = Tally()
    before = 0
    # answered in C, also while expat or a regular expression does not come back
    faulthandler.register(signal.SIGALRM, chain=True)
    for number in range(count):
        dice = random.Random(f"{seed}/{number}")
        data = damaged(good(dice), dice)
        begun = time.perf_counter()
        signal.setitimer(signal.ITIMER_REAL, LONGEST)
        try:
            try_one(data, dice, tally)
        except BaseException:
            print(f"seed {seed}, number {number}: {data!r}", file=sys.stderr)
            raise
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        tally.slowest = max(tally.slowest, time.perf_counter() - begun)
        tally.inputs += 1
        tally.bytes += len(data)
        if number == count // 10:
            gc.collect()
            before = resident()
    faulthandler.unregister(signal.SIGALRM)
    gc.collect()
    return tally, resident() - before


def main() -> int:
    """Run from the command line; return 1 if memory grew by more than 16 MiB."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("--count", type=int, default=1000000)
    options.add_argument("--seed", type=int, default=1)
    given = options.parse_args()
    begun = time.perf_counter()
    tally, grown = run(given.count, given.seed)
    print(tally.line(grown, time.perf_counter() - begun))
    return 1 if grown > 16384 else 0


if __name__ == "__main__":
    sys.exit(main())
