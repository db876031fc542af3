"""Reading an archive as a client does (XEP-0313, XEP-0059), one page at a time."""

import itertools
import re
import time
from collections.abc import Iterator
from datetime import datetime
from xml.etree import ElementTree
from xml.sax.saxutils import escape, quoteattr

import attrs

from benchmarks.dialogue import Refused, Session
from benchmarks.loop import Loop

NS_MAM = "urn:xmpp:mam:2"
NS_FULLTEXT = "urn:xmpp:fulltext:0"
ENOUGH = 60.0  # seconds for one page
FIN = re.compile(rb"<fin\b([^>]*?)(?:/>|(?<!/)>(.*?)</fin\s*>)", re.DOTALL)
COMPLETE = re.compile(rb"\bcomplete=['\"](?:true|1)['\"]")
COUNT = re.compile(rb"<count\b[^>]*>(\d+)</count\s*>")
LAST = re.compile(rb"<last\b[^>]*>([^<]+)</last\s*>")
FIELD = "<field var='%s'><value>%s</value></field>"
numbers = itertools.count()  # of requests


@attrs.frozen
class Row:
    """One message as an archive gives it."""

    archived: str  # its id in the archive
    sender: str  # full JID
    id: str  # as the client called it
    body: str


@attrs.frozen
class Page:
    """An answer; what it holds is parsed when it is asked for, not while somebody measures."""

    results: bytes  # what came before the <iq/>
    seconds: float
    complete: bool
    last: str | None  # id in the archive
    count: int | None  # of all the query finds, if the server says it

    def rows(self) -> list[Row]:
        """Return the messages of the page."""
        root = ElementTree.fromstring(b"<x xmlns='jabber:client'>" + self.results + b"</x>")
        return [row(result) for result in root.iter(f"{{{NS_MAM}}}result")]


def row(result: ElementTree.Element) -> Row:
    """Return the message in a <result/>; raises Refused when there is none."""
    message = result.find("{urn:xmpp:forward:0}forwarded/{jabber:client}message")
    if message is None:
        raise Refused(f"no message in {ElementTree.tostring(result)!r}")
    return Row(
        archived=result.get("id", ""),
        sender=message.get("from", ""),
        id=message.get("id", ""),
        body=message.findtext("{jabber:client}body", ""),
    )


def ask(
    loop: Loop,
    session: Session,
    most: int,
    *,
    after: str | None = None,
    backwards: bool = False,
    since: datetime | None = None,
    words: str | None = None,
    of: str | None = None,
) -> Page:
    """Return a page of the session's own archive; raises Refused, Stalled.

    of: bare JID of the room whose archive it is instead; after: id in the archive; backwards: the
    last page; since: the rows from then on; words: what to search for (XEP-0431).
    """
    number = next(numbers)
    fields = [FIELD.replace(" var", " type='hidden' var") % ("FORM_TYPE", NS_MAM)]
    if since is not None:
        fields.append(FIELD % ("start", f"{since:%Y-%m-%dT%H:%M:%S.%fZ}"))
    if words is not None:
        fields.append(FIELD % (f"{{{NS_FULLTEXT}}}fulltext", escape(words)))
    form = f"<x xmlns='jabber:x:data' type='submit'>{''.join(fields)}</x>"
    if len(fields) == 1:
        form = ""
    place = "<before/>" if backwards else f"<after>{after}</after>" if after else ""
    answered = re.compile(
        rb"<iq\b(?=[^>]*\bid=['\"]mam-%d['\"])[^>]*?(?:/>|(?<!/)>.*?</iq\s*>)" % number, re.DOTALL
    )
    to = "" if of is None else f" to={quoteattr(of)}"
    chunks: list[bytes] = []
    session.link.receive = chunks.append
    start = time.perf_counter()
    session.link.send(
        f"<iq type='set'{to} id='mam-{number}'><query xmlns='{NS_MAM}' queryid='q{number}'>{form}"
        f"<set xmlns='http://jabber.org/protocol/rsm'><max>{most}</max>{place}</set>"
        "</query></iq>".encode()
    )
    ending = b"mam-%d" % number
    loop.run(
        lambda: bool(chunks) and ending in (tail := b"".join(chunks[-3:])) and b"</iq" in tail,
        ENOUGH,
        "a page of an archive",
    )
    received = b"".join(chunks)
    seconds = loop.now - start
    end = answered.search(received)
    fin = None if end is None else FIN.search(end[0])
    if end is None or fin is None:
        raise Refused(f"archive: {received[-600:]!r}")
    last, count = LAST.search(fin[0]), COUNT.search(fin[0])
    return Page(
        results=received[: end.start()],
        seconds=seconds,
        complete=COMPLETE.search(fin[1]) is not None,
        last=None if last is None else last[1].decode(),
        count=None if count is None else int(count[1]),
    )


def pages(
    loop: Loop, session: Session, most: int, after: str | None = None, of: str | None = None
) -> Iterator[Page]:
    """Return the pages of the session's own archive or a room's, from the first after an id on."""
    while True:
        page = ask(loop, session, most, after=after, of=of)
        yield page
        if page.complete or page.last is None:
            return
        after = page.last
