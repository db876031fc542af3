"""The storm: what happens in it, step by step. `checks` says what must hold."""

from __future__ import annotations

import gc
import random
from typing import Any

import attrs

from benchmarks.storm import checks
from benchmarks.storm.checks import SUBSCRIPTIONS
from benchmarks.storm.client import INITIAL, StormClient
from benchmarks.storm.late import LateStore
from benchmarks.storm.words import DOMAINS, PASSWORD, RESOURCES, Said, Words
from imsuite.core import host as core_host
from imsuite.core.inbox import Inbox
from imsuite.store.users import NoSuchAccount
from imsuite.streams.c2s import ClientStream
from imsuite.testing.memory import MemoryServer
from imsuite.testing.memory_link import MemoryLink
from imsuite.xmpp.address import InvalidAddress, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza

MOST_CLIENTS = 8
ACCOUNTS = ("romeo@example.org", "juliet@example.org", "mercutio@example.net", "ros@example.net")
OPTIONS = {
    "register": {"open": True, "per_address": 10**6, "per_hour": 10**6},
    "caps": {"patience": 5},
}
STEP_TURNS = (0, 0, 0, 0, 1, 1, 2, 5)  # of a late store, each time the storm settles


class Wrong(AssertionError):
    """The server did something that it must not. The message says which seed and step."""


@attrs.define
class Tally:
    """What happened."""

    steps: int = 0
    logins: int = 0
    said: int = 0
    heard: int = 0
    removals: int = 0

    def line(self) -> str:
        """One line for people."""
        return ", ".join(f"{value} {name}" for name, value in attrs.asdict(self).items())


