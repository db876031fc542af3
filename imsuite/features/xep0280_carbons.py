"""XEP-0280: Message Carbons."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import attrs
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import INCOMING, OUTGOING, UNBOUND, Passing, Stage
from imsuite.core.host import Host
from imsuite.core.interfaces import ICarbons, ILoaded, ISessionState
from imsuite.core.session import Session
from imsuite.rules.carbons import Direction, Eligible, copies, recipients, verdict
from imsuite.rules.traffic import CARBONS, Traffic, classify
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, quoted, result

NS_RULES = "urn:xmpp:carbons:rules:0"  # §6.2: what §6.1 says holds without exception
NS_SID = "urn:xmpp:sid:0"


@attrs.frozen
class Later:
    """Sends a copy of a message of which nothing is written, once it went its way.

    rule: why there is a copy; who: gets it.
    """

    session: Session
    copy: Stanza
    rule: str

    @property
    def who(self) -> str:
        """The full JID of whom it is for."""
        return self.session.full

    def __call__(self) -> None:
        """Send it."""
        self.session.send(self.copy)


@implementer(ICarbons, ILoaded, ISessionState)
class Carbons(Feature):
    """Give each client of an account both sides of every conversation.

    A copy goes out when the message itself is called for good: what is refused on its way, or
    could not be written down, leaves none behind.
    """

    spec = "XEP-0280 1.0.1"
    advertises = {At.HOST: (CARBONS, NS_RULES)}

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        # the sessions of each account that want copies; an account that nobody uses has none
        self._enabled: Kept[dict[Session, None]] = host.keep(self)
        self._eligible = Eligible()

    def load(self, cursor: Any, account: str) -> dict[Session, None]:
        """Return what is kept of an account: nothing that is stored."""
        return {}

    def enabled(self, session: Session) -> bool:
        """Tell whether a session gets copies."""
        return session in self._enabled.of(session.account)

    # §4, §5

    @answers("set", CARBONS, "enable", At.ANY | At.NOBODY)
    def enable(self, request: Passing) -> Stanza:
        """§4, §10.1: also a second time."""
        session = self._asking(request)
        self._enabled.of(session.account)[session] = None
        session.changed()
        return result(request.stanza)

    @answers("set", CARBONS, "disable", At.ANY | At.NOBODY)
    def disable(self, request: Passing) -> Stanza:
        """§5, §10.1: also when it is not enabled."""
        session = self._asking(request)
        self._enabled.of(session.account).pop(session, None)
        session.changed()
        return result(request.stanza)

    def _asking(self, request: Passing) -> Session:
        """Return the session that may switch its own copies on or off (§4.1, §5.1)."""
        session, to = request.session, request.stanza.to
        if session is None or session.account.host is not self.host:
            raise StanzaError("not-allowed")
        if to is not None and parse(to) not in (session.account.jid, self.host.jid):
            raise StanzaError("not-allowed")
        return session

    @on(UNBOUND)
    def forget(self, session: Session) -> None:
        """A session that ended gets no copies."""
        self._enabled.of(session.account).pop(session, None)

    def freeze(self, session: Session) -> bool | None:
        """Tell whether it is enabled, for a session that may be resumed after a restart."""
        return True if session in self._enabled.of(session.account) else None

    def thaw(self, session: Session, value: object) -> None:
        """Enable it again."""
        if value is True:
            self._enabled.of(session.account)[session] = None

    # §7, §8

    @on(OUTGOING, Stage.COPY, kind="message")
    def copy_sent(self, passing: Passing) -> None:
        """§8: to all but the client that sends, whether or not that one wants copies."""
        enabled = passing.account.kept[self._enabled.place]  # for every message: no call
        if not enabled:
            return
        if passing.stanza.to is None:  # RFC 6120 §10.3.1: it is for the account, and goes nowhere
            self._copy(passing, Direction.RECEIVED, enabled, _addressed(passing))
        else:
            self._copy(passing, Direction.SENT, enabled, ())

    @on(INCOMING, Stage.COPY, kind="message", but="groupchat")
    def copy_received(self, passing: Passing) -> None:
        """§7: to all that do not get the message itself."""
        enabled = passing.account.kept[self._enabled.place]  # for every message: no call
        if enabled:
            self._copy(passing, Direction.RECEIVED, enabled, _addressed(passing))

    def _copy(
        self,
        passing: Passing,
        direction: Direction,
        enabled: Collection[Session],
        got: Collection[Session],
    ) -> None:
        account, stanza = passing.account, passing.stanza
        sessions = recipients(enabled, passing.session, got)
        to = account.jid if stanza.to is None else parse(stanza.to)
        peer = (to if direction is Direction.SENT else passing.sender).bare
        traffic = classify(stanza)
        is_error = stanza.type == "error"
        # §10.3: what comes from the account itself may be the bounce of a copy
        answers = (
            is_error
            and peer != account.bare
            and self._eligible.answered(account.bare, peer, stanza.id)
        )
        decided = verdict(direction, traffic, passing.sender, to, answers)
        if decided.copied and not is_error and stanza.id is not None:
            self._eligible.remember(account.bare, peer, stanza.id)
        if not sessions:
            return
        if not decided.copied:
            if passing.record is not None:
                passing.record.note(decided.rule, account.bare)
            return
        self._send(passing, direction, sessions, traffic, decided.rule)

    def _send(
        self,
        passing: Passing,
        direction: Direction,
        sessions: list[Session],
        traffic: Traffic,
        rule: str,
    ) -> None:
        account, record = passing.account, passing.record
        if record is None and (traffic.archive or traffic.offline):
            record = passing.keep()  # so that the copies have their place in the order
        stanza = passing.stanza
        # what is received has the id of the archive already; what is sent keeps it to itself
        body = None if record is None else record.of(account.bare)
        if body is not None and direction is Direction.SENT:
            stanza = _with_id(stanza, account, body.public)
        names = [session.full for session in sessions]
        for session, copy in zip(
            sessions, copies(direction, stanza, account.bare, names), strict=True
        ):
            if record is not None:
                session.send(copy, record)
                record.note(rule, session.full)
            elif direction is Direction.RECEIVED and stanza.type == "error":
                session.send(copy)  # §7: also where nobody is left who gets the error itself
            else:
                passing.after(Later(session, copy, rule))


def _addressed(passing: Passing) -> Collection[Session]:
    """Return the sessions that get a message itself (RFC 6121 §8.5)."""
    if passing.target is not None:
        return (passing.target,)
    if passing.stanza.type == "error":
        return ()
    return [session for session in passing.account.available if session.priority >= 0]


def _with_id(stanza: Stanza, account: Account, public: str) -> Stanza:
    """Return the message with the id that the account's archive has for it (XEP-0359 §3)."""
    inner = b"<stanza-id xmlns='%s' by=%s id='%s'/>" % (
        NS_SID.encode(),
        quoted(account.bare),
        public.encode(),
    )
    return stanza.plus(inner, f"{NS_SID}}}stanza-id")
