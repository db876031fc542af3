"""XEP-0488: MUC Token Invite."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable
from typing import Any

import attrs
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import ROOM_DESTROYED, Passing, RoomChange
from imsuite.core.interfaces import Table
from imsuite.core.options import ge, option
from imsuite.core.service_interfaces import IRoomDoor, IRooms
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, result, text_of
from imsuite.xmpp.times import SECOND

NS_TOKENS = "urn:xmpp:muc-token-invite:0"
NS_MUC = "http://jabber.org/protocol/muc"
_BYTES = 24  # of randomness in a token
_GREATEST = 2**32 - 1  # xs:unsignedInt

_ISSUE = "INSERT INTO room_token (room, token, creator, expires, uses) VALUES (?, ?, ?, ?, ?)"


@attrs.frozen
class Options:
    """[features.tokens]"""

    longest: int = option(
        2_678_400,
        "Longest time for which an invitation by token is good, seconds.",
        ge(1),
        live=True,
    )
    most: int = option(100, "Most tokens of one room.", ge(1), live=True)


@implementer(IRoomDoor)
class Tokens(Feature):
    """Invite people whose addresses are not known into rooms, by tokens that make them members."""

    spec = "XEP-0488 0.1.0"
    advertises = {At.ROOM: (NS_TOKENS,)}
    requires = (IRooms,)
    options: Options
    tables = (
        Table(
            "room_token",
            (
                """CREATE TABLE room_token (
        room TEXT NOT NULL,
        token TEXT NOT NULL,
        creator TEXT NOT NULL,    -- bare JID
        expires BIGINT NOT NULL,  -- µs since 1970 UTC
        uses BIGINT NOT NULL,     -- how many are left, 0 for any number
        PRIMARY KEY (room, token)) {clustered}""",
                "CREATE INDEX room_token_creator ON room_token (creator)",
            ),
            owner="creator",
        ),
    )

    @property
    def _now(self) -> int:
        return int(self.host.clock.seconds() * SECOND)

    @answers("set", NS_TOKENS, "request", At.ROOM)
    async def issue(self, request: Passing) -> Stanza:
        """§4.2, §4.3: a token, within the limits that are asked for and those of the server."""
        room = request.room
        asked = request.stanza.payload
        assert asked is not None
        _check_may_issue(request)
        if room.config.password_protected:
            raise StanzaError("not-allowed", text="who enters this room needs its password")
        delay = min(_limit(asked, "delay") or self.options.longest, self.options.longest)
        uses = _limit(asked, "counter")
        token = secrets.token_urlsafe(_BYTES)
        row = (room.bare, token, request.sender.bare, self._now + delay * SECOND, uses)
        if not await self.host.store.transaction(_issue, row, self._now, self.options.most):
            raise StanzaError("resource-constraint", text="there are too many tokens of this room")
        return result(request.stanza, _element(token, delay, uses))

    @answers("get", NS_TOKENS, "tokens", At.ROOM)
    async def listed(self, request: Passing) -> Stanza:
        """§4.6: the tokens that one may revoke: of everybody for moderators, else one's own."""
        _check_may_issue(request)
        tokens = Element((NS_TOKENS, "tokens"))
        for token, creator, expires, uses in await self._tokens(request):
            element = _element(token, (expires - self._now) // SECOND, uses)
            element["creator"] = creator
            tokens.addChild(element)
        return result(request.stanza, tokens)

    @answers("set", NS_TOKENS, "revoke", At.ROOM)
    async def revoke(self, request: Passing) -> Stanza:
        """§4.7"""
        _check_may_issue(request)
        token = text_of(request.stanza.payload).strip()
        if token not in [found for found, *_ in await self._tokens(request)]:
            raise StanzaError("item-not-found")
        await self.host.store.execute(
            "DELETE FROM room_token WHERE room = ? AND token = ?", request.room.bare, token
        )
        return result(request.stanza)

    async def _tokens(self, request: Passing) -> list[tuple[str, str, int, int]]:
        """Return the tokens that are good, as far as they are for this person to revoke."""
        rows: list[tuple[str, str, int, int]] = await self.host.store.query(
            "SELECT token, creator, expires, uses FROM room_token"
            " WHERE room = ? AND expires > ? ORDER BY expires, token LIMIT ?",
            request.room.bare,
            self._now,
            self.options.most,
        )
        if _moderates(request):
            return rows
        return [row for row in rows if row[1] == request.sender.bare]

    def open(self, passing: Passing) -> Awaitable[None] | None:
        """§4.5: who is nothing to the room and gives a token instead of a password."""
        room = passing.room
        x = passing.stanza.child(NS_MUC, "x")
        token = "" if x is None else text_of(child(x, NS_MUC, "password"))
        if not token or room.locked or room.config.password_protected:
            return None
        if room.affiliation(passing.sender.bare) is not Affiliation.NONE:
            return None  # §5: a token that somebody keeps in a bookmark is not used up
        return self._admit(passing, token)

    async def _admit(self, passing: Passing, token: str) -> None:
        room = passing.room
        bare = passing.sender.bare
        creator = await self.host.store.transaction(_use, room.bare, token, self._now)
        if creator is not None and room.affiliation(creator) >= _least(room):
            rooms = self.host.find_feature(IRooms)
            await rooms.affiliate(room, bare, Affiliation.MEMBER, "invited by a token", creator)
        elif room.config.members_only:
            app = NS_TOKENS, "expired-token"
            raise StanzaError("not-authorized", app=app, by=room.bare)

    @on(ROOM_DESTROYED)
    async def forget(self, change: RoomChange) -> None:
        """A new room of the same name has none of its tokens."""
        await self.host.store.execute("DELETE FROM room_token WHERE room = ?", change.room.bare)


def _moderates(request: Passing) -> bool:
    """Tell whether somebody lists and revokes the tokens of others (§7)."""
    role = Role.NONE if request.occupant is None else request.occupant.role
    affiliation: Affiliation = request.room.affiliation(request.sender.bare)
    return role is Role.MODERATOR or affiliation >= Affiliation.ADMIN


def _check_may_issue(request: Passing) -> None:
    """Raise StanzaError for who may not issue tokens: admins may, members if they may invite."""
    room = request.room
    if room.affiliation(request.sender.bare) < _least(room):
        raise StanzaError("forbidden", text="invitations are not yours to send")


def _least(room: Any) -> Affiliation:
    """Return who may invite into a room at least (muc#roomconfig_allowinvites)."""
    return Affiliation.MEMBER if room.config.allow_invites else Affiliation.ADMIN


def _limit(asked: Element, name: str) -> int:
    """Return a limit that is asked for, 0 if none is. Raises StanzaError bad-request."""
    text = asked.getAttribute(name)
    if text is None:
        return 0
    digits = text.strip()
    if not (digits.isascii() and digits.isdigit()) or not 0 < int(digits[:12]) <= _GREATEST:
        raise StanzaError("bad-request", text=f"{name} is no number of at least 1")
    return int(digits[:12])


def _element(token: str, delay: int, uses: int) -> Element:
    element = Element((NS_TOKENS, "token"))
    element["delay"] = str(delay)
    if uses:
        element["counter"] = str(uses)
    element.addContent(token)
    return element


def _issue(cursor: Any, row: tuple[Any, ...], now: int, most: int) -> bool:
    """Keep a token, unless there are too many; those that are no good any more go."""
    cursor.execute("DELETE FROM room_token WHERE room = ? AND expires <= ?", (row[0], now))
    cursor.execute("SELECT count(*) FROM room_token WHERE room = ?", (row[0],))
    if cursor.fetchone()[0] >= most:
        return False
    cursor.execute(_ISSUE, row)
    return True


def _use(cursor: Any, room: str, token: str, now: int) -> str | None:
    """Use a token once; return who issued it, None if it is no good."""
    cursor.execute(
        "SELECT creator, uses FROM room_token WHERE room = ? AND token = ? AND expires > ?",
        (room, token, now),
    )
    row = cursor.fetchone()
    if row is None:
        return None
    creator, uses = row
    if uses == 1:
        cursor.execute("DELETE FROM room_token WHERE room = ? AND token = ?", (room, token))
    elif uses:
        cursor.execute(
            "UPDATE room_token SET uses = uses - 1 WHERE room = ? AND token = ?", (room, token)
        )
    found: str = creator
    return found
