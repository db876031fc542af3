"""XEP-0012: Last Activity."""

from __future__ import annotations

from typing import Any

from twisted.internet.interfaces import IDelayedCall
from twisted.words.xish.domish import Element

from imsuite.core.account import Account
from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import (
    ACCOUNT_DELETED,
    AVAILABLE,
    OUTGOING,
    STOPPING,
    UNBOUND,
    Passing,
    Stage,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import Table
from imsuite.core.session import Session
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import ImsuiteError, StanzaError
from imsuite.xmpp.stanza import Stanza, result, text_of
from imsuite.xmpp.times import SECOND

NS_LAST = "jabber:iq:last"
LONGEST = 1024  # characters of a status that are kept
LATEST = 5  # seconds until a logout is in the store


class Last(Feature):
    """Tell how long ago somebody logged out, and how long the server has been running."""

    spec = "XEP-0012 2.0"
    advertises = {At.ANY: (NS_LAST,)}
    tables = (
        Table(
            "last_activity",
            (
                """CREATE TABLE last_activity (
                account TEXT NOT NULL PRIMARY KEY,  -- bare JID
                moment BIGINT NOT NULL,             -- of the last logout, µs since 1970 UTC
                status TEXT NOT NULL)               -- what it said then""",
            ),
        ),
    )

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        self._begun = host.clock.seconds()
        self._farewells: dict[Session, str] = {}  # status of unavailable presence
        # account → moment in µs and status, on their way to the store
        self._logouts: dict[str, tuple[int, str]] = {}
        self._writing: IDelayedCall | None = None
        self._removed: set[str] = set()  # accounts that are removed while they have sessions

    # what is asked

    @answers("get", NS_LAST, "query", At.HOST)
    def uptime(self, passing: Passing) -> Stanza:
        """§5"""
        return _answer(passing, int(self.host.clock.seconds() - self._begun))

    @answers("get", NS_LAST, "query", At.ACCOUNT | At.SELF)
    async def logged_out(self, passing: Passing) -> Stanza:
        """§3: only for those who may see the account's presence."""
        account = passing.account
        if not self.host.trusts(account, passing.sender):
            raise StanzaError("forbidden")
        rows = []
        if not account.sessions and account.bare not in self._logouts:
            rows = await self.host.store.query(
                "SELECT moment, status FROM last_activity WHERE account = ?", account.bare
            )
        if account.sessions:
            return _answer(passing, 0)
        if account.bare in self._logouts:
            rows = [self._logouts[account.bare]]
        if not rows:
            raise StanzaError("item-not-found")  # never logged in
        ((moment, status),) = rows
        return _answer(passing, int(self.host.clock.seconds() - moment / SECOND), status)

    @answers("get", NS_LAST, "query", At.NOBODY)
    def nobody(self, passing: Passing) -> Stanza:
        """§8: as from an account that hides."""
        raise StanzaError("forbidden")

    # what is noted

    @on(OUTGOING, Stage.RECORD, kind="presence", type="unavailable")
    def said_farewell(self, passing: Passing) -> None:
        """§3: the status of the last unavailable presence."""
        stanza, session = passing.stanza, passing.session
        if session is not None and stanza.to is None:
            self._farewells[session] = text_of(stanza.child(NS.CLIENT, "status"))[:LONGEST]

    @on(AVAILABLE)
    def came_back(self, session: Session) -> None:
        """It is available again, so what it said is over."""
        self._farewells.pop(session, None)

    @on(UNBOUND, Stage.GUARD)
    def last_one_ends(self, session: Session) -> None:
        """§3: friends see that somebody left, and may ask, before it is stored."""
        status = self._farewells.pop(session, "")
        account = session.account
        if account.sessions or account.temporary:
            return
        if account.bare in self._removed:
            self._removed.discard(account.bare)
            return
        self._logouts[account.bare] = (int(self.host.clock.seconds() * SECOND), status)
        if self._writing is None:
            self._writing = self.host.clock.callLater(LATEST, self._write_now)

    def _write_now(self) -> None:
        self._writing = None
        self.host.spawn(self._write())

    async def _write(self) -> None:
        """Write down who has gone lately, in one transaction; what fails is left for the next."""
        rows = list(self._logouts.items())
        try:
            await self.host.store.transaction(_save, rows)
        except ImsuiteError as why:
            self.host.log.error(
                "{count} last logouts are not stored: {why}", count=len(rows), why=str(why)
            )
            return
        for account, logout in rows:
            if self._logouts.get(account) is logout:
                del self._logouts[account]

    @on(STOPPING)
    async def stop(self, host: Host) -> None:
        """Write down what is not written yet."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        if self._logouts:  # among them what could not be written before
            await self._write()

    @on(ACCOUNT_DELETED)
    def removed(self, account: Account) -> None:
        """Nothing is noted of an account that is removed, also when its sessions end."""
        self._logouts.pop(account.bare, None)
        if account.sessions:
            self._removed.add(account.bare)


def _save(cursor: Any, rows: list[tuple[str, tuple[int, str]]]) -> None:
    for account, (moment, status) in rows:
        cursor.execute(
            "INSERT INTO last_activity (account, moment, status) VALUES (?, ?, ?)"
            " ON CONFLICT (account) DO UPDATE SET"
            " moment = excluded.moment, status = excluded.status",
            (account, moment, status),
        )


def _answer(passing: Passing, seconds: int, status: str = "") -> Stanza:
    query = Element((NS_LAST, "query"), attribs={"seconds": str(max(seconds, 0))})
    if status:
        query.addContent(status)
    return result(passing.stanza, query)
