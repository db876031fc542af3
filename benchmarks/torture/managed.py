"""A client with stream management: it counts, acknowledges, resumes and sends again (XEP-0198)."""

from __future__ import annotations

import asyncio
import random
from collections import deque
from xml.etree.ElementTree import Element

from benchmarks.torture.device import IQ, MESSAGE, PRESENCE, Device
from benchmarks.torture.ledger import Diary, Ledger, Said, State
from benchmarks.torture.stream import NS_PING, NS_SM, Gone, Place, Stream, Wrong, shown, tag

WRAP = 2**32
ACK, REQUEST, ENABLED, RESUMED, FAILED = (
    tag(NS_SM, name) for name in ("a", "r", "enabled", "resumed", "failed")
)
NO_ROOM = tag("urn:ietf:params:xml:ns:xmpp-stanzas", "resource-constraint")
STANZAS = {MESSAGE, PRESENCE, IQ}


class Managed(Device):
    """It says what was not acknowledged again, and nothing else, and talks on without a link."""

    def __init__(
        self, place: Place, ledger: Ledger, diary: Diary, password: str, dice: random.Random
    ) -> None:
        super().__init__(place, ledger, diary, password, dice)
        self.sm_id: str | None = None
        self.longest: int | None = None  # seconds it asks its session to wait for it
        self.nap = 0.02  # seconds for which it is without a link at most, where it loses links
        self.every = dice.choice((1, 5, 20))  # stanzas between two <r/>
        self.eager = dice.choice((0.0, 0.05, 0.5))  # how often it sends <a/> unasked
        self._received = 0  # stanzas, modulo WRAP
        self._acked = 0  # of those sent, modulo WRAP
        self._queue: deque[tuple[str, Said | None]] = deque()  # sent, not acknowledged
        self._since = 0  # stanzas since the last <r/>
        self._resumed_at = 0  # what it had heard when it resumed

    # coming and going

    async def _enter(self, stream: Stream) -> None:
        if self.sm_id is not None and await self._resume(stream):
            return
        await stream.bind(self.resource)
        longest = f" max='{self.longest}'" if self.longest else ""
        stream.write(f"<enable xmlns='{NS_SM}' resume='true'{longest}/>")
        enabled = await stream.read()
        if enabled.tag == FAILED and enabled.find(NO_ROOM) is not None:
            raise Gone("the session cannot be kept now")
        if (
            enabled.tag != ENABLED
            or enabled.get("resume") not in ("true", "1")
            or not enabled.get("id")
        ):
            raise Wrong(f"the session cannot be resumed: {shown(enabled)}")
        self.sm_id = enabled.get("id")
        self.diary.sessions += 1
        self._received = self._acked = self._since = 0
        again, self._queue = self._queue, deque()
        self.stream = stream
        for text in self._greetings():
            self.send(text)
        for text, said in again:
            if said is not None:
                self.send(text, said)
        self._request()

    def _greetings(self) -> list[str]:
        """Return what a session begins with."""
        greetings = ["<presence/>"]
        if self.diary.carbons:
            greetings.insert(
                0, "<iq type='set' id='carbons'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
            )
        return greetings

    async def _resume(self, stream: Stream) -> bool:
        """Ask for the session; tell whether it goes on (§5)."""
        stream.write(f"<resume xmlns='{NS_SM}' previd='{self.sm_id}' h='{self._received}'/>")
        answer = await stream.read()
        h = answer.get("h")
        if answer.tag == RESUMED:
            if answer.get("previd") != self.sm_id or h is None:
                raise Wrong(f"what was resumed? {shown(answer)}")
            self.acknowledged(int(h))
            self.diary.resumed += 1
            self._resumed_at = len(self.diary.heard)
            for text, said in self._queue:
                stream.write(text)
                if said is not None and said.state is State.REFUSED:
                    said.state = State.WAITING  # that it was refused has been forgotten with it
            self.stream = stream
            self._request()
            return True
        if answer.tag != FAILED:
            raise Wrong(f"neither resumed nor failed: {shown(answer)}")
        self.diary.failed += 1
        self.diary.unsettle()
        self.sm_id = None
        if h is not None:
            self.acknowledged(int(h))
        else:
            for _, said in self._queue:
                if said is not None:
                    said.again = True
        return False

    def _left(self) -> None:
        """The session goes on without a link."""
        for future in self._asked.values():
            if not future.done():
                future.set_exception(Gone("the link broke"))
                future.exception()
        self._asked.clear()

    async def leave(self, away: float) -> None:
        """End the session in order, and stay away for so many seconds.

        It becomes unavailable, and says what it has received before it goes: nothing is unsure.
        Raises Gone where the link breaks first; the session goes on then, available again.
        """
        self.silent = True
        try:
            stream = self.stream
            if stream is None:
                raise Gone("it is not there")
            self.send("<presence type='unavailable'/>")
            id = f"bye{next(self._ids)}"
            await self.ask(f"<iq type='get' id='{id}'><ping xmlns='{NS_PING}'/></iq>", id)
            while self._queue:
                self._request()
                await asyncio.sleep(0.02)
                if self.stream is not stream:
                    raise Gone("the link broke")
            self._acknowledge()
            await stream.drain()
            self.sm_id = None
            self.diary.leave()
            self.away = away
            await stream.end()
        except (Gone, asyncio.CancelledError):
            self.send("<presence/>")
            raise
        finally:
            self.silent = False

    # talking

    def send(self, text: str, said: Said | None = None) -> None:
        """Send a stanza now, or when the link is back."""
        self._queue.append((text, said))
        if self.stream is not None:
            self.stream.write(text)
            self._since += 1
            if self._since >= self.every:
                self._request()

    @property
    def unacknowledged(self) -> int:
        """How many stanzas wait."""
        return len(self._queue)

    @property
    def can_talk(self) -> bool:
        """Always: what has no link waits for one."""
        return self.diary.sessions > 0

    def sync(self) -> None:
        """Nothing: it is told by <a/>, if only the last of a burst asks for it."""
        if self.stream is not None:
            self._request()

    def _request(self) -> None:
        self._since = 0
        if self.stream is not None:
            self.stream.write(f"<r xmlns='{NS_SM}'/>")

    def acknowledged(self, h: int) -> None:
        """Know that the server handled so many stanzas (§4)."""
        count = (h - self._acked) % WRAP
        if count > len(self._queue):
            self.ledger.complain(
                f"{self}: h='{h}', but {self._acked} were acknowledged, {len(self._queue)} wait"
            )
            return
        self._acked = h
        if count and self.stream is not None:  # something that came after the resumption
            self.diary.settled = max(self.diary.settled, self._resumed_at)
        for _ in range(count):
            _, said = self._queue.popleft()
            if said is not None:
                self.ledger.acknowledge(said)

    # listening

    def take(self, element: Element) -> None:
        """Count stanzas, and mind the rest."""
        if element.tag in STANZAS:
            self._received = (self._received + 1) % WRAP
            super().take(element)
            if self.dice.random() < self.eager:
                self._acknowledge()
        elif element.tag == REQUEST:
            self._acknowledge()
        elif element.tag == ACK:
            self.acknowledged(int(element.get("h", "0")))
        else:
            self.ledger.complain(f"{self}: {shown(element)}")

    def _acknowledge(self) -> None:
        if self.stream is not None:
            self.stream.write(f"<a xmlns='{NS_SM}' h='{self._received}'/>")
