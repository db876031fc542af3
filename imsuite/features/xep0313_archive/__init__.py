"""XEP-0313: Message Archive Management, for accounts and for rooms.

With it XEP-0441 (preferences), XEP-0431 (search) and XEP-0424 §4 (tombstones): all of them are
about the same rows.
"""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from functools import cached_property
from typing import Any

import attrs
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import (
    ACCOUNT_DELETED,
    INCOMING,
    OUTGOING,
    ROOM_MESSAGE,
    STARTED,
    STOPPING,
    UNBOUND,
    Passing,
    Stage,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import IArchive, ILoaded, IRoster, ISessionState
from imsuite.core.options import ge, le, one_of, option
from imsuite.core.record import Body, Record
from imsuite.core.service_interfaces import INodeArchives
from imsuite.core.session import Session
from imsuite.features.xep0313_archive.queries import Queries
from imsuite.features.xep0313_archive.retention import Sweeper
from imsuite.features.xep0313_archive.retraction import Retraction, bury
from imsuite.features.xep0313_archive.search import Search
from imsuite.features.xep0313_archive.services import Archived, Services
from imsuite.features.xep0313_archive.storage import (
    ROW,
    TABLES,
    Message,
    load_preferences,
    save_preferences,
)
from imsuite.rules.archive import (
    NS_FULLTEXT,
    NS_MAM,
    NS_RETRACT,
    Flag,
    Preferences,
    Spans,
    Standard,
    parse_preferences,
    preferences_element,
    retracts,
)
from imsuite.rules.traffic import classify
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.rsm import RSM
from imsuite.xmpp.stanza import Stanza, quoted, result

NS_SID = "urn:xmpp:sid:0"
_STANZA_ID = f"{NS_SID}}}stanza-id"
_STANZA_ID_IS = f"<stanza-id xmlns='{NS_SID}' id='%s' by=%s/>".encode()
_SENT = Flag.SENT.value
_REFUSED = "XEP-0441 §2.1: not archived, the account's preferences say so"


@attrs.frozen
class Options:
    """[features.archive]"""

    page: int = option(
        250, "Most messages in one page of results, whatever is asked for.", ge(1), le(5000)
    )
    page_bytes: int = option(
        524_288,
        "Most bytes of the messages in one page, bytes; a larger message has its own page.",
        ge(1024),
        le(1_048_576),
    )
    days: int = option(
        0,
        "For how long messages are kept, days; 0: for ever. `imsuitectl retention` says it of one "
        "account.",
        ge(0),
        le(36_500),
        live=True,
    )
    standard: str = option(
        "always",
        "With whom messages are archived of accounts that have not set their preferences.",
        one_of(*(each.value for each in Standard)),
    )
    listed: int = option(1000, "Most addresses in the preferences of an account.", ge(0))
    search: bool = option(True, "Whether messages can be searched by their words.")
    retractable: int = option(
        1000,
        "How many of the latest messages of a conversation are looked through for one that is "
        "retracted; with 0 nothing is replaced by a tombstone.",
        ge(0),
        le(100_000),
    )


@implementer(IArchive, ILoaded, ISessionState)
class Archive(Feature):
    """Keep what is said to and by an account, and give it to the account's devices."""

    spec = "XEP-0313 1.1.3"
    advertises = {
        At.SELF: (
            NS_MAM,
            f"{NS_MAM}#extended",
            f"{NS_MAM}#groupchat-field",
            NS_RETRACT,
            f"{NS_RETRACT}#tombstone",
            RSM,
        )
    }
    options: Options
    tables = TABLES

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._kept: Kept[Preferences] = host.keep(self)
        self._standard = Standard(options.standard)
        self._given: dict[Session, Spans] = {}
        self._search = Search(host)
        self._queries = Queries(host, self._search, options.page, options.page_bytes)
        self._sweeper = Sweeper(host, lambda: int(self.options.days), self._search.forget)
        self._services = Services(host, self._search, self._queries)

    @cached_property
    def _roster(self) -> Any:  # what provides IRoster, or None
        return self.host.find_feature(IRoster)

    def describe(self, at: At) -> Iterable[str]:
        """§7; XEP-0431 §2.1: searching is advertised where there is an index."""
        yield from super().describe(at)
        if at is At.SELF and self._search.index is not None:
            yield NS_FULLTEXT

    @on(STARTED)
    async def start(self, host: Host) -> None:
        """Begin to index and to sweep."""
        await self._search.start(self.options.search)
        self._sweeper.start()

    @on(STOPPING)
    def stop(self, host: Host) -> None:
        """Do nothing more in the background."""
        self._search.stop()
        self._sweeper.stop()

    # what is archived

    def archives(self, account: Account, peer: JID) -> bool:
        """Tell whether messages with somebody are archived (XEP-0441 §2.1)."""
        if account.temporary:
            return False
        preferences: Preferences = account.kept[self._kept.place]
        if preferences.always or preferences.never:
            listed = preferences.lists(peer)
            if listed is not None:
                return listed
        if preferences.standard is Standard.ROSTER:
            return peer.bare == account.bare or (
                self._roster is not None and self._roster.item(account, peer.bare) is not None
            )
        return preferences.standard is Standard.ALWAYS

    @on(OUTGOING, Stage.RECORD, kind="message")
    def sent(self, passing: Passing) -> Stanza | Awaitable[Stanza | None] | None:
        """§6.1.1: what the account sends; the id of it is not for its contacts (§3.5)."""
        stanza, account = passing.stanza, passing.account
        traffic = classify(stanza)
        if not traffic.archive:
            return None
        to = stanza.attrs.get("to")
        peer = account.jid if to is None else parse(to)
        if not self.archives(account, peer):
            return None
        record = passing.keep()
        body = record.hold(account.bare, stanza)
        record.write(ROW, account.bare, body.id, peer.bare, peer.resource, _SENT)
        record.note(traffic.rules.archive, account.bare)
        self._search.stir()
        # without a recipient it goes to the account itself, and nothing is recorded a second time
        changed = _with_id(stanza, body, account) if to is None else None
        id = retracts(stanza)
        if id is not None:
            return self._bury(record, account, peer, account.bare, id, stanza, changed)
        return changed

    @on(INCOMING, Stage.RECORD, kind="message", but="groupchat")
    def received(self, passing: Passing) -> Stanza | Awaitable[Stanza | None] | None:
        """§6.1.1: what reaches the account, which learns the id of it (§3.5)."""
        stanza, account = passing.stanza, passing.account
        traffic = classify(stanza)
        if not traffic.archive:
            if passing.record is not None:
                passing.record.note(traffic.rules.archive, account.bare)
            return None
        record = passing.record
        body = None if record is None else record.of(account.bare)
        if body is not None:  # it sent this itself (§6.1.1: once, however many copies)
            return _with_id(stanza, body, account)
        peer = passing.sender
        if not self.archives(account, peer):
            if record is not None:
                record.note(_REFUSED, account.bare)
            return None
        if record is None:
            record = passing.keep()
        body = record.hold(account.bare, stanza)
        record.write(ROW, account.bare, body.id, peer.bare, peer.resource, 0)
        record.note(traffic.rules.archive, account.bare)
        self._search.stir()
        changed = _with_id(stanza, body, account)
        id = retracts(stanza)
        if id is not None:
            # XEP-0424 §5: in a room it is the occupant who is the author
            author = peer.full if traffic.muc_private else peer.bare
            return self._bury(record, account, peer, author, id, stanza, changed)
        return changed

    async def _bury(
        self,
        record: Record,
        account: Account,
        peer: JID,
        author: str,
        id: str,
        stanza: Stanza,
        changed: Stanza | None,
    ) -> Stanza | None:
        retraction = Retraction(account.bare, peer.bare, author, id, stanza.id or "")
        await bury(self.host, self._search, record, retraction, self.options.retractable)
        return changed

    # what is asked

    @answers("set", NS_MAM, "query", At.SELF)
    async def query(self, request: Passing) -> Stanza:
        """§4"""
        if _names_node(request):
            return await self._of_node(request)
        answer, span = await self._queries.answer(request)
        session = request.session
        there = session is not None and self.host.router.sessions.get(session.full) is session
        if span is not None and session is not None and there:  # it may have ended meanwhile
            self._given[session] = self._given.get(session, Spans()).plus(*span)
            session.changed()
        return answer

    @answers("get", NS_MAM, "query", At.SELF)
    async def form(self, request: Passing) -> Stanza:
        """§4.1.5"""
        if _names_node(request):
            return await self._of_node(request)
        return self._queries.form(request)

    @answers("get", NS_MAM, "metadata", At.SELF)
    async def metadata(self, request: Passing) -> Stanza:
        """§5"""
        if _names_node(request):
            return await self._of_node(request)
        return await self._queries.metadata(request, request.account.bare)

    @answers("get", NS_MAM, "prefs", At.SELF)
    def get_preferences(self, request: Passing) -> Stanza:
        """XEP-0441 §2.1"""
        return result(request.stanza, preferences_element(self._kept.of(request.account)))

    @answers("set", NS_MAM, "prefs", At.SELF)
    async def set_preferences(self, request: Passing) -> Stanza:
        """XEP-0441 §2.1"""
        account, element = request.account, request.stanza.payload
        assert element is not None
        if account.temporary:
            raise StanzaError("not-allowed", text="nothing is kept of this account")
        wanted = parse_preferences(element, self.options.listed)
        async with account.turn:
            await self.host.store.transaction(save_preferences, account.bare, wanted)
            self._kept.put(account, wanted)
        return result(request.stanza, preferences_element(wanted))

    @answers("set", NS_MAM, "query", At.ACCOUNT)
    @answers("get", NS_MAM, "query", At.ACCOUNT)
    @answers("get", NS_MAM, "metadata", At.ACCOUNT)
    async def of_account(self, request: Passing) -> Stanza:
        """XEP-0442: an account's nodes may be for others, its messages are not."""
        if not _names_node(request):
            self.of_other(request)
        return await self._of_node(request, "forbidden")

    async def _of_node(self, request: Passing, none: str = "feature-not-implemented") -> Stanza:
        """XEP-0442 §2. none: the condition where nodes have no archives."""
        archives = self.host.find_feature(INodeArchives)
        if archives is None:
            raise StanzaError(none)
        answer: Stanza = await archives.of_account(request)
        return answer

    @answers("set", NS_MAM, "query", At.NOBODY)
    @answers("get", NS_MAM, "query", At.NOBODY)
    @answers("get", NS_MAM, "metadata", At.NOBODY)
    @answers("get", NS_MAM, "prefs", At.ACCOUNT | At.NOBODY)
    @answers("set", NS_MAM, "prefs", At.ACCOUNT | At.NOBODY)
    def of_other(self, request: Passing) -> Stanza:
        """§8.1: nobody reads another's archive."""
        raise StanzaError("forbidden")

    # for those who are no accounts

    def features(self) -> Iterable[str]:
        """Return the disco features of a room whose messages are archived (§7)."""
        yield from (NS_MAM, f"{NS_MAM}#extended", NS_RETRACT, f"{NS_RETRACT}#tombstone", RSM)
        if self._search.index is not None:
            yield NS_FULLTEXT

    def hold(
        self, owner: str, record: Record, stanza: Stanza, peer: JID, lasting: bool = True
    ) -> Stanza:
        """Write a message into the archive of a room; return it with its id there (§6.1.2)."""
        return self._services.hold(owner, record, stanza, peer, lasting)

    async def answer(self, request: Passing, owner: str, sees: bool = False) -> Stanza:
        """Answer what is asked of the archive of a room; the room has checked who asks (§6.1.2)."""
        return await self._services.answer(request, owner, sees)

    async def recent(self, owner: str, most: int, since: int = 0) -> list[Message]:
        """Return id, salt and raw of the latest messages of a room, the oldest first."""
        return await self._services.recent(owner, most, since)

    async def find(self, owner: str, uid: str) -> Archived | None:
        """Return the message of a room by its public id."""
        return await self._services.find(owner, uid)

    def bury(self, record: Record, found: Archived, by: str, inner: bytes = b"") -> None:
        """Put a tombstone in the place of a message of a room (XEP-0424 §4)."""
        self._services.bury(record, found, by, inner)

    @on(ROOM_MESSAGE, Stage.RECORD, kind="message", child=(NS_RETRACT, "retract"))
    async def retract_in_room(self, passing: Passing) -> None:
        """XEP-0424 §5: who said it to the room takes it back, and the room says it no more."""
        await self._services.retract(passing)

    async def abandon(self, owner: str) -> None:
        """Let go of the archive of a room that is no more."""
        await self._sweeper.abandon(owner)

    # accounts and sessions

    def load(self, cursor: Any, account: str) -> Preferences:
        """Return the preferences of an account."""
        return load_preferences(cursor, account, self._standard)

    @on(ACCOUNT_DELETED)
    async def empty(self, account: Account) -> None:
        """Let go of the messages of an account that goes."""
        await self._sweeper.empty(account.bare)

    def asked(self, session: Session, id: int | None = None) -> bool:
        """Tell whether the client was given the message of that id, or anything, by its archive."""
        given = self._given.get(session)
        return given is not None and (id is None or id in given)

    def freeze(self, session: Session) -> Any:
        """Return what the client was given."""
        given = self._given.get(session)
        return None if given is None else given.pairs

    def thaw(self, session: Session, value: Any) -> None:
        """Take that back."""
        self._given[session] = Spans(tuple((int(least), int(most)) for least, most in value))

    @on(UNBOUND)
    def forget_session(self, session: Session) -> None:
        """Forget what a session was given that ended."""
        self._given.pop(session, None)

    # for the operator

    async def days(self, account: str) -> int | None:
        """Return what the operator said of one account; see `set_days`."""
        return await self._sweeper.get_days(account)

    async def set_days(self, account: str, days: int | None) -> None:
        """Keep the messages of a bare JID for so many days, 0 for ever, None as the others'."""
        await self._sweeper.set_days(account, days)


def _names_node(request: Passing) -> bool:
    payload = request.stanza.payload
    return payload is not None and payload.hasAttribute("node")


def _with_id(stanza: Stanza, body: Body, account: Account) -> Stanza:
    """Return a message with its id in the archive of the account (XEP-0359 §3)."""
    inner = _STANZA_ID_IS % (body.public.encode(), quoted(account.bare))
    changed = stanza.plus(inner, _STANZA_ID)
    changed.worth = stanza.worth  # an id of ours makes it neither more nor less
    return changed
