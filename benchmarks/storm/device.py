"""A device in a storm that keeps messages: it counts (XEP-0198), loses its link, and comes back."""

from __future__ import annotations

import random
import re
from base64 import b64encode
from collections import Counter
from collections.abc import Callable

from benchmarks.storm.words import PASSWORD
from imsuite.streams.parser import Limits, Reader
from imsuite.testing.memory import MemoryServer
from imsuite.testing.memory_link import MemoryLink, MemoryTls
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import Stanza

NS_SM = "urn:xmpp:sm:3"
LIMITS = Limits(stanza_bytes=2**26)
HEADER = (
    "<stream:stream xmlns='jabber:client' version='1.0' to='{}'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)
BIND = f"<iq type='set' id='bind'><bind xmlns='{NS.BIND}'><resource>{{}}</resource></bind></iq>"
CARBONS = "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
MANY = 3  # sessions that may lose a message one after the other, which waits again each time
BODY = re.compile(rb"<body>n(\d+)</body>")


class Device:
    """One device of an account.

    bare, resource: of its address; careful: it always asks for a session that can be resumed;
    phase: "off", "opening", "reopening", "entering", "bound"; got: how often each message came
    in this session, by number and whether it had waited, beside what it asked the archive for;
    ever: numbers of all messages that ever came; acked: called with the numbers of messages that
    the server says it has; again: with the number of each that is sent once more, None for another
    stanza; wrong: makes what is raised.
    """

    def __init__(self, dice: random.Random, bare: str, resource: str, careful: bool) -> None:
        self.bare = bare
        self.resource = resource
        self.careful = careful
        self.dice = dice
        self.phase = "off"
        self.got: Counter[tuple[int, bool]] = Counter()
        self.ever: set[int] = set()
        self.refused: set[int] = set()
        self.order: dict[str, int] = {}  # the newest message of each device, without delay
        self.pages: list[int] = []  # what the archive gave for the query under way
        self.acked: Callable[[list[int]], None] = lambda numbers: None
        self.again: Callable[[int | None], None] = lambda number: None
        self.wrong: Callable[[str], Exception] = AssertionError
        self.obliging = True  # it answers <r/>
        self.answered: set[str] = set()  # ids of requests
        self.link: MemoryLink | None = None
        self._reader = Reader(LIMITS)
        self._forget()

    def __repr__(self) -> str:
        return f"<{self.bare}/{self.resource} {self.phase}>"

    @property
    def full(self) -> str:
        """Its full JID."""
        return f"{self.bare}/{self.resource}"

    def _forget(self) -> None:
        """Begin a new session."""
        self.id: str | None = None  # by which the session can be resumed
        self.counting = False
        self.counted = 0
        self.enabling = False
        self.sent: list[tuple[str, int | None]] = []  # since <enable/>, not acknowledged
        self.handled = 0  # of those, what the server said

    # links

    def connects(self, server: MemoryServer) -> None:
        """Open a new link; the one before, if any, is left as it is."""
        self.link = server.connect(MemoryTls())
        self.phase = "opening"
        self._open()

    def _open(self) -> None:
        self._reader.restart()
        self.puts(HEADER.format(self.bare.partition("@")[2]))

    def vanishes(self) -> None:
        """Lose the link without a word; what has come is read."""
        if self.link is not None:
            self.link.lose()
        self._gone()

    def is_cut_off(self, reads: bool) -> None:
        """Lose the link; the other end of it is no more. reads: what was on the way comes."""
        if self.link is not None:
            self.link.receiver = None
            if reads:
                self.hears()
        self._gone()

    def _gone(self) -> None:
        self.link, self.phase = None, "off"
        if self.id is None:
            self._forget()

    def puts(self, xml: str) -> None:
        """Write to the link."""
        if self.link is not None and not self.link.closed:
            self.link.put(xml.encode())

    def says(self, xml: str, number: int | None = None) -> None:
        """Send a stanza; number: of the message."""
        if self.enabling:
            self.sent.append((xml, number))
        self.puts(xml)

    def acknowledges(self, more: int = 0) -> None:
        """Say how many stanzas came. more: than really did."""
        if self.counting:
            self.puts(f"<a xmlns='{NS_SM}' h='{self.counted + more}'/>")

    # what comes

    def hears(self) -> bool:
        """Take what has come; tell whether anything had."""
        link = self.link
        if link is None:
            return False
        data = link.take()
        for item in self._reader.feed(data):
            if isinstance(item, Stanza):
                self._take(item)
        if link.closed and self.link is link:
            self._gone()
        return bool(data)

    def _take(self, item: Stanza) -> None:
        if item.ns == NS_SM:
            self._counts(item)
        elif self.phase != "bound":
            self._negotiates(item)
        elif item.ns == NS.CLIENT:
            if self.counting:
                self.counted += 1
            if item.kind == "message":
                self._message(item)
            elif item.type in ("result", "error"):
                self.answered.add(item.id or "")
            elif item.kind == "iq":
                self.says(f"<iq type='result' id='{item.id}' to='{item.sender or ''}'/>")

    def _negotiates(self, item: Stanza) -> None:
        if item.kind == "features" and self.phase == "opening":
            initial = b64encode(f"\0{self.bare.partition('@')[0]}\0{PASSWORD}".encode()).decode()
            self.puts(f"<auth xmlns='{NS.SASL}' mechanism='PLAIN'>{initial}</auth>")
        elif item.kind == "success":
            self.phase = "reopening"
            self._open()
        elif item.kind == "failure":
            self.puts("</stream:stream>")
        elif item.kind == "features":
            self.phase = "entering"
            if self.id is not None:
                self.puts(f"<resume xmlns='{NS_SM}' previd='{self.id}' h='{self.counted}'/>")
            else:
                self.puts(BIND.format(self.resource))
        elif item.kind == "iq" and item.id == "bind" and item.type == "result":
            self._begins()

    def _begins(self) -> None:
        """Do what devices do as soon as they are bound."""
        self._forget()
        self.got.clear()
        self.order.clear()
        self.phase = "bound"
        if self.careful or self.dice.random() < 0.7:
            resumable = self.careful or self.dice.random() < 0.7
            resume = " resume='true'" if resumable else ""
            self.puts(f"<enable xmlns='{NS_SM}'{resume}/>")
            self.enabling = True
        if self.dice.random() < 0.6:
            self.says(CARBONS)
        if self.dice.random() < 0.9:
            self.says("<presence/>")

    def _counts(self, item: Stanza) -> None:
        if item.kind == "enabled":
            self.counting, self.id = True, item.attrs.get("id")
        elif item.kind == "r":
            if self.obliging:
                self.acknowledges()
        elif item.kind == "a":
            self._handled(int(item.attrs["h"]))
        elif item.kind == "resumed":
            self.phase = "bound"
            self._handled(int(item.attrs["h"]))
            for xml, number in list(self.sent):
                self.again(number)
                self.puts(xml)
        elif item.kind == "failed":
            if self.phase == "entering":
                if "h" in item.attrs:
                    self._handled(int(item.attrs["h"]))
                self._forget()
                self.puts(BIND.format(self.resource))
            else:  # the store could not keep the session
                self._forget()

    def _handled(self, h: int) -> None:
        more = h - self.handled
        if not 0 <= more <= len(self.sent):
            raise self.wrong(f"{self} has {len(self.sent)} after {self.handled}, told {h}")
        done, self.sent = self.sent[:more], self.sent[more:]
        self.handled = h
        self.acked([number for _, number in done if number is not None])

    def _message(self, stanza: Stanza) -> None:
        if stanza.type == "error":
            if (stanza.id or "").startswith("n"):
                self.refused.add(int((stanza.id or "")[1:]))
            return
        found = BODY.search(stanza.raw)
        if found is None:
            return
        number = int(found[1])
        self.ever.add(number)
        if "urn:xmpp:mam:2}result" in stanza.children:
            self.pages.append(number)
            return
        # what another session never acknowledged waits for everybody, also who has it already
        again = b"Offline Storage" in stanza.raw
        self.got[number, again] += 1
        if self.got[number, again] > (MANY if again else 1):
            raise self.wrong(f"n{number} came twice to {self}: {stanza.raw.decode()}")
        sender = stanza.sender or ""
        if sender == self.bare or b"urn:xmpp:delay" in stanza.raw:
            return  # a copy, or something from the store
        if number < self.order.get(sender, 0):
            raise self.wrong(f"n{number} of {sender} came too late to {self}")
        self.order[sender] = number
