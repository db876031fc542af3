"""XEP-0199: XMPP Ping: answers to pings, and the end of streams that nobody is at."""

from __future__ import annotations

import secrets

import attrs
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import STARTED, STOPPING, Passing
from imsuite.core.host import Host
from imsuite.core.interfaces import IIdle
from imsuite.core.options import ge, option
from imsuite.core.session import Session
from imsuite.xmpp.errors import StanzaError, StreamError
from imsuite.xmpp.stanza import Stanza, make, result

NS_PING = "urn:xmpp:ping"
PING = b"<ping xmlns='%s'/>" % NS_PING.encode()
LONGEST_SWEEP = 30.0  # seconds


@attrs.frozen
class Options:
    """[features.ping]"""

    idle: int = option(
        300,
        "Ask a client whether it is there when it was silent this long, seconds; 0: never.",
        ge(0),
    )
    patience: int = option(
        60, "Time a client has to send anything after it was asked, seconds.", ge(5)
    )


@implementer(IIdle)
class Ping(Feature):
    """Answer pings, and ping clients that fell silent.

    One timer looks after all sessions of the host; only of silent ones is anything kept.
    """

    spec = "XEP-0199 2.0.1"
    advertises = {At.ANY: (NS_PING,)}
    options: Options

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        self._asked: dict[Session, float] = {}  # seconds of the clock
        self._sweeping: IDelayedCall | None = None

    @property
    def idle(self) -> int:
        """Seconds without a byte after which a stream is checked; 0: never."""
        return self.options.idle

    @answers("get", NS_PING, "ping", At.HOST | At.SELF)
    def ping(self, passing: Passing) -> Stanza:
        """§4.2"""
        return result(passing.stanza)

    @answers("get", NS_PING, "ping", At.ACCOUNT)
    def ping_account(self, passing: Passing) -> Stanza:
        """§4.4; §7: who may not see presence does not learn that the account exists."""
        if not self.host.trusts(passing.account, passing.sender):
            raise StanzaError("service-unavailable")
        return result(passing.stanza)

    @on(STARTED)
    def start(self, host: Host) -> None:
        """Begin to look after clients."""
        if self.options.idle:
            self._schedule()

    @on(STOPPING)
    def stop(self, host: Host) -> None:
        """Leave the clients alone."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            self._sweeping = None
        self._asked.clear()

    def _schedule(self) -> None:
        options = self.options
        wait = min(max(min(options.idle, options.patience) / 2, 1.0), LONGEST_SWEEP)
        self._sweeping = self.host.clock.callLater(wait, self._sweep)

    def _sweep(self) -> None:
        """§4.1: ask the silent, end the streams of those who were asked and stayed silent."""
        self._schedule()
        now = self.host.clock.seconds()
        before, self._asked = self._asked, {}
        idle, patience = self.options.idle, self.options.patience
        for account in list(self.host.accounts.values()):
            for session in list(account.sessions.values()):
                stream = session.stream
                if stream is None or now - stream.seen < idle:
                    continue
                asked = before.get(session)
                if asked is None or asked < stream.seen:
                    self._asked[session] = now
                    session.send(self._request(session))
                elif now - asked < patience:
                    self._asked[session] = asked
                else:
                    stream.fail(StreamError("connection-timeout"))

    def _request(self, session: Session) -> Stanza:
        """Return a ping. Nobody waits for its answer: any byte, or an error, is one."""
        return make(
            "iq",
            {
                "type": "get",
                "id": secrets.token_hex(8),
                "from": self.host.domain,
                "to": session.full,
            },
            PING,
            f"{NS_PING}}}ping",
        )
