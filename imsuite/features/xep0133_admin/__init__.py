"""XEP-0133: Service Administration.

The commands are faces of those of imsuitectl (`host.commands`), which say who may give them; the
forms are in nodes.py and beside it. Here is what some of them are about: texts for everybody, lists
of whom the domain talks to, and who uses it.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from functools import cached_property
from typing import Any

import attrs
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.fanout import Fan
from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import (
    ACCOUNT_DELETED,
    BOUND,
    INCOMING,
    OUTGOING,
    REACHABLE,
    ROOM_JOINING,
    ROOM_MESSAGE,
    STARTED,
    STOPPING,
    Passing,
    Stage,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import IAdministration, ICommands, ICsi, ILoaded
from imsuite.core.options import ge, option
from imsuite.core.session import Session
from imsuite.features.xep0133_admin import accounts, entities, figures, texts
from imsuite.features.xep0133_admin.nodes import Faces
from imsuite.features.xep0133_admin.storage import (
    TABLES,
    Seen,
    load_lists,
    load_seen,
    load_texts,
    save_list,
    save_seen,
    save_text,
)
from imsuite.rules.adhoc import AdHoc
from imsuite.rules.domain_lists import IN, OUT, Lists
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import Dropped, ImsuiteError, StanzaError
from imsuite.xmpp.stanza import Stanza, child, escaped, make, text_of
from imsuite.xmpp.times import SECOND

LATEST = 5  # seconds until a login is in the store
AT_ONCE = 500  # copies of an announcement between two turns of the reactor
SUBJECTS = {"motd": "Message of the day", "welcome": "Welcome"}


@attrs.frozen
class Options:
    """[features.admin]"""

    idle: int = option(
        600,
        "Who sent nothing for so many seconds counts as idle; so does who is away, or whose client "
        "says that nobody looks at it.",
        ge(1),
        live=True,
    )


@implementer(IAdministration, ICommands, ILoaded)
class Admin(Feature):
    """Let administrators run the domain from their clients."""

    spec = "XEP-0133 1.3.0"
    options: Options
    tables = TABLES

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._kept: Kept[Seen] = host.keep(self)
        self._texts: dict[str, tuple[str, int]] = {}  # text and stamp
        self._lists: dict[str, dict[str, str]] = {"blacklist": {}, "whitelist": {}}
        self._in: Lists | None = None  # None: nobody is refused
        self._out: Lists | None = None
        self._unsaved: dict[str, Seen] = {}  # by account
        self._writing: IDelayedCall | None = None

    @cached_property
    def _commands(self) -> tuple[AdHoc, ...]:
        faces = Faces(self.host)
        return (
            *accounts.commands(faces),
            *figures.commands(faces),
            *entities.commands(faces),
            *texts.commands(faces),
        )

    def commands(self, passing: Passing, at: At) -> Iterable[AdHoc]:
        """Return the commands of §4, all of them at the domain."""
        return self._commands if at is At.HOST and self.host.commands is not None else ()

    @on(STARTED)
    async def begin(self, host: Host) -> None:
        """Load what concerns everybody."""

        def load(cursor: Any) -> tuple[dict[str, tuple[str, int]], dict[str, dict[str, str]]]:
            return load_texts(cursor, host.domain), load_lists(cursor, host.domain)

        self._texts, self._lists = await host.store.read(load)
        self._use_lists()
        if "since" not in self._texts:
            await self._save_text("since", "", self._now())

    def _now(self) -> int:
        return int(self.host.clock.seconds() * SECOND)

    # texts

    def standing(self, name: str) -> str:
        """Return the message of the day, or what new accounts are told."""
        return self._texts.get(name, ("", 0))[0]

    async def set_standing(self, name: str, text: str, again: bool = True) -> None:
        """§4.24-§4.28: who is online gets a message of the day at once, if it is new to them."""
        before = self._texts.get(name, ("", 0))[1]
        stamp = before if before and not again else max(self._now(), before + 1)
        await self._save_text(name, text, stamp if text else 0)
        if name == "motd" and text:
            reached = [
                session
                for account in list(self.host.accounts.values())
                if account.sessions and self._owes(account)
                for session in account.available
                if session.priority >= 0
            ]
            for account in {session.account for session in reached}:
                self._has_seen(account)
            await self._send_all(reached, self._message("headline", text, SUBJECTS[name]))

    async def _save_text(self, name: str, text: str, stamp: int) -> None:
        await self.host.store.transaction(save_text, self.host.domain, name, text, stamp)
        if stamp:
            self._texts[name] = (text, stamp)
        else:
            self._texts.pop(name, None)

    async def announce(self, text: str) -> int:
        """§4.23: to every client that is online."""
        reached = [
            session
            for account in list(self.host.accounts.values())
            for session in account.available
        ]
        await self._send_all(reached, self._message("headline", text, "Announcement"))
        return len(reached)

    async def _send_all(self, sessions: Iterable[Session], message: Stanza) -> None:
        fan = Fan(self.host, message)
        for count, session in enumerate(sessions, 1):
            fan.send(session.full)
            if not count % AT_ONCE:
                later: Deferred[None] = Deferred()
                self.host.clock.callLater(0, later.callback, None)
                await later
        waits = fan.finished()
        if waits is not None:
            await waits

    def _message(self, type: str, text: str, subject: str, to: str | None = None) -> Stanza:
        attributes = {
            "from": self.host.domain,
            "to": to,
            "type": type,
            "id": secrets.token_hex(8),
        }
        inner = b"<subject>%s</subject><body>%s</body>" % (escaped(subject), escaped(text))
        names = (f"{NS.CLIENT}}}subject", f"{NS.CLIENT}}}body")
        return make("message", attributes, inner, *names)

    # who comes

    def load(self, cursor: Any, account: str) -> Seen:
        """Return what is known of how an account was used."""
        if cursor is None:
            return Seen()
        return self._unsaved.get(account) or load_seen(cursor, account)

    @on(BOUND)
    def logged_in(self, session: Session) -> None:
        """§4.9: note when."""
        account = session.account
        seen, now = self._kept.of(account), self._now()
        seen.fresh = seen.fresh or not seen.logins
        seen.last, seen.logins, seen.since = now, seen.logins + 1, seen.since or now
        self._changed(account, seen)

    @on(REACHABLE)
    async def greet(self, session: Session) -> None:
        """§4.24, §4.27: what somebody has to be told who was not there, or is new."""
        account = session.account
        seen = self._kept.of(account)
        if seen.fresh:
            seen.fresh = False
            await self._welcome(session)
        if self._owes(account):
            self._has_seen(account)
            message = self._message("headline", self.standing("motd"), SUBJECTS["motd"])
            await self._send_all((session,), message)

    async def _welcome(self, session: Session) -> None:
        """§4.27: only those whose account was made since logins are noted are known to be new."""
        text, account = self.standing("welcome"), session.account
        if not text or account.temporary:
            return
        user = await self.host.users.find(account.jid.local)
        if user.created >= self._texts["since"][1]:
            self.host.send(self._message("normal", text, SUBJECTS["welcome"], account.bare))

    def _owes(self, account: Account) -> bool:
        """Tell whether an account has not seen the message of the day."""
        text, stamp = self._texts.get("motd", ("", 0))
        return bool(text) and self._kept.of(account).motd < stamp

    def _has_seen(self, account: Account) -> None:
        seen = self._kept.of(account)
        seen.motd = self._texts["motd"][1]
        self._changed(account, seen)

    def _changed(self, account: Account, seen: Seen) -> None:
        if account.temporary:
            return
        self._unsaved[account.bare] = seen
        if self._writing is None:
            self._writing = self.host.clock.callLater(LATEST, self._write_now)

    def _write_now(self) -> None:
        self._writing = None
        self.host.spawn(self._write())

    async def _write(self) -> None:
        """Write down what was noted, in one transaction; what fails is left for the next."""
        rows = [(account, *seen.row()) for account, seen in self._unsaved.items()]
        try:
            await self.host.store.transaction(save_seen, rows)
        except ImsuiteError as why:
            text = "{count} logins are not stored: {why}"
            self.host.log.error(text, count=len(rows), why=str(why))
            return
        for account, *row in rows:
            seen = self._unsaved.get(account)
            if seen is not None and seen.row() == tuple(row):
                del self._unsaved[account]

    @on(STOPPING)
    async def stop(self, host: Host) -> None:
        """Write down what is not written yet."""
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None
        if self._unsaved:
            await self._write()

    @on(ACCOUNT_DELETED)
    def forget(self, account: Account) -> None:
        """Nothing is noted of an account that is removed."""
        self._unsaved.pop(account.bare, None)

    async def logins(self, account: str) -> tuple[int, int, int]:
        """Return when an account logged in last, how often, and since when that is counted."""
        loaded = await self.host.account(parse(account).local)
        seen = Seen() if loaded is None else self._kept.of(loaded)
        return seen.last, seen.logins, seen.since

    @cached_property
    def _csi(self) -> Any:  # what provides ICsi, or None
        return self.host.find_feature(ICsi)

    def active(self, account: Account) -> bool:
        """§4.16: one of its clients is used just now."""
        since = self.host.clock.seconds() - self.options.idle
        return any(
            session.stream is not None
            and session.stream.seen >= since
            and not (self._csi is not None and self._csi.inactive(session))
            and text_of(child(session.presence.element, NS.CLIENT, "show"))  # type: ignore[union-attr]
            not in ("away", "xa")
            for session in account.available
        )

    # lists

    def listed(self, name: str) -> dict[str, str]:
        """Return the direction of each address on a list."""
        return dict(self._lists[name])

    async def set_listed(self, name: str, changes: Mapping[str, str]) -> None:
        """§4.11, §4.12: in effect once it is stored."""
        await self.host.store.transaction(save_list, self.host.domain, name, dict(changes))
        merged = {**self._lists[name], **changes}
        self._lists[name] = {jid: way for jid, way in merged.items() if way}
        self._use_lists()

    def _use_lists(self) -> None:
        black, white = self._lists["blacklist"], self._lists["whitelist"]
        self._in, self._out = (Lists.of(black, white, way) or None for way in (IN, OUT))
        self.host.incoming.mute(self.word(), not self._in)
        self.host.outgoing.mute(self.word(), not self._out)

    def refuses(self, jid: JID, outgoing: bool) -> bool:
        """Tell whether nothing may come from an address, or go to it."""
        lists = self._out if outgoing else self._in
        return lists is not None and lists.refuse(jid, self._is_own)

    def _is_own(self, domain: str) -> bool:
        own = self.host.domain
        return domain == own or (domain.endswith(f".{own}") and domain in self.host.router.services)

    @on(INCOMING, Stage.GUARD)
    def guard_incoming(self, passing: Passing) -> None:
        """§4.11: accounts hear nothing from whom the domain does not talk to."""
        if self._in is None or passing.sender.bare == passing.account.bare:
            return
        if self.refuses(passing.sender, outgoing=False):
            if passing.stanza.kind == "presence" or passing.stanza.type in ("error", "result"):
                raise Dropped
            raise StanzaError("service-unavailable")

    @on(OUTGOING, Stage.GUARD)
    def guard_outgoing(self, passing: Passing) -> None:
        """§4.11: and send nothing there."""
        if self._out is None:
            return
        to = passing.stanza.to
        if to is None or (jid := parse(to)).bare == passing.account.bare:
            return
        if self.refuses(jid, outgoing=True):
            raise StanzaError("not-allowed", text=f"nobody here communicates with {jid.domain}")

    @on(ROOM_JOINING, Stage.GUARD)
    def guard_joining(self, passing: Passing) -> None:
        """§4.11: rooms are closed to them."""
        if self.refuses(passing.sender, outgoing=False):
            raise StanzaError("not-allowed")

    @on(ROOM_MESSAGE, Stage.GUARD)
    def guard_speaking(self, passing: Passing) -> None:
        """§4.11: also if they were in before."""
        if self.refuses(passing.sender, outgoing=False):
            raise StanzaError("not-allowed")
