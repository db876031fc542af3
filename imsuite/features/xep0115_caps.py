"""XEP-0115: Entity Capabilities: what the server says it supports, and what clients support."""

from __future__ import annotations

import json
from collections import OrderedDict
from functools import cached_property
from typing import Any, ClassVar

import attrs
from twisted.logger import Logger
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.feature import At, StreamFeature, on
from imsuite.core.hooks import (
    CAPS_CHANGED,
    OUTGOING,
    RESUMED,
    STARTED,
    UNBOUND,
    Passing,
    Stage,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import ICaps, IDisco, IDiscoNodes, ISessionState, Table
from imsuite.core.options import ge, option
from imsuite.core.requests import NoAnswer
from imsuite.core.session import Session
from imsuite.rules.caps import NS_CAPS, NS_CAPS2, Claim, NotProven, Proof, check, read_claim, ver1
from imsuite.rules.stream import Phase
from imsuite.streams.c2s import ClientStream
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, make, quoted

NODE = "https://pypi.org/project/imsuite/"  # §4: a page about the software
DAY = 86_400 * 1_000_000  # microseconds
KEPT = 180 * DAY  # how long caps are stored that nobody has
MOST_ASKED = 50  # changes of its caps that a session is asked about


@attrs.frozen
class Options:
    """[features.caps]"""

    remembered: int = option(
        1000, "Most different sets of capabilities that are remembered.", ge(10)
    )
    longest: int = option(
        32_768, "Largest answer of a client that says what it supports, bytes.", ge(4096)
    )
    patience: int = option(20, "Time a client has to say what it supports, seconds.", ge(1))


@attrs.define(eq=False)
class Known:
    """What a claim means; shared by all sessions that make it.

    features: None while nobody proved it; used: when it was stored or last noted to be of use,
    microseconds since 1970 UTC.
    """

    claim: Claim
    features: frozenset[str] | None = None
    used: int = 0


@attrs.define(eq=False)
class Client:
    """What a session claims.

    asked: how often it was asked what that means; silent: it did not answer the last time, and
    will be asked again.
    """

    known: Known
    asked: int = 0
    silent: bool = False


@implementer(ICaps, IDiscoNodes, ISessionState)
class Caps(StreamFeature):
    """Know what clients support, asking each kind of client once."""

    spec = "XEP-0115 1.6.0"
    advertises = {At.HOST: (NS_CAPS,)}
    requires = (IDisco,)
    options: Options
    needs = Phase.AUTHENTICATED
    rank = 90
    tables = (
        Table(
            "caps",
            (
                """CREATE TABLE caps (
                claim TEXT NOT NULL PRIMARY KEY,  -- specification, hash function, hash
                features TEXT NOT NULL,           -- disco features as JSON
                used BIGINT NOT NULL)             -- µs since 1970 UTC, to the day""",
            ),
            owner=None,
        ),
    )
    log: ClassVar[Logger] = Logger()

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        self._clients: dict[Session, Client] = {}
        self._known: OrderedDict[Claim, Known] = OrderedDict()  # the latest used is the last
        self._asking: dict[Claim, dict[Session, None]] = {}  # who may still be asked, in order
        self._thawed: list[tuple[Session, Claim]] | None = []  # until it is known what was known
        host.add_stream_feature(self)

    @cached_property
    def _disco(self) -> Any:  # what provides IDisco
        return self.host.find_feature(IDisco)

    # the server's own

    @property
    def ver(self) -> str:
        """The verification string of the domain as it is now."""
        found: str | None = self.host.computed.get(NS_CAPS)
        if found is None:
            found = self.host.computed[NS_CAPS] = ver1(self._disco.info(At.HOST))
        return found

    def offer(self, stream: ClientStream) -> bytes:
        """§6.3"""
        attributes = b"hash='sha-1' node=%s ver=%s" % (quoted(NODE), quoted(self.ver))
        return b"<c xmlns='%s' %s/>" % (NS_CAPS.encode(), attributes)

    def node_info(self, passing: Passing, at: At, node: str) -> Element | None:
        """§6.2: what is advertised is what disco#info answers."""
        if at is At.HOST and node.startswith(NODE) and node == f"{NODE}#{self.ver}":
            query: Element = self._disco.info(At.HOST)
            return query
        return None

    def node_items(self, passing: Passing, at: At, node: str) -> None:
        """§6.2: a caps node is never listed."""

    # what clients support

    def features(self, session: Session) -> frozenset[str] | None:
        """Return the verified disco features of a client, None while unknown."""
        client = self._clients.get(session)
        return None if client is None else client.known.features

    @on(OUTGOING, Stage.RECORD, kind="presence", type=None, child=(NS_CAPS, "c"))
    def announced(self, passing: Passing) -> None:
        """§6.1; who also follows XEP-0390 is known by that."""
        stanza, session = passing.stanza, passing.session
        if session is None or stanza.to is not None:
            return
        if "caps2" in self.host.features and read_claim(stanza.child(NS_CAPS2, "c")) is not None:
            return
        claim = read_claim(stanza.child(NS_CAPS, "c"))
        if claim is not None:
            self.claimed(session, claim)

    def claimed(self, session: Session, claim: Claim) -> None:
        """Note which caps a client claims, and find out what they mean."""
        client = self._clients.get(session)
        if client is None:
            client = self._clients[session] = Client(Known(claim))
        elif client.known.claim == claim and not client.silent:
            return
        known = self._known.get(claim)
        if known is not None:
            self._known.move_to_end(claim)
            self._note_use(known)
            self._settle(session, known)
            return
        client.known, client.silent = Known(claim), False
        if client.asked >= MOST_ASKED:
            return
        client.asked += 1
        asking = self._asking.get(claim)
        if asking is not None:
            asking[session] = None
        else:
            self._asking[claim] = {session: None}
            self.host.spawn(self._find_out(claim))

    def freeze(self, session: Session) -> list[Any] | None:
        """Return what a session claims."""
        client = self._clients.get(session)
        return None if client is None else list(attrs.astuple(client.known.claim))

    def thaw(self, session: Session, value: list[Any]) -> None:
        """Know again what a restored session claims; nobody is there to be asked yet."""
        if self._thawed is None:
            self.claimed(session, Claim(*value))
        else:
            self._thawed.append((session, Claim(*value)))

    @on(RESUMED)
    def resumed(self, session: Session) -> None:
        """Ask a client again that was not there to answer."""
        client = self._clients.get(session)
        if client is not None and client.silent:
            self.claimed(session, client.known.claim)

    @on(UNBOUND)
    def gone(self, session: Session) -> None:
        """Forget what a session claimed."""
        self._clients.pop(session, None)

    async def _find_out(self, claim: Claim) -> None:
        """Ask those who make a claim, one after the other, until one proves it (§5.4)."""
        waiting = self._asking[claim]
        asked: set[str] = set()  # bare JIDs
        try:
            while waiting:
                # one account, however many sessions it has, must not hold up the others
                session = min(waiting, key=lambda each: each.account.bare in asked)
                del waiting[session]
                if not self._claims(session, claim):
                    continue
                asked.add(session.account.bare)
                try:
                    proof = await self._ask(session, claim)
                except (NotProven, StanzaError, NoAnswer) as why:
                    self._unproven(session, why)
                    continue
                known = Known(claim, proof.features, self._now())
                holders = (session, *waiting) if proof.shared else (session,)
                for each in holders:
                    if self._claims(each, claim):
                        self._settle(each, known)
                if proof.shared:
                    self._remember(known)
                    return
        finally:
            del self._asking[claim]

    async def _ask(self, session: Session, claim: Claim) -> Proof:
        """§6.2. Raises NotProven, StanzaError and NoAnswer."""
        node = quoted(self._node_of(session, claim))
        inner = b"<query xmlns='%s' node=%s/>" % (NS.DISCO_INFO.encode(), node)
        request = make(
            "iq",
            {"type": "get", "from": self.host.domain, "to": session.full},
            inner,
            f"{NS.DISCO_INFO}}}query",
        )
        answer: Stanza = await self.host.requests.ask(request, self.options.patience)
        query = answer.child(NS.DISCO_INFO, "query")
        if query is None or len(answer.raw) > self.options.longest:
            raise NotProven("no answer, or too long a one")
        return check(claim, query, answer.attrs.get("xml:lang", ""))

    def _unproven(self, session: Session, why: Exception) -> None:
        self.log.debug(
            "{session}: capabilities unproven: {why}", session=session.full, why=str(why)
        )
        client = self._clients.get(session)
        if client is not None:
            client.silent = isinstance(why, NoAnswer)

    def _node_of(self, session: Session, claim: Claim) -> str:
        """Return the node to ask for, as this session named it."""
        client = self._clients.get(session)
        return claim.node if client is None else client.known.claim.node

    def _claims(self, session: Session, claim: Claim) -> bool:
        client = self._clients.get(session)
        return client is not None and client.known.claim == claim

    def _settle(self, session: Session, known: Known) -> None:
        """Give a session what its claim means."""
        client = self._clients[session]
        client.known, client.silent = known, False
        switch = self.host.switch(CAPS_CHANGED)
        if switch.steps:
            self.host.spawn(switch.tell(session))

    # what is remembered

    def _now(self) -> int:
        return int(self.host.clock.seconds() * 1_000_000)

    def _remember(self, known: Known) -> None:
        """Keep what is proven, in memory and in the store."""
        self._known[known.claim] = known
        forgotten = []
        while len(self._known) > self.options.remembered:
            forgotten.append(self._known.popitem(last=False)[0].key)
        self.host.spawn(self._store(known, forgotten))

    async def _store(self, known: Known, forgotten: list[str]) -> None:
        await self.host.store.execute(
            "INSERT INTO caps (claim, features, used) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
            known.claim.key,
            json.dumps(sorted(known.features or ())),
            known.used,
        )
        for key in forgotten:
            await self.host.store.execute("DELETE FROM caps WHERE claim = ?", key)

    def _note_use(self, known: Known) -> None:
        """Write down that caps are of use, at most once a day."""
        now = self._now()
        if now - known.used < DAY:
            return
        known.used = now
        self.host.spawn(self._store_use(known))

    async def _store_use(self, known: Known) -> None:
        await self.host.store.execute(
            "UPDATE caps SET used = ? WHERE claim = ?", known.used, known.claim.key
        )

    @on(STARTED)
    async def load(self, host: Host) -> None:
        """Know again what was known before a restart, so that nobody has to be asked twice."""
        await host.store.execute("DELETE FROM caps WHERE used < ?", self._now() - KEPT)
        rows = await host.store.query(
            "SELECT claim, features, used FROM caps ORDER BY used DESC LIMIT ?",
            self.options.remembered,
        )
        for key, features, used in reversed(rows):
            spec, hash, ver = key.split(" ")
            claim = Claim(spec, hash, ver, "")
            self._known[claim] = Known(claim, frozenset(json.loads(features)), used)
        thawed, self._thawed = self._thawed or [], None
        for session, claim in thawed:
            if session not in self._clients and host.router.sessions.get(session.full) is session:
                self.claimed(session, claim)
