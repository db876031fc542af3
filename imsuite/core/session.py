"""A session: a bound resource of an account. It outlives the link it writes to."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import TYPE_CHECKING, Any

from imsuite.core.hooks import Passing
from imsuite.core.inbox import Inbox
from imsuite.core.losing import lost
from imsuite.core.outbox import Outbox, Place, Tracker
from imsuite.core.record import Record
from imsuite.xmpp.address import JID, InvalidAddress, parse
from imsuite.xmpp.errors import StanzaError, StreamError
from imsuite.xmpp.stanza import KINDS, Stanza, quoted, with_attributes

if TYPE_CHECKING:
    from imsuite.core.account import Account

_IQ_TYPES = frozenset(("get", "set", "result", "error"))
_SUBSCRIPTION = ("subscribe", "subscribed", "unsubscribe", "unsubscribed")
_PRESENCE_TYPES = frozenset((None, "unavailable", "error", "probe", *_SUBSCRIPTION))


class Session(Inbox):
    """A bound resource.

    jid: its full JID; stream: what it writes to (`write`, `fail`, `pause`, `resume`, `peer`,
    `secure`, `seen`), None while it is detached and once it is gone; outbox: what waits to be
    written, None while nothing ever did; presence: the last available presence it broadcast,
    None while it is unavailable; presence_since, since: when that came and when the session was
    bound, seconds of the host's clock; priority: of that presence; interested: it asked for the
    roster and so receives pushes (RFC 6121 §2.2); lang: xml:lang of its stream; born: id of the
    last message before it.
    """

    __slots__ = (
        "_stamp",
        "account",
        "born",
        "directed",
        "full",
        "interested",
        "jid",
        "lang",
        "outbox",
        "presence",
        "presence_since",
        "priority",
        "since",
        "stream",
    )

    def __init__(self, account: Account, jid: JID, stream: Any, lang: str | None) -> None:
        super().__init__()
        self.account = account
        self.jid = jid
        self.full = jid.full
        self.stream = stream
        self.outbox: Outbox | None = None
        self.presence: Stanza | None = None
        self.presence_since = 0.0
        self.priority = 0
        self.interested = False
        self.directed: set[str] | None = None  # full or bare JIDs sent directed presence
        self.since = account.host.clock.seconds()
        self.born = int(account.host.store.ids.last)
        self.lang = lang
        self._stamp = b" from=" + quoted(jid.full)

    def __repr__(self) -> str:
        return f"<Session {self.full}>"

    @property
    def resource(self) -> str:
        """The resourcepart."""
        return self.jid.resource

    # what comes in

    def handle(self, stanza: Stanza) -> Awaitable[None] | None:
        """Take a stanza from the client: check it, stamp it, let it leave."""
        try:
            self._stamp_sender(stanza)
            host = self.account.host
            if (before := self._before(stanza)) is not None:
                return self._handle_after(stanza, before)
            passing = Passing(stanza, self.account, self.jid, self)
            later = host.leave(passing)
        except StreamError as why:
            self._fail(why)
            return None
        except Exception as why:
            self.account.host.refuse(stanza, why)
            self.taken += 1
            return None
        if later is not None:
            return self._finish(passing, later, stanza)
        self.taken += 1
        if passing.record is not None or passing.afterwards or passing.traced:
            passing.complete()
        return None

    def _before(self, stanza: Stanza) -> Awaitable[Any] | None:
        """Return what a stanza has to wait for before it goes its way, None for nothing.

        An answer says that everything sent before the request is durable. A message gets its
        id when nothing but itself is to be waited for any more, so that ids are given in the
        order in which messages go out.
        """
        if stanza.kind == "iq":
            return self.kept_all() if self._unkept else None
        to = stanza.attrs.get("to")
        if stanza.kind != "message" or to is None or to in self.account.host.router.sessions:
            return None
        return self.account.host.router.loading(to)

    async def _handle_after(self, stanza: Stanza, before: Awaitable[Any]) -> None:
        passing = Passing(stanza, self.account, self.jid, self)
        try:
            await before
            later = self.account.host.leave(passing) or _nothing()
        except StreamError as why:
            self._fail(why)
        except Exception as why:
            self.account.host.refuse(stanza, why)
            self.taken += 1
        else:
            await self._finish(passing, later, stanza)

    async def _finish(self, passing: Passing, later: Awaitable[None], stanza: Stanza) -> None:
        """Go on with what has to wait. stanza: as it came, and is answered."""
        try:
            await passing.wait(later)
        except StreamError as why:
            self._fail(why)
            return
        except Exception as why:
            self.account.host.refuse(stanza, why)
            self.taken += 1
            return
        self.taken += 1
        if passing.record is not None or passing.afterwards or passing.traced:
            passing.complete()

    def _stamp_sender(self, stanza: Stanza) -> None:
        """Set from and xml:lang (RFC 6120 §8.1.2.1, §8.1.5) and check the shape (§8.2.3).

        The stanza was made for this session a moment ago and nobody else holds it yet.
        """
        kind, attrs = stanza.kind, stanza.attrs
        if kind not in KINDS:
            raise StreamError("unsupported-stanza-type")
        claimed = attrs.get("from")
        if claimed is None:
            stamp = self._stamp
        else:
            stamp = b""
            if claimed != self.full:
                self._check_claim(claimed)
                stanza.raw = with_attributes(stanza.raw, {"from": self.full})
        if self.lang is not None and "xml:lang" not in attrs:
            stamp += b" xml:lang=" + quoted(self.lang)
            attrs["xml:lang"] = self.lang
        raw = stanza.raw
        place = len(kind) + 1
        stanza.raw = raw[:place] + stamp + raw[place:]
        attrs["from"] = self.full
        if kind == "iq":
            self._check_iq(stanza)
        elif kind == "presence" and attrs.get("type") not in _PRESENCE_TYPES:
            raise StanzaError("bad-request")  # RFC 6121 §4.7.1

    def _check_claim(self, claimed: str) -> None:
        """RFC 6120 §8.1.2.1: from may only be one's own bare or full JID."""
        try:
            jid = parse(claimed)
        except InvalidAddress:
            raise StreamError("invalid-from") from None
        if jid != self.jid and jid != self.account.jid:
            raise StreamError("invalid-from")

    @staticmethod
    def _check_iq(stanza: Stanza) -> None:
        """RFC 6120 §8.2.3: an IQ has an id, a known type, and one child if it asks."""
        type = stanza.attrs.get("type")
        if type not in _IQ_TYPES or "id" not in stanza.attrs:
            raise StanzaError("bad-request")
        if type in ("get", "set") and len(stanza.children) != 1:
            raise StanzaError("bad-request")

    # what goes out

    def send(self, stanza: Stanza, record: Record | None = None) -> None:
        """Send a stanza to the client, in order; with a record, once that is durable."""
        if record is not None:
            place = Place(self, stanza, record)
            record.places.append(place)
            if record.gathered:
                self.make_outbox().put(place)
        elif self.outbox is not None:
            self.outbox.put(Place(self, stanza))
        elif self.stream is not None:
            self.stream.write(stanza.raw)

    def send_raw(self, stanzas: Iterable[bytes]) -> bool:
        """Send stanzas if they may go at once and nobody looks at each; tell whether that is so."""
        if self.stream is None or not (self.outbox is None or self.outbox.direct):
            return False
        for raw in stanzas:
            self.stream.write(raw)
        return True

    def deliver(self, passing: Passing) -> Awaitable[None] | None:
        """Let a stanza pass DELIVERING and send it."""
        outbox = self.outbox
        if passing.record is None and outbox is not None and outbox.lasts(passing.stanza):
            passing.keep()  # also where no archive has it
        delivering = self.account.host.delivering
        if delivering.steps:
            one = Passing(passing.stanza, passing.account, passing.sender, passing.session, self)
            one.record = passing.record
            later = delivering.run(one)
            if later is not None:
                return self._deliver_later(one, later)
            passing = one
        if passing.record is None and self.outbox is None:
            if self.stream is not None:
                self.stream.write(passing.stanza.raw)
        else:
            self.send(passing.stanza, passing.record)
        return None

    async def _deliver_later(self, passing: Passing, later: Awaitable[None]) -> None:
        await later
        self.send(passing.stanza, passing.record)

    def make_outbox(self) -> Outbox:
        """Return the queue of what goes out, made if there is none."""
        if self.outbox is None:
            self.outbox = Outbox(self)
        return self.outbox

    @property
    def attached(self) -> bool:
        """There is a stream to write to."""
        return self.stream is not None

    @property
    def tracker(self) -> Tracker | None:
        """What counts and keeps the stanzas of a session that can be resumed (XEP-0198)."""
        return None if self.outbox is None else self.outbox.tracker

    def changed(self, hurry: bool = True) -> None:
        """Know that a feature changed what it keeps of this session across restarts.

        hurry: that is durable no later than the stanza which changed it counts as handled; else
        a crash may undo the change some seconds later.
        """
        if self.tracker is not None:
            self.tracker.changed(hurry)

    def progressed(self) -> None:
        """Let who counts what comes in know."""
        if self.tracker is not None:
            self.tracker.progressed()

    def lose(self, place: Place) -> None:
        """Know that the client did not get a stanza and will not."""
        lost(self, place)

    def end(self, why: StreamError) -> None:
        """End the session for good, whether or not a client is there."""
        if self.tracker is not None:
            self.tracker.give_up()
        if self.stream is not None:
            self.stream.fail(why)

    def hold(self) -> None:
        """Stop reading from the link."""
        if self.stream is not None:
            self.stream.pause()

    def release(self) -> None:
        """Go on reading from the link."""
        if self.stream is not None:
            self.stream.resume()

    def _fail(self, why: StreamError) -> None:
        self.abandon()  # RFC 6120 §4.9.1.1: nothing comes after a stream error
        if self.stream is not None:
            self.stream.fail(why)


async def _nothing() -> None:
    """Wait for nothing."""
