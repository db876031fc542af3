"""A client: it logs in, comes back when the link breaks, talks, listens and writes its diary."""

from __future__ import annotations

import asyncio
import itertools
import random
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

from benchmarks.torture import archive
from benchmarks.torture.ledger import Diary, Heard, Ledger, Said, Seen, State
from benchmarks.torture.stream import NS_CLIENT, NS_PING, Gone, Place, Stream, Wrong, shown, tag

NS_CARBONS = "urn:xmpp:carbons:2"
NS_DELAY = "urn:xmpp:delay"
NS_FORWARD = "urn:xmpp:forward:0"
NS_SID = "urn:xmpp:sid:0"
MESSAGE, PRESENCE, IQ = (tag(NS_CLIENT, kind) for kind in ("message", "presence", "iq"))
BODY = tag(NS_CLIENT, "body")
BURSTS = (1, 1, 1, 2, 3, 5, 20)  # messages that are said in one breath
WORDS = "sing sweet nightingale the night is young and so are we & <others> ".split(" ")


class Device:
    """One client of one account, without stream management.

    What it said last may be lost with the link: it knows of a message only when a ping that it sent
    afterwards was answered (RFC 6120 §10.1: stanzas are handled in their order), and it never says
    anything twice.
    """

    window = 60  # messages without an acknowledgement, after which it waits

    def __init__(
        self, place: Place, ledger: Ledger, diary: Diary, password: str, dice: random.Random
    ) -> None:
        self.place = place
        self.ledger = ledger
        self.diary = ledger.diaries[diary.device] = diary
        self.account, self.resource = diary.device.split("/")
        self.password = password
        self.dice = dice
        self.tls = dice.random() < 0.3 and place.tls_port is not None
        self.bare = f"{self.account}@{place.domain}"
        self.peers: list[str] = []  # accounts it talks to
        self.stream: Stream | None = None
        self.online = asyncio.Event()
        self.over = False  # it does not come back any more
        self.pause = 0.1  # seconds between two bursts, on average
        self.away = 0.0  # seconds it stays away when it has lost its link
        self.silent = False  # says nothing for now
        self._numbers = itertools.count(1)
        self._ids = itertools.count(1)
        self._asked: dict[str, asyncio.Future[Element]] = {}
        self._pings: dict[str, list[Said]] = {}
        self._waiting: list[Said] = []
        self._pages = archive.Pages()
        self._caught_up = False
        self._anchor: str | None = None  # id in the archive up to which nothing is missing

    def __repr__(self) -> str:
        return self.diary.device

    # coming and going

    async def run(self) -> None:
        """Be there, until `over`."""
        while not self.over:
            try:
                await self._be_there()
            except Gone:
                away, self.away = self.away, 0.0
                await asyncio.sleep(away or self.dice.uniform(0.005, 0.06))
            except Wrong as why:
                self.ledger.complain(f"{self}: {why}")
                await asyncio.sleep(0.5)

    async def _be_there(self) -> None:
        stream = await Stream.connect(self.place, self.tls, self.account, self.password)
        try:
            await self._enter(stream)
            self.stream = stream
            self.online.set()
            await self._listen(stream)
        finally:
            self.stream = None
            self.online.clear()
            stream.abort()
            self._left()

    async def _enter(self, stream: Stream) -> None:
        """Begin a session."""
        await stream.bind(self.resource)
        self.diary.sessions += 1
        if self.diary.carbons:
            stream.write(f"<iq type='set' id='carbons'><enable xmlns='{NS_CARBONS}'/></iq>")
        stream.write("<presence/>")
        if self.diary.reads:
            self._caught_up = False
            self._catching = asyncio.create_task(self._catch_up())

    async def _listen(self, stream: Stream) -> None:
        while True:
            element = await stream.read(None)
            self.take(element)
            while stream.ready:
                self.take(await stream.read(None))
            await stream.drain()

    def _left(self) -> None:
        """Know that the link is broken: what was not acknowledged is in doubt."""
        for said in self._waiting:
            if said.state is State.WAITING:
                said.state = State.DOUBT
        self._waiting.clear()
        self._pings.clear()
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Gone("the link broke"))
                future.exception()  # it need not be fetched
        self._asked.clear()
        self.diary.unsettle()

    def break_link(self, away: float = 0.0) -> None:
        """Lose the link, and stay away for so many seconds."""
        if self.stream is not None:
            self.away = away
            self.stream.abort()

    # talking

    def send(self, text: str, said: Said | None = None) -> None:
        """Send a stanza. Raises Gone."""
        if self.stream is None:
            raise Gone("it is not there")
        self.stream.write(text)
        if said is not None:
            self._waiting.append(said)

    @property
    def unacknowledged(self) -> int:
        """How many messages wait."""
        return len(self._waiting)

    def say(self, to: str) -> None:
        """Say something new to an account."""
        said = self.ledger.say(self.diary.device, next(self._numbers), to)
        filler = " ".join(self.dice.choices(WORDS, k=self.dice.choice((0, 3, 10, 40))))
        body = escape(f"{said.device} {said.number} {filler}")
        self.send(
            f"<message type='chat' to='{to}@{self.place.domain}' id='m{said.number}'>"
            f"<body>{body}</body></message>",
            said,
        )

    def sync(self) -> None:
        """Ask for an acknowledgement of what was said."""
        id = f"ping{next(self._ids)}"
        self._pings[id] = list(self._waiting)
        self.send(
            f"<iq type='get' id='{id}' to='{self.place.domain}'><ping xmlns='{NS_PING}'/></iq>"
        )

    @property
    def can_talk(self) -> bool:
        """Whether there is a link, which it needs."""
        return self.stream is not None

    async def talk(self) -> None:
        """Talk until cancelled."""
        while True:
            if self.can_talk and not self.silent and self.unacknowledged < self.window:
                for _ in range(self.dice.choice(BURSTS)):
                    self.say(self.dice.choice(self.peers))
                self.sync()
            await asyncio.sleep(self.dice.expovariate(1 / self.pause))

    async def ask(self, text: str, id: str) -> Element:
        """Send a request and return what answers it. Raises Gone."""
        future = self._asked[id] = asyncio.get_running_loop().create_future()
        self.send(text)
        return await future

    # listening

    def take(self, element: Element) -> None:
        """Take what the server sent."""
        if element.tag == MESSAGE:
            self._take_message(element)
        elif element.tag == PRESENCE:
            self._take_presence(element)
        elif element.tag == IQ:
            self._take_iq(element)

    def _take_message(self, message: Element) -> None:
        if message.get("type") == "error":
            number = int((message.get("id") or "m0")[1:])
            said = self.ledger.said.get((self.diary.device, number))
            if said is None:
                self.ledger.complain(f"{self}: an error for nothing it said: {shown(message)}")
            else:
                self.ledger.refuse(said)
            return
        if self._pages.take(message):
            return
        way, inner = "live", message
        for kind in ("sent", "received"):
            carbon = message.find(tag(NS_CARBONS, kind))
            if carbon is not None:
                found = carbon.find(f"{tag(NS_FORWARD, 'forwarded')}/{MESSAGE}")
                if found is None or message.get("from") != self.bare:
                    self.ledger.complain(f"{self}: no carbon (XEP-0280 §6): {shown(message)}")
                    return
                way, inner = "carbon", found
        if way == "live" and message.find(tag(NS_DELAY, "delay")) is not None:
            way = "late"
        self.note(inner, way)

    def note(self, message: Element, way: str, id: str | None = None) -> None:
        """Write a message into the diary."""
        key = archive.key_of(message)
        if key is None:
            return
        if id is None:
            id = next(
                (
                    found.get("id")
                    for found in message.iterfind(tag(NS_SID, "stanza-id"))
                    if found.get("by") == self.bare
                ),
                None,
            )
        device, number = key
        if message.get("from") != device.replace("/", f"@{self.place.domain}/"):
            self.ledger.complain(f"{self}: not from its sender: {shown(message)}")
        if self._caught_up and way == "live" and id is not None:
            self._anchor = id
        self.ledger.hear(self.diary, Heard(device, number, id, self.diary.sessions, way))

    def _take_presence(self, presence: Element) -> None:
        sender, type = presence.get("from", ""), presence.get("type")
        if type == "subscribe":
            self.send(f"<presence type='subscribed' to='{sender}'/>")
        elif type in (None, "unavailable") and "/" in sender:
            device = sender.replace(f"@{self.place.domain}/", "/")
            self.diary.seen.append(Seen(device, type is None, self.diary.sessions))

    def _take_iq(self, iq: Element) -> None:
        type, id = iq.get("type"), iq.get("id", "")
        if type in ("get", "set"):
            sender = iq.get("from")
            to = f" to='{sender}'" if sender else ""
            self.send(f"<iq type='result' id='{id}'{to}/>")
            return
        for said in self._pings.pop(id, ()):
            self.ledger.acknowledge(said)
            if said in self._waiting:
                self._waiting.remove(said)
        future = self._asked.pop(id, None)
        if future is not None and not future.done():
            future.set_result(iq)

    # the archive

    async def page(self, after: str | None, most: int, of: str = "") -> archive.Page:
        """Return a page of an archive, the account's own if it is not said. Raises Gone."""
        id = f"page{next(self._ids)}"
        self._pages.begin(id)
        answer = await self.ask(archive.query(id, after, most, of), id)
        if answer.get("type") == "error" and "postgres" in self.ledger.faults:
            self.break_link()
            raise Gone("the archive cannot be read now")
        return self._pages.end(id, answer)

    async def _catch_up(self) -> None:
        """Read what the archive has beyond the anchor, as clients do when they come back."""
        session = self.diary.sessions
        known = {(heard.device, heard.number) for heard in self.diary.heard}
        try:
            await self.online.wait()
            while not self._caught_up:
                page = await self.page(self._anchor, 20)
                for entry in page.entries:
                    if entry.key not in known and entry.to == self.bare:
                        self.note(entry.message, "archive", entry.id)
                self._anchor = page.last or self._anchor
                self._caught_up = page.complete
        except Gone:
            return
        except Wrong as why:
            self.ledger.complain(f"{self}: {why}")
            return
        live = [
            heard.id
            for heard in self.diary.heard
            if heard.session == session and heard.way == "live"
        ]
        if live and live[-1] is not None:
            self._anchor = live[-1]

    async def read_archive(self, of: str = "") -> list[archive.Entry]:
        """Return a whole archive, the account's own if it is not said. Raises Gone."""
        entries: list[archive.Entry] = []
        last = None
        while True:
            page = await self.page(last, self.dice.choice((50, 100, 250)), of)
            entries += page.entries
            last = page.last
            if page.complete or not page.entries:
                return entries


class Reader(Device):
    """A client that is there only to read the archive: it does not become available."""

    async def _enter(self, stream: Stream) -> None:
        await stream.bind(self.resource)
