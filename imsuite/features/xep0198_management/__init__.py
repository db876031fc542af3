"""XEP-0198: Stream Management."""

from __future__ import annotations

import secrets
from collections.abc import Iterable
from functools import partial
from hmac import compare_digest
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall

from imsuite.core.feature import StreamFeature, negotiates, on
from imsuite.core.hooks import DETACHED, RESUMED, STARTED, STOPPING, UNBOUND, Stage
from imsuite.core.host import Host
from imsuite.core.options import ge, option
from imsuite.core.outbox import Row
from imsuite.core.record import Record, parse_id
from imsuite.core.session import Session
from imsuite.features.xep0198_management import restoring, rows
from imsuite.features.xep0198_management.restoring import Ended
from imsuite.features.xep0198_management.tracker import NS_SM, Tracker
from imsuite.rules.resumption import on_wire, parse_count, wants
from imsuite.rules.stream import Phase
from imsuite.streams.c2s import ClientStream
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import ImsuiteError, StreamError
from imsuite.xmpp.stanza import Stanza, quoted
from imsuite.xmpp.times import SECOND

SWEEP = 2.0  # seconds between two looks at what clients owe
MEMORY = 86_400  # seconds that the count of a session which ended is remembered (§5)
REMEMBERED = 20_000  # sessions of which it is, at most
LARGE = 16_384  # characters; what is known of a session and is longer is written at each look
ROUNDS = 100  # commits that a client who resumes waits for, while one message follows another


@attrs.frozen
class Options:
    """[features.management]"""

    seconds: int = option(
        900, "How long a session waits for its client to come back, seconds; 0: not at all.", ge(0)
    )
    most: int = option(
        5000, "Most stanzas that may wait for the acknowledgement of one client.", ge(50)
    )
    most_bytes: int = option(
        8_388_608, "Most bytes that may wait for the acknowledgement of one client.", ge(300_000)
    )
    durable: bool = option(
        True,
        "Whether messages that no archive keeps outlive the server, too, while their client has "
        "not acknowledged them.",
    )
    every: int = option(25, "After how many stanzas a client is asked for its count.", ge(1))
    timeout: int = option(
        60, "Time a client has to answer that before its link is given up, seconds.", ge(5)
    )