class Storm:
    """A server in memory and its clients.

    seed: of everything that happens; late: the store answers late; blocking: accounts block each
    other, so rosters of a pair may disagree.
    """

    def __init__(self, seed: int, late: bool = False, blocking: bool = True) -> None:
        self._before = self._alive()  # of other servers
        self.dice = random.Random(seed)
        self.name = f"seed {seed}{', late' if late else ''}{'' if blocking else ', no blocking'}"
        self.blocking = blocking
        self.server = MemoryServer(DOMAINS, options=OPTIONS)
        self.store = self.server.store
        self.late: LateStore | None = None
        for jid in ACCOUNTS:
            self.server.account(jid, PASSWORD)
        if late:
            self.late = LateStore(self.server.store, self.dice)
            store: Any = self.late
            self.server.store = store
            for host in self.server.hosts:
                host.store = store
                host.users.store = store
        # a refused probe, which means that there is no subscription, may meet one that begins
        self.words = Words(self.dice, ACCOUNTS, blocking, probes=not late)
        self.clients: list[StormClient] = []
        self.tally = Tally()
        self.history: list[str] = []
        self.said: dict[str, tuple[StormClient, Said]] = {}  # by id
        self.heard_by: dict[str, list[StormClient]] = {}  # by id of what was said
        self.gone: set[str] = set()  # full JIDs of clients that left
        self.peer_answers: set[str] = set()  # ids of requests that clients answered
        self.tainted: set[tuple[str, str]] = set()  # who sent directed presence to which bare JID
        self.removed: set[str] = set()  # bare JIDs of accounts that were removed at some time
        self.asked_by: str | None = None  # bare JID whose subscription stanzas may be on their way
        self.apart: set[tuple[str, str]] = set()  # bare JIDs of pairs that blocked each other
        # of a sender, as a recipient heard it, beside what had waited
        self.last_seq: dict[tuple[str, str, bool], int] = {}
        self.authors: dict[str, str] = {}  # of requests, by id

    # one step

    def step(self) -> None:
        """Let something happen, then check. Raises Wrong."""
        try:
            self._act()
            self.settle()
            self.tally.steps += 1
            if self.late is None or self.dice.random() < 0.1:
                self.drain()
                checks.check(self)
        except Wrong:
            raise
        except Exception as why:
            raise Wrong(self.told(f"{type(why).__name__}: {why}")) from why

    def told(self, what: str) -> str:
        """Return a message with how it came to that."""
        last = "\n".join(self.history[-25:])
        return f"{self.name}, step {self.tally.steps}: {what}\n{last}"

    def _act(self) -> None:
        dice = self.dice
        chance = dice.random()
        bound = [client for client in self.clients if client.phase == "bound"]
        if len(self.clients) < 2 or (chance < 0.05 and len(self.clients) < MOST_CLIENTS):
            self.log_in(dice.choice(ACCOUNTS), dice.choice((*RESOURCES, "")))
        elif chance < 0.07:
            self._leave(dice.choice(self.clients))
        elif chance < 0.09:
            seconds = dice.choice((0.5, 3, 11, 70, 400))
            self.note(f"{seconds} s pass")
            self.server.advance(seconds)
        elif chance < 0.094 and self.late is not None:
            self._remove(dice.choice(ACCOUNTS))
        elif bound:
            client = dice.choice(bound)
            for _ in range(dice.choice((1, 1, 1, 2, 5))):
                if client.phase == "bound":
                    self._say_something(client)

    def note(self, text: str) -> None:
        """Keep in mind what happened."""
        self.history.append(f"{self.tally.steps}: {text}"[:600])
        del self.history[:-20000]

    def log_in(self, bare: str, resource: str) -> StormClient:
        """Let a client begin to log in."""
        self.note(f"{bare}/{resource} logs in")
        lang = self.dice.choice(("", "", "en", "de"))
        client = StormClient(self.server, self.dice, bare, resource, lang)
        client.answered = lambda request: self.peer_answers.add(request.id or "")  # type: ignore[method-assign]
        self.clients.append(client)
        self.tally.logins += 1
        return client

    def _leave(self, client: StormClient) -> None:
        self.note(f"{client} leaves")
        client.leaves()

    def _remove(self, bare: str) -> None:
        """Remove an account as an administrator does."""
        self.note(f"{bare} is removed")
        self.removed.add(bare)
        self.tally.removals += 1
        jid = parse(bare)
        host = self.server.router.hosts[jid.domain]

        async def remove() -> None:
            try:
                await host.registrar.delete(jid.local)
            except (NoSuchAccount, StanzaError):
                pass  # it is gone, or going

        host.spawn(remove())

    def _say_something(self, client: StormClient) -> None:
        full = [other.full for other in self.clients if other.full]
        if client.asked and self.dice.random() < 0.3:
            request = client.asked.pop()
            client.answer(request)
            return
        if self.dice.random() < 0.25 and len(self.clients) > 1:
            said = self._friendly(client)
        else:
            said = self.words.stanza(client.full, full)
        self.say(client, said)

    def _friendly(self, client: StormClient) -> Said:
        """Return a stanza that makes or keeps two accounts friends, or an ordinary presence."""
        words, me = self.words, client.full
        chance = self.dice.random()
        if chance < 0.4:
            return words.made("presence", None, None, "", me)
        if chance < 0.8:
            type = self.dice.choice(("subscribe", "subscribed", "subscribed"))
            others = [bare for bare in ACCOUNTS if bare != client.bare]
            return words.made("presence", type, self.dice.choice(others), "", me)
        return words.iq("get", None, me)

    def say(self, client: StormClient, said: Said) -> None:
        """Let a client say something, and note what must come of it."""
        blocks = b"urn:xmpp:blocking" in said.xml and said.type == "set"
        if b"<remove" in said.xml:
            self.removed.add(client.bare)
        if not self.blocking and (said.type in SUBSCRIPTIONS or b"'remove'" in said.xml):
            # a request that meets a refusal on its way leaves two sides that disagree (A.3)
            if self.asked_by not in (None, client.bare):
                self.drain()
            self.asked_by = client.bare
        if blocks:
            self.drain()  # what clients forget by it depends on when it happens
        self.note(f"{client.full or client.bare}: {said.xml.decode()}")
        self.tally.said += 1
        client.sent[said.id] = said
        self.said[said.id] = (client, said)
        if said.kind == "iq":
            self.authors[said.id] = client.full
        if said.kind == "presence" and said.to is None and said.type in (None, "unavailable"):
            client.broadcasts.append((said.id, said.type))
        if said.kind == "presence" and said.to is not None:
            self._taint(client, said)
        expected = checks.deliveries(self, client, said) if self.late is None else None
        client.says(said.xml)
        self.settle()
        if expected is not None:
            checks.delivered(self, client, said, expected)
        if blocks:
            self.drain()
            checks.note_blocking(self)

    def _taint(self, client: StormClient, said: Said) -> None:
        try:
            to = parse(said.to or "")
        except InvalidAddress:
            return
        self.tainted.add((client.full, to.bare))

    # what comes of it

    def settle(self) -> bool:
        """Let the server do what it can now; tell whether the clients heard anything."""
        moved = False
        for _ in range(20):
            if self.late is not None:
                for _ in range(self.dice.choice(STEP_TURNS)):
                    self.late.turn()
            self.server.settle()
            heard = [client.hears(self._hear) for client in list(self.clients)]
            self._bury()
            moved = moved or any(heard)
            if not any(heard):
                break
        return moved

    def drain(self) -> None:
        """Let everything happen that is under way."""
        for _ in range(100_000):
            while self.late:
                self.late.turn()
            if not self.settle() and not self.late:
                self.asked_by = None
                return
        raise Wrong(self.told("it never comes to rest"))

    def _bury(self) -> None:
        for client in list(self.clients):
            if client not in self.clients:
                continue  # what another one began to say has let it go
            if client.phase == "gone":
                self.clients.remove(client)
                self.note(f"{client.full or client.bare} is gone ({client.end})")
                if client.full:
                    self.gone.add(client.full)
                for id in client.sent:
                    self.said.pop(id, None)
                    self.heard_by.pop(id, None)
                    self.peer_answers.discard(id)
            elif client.phase == "bound" and client.tries:
                client.tries = 0
                self._begin(client)

    def _begin(self, client: StormClient) -> None:
        """Do what clients do as soon as they are bound, or some of it."""
        self.gone.discard(client.full)
        self.tainted = {pair for pair in self.tainted if pair[0] != client.full}
        self.last_seq = {pair: n for pair, n in self.last_seq.items() if client.full not in pair}
        dice, words = self.dice, self.words
        if dice.random() < 0.8:
            id = words.id("i")
            xml = INITIAL.format(id, dice.choice(("", " ver=''", " ver='1'"))).encode()
            self.say(client, Said("iq", id, "get", None, xml))
        if dice.random() < 0.85 and client.phase == "bound":
            self.say(client, words.made("presence", None, None, "", client.full))

    def _hear(self, client: StormClient, stanza: Stanza) -> None:
        self.tally.heard += 1
        self.note(f"  > {client.full}: {stanza.raw.decode()}")
        checks.heard(self, client, stanza)

    # the end

    def end(self) -> None:
        """Let everybody go, and check that nothing is left. Raises Wrong."""
        while self.clients:
            self._leave(self.dice.choice(self.clients))
            self.drain()
        self.server.advance(1000)
        self.drain()
        self.clients.clear()
        self.said.clear()
        self.heard_by.clear()
        checks.nothing_left(self)
        if self.late is not None:
            self.late.prompt = True
        self.server.stop()
        failures = self.server.failures.take()
        if failures:
            raise Wrong(self.told("\n".join(failures)))

    def left(self) -> list[object]:
        """Return the sessions, streams and links of this server that are still in memory."""
        before = {id(each) for each in self._before}
        return [each for each in self._alive() if id(each) not in before]

    @staticmethod
    def _alive() -> list[object]:
        gc.collect()
        kinds = (Inbox, ClientStream, MemoryLink)
        return [each for each in gc.get_objects() if isinstance(each, kinds)]


def run(
    seed: int, steps: int, *, late: bool = False, blocking: bool = True, loaded: int | None = None
) -> Tally:
    """Let a storm blow. loaded: how many accounts without sessions stay loaded.

    Raises Wrong.
    """
    storm = Storm(seed, late, blocking)
    before = core_host._OFFLINE
    if loaded is not None:
        core_host._OFFLINE = loaded
    try:
        for _ in range(steps):
            storm.step()
        storm.end()
    finally:
        core_host._OFFLINE = before
        storm.server.failures.stop()
    return storm.tally
