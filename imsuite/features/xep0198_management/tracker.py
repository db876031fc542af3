"""XEP-0198 §4 and §5: the counts of one session, and what its client has not acknowledged."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred

from imsuite.core.outbox import Place, Row
from imsuite.core.record import Record
from imsuite.core.session import Session
from imsuite.features.xep0198_management import rows
from imsuite.rules import resumption as rules
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.features.xep0198_management import Management

NS_SM = "urn:xmpp:sm:3"
QUIET = 15.0  # seconds after which a client is asked about a stanza; each question wakes both sides
# after a crash nobody knows how many stanzas a client was sent that were no messages; what it is
# sent later has numbers so far above that it cannot be taken for one of those
LEAP = 1 << 20
REQUEST = b"<r xmlns='urn:xmpp:sm:3'/>"


class Tracker:
    """What stream management knows of a session.

    key: of its row, 0 if it can not be resumed; secret: the other part of its id; seconds: how
    long it may be detached; sent, acked: stanzas to the client, in all, and those it has; base:
    what the session had taken when counting began; stored: count of stanzas from the client
    that is durable; unacked: what was sent and not acknowledged; since: when its link was lost,
    or 0; state_size: characters of what was written of it last; gaps: after a crash, nobody knows
    what was sent beside messages.
    """

    __slots__ = (
        "_asked",
        "_bytes",
        "_counting",
        "_feature",
        "_first",
        "_first_since",
        "_requested",
        "_saving",
        "_waiting",
        "acked",
        "base",
        "gaps",
        "gone",
        "key",
        "leaving",
        "marker",
        "seconds",
        "secret",
        "sent",
        "session",
        "since",
        "state_size",
        "stored",
        "rowed",
        "swept",
        "unacked",
    )

    def __init__(self, feature: Management, session: Session, seconds: int, base: int) -> None:
        self._feature = feature
        self.session = session
        self.seconds = seconds
        self.key = 0
        self.secret = ""
        self.sent = 0
        self.acked = 0
        self.base = base
        self.stored = 0
        self.rowed = 0  # number of the last stanza that has a row
        self.swept = 0  # stanzas whose rows are removed
        self.since = 0.0
        self.state_size = 0
        self.gaps = False
        self.gone = False
        self.leaving = 0  # messages that are looking for another way, for it has ended
        self.unacked: deque[Place] = deque()
        self._counting = True
        self._bytes = 0
        self._asked = 0.0  # the client wants to know the count since then; 0: it does not
        self._first = 0  # number of the oldest stanza without acknowledgement at the last look
        self._first_since = 0.0  # when that was first seen
        self._requested = 0.0  # it was asked for its count then; 0: nothing is open
        self._saving = False
        self._waiting: list[Deferred[None]] = []

    @property
    def id(self) -> str:
        """The SM-ID (§5): whose it is cannot be guessed, and it is never used again."""
        return f"{self.key:016x}{self.secret}"

    @property
    def taken(self) -> int:
        """How many stanzas of the client are handled and durable."""
        # what came before counting began may not be durable yet
        return max(0, self.session.durable - self.base)

    def begin(self, enabled: bytes, record: Record | None = None) -> None:
        """Count from the moment on when <enabled/> goes out, which may have to wait."""
        self._counting = False
        self.marker = Place(self.session, Stanza("enabled", NS_SM, {}, (), enabled), record)

    @property
    def durable(self) -> bool:
        """What is sent outlives the server until the client has it, also what no archive has."""
        return bool(self.key) and bool(self._feature.options.durable)

    # what goes out

    def number(self, queue: Iterable[Place]) -> None:
        """Give all that wait the numbers they will be sent with; 0: they are not counted."""
        number = self.sent if self._counting else -1
        for place in queue:
            if number >= 0:
                number += 1
            elif place is self.marker:
                number = 0
            place.number = max(number, 0)

    def wrote(self, place: Place) -> None:
        """Know that a stanza went out, or would have if there were a link."""
        if not self._counting:
            self._counting = place is self.marker
            return
        self.sent += 1
        place.number = self.sent
        self.unacked.append(place)
        self._bytes += len(place.stanza.raw)
        options = self._feature.options
        if self.session.stream is None:
            if len(self.unacked) > options.most or self._bytes > options.most_bytes:
                self._feature.overflowed(self)
            return
        if not self._requested and len(self.unacked) >= options.every:
            self.request()
        if len(self.unacked) == 1:
            self._feature.watch(self)
        if len(self.unacked) > options.most or self._bytes > options.most_bytes:
            self._feature.overflowed(self)

    def skipped(self) -> None:
        """Know that a stanza had a number and did not go out, for the session has ended."""
        self.sent += self._counting

    def request(self) -> None:
        """Ask the client for its count (§4)."""
        stream = self.session.stream
        if stream is not None and self.unacked and not self._requested:
            self._requested = self._feature.host.clock.seconds()
            stream.write(REQUEST)

    def is_due(self, now: float) -> bool:
        """Tell whether the client has said nothing of a stanza for long. now: of the clock."""
        first = self.unacked[0].number if self.unacked else 0
        if first != self._first:
            self._first, self._first_since = first, now
        return bool(first) and now - self._first_since >= QUIET

    @property
    def overdue(self) -> float:
        """Since when the client owes its count, seconds of the clock; 0: it does not."""
        return self._requested

    def acknowledge(self, h: int) -> None:
        """Take a count of the client. Raises StreamError if it is too high (§4, §6)."""
        self._requested = 0.0
        if self.gaps:
            count: int | rules.TooHigh = rules.acknowledged_anew(h, self.acked, LEAP)
        else:
            count = rules.acknowledged(h, self.acked, self.sent)
        if isinstance(count, rules.TooHigh):
            raise StreamError(
                "undefined-condition",
                app=b"<handled-count-too-high xmlns='urn:xmpp:sm:3' h='%d' send-count='%d'/>"
                % (count.h, count.sent),
            )
        self.acked = count
        unacked = self.unacked
        while unacked and unacked[0].number <= count:
            place = unacked.popleft()
            self._bytes -= len(place.stanza.raw)
            if place.record is not None:
                place.record.note("XEP-0198 §4: acknowledged by the client", self.session.full)

    def rows(self, place: Place) -> list[Row]:
        """Return the row of a message to this session; it has its number.

        Who is available needs none, also where it waited for a room: after a crash it is told anew.
        """
        stanza = place.stanza
        if stanza.kind == "presence" and stanza.type in (None, "unavailable"):
            return []
        if not self.key or not place.number:
            return []
        self.rowed = place.number
        return [rows.pending(self.key, place)]

    def released(self, place: Place) -> list[Row]:
        """Return what is to be written because such a message has found another way."""
        return [(rows.FORGET_ONE, (self.key, place.number))] if self.key and place.number else []

    # what comes in

    def count_rows(self, taken: int) -> list[Row]:
        """Return what is to be written because so many stanzas are handled."""
        if not self.key:
            return []
        count = rows.count(self.key, max(0, taken - self.base))
        return [count, *self._feature.state_rows(self)]

    def counted(self, taken: int) -> None:
        """Know that those rows are durable."""
        self.stored = max(self.stored, taken - self.base)

    def asked(self) -> None:
        """The client wants to know our count (§4)."""
        if not self._asked:
            self._asked = self._feature.host.clock.seconds()
        self.progressed()

    @property
    def owes(self) -> float:
        """Since when the client waits for our count, seconds of the clock; 0: it does not."""
        return self._asked

    def progressed(self) -> None:
        """Tell our count to who waits for it, once everything that came is in it and durable."""
        if not self.session.settled or not (self._asked or self._waiting):
            return
        if self.key and self.taken > self.stored:
            self._save_count()
            return
        if self._asked:
            self.answer()
        self._go_on()

    def _go_on(self) -> None:
        waiting, self._waiting = self._waiting, []
        for each in waiting:
            each.callback(None)

    def answer(self) -> None:
        """Send our count: never more than what is durable."""
        self._asked = 0.0
        stream = self.session.stream
        if stream is not None:
            h = min(self.stored, self.taken) if self.key else self.taken
            stream.write(b"<a xmlns='urn:xmpp:sm:3' h='%d'/>" % rules.on_wire(h))

    def _save_count(self) -> None:
        if self._saving:
            return
        self._saving = True
        taken = self.session.durable
        record = self._feature.record()
        statement, values = rows.count(self.key, taken - self.base)
        record.write(statement, *values)

        def saved() -> None:
            self._saving = False
            self.counted(taken)
            self.progressed()

        def refused(_: Exception) -> None:
            self._saving = False
            if self._asked:
                self.answer()
            if self.session.settled:  # else more is on its way, and its count is tried then
                self._go_on()

        record.after(saved)
        record.refused = refused
        self._feature.host.store.append(record)

    def forget_uncounted(self) -> None:
        """Count on from what is durable: the client is told that, and sends the rest again."""
        self.base = self.session.durable - self.stored

    async def settle(self) -> None:
        """Wait until everything that came is handled and durable, and so is the count of it.

        Where the store cannot keep the count, `stored` stays behind `taken`.
        """
        waiting: Deferred[None] = Deferred()
        self._waiting.append(waiting)
        self.progressed()
        await waiting

    # its life

    def changed(self, hurry: bool) -> None:
        """Know that what is kept of the session across restarts is different now."""
        if self.key and not self.gone:
            self._feature.save(self, hurry)

    def detach(self) -> bool:
        """Know that the link is lost; return whether the session stays, to be resumed."""
        self._requested = self._asked = 0.0
        if not self.key or self.gone or not self._counting:
            return False  # a client that has not heard that it may come back never will
        self._feature.detached(self)
        return True

    def give_up(self) -> None:
        """Know that the session will not be resumed."""
        self.gone = True

    def leftover(self) -> list[Place]:
        """Return what was sent and never acknowledged, in order; the session has ended."""
        self.gone = True
        left = list(self.unacked)
        self.unacked.clear()
        self._bytes = 0
        return left

    def restore(self, places: list[Place]) -> None:
        """Take back what was not acknowledged before a restart."""
        self.unacked.extend(places)
        self._bytes = sum(len(place.stanza.raw) for place in places)

    def take_unacked(self) -> list[Place]:
        """Return what was not acknowledged, and forget it: it is to be sent anew."""
        places = self.leftover()
        self.gone = False
        return places