class Management(StreamFeature):
    """Acknowledge stanzas, and keep sessions whose link was lost, also over restarts."""

    spec = "XEP-0198 1.6.3"
    options: Options
    tables = rows.TABLES
    needs = Phase.AUTHENTICATED
    rank = 40

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        self._trackers: dict[int, Tracker] = {}  # that can be resumed, by key
        self._ended: dict[int, Ended] = {}  # by key, in the order in which they ended
        self._detached: dict[Tracker, None] = {}  # in order of detaching
        self._watched: dict[Tracker, None] = {}
        self._unsaved: dict[Tracker, None] = {}
        self._leaving: dict[int, Tracker] = {}  # that ended, until what they had is elsewhere
        self._unwritten: dict[int, None] = {}  # keys of sessions that ended, which is to be written
        self._later: dict[Tracker, None] = {}  # whose state is large, so it is not written often
        self._resuming: dict[Tracker, ClientStream] = {}
        self._sweeping: IDelayedCall | None = None
        self._restored: Deferred[None] | None = None
        self.stops = False

    def offer(self, stream: ClientStream) -> bytes:
        """§3"""
        return b"<sm xmlns='urn:xmpp:sm:3'/>"

    # enabling

    @negotiates(NS_SM, "enable")
    async def enable(self, stream: ClientStream, element: Stanza) -> None:
        """§3, §5: count from here on."""
        session = stream.session
        if session is None:
            stream.write(failed("unexpected-request"))
            return
        if session.tracker is not None:
            raise StreamError("policy-violation", "stream management is on already")
        handled: Deferred[None] = Deferred()
        session.when_handled(partial(handled.callback, None))
        await handled
        if stream.ended:
            return
        asked = parse_count(element.attrs.get("max"))
        seconds = min(self.options.seconds, self.options.seconds if asked is None else asked)
        tracker = Tracker(self, session, seconds, session.taken)
        outbox = session.make_outbox()
        outbox.tracker = tracker
        resumable = wants(element.attrs.get("resume")) and not session.account.temporary
        if not (resumable and seconds):
            tracker.begin(b"<enabled xmlns='urn:xmpp:sm:3'/>")
            outbox.put(tracker.marker)
            return
        tracker.key = self.host.store.ids.next()
        tracker.secret = secrets.token_hex(16)
        self._trackers[tracker.key] = tracker
        record = self.record(apart=True)  # a client may go on at once: this row is the first
        record.write(rows.SESSION, *restoring.row(self.host, tracker))
        tracker.begin(
            b"<enabled xmlns='urn:xmpp:sm:3' resume='true' id='%s' max='%d'/>"
            % (tracker.id.encode(), seconds),
            record,
        )
        record.places.append(tracker.marker)
        record.refused = partial(self._not_enabled, stream, tracker)
        self.host.store.append(record)

    def _not_enabled(self, stream: ClientStream, tracker: Tracker, why: Exception) -> None:
        """The store can not keep the session."""
        session = tracker.session
        self._trackers.pop(tracker.key, None)
        self._let_go(tracker)
        session.make_outbox().tracker = None
        if session.stream is None:  # the link is lost, and nobody can come back
            session.finish(partial(self.host.departures.unbind, session))
            return
        stream.write(failed(self.host.condition(why).condition))

    # counting

    @negotiates(NS_SM, "r")
    def asked(self, stream: ClientStream, element: Stanza) -> None:
        """§4"""
        self._tracker(stream).asked()

    @negotiates(NS_SM, "a")
    def told(self, stream: ClientStream, element: Stanza) -> None:
        """§4"""
        h = parse_count(element.attrs.get("h"))
        tracker = self._tracker(stream)
        if h is None:
            raise StreamError("policy-violation", "h is no count")
        tracker.acknowledge(h)
        if tracker.rowed > tracker.swept:  # or a crash would bring again what the client has
            restoring.forget(record := self.record(), tracker)
            self.host.store.append(record)

    @staticmethod
    def _tracker(stream: ClientStream) -> Tracker:
        tracker = None if stream.session is None else stream.session.tracker
        if not isinstance(tracker, Tracker):
            raise StreamError("policy-violation", "stream management is not on")
        return tracker

    # resuming

    @negotiates(NS_SM, "resume")
    async def resume(self, stream: ClientStream, element: Stanza) -> None:
        """§5"""
        if stream.session is not None:
            stream.write(failed("unexpected-request"))
            return
        h, previous = parse_count(element.attrs.get("h")), element.attrs.get("previd")
        if h is None or previous is None:
            stream.write(failed("bad-request"))
            return
        tracker = await self.claim(stream, previous, h)
        if stream.ended:
            return
        if tracker is None:
            await self.host.store.settled()  # then the count of who ended just now is known
            stream.write(self.not_found(stream, previous))
            return
        self.attach(stream, tracker, h)

    async def claim(self, stream: ClientStream, previous: str, h: int) -> Tracker | None:
        """Return the session of that SM-ID with its last link cut and everything durable.

        None if the account of the stream has no such session, or another link was faster. h: how
        much the client has. Raises StreamError if that is too high, or the store can not be used.
        """
        if self._restored is not None and not self._restored.called:
            waiting: Deferred[None] = Deferred()
            self._restored.chainDeferred(waiting)
            await waiting
        tracker = self._find(stream, previous)
        if tracker is None:
            return None
        session = tracker.session
        self._resuming[tracker] = stream
        if session.stream is not None:
            session.stream.conflict(session)
            self.detached(tracker)
        await tracker.settle()
        if tracker.gaps:
            await self._let_out(tracker)
            if self._resuming.get(tracker) is stream and not tracker.gone:
                tracker.acknowledge(h)
                await restoring.renumber(self, tracker)
        if self._resuming.get(tracker) is not stream or tracker.gone:
            return None
        del self._resuming[tracker]
        return tracker

    async def _let_out(self, tracker: Tracker) -> None:
        """Wait until all that comes to a session has its row: new numbers are about to be given.

        Raises StreamError if there is no end of it.
        """
        outbox = tracker.session.make_outbox()
        for _ in range(ROUNDS):
            if not len(outbox) or tracker.gone:
                return
            await self.host.store.settled()
        raise StreamError("resource-constraint", "too much comes in to resume a session now")

    def _find(self, stream: ClientStream, previous: str) -> Tracker | None:
        key, secret = _split(previous)
        tracker = self._trackers.get(key)
        if tracker is None or stream.account is None or tracker.gone:
            return None
        if not compare_digest(tracker.secret, secret):
            return None
        return tracker if tracker.session.account.bare == stream.account.bare else None

    def not_found(self, stream: ClientStream, previous: str) -> bytes:
        """Return the answer to who can not resume, with the count of a session that ended."""
        key, secret = _split(previous)
        ended, account = self._ended.get(key), stream.account
        if ended is None or account is None or not compare_digest(ended.secret, secret):
            return failed("item-not-found")
        return failed("item-not-found", ended.count if ended.account == account.bare else None)

    def attach(self, stream: ClientStream, tracker: Tracker, h: int) -> None:
        """Go on with a session on a new link. Raises StreamError if h is too high."""
        session = tracker.session
        tracker.acknowledge(h)
        tracker.forget_uncounted()
        self._detached.pop(tracker, None)
        tracker.since = 0.0
        session.stream = stream
        stream.write(
            b"<resumed xmlns='urn:xmpp:sm:3' previd='%s' h='%d'/>"
            % (tracker.id.encode(), on_wire(tracker.stored))
        )
        stream.bound(session)
        for place in tracker.unacked:
            stream.write(place.stanza.raw)
        tracker.request()
        if tracker.gaps:  # nobody knows whom it has heard of
            tracker.gaps = False
            restoring.refresh(self.host, session)
        restoring.forget(record := self.record(), tracker)
        if record.rows:
            self.host.store.append(record)
        self.watch(tracker)
        self.host.spawn(self.host.switch(RESUMED).tell(session))
        session.make_outbox().flush()

    # sessions without a link

    def detached(self, tracker: Tracker) -> None:
        """Let a session wait for its client."""
        tracker.since = self.host.clock.seconds()
        self._detached[tracker] = None
        self._sweep_soon()
        if not self.stops:
            self.host.spawn(self.host.switch(DETACHED).tell(tracker.session))

    def overflowed(self, tracker: Tracker) -> None:
        """Give up a session for which too much waits; not inside what found it out."""
        if not tracker.gone:
            tracker.give_up()
            self.host.clock.callLater(0, self._end, tracker)

    def _end(self, tracker: Tracker) -> None:
        """End a session; what it did not get goes elsewhere (§5)."""
        tracker.give_up()
        self._detached.pop(tracker, None)
        session = tracker.session
        if session.stream is not None:
            session.stream.fail(StreamError("policy-violation", "too much was not acknowledged"))
        else:
            session.finish(partial(self.host.departures.unbind, session))

    @on(UNBOUND)
    def unbound(self, session: Session) -> None:
        """Forget a session, but for its count."""
        tracker = session.tracker
        if not isinstance(tracker, Tracker):
            return
        tracker.give_up()
        self._resuming.pop(tracker, None)
        self._let_go(tracker)
        if self._trackers.pop(tracker.key, None) is not None:
            self.host.spawn(self._remember(tracker))

    def _let_go(self, tracker: Tracker) -> None:
        for kept in (self._detached, self._watched, self._unsaved, self._later):
            kept.pop(tracker, None)

    async def _remember(self, tracker: Tracker) -> None:
        """Keep the count of a session that ended, for a while (§5)."""
        # until then the count is not the last one, and what was on the way to the session has
        # not found another way
        await self.host.store.settled()
        key, now = tracker.key, int(self.host.clock.seconds() * 1_000_000)
        self._ended[key] = Ended(tracker.secret, tracker.session.account.bare, tracker.taken, now)
        self._leaving[key] = tracker
        self._write_end(key)

    def _write_end(self, key: int) -> None:
        """Write that a session has ended, again and again if need be: else it would come back."""
        ended, record = self._ended.get(key), self.record(apart=True)
        if ended is None:
            return
        if (tracker := self._leaving.get(key)) is not None:
            if tracker.leaving:  # what it never got has no other place yet
                self._unwritten[key] = None
                self._sweep_soon()
                return
            tracker.key = 0
            del self._leaving[key]
        record.write(rows.ENDED, ended.since, ended.count, key)
        record.write(rows.FORGET_ALL, key)
        outdated = ended.since - MEMORY * SECOND
        while len(self._ended) > REMEMBERED or _oldest(self._ended).since < outdated:
            oldest = next(iter(self._ended))
            del self._ended[oldest]
            record.write(rows.REMOVE, oldest)
        record.refused = partial(self._write_end_later, key)
        self.host.store.append(record)

    def _write_end_later(self, key: int, why: Exception) -> None:
        self._unwritten[key] = None
        self._sweep_soon()

    # keeping

    def record(self, apart: bool = False) -> Record:
        """Return a new record without a message. apart: as `Record.apart`."""
        record = Record(self.host, None, self.host.store.ids)
        record.apart = apart
        return record

    def save(self, tracker: Tracker, hurry: bool) -> None:
        """Write what is known of a session, soon; not hurry: it may take longer if it is much."""
        if tracker.state_size > LARGE:
            self._later[tracker] = None
            self._sweep_soon()
            if not hurry:
                return
        first = not self._unsaved
        self._unsaved[tracker] = None
        if first:
            self.host.store.soon(self._save)

    def _save(self) -> None:
        unsaved, self._unsaved = self._unsaved, {}
        record = self.record()
        for tracker in unsaved:
            brief = tracker.state_size > LARGE  # the rest of it follows
            state = rows.freeze(self.host, tracker.session, brief)
            if not brief:
                tracker.state_size = len(state)
            record.write(rows.STATE, state, tracker.key)
        record.refused = partial(self._save_later, unsaved)
        self.host.store.append(record)

    def _save_later(self, unsaved: Iterable[Tracker], why: Exception) -> None:
        self._later |= {tracker: None for tracker in unsaved if not tracker.gone}
        self._sweep_soon()

    def state_rows(self, tracker: Tracker) -> list[Row]:
        """Return what is to be written with the count of stanzas that changed a session."""
        if tracker not in self._unsaved:
            return []
        brief = tracker.state_size > LARGE
        return [(rows.STATE, (rows.freeze(self.host, tracker.session, brief), tracker.key))]

    def _catch_up(self) -> None:
        """Write what could not be written before, or would have been written too often."""
        if self._later:
            self._unsaved |= self._later
            for tracker in self._later:
                tracker.state_size = 0
            self._later = {}
            self._save()
        unwritten, self._unwritten = self._unwritten, {}
        for key in unwritten:
            self._write_end(key)

    # looking after

    def watch(self, tracker: Tracker) -> None:
        """Look at a session from time to time until everything is acknowledged."""
        self._watched[tracker] = None
        self._sweep_soon()

    def _sweep_soon(self) -> None:
        if self._sweeping is None and not self.stops:
            self._sweeping = self.host.clock.callLater(SWEEP, self._sweep)

    def _sweep(self) -> None:
        self._sweeping = None
        now = self.host.clock.seconds()
        record = self.record()
        self._catch_up()
        for tracker in list(self._watched):
            restoring.forget(record, tracker)
            stream = tracker.session.stream
            if tracker.owes and now - tracker.owes >= SWEEP:
                tracker.answer()
            if stream is not None and tracker.overdue:
                # any byte shows that the client lives, but it has to answer some time
                if now - max(tracker.overdue, stream.seen) >= self.options.timeout:
                    stream.fail(StreamError("connection-timeout"))
            elif tracker.is_due(now):
                tracker.request()
            if not tracker.unacked and not tracker.owes:
                self._watched.pop(tracker, None)  # the session may have ended just now
        if record.rows:
            self.host.store.append(record)
        for tracker in list(self._detached):
            if tracker.since + tracker.seconds <= now:
                self._end(tracker)
        if self._watched or self._detached or self._later or self._unwritten:
            self._sweep_soon()

    # restarts

    @on(STARTED, Stage.GUARD)
    async def started(self, host: Host) -> None:
        """Take back the sessions there were when the server stopped."""
        self._restored = Deferred()
        try:
            before = int((host.clock.seconds() - MEMORY) * 1_000_000)
            await restoring.tried(host, rows.REMOVE_OLD, before)
            await restoring.tried(host, rows.FORGET_ORPHANS)
            for tracker in await restoring.restore(self, self._ended):
                self._trackers[tracker.key] = tracker
                self.detached(tracker)
        except ImsuiteError as why:
            self.host.log.error("sessions are not restored: {why}", why=str(why))
        finally:
            self._restored.callback(None)

    @on(STOPPING)
    async def stopping(self, host: Host) -> None:
        """Write everything down, also what is no message."""
        self.stops = True
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._catch_up()
        await restoring.calm(host, list(self._trackers.values()))
        trackers = list(self._trackers.values())
        written: list[Any] = [restoring.stopped(host, tracker) for tracker in trackers]
        await host.store.transaction(restoring.write_stopped, written)


def failed(condition: str, h: int | None = None) -> bytes:
    """Return <failed/> (§6)."""
    count = b"" if h is None else b" h='%d'" % on_wire(h)
    return b"<failed xmlns='urn:xmpp:sm:3'%s><%s xmlns=%s/></failed>" % (
        count,
        condition.encode(),
        quoted(NS.STANZAS),
    )


def _oldest(ended: dict[int, Ended]) -> Ended:
    return next(iter(ended.values()))


def _split(previous: str) -> tuple[int, str]:
    """Return key and secret of an SM-ID; a key that no session has if it is none of ours."""
    found = parse_id(previous[:16] + "0" * 16) if len(previous) == 48 else None
    secret = previous[16:]
    return (found[0] if found else -1), secret if secret.isascii() else ""
