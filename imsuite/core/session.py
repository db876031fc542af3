"""A session: a bound resource of an account. It outlives the link it writes to."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import TYPE_CHECKING, Any

from imsuite.core.hooks import Passing
from imsuite.core.inbox import Inbox
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
    `secure`, `seen`), None once it is gone; presence: the last available presence it broadcast,
    None while it is unavailable; presence_since, since: when that came and when the session was
    bound, seconds of the host's clock; priority: of that presence; interested: it asked for the
    roster and so receives pushes (RFC 6121 §2.2); lang: xml:lang of its stream.
    """

    __slots__ = (
        "_stamp",
        "account",
        "directed",
        "full",
        "interested",
        "jid",
        "lang",
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
        self.presence: Stanza | None = None
        self.presence_since = 0.0
        self.priority = 0
        self.interested = False
        self.directed: set[str] | None = None  # full or bare JIDs sent directed presence
        self.since = account.host.clock.seconds()
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
            passing = Passing(stanza, self.account, self.jid, self)
            later = host.leave(passing)
        except StreamError as why:
            self._fail(why)
            return None
        except Exception as why:
            self.account.host.refuse(stanza, why)
            return None
        if later is None:
            return None
        return self._finish(stanza, later)

    async def _finish(self, stanza: Stanza, later: Awaitable[None]) -> None:
        try:
            await later
        except StreamError as why:
            self._fail(why)
        except Exception as why:
            self.account.host.refuse(stanza, why)

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

    def send(self, stanza: Stanza) -> None:
        """Send a stanza to the client."""
        stream = self.stream
        if stream is not None:
            stream.write(stanza.raw)

    def deliver(self, passing: Passing) -> Awaitable[None] | None:
        """Let a stanza pass DELIVERING and send it."""
        delivering = self.account.host.delivering
        if delivering.steps:
            one = Passing(passing.stanza, passing.account, passing.sender, passing.session, self)
            later = delivering.run(one)
            if later is not None:
                return self._deliver_later(one, later)
            passing = one
        stream = self.stream
        if stream is not None:
            stream.write(passing.stanza.raw)
        return None

    async def _deliver_later(self, passing: Passing, later: Awaitable[None]) -> None:
        await later
        self.send(passing.stanza)

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
