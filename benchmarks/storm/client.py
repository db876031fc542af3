"""A client in a storm: it logs in by itself, answers as it likes, and believes what it is told."""

from __future__ import annotations

import random
from base64 import b64encode
from collections.abc import Callable

from twisted.words.xish.domish import Element

from benchmarks.storm.words import EXODUS, PASSWORD, Said
from imsuite.core.session import Session
from imsuite.streams.c2s import ClientStream
from imsuite.streams.parser import Header, Limits, Reader, StreamEnd
from imsuite.testing.memory import MemoryServer
from imsuite.testing.memory_link import MemoryTls
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import Stanza, child, quoted

LIMITS = Limits(stanza_bytes=2**26)
HEADER = (
    "<stream:stream xmlns='jabber:client' version='1.0' to='{}'{}"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)
BLOCKING = "urn:xmpp:blocking"
REGISTER = (
    "<iq type='set' id='reg'><query xmlns='jabber:iq:register'>"
    "<username>{}</username><password>{}</password></query></iq>"
)
INITIAL = "<iq type='get' id='{}'><query xmlns='jabber:iq:roster'{}/></iq>"


class StormClient:
    """One connection.

    bare: of the account it wants; resource: that it asks for, "" for none; full: its full JID
    once it is bound; phase: what it waits for, "bound" or "gone"; view: id of the presence of
    each full JID that it believes available; roster: items as it knows them, None before it
    asked; blocked: likewise; sent: by id; answers: how often each of its requests was answered;
    asked: requests it received and has not answered; broadcasts: ids and types of presence.
    """

    def __init__(
        self, server: MemoryServer, dice: random.Random, bare: str, resource: str, lang: str
    ) -> None:
        self.server = server
        self.bare = bare
        self.resource = resource
        self.lang = lang
        self.full = ""
        self.phase = "opening"
        self.view: dict[str, str | None] = {}
        self.roster: dict[str, dict[str, object]] | None = None
        self.blocked: set[str] | None = None
        self.sent: dict[str, Said] = {}
        self.answers: dict[str, int] = {}
        self.asked: list[Stanza] = []
        self.broadcasts: list[tuple[str, str | None]] = []
        self.end: str | None = None  # condition of the stream error that came
        self.tries = 0
        self._dice = dice
        self._reader = Reader(LIMITS)
        self.link = server.connect(MemoryTls())
        self.stream = self.link.receiver
        self._open()

    def __repr__(self) -> str:
        return f"<StormClient {self.full or self.bare} {self.phase}>"

    @property
    def session(self) -> Session | None:
        """Its session on the server, if it has one."""
        stream = self.stream
        return stream.session if isinstance(stream, ClientStream) else None

    # what it does

    def says(self, xml: str | bytes) -> None:
        """Send bytes, in pieces now and then."""
        data = xml.encode() if isinstance(xml, str) else xml
        size = self._dice.choice((None, None, None, 1, 7)) if len(data) < 500 else None
        self.link.put(data, size)

    def _open(self) -> None:
        self._reader.restart()
        lang = f" xml:lang='{self.lang}'" if self.lang else ""
        self.says(HEADER.format(self.bare.partition("@")[2], lang))

    def leaves(self) -> None:
        """Go, in one way or another."""
        if self._dice.random() < 0.5:
            self.says("</stream:stream>")
        else:
            self.link.lose()

    def forget(self) -> None:
        """Let go of what belongs to the server, so that only the server can keep it."""
        self.phase = "gone"
        self.stream = None

    # what it hears

    def hears(self, take: Callable[[StormClient, Stanza], None]) -> bool:
        """Read what has come and tell whether anything had.

        take: what to call for each stanza after binding.
        """
        data = self.link.take()
        for item in self._reader.feed(data):
            if isinstance(item, StreamEnd):
                self.forget()
            elif isinstance(item, Header):
                continue
            elif not isinstance(item, Stanza):
                if self.phase == "reopening" and self.link.closed:
                    continue  # the end of the new stream came together with that of the old
                raise AssertionError(f"{self} cannot read what the server sent: {item}")
            elif item.ns == NS.STREAM and item.kind == "error":
                self.end = item.children[0].partition("}")[2]
            elif self.phase == "bound":
                take(self, item)
            else:
                self._negotiate(item)
        if self.link.closed:
            self.forget()
        return bool(data)

    def _negotiate(self, item: Stanza) -> None:
        if item.kind == "features":
            if self.phase == "opening":
                self._authenticate()
            elif self.phase == "reopening":
                self.phase = "binding"
                resource = f"<resource>{self.resource}</resource>" if self.resource else ""
                self.says(
                    f"<iq type='set' id='bind'><bind xmlns='{NS.BIND}'>{resource}</bind></iq>"
                )
        elif item.kind == "success":
            self.phase = "reopening"
            self._open()
        elif item.kind == "failure":
            local = self.bare.partition("@")[0]
            self.says(REGISTER.format(local, PASSWORD))
        elif item.kind == "iq" and item.id == "reg":
            self._authenticate()
        elif item.kind == "iq" and item.id == "bind":
            bound = item.child(NS.BIND, "bind")
            if bound is None:
                self.says("</stream:stream>")
                return
            self.full = str(child(bound, NS.BIND, "jid"))
            self.phase = "bound"

    def _authenticate(self) -> None:
        self.tries += 1
        if self.tries > 2:
            self.says("</stream:stream>")
            return
        local = self.bare.partition("@")[0]
        initial = b64encode(f"\0{local}\0{PASSWORD}".encode()).decode()
        self.says(f"<auth xmlns='{NS.SASL}' mechanism='PLAIN'>{initial}</auth>")

    # what it believes

    def note_presence(self, stanza: Stanza) -> None:
        """Believe a presence."""
        sender = stanza.attrs.get("from", "")
        if stanza.type is None:
            # what an unavailable client is told, it is not told again
            if self.broadcasts and self.broadcasts[-1][1] is None:
                self.view[sender] = stanza.id
        elif stanza.type == "unavailable":
            if (stanza.id, "unavailable") in self.broadcasts and sender == self.full:
                self.view.clear()  # it is unavailable itself, and told of nothing
            self.view.pop(sender, None)
            if "/" not in sender:
                for full in [full for full in self.view if full.partition("/")[0] == sender]:
                    del self.view[full]

    def note_blocking(self) -> None:
        """Forget whom its account blocks: nothing more is heard of them."""
        for full in list(self.view):
            jid = parse(full)
            blocked = self.blocked or ()
            if {jid.full, jid.bare, jid.domain} & set(blocked) and jid.bare != self.bare:
                del self.view[full]

    def note_push(self, payload: Element) -> None:
        """Believe a push of the server."""
        if payload.uri == NS.ROSTER:
            assert self.roster is not None, f"{self} has not asked for its roster"
            (item,) = payload.elements()
            if item.getAttribute("subscription") == "remove":
                self.roster.pop(item["jid"], None)
            else:
                self.roster[item["jid"]] = item_of(item)
        elif payload.uri == BLOCKING:
            assert self.blocked is not None, f"{self} has not asked for its block list"
            jids = {item["jid"] for item in payload.elements()}
            if payload.name == "block":
                self.blocked |= jids
            else:
                self.blocked = self.blocked - jids if jids else set()

    def note_result(self, said: Said, stanza: Stanza) -> None:
        """Believe the result of a request."""
        payload = stanza.payload
        if said.type != "get" or (said.to is not None and parse(said.to).full != self.bare):
            return
        if payload is None and Stanza.parse(said.xml).children == (f"{NS.ROSTER}}}query",):
            self.roster = {}  # it said that it knows version 1, which is the empty roster
            return
        if payload is None:
            return
        if payload.uri == NS.ROSTER and payload.name == "query":
            self.roster = {item["jid"]: item_of(item) for item in payload.elements()}
        elif payload.uri == BLOCKING and payload.name == "blocklist":
            self.blocked = {item["jid"] for item in payload.elements()}

    # answers

    def answer(self, request: Stanza) -> None:
        """Answer a request in one of the ways there are, or not."""
        dice = self._dice
        chance = dice.random()
        to, id = request.sender, request.id or ""
        head = f"id={quoted(id).decode()}" + (f" to={quoted(to).decode()}" if to else "")
        if chance < 0.55:
            inner = ""
            if f"{NS.DISCO_INFO}}}query" in request.children:
                inner = (
                    f"<query xmlns='{NS.DISCO_INFO}'>{dice.choice((EXODUS, '', '<x/>'))}</query>"
                )
            self.says(f"<iq type='result' {head}>{inner}</iq>")
        elif chance < 0.7:
            self.says(
                f"<iq type='error' {head}><error type='cancel'>"
                f"<service-unavailable xmlns='{NS.STANZAS}'/></error></iq>"
            )
        elif chance < 0.9:
            self.asked.append(request)
            return
        else:
            return
        self.answered(request)

    def answered(self, request: Stanza) -> None:
        """Know that a request was answered; the storm replaces it to keep account."""


def item_of(item: Element) -> dict[str, object]:
    """Return what a roster item says."""
    found: dict[str, object] = dict(item.attributes)
    found["groups"] = {str(group) for group in item.elements()}
    return found
