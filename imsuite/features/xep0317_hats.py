"""XEP-0317: Hats."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from functools import cached_property
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

import attrs
from wokkel.data_form import Form
from zope.interface import implementer

from imsuite.core.fanout import Fan
from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import ROOM_DESTROYED, ROOM_PRESENCE, Passing, RoomChange, Stage
from imsuite.core.interfaces import ICommands, Table
from imsuite.core.options import ge, le, option
from imsuite.core.service_interfaces import IRoomInfo, IRoomKeeper, IRooms
from imsuite.rules import hats as rules
from imsuite.rules.adhoc import NS_COMMANDS, AdHoc, Done, Page, submitted
from imsuite.rules.affiliations import Affiliation
from imsuite.rules.hats import HATS, NS_HATS, NS_HATS_COMMANDS, Hat, Hats
from imsuite.rules.payloads import MUC_USER
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, make

_CHANGED = f"<x xmlns='{MUC_USER}'><status code='104'/></x>".encode()
_TABLES = ("room_hat", "room_hat_wearer")
_WORD = "hats"  # config word of this feature

Run = Callable[[Passing, Any], Awaitable[Done]]  # with the form as it was filled in


@attrs.frozen
class Options:
    """[features.hats]"""

    most: int = option(50, "Most hats that a room has to give.", ge(0), le(500), live=True)
    most_worn: int = option(
        1000, "Most hats that are given to people in one room.", ge(0), le(100_000), live=True
    )
    most_each: int = option(
        10, "Most hats that one person wears in one room.", ge(1), le(50), live=True
    )


@implementer(ICommands, IRoomInfo, IRoomKeeper)
class RoomHats(Feature):
    """Let owners and admins of a room give people there hats, which everybody sees.

    The hats of a room that is loaded are in memory (`room.extra`), and change in its turn.
    """

    spec = "XEP-0317 0.3.1"
    advertises = {At.ROOM: (NS_HATS,)}
    requires = (IRooms,)
    options: Options
    tables = (
        Table(
            "room_hat",
            (
                """CREATE TABLE room_hat (
        room TEXT NOT NULL,    -- bare JID
        made BIGINT NOT NULL,  -- which of the rooms of that name, one after another
        uri TEXT NOT NULL,
        title TEXT NOT NULL,
        hue TEXT NOT NULL,     -- degrees, '' for none
        place BIGINT NOT NULL, -- in the list; grows with each new hat
        PRIMARY KEY (room, made, uri)) {clustered}""",
            ),
            owner=None,
        ),
        Table(
            "room_hat_wearer",
            (
                """CREATE TABLE room_hat_wearer (
        room TEXT NOT NULL,
        made BIGINT NOT NULL,
        jid TEXT NOT NULL,     -- bare
        uri TEXT NOT NULL,     -- of one in room_hat
        place BIGINT NOT NULL, -- among those the person wears; grows with each that is given
        PRIMARY KEY (room, made, jid, uri)) {clustered}""",
                "CREATE INDEX room_hat_wearer_jid ON room_hat_wearer (jid)",
            ),
            owner="jid",
        ),
    )

    @cached_property
    def _rooms(self) -> Any:  # what provides IRooms
        return self.host.find_feature(IRooms)

    def describe(self, at: At) -> Iterable[str]:
        """§2; XEP-0050 §2.1 where there are commands."""
        yield from super().describe(at)
        if at is At.ROOM and "commands" in self.host.features:
            yield NS_COMMANDS

    # what is kept

    def load_room(self, cursor: Any, room: str, made: int) -> Hats:
        """Return the hats of a room."""
        cursor.execute(
            "SELECT uri, title, hue FROM room_hat WHERE room = ? AND made = ? ORDER BY place",
            (room, made),
        )
        found = Hats({uri: Hat(uri, title, hue) for uri, title, hue in cursor.fetchall()})
        cursor.execute(
            "SELECT jid, uri FROM room_hat_wearer WHERE room = ? AND made = ? ORDER BY place",
            (room, made),
        )
        for jid, uri in cursor.fetchall():
            if uri in found.known:
                found.give(jid, uri)
        return found

    def forget(self, room: Any, bare: str) -> None:
        """Take its hats from an account that is no more."""
        _hats(room).worn.pop(bare, None)

    @on(ROOM_DESTROYED)
    async def destroyed(self, change: RoomChange) -> None:
        """A new room of the same name has none of its hats."""
        await self.host.store.transaction(_forget, change.room.bare)

    # what is shown

    @on(ROOM_PRESENCE, Stage.AMEND)
    def show(self, passing: Passing) -> Stanza | None:
        """§3.1"""
        shown = _hats(passing.room).shown(passing.occupant.bare)
        if not shown:
            return None
        stanza = passing.stanza
        changed = stanza.plus(shown, HATS)
        changed.worth = stanza.worth
        return changed

    def room_features(self, room: Any) -> Iterable[str]:
        """All rooms may have hats."""
        return ()

    def room_fields(self, room: Any) -> Iterable[Any]:
        """§2: by what clients know that the list that they have is the right one."""
        hats = _hats(room)
        if hats.known:
            yield forms.field("text-single", rules.HASH, hats.hash(), "Hats hash")

    def _show_again(self, room: Any, wearers: Iterable[str]) -> None:
        """§3: everybody sees the presence of those whose hats are others now."""
        for bare in wearers:
            for occupant in room.of_account(bare):
                self._rooms.show(room, occupant)

    def _tell_changed(self, room: Any) -> None:
        """§3.2: everybody in the room hears that the list of hats is another one."""
        attributes = {"type": "groupchat", "from": room.bare}
        fan = Fan(self.host, make("message", attributes, _CHANGED, f"{MUC_USER}}}x"))
        for _, client in room.clients():
            fan.send(client.jid, client.written)
        if (later := fan.finished()) is not None:
            self.host.spawn(_wait(later))

    # commands

    def commands(self, passing: Passing, at: At) -> Iterable[AdHoc]:
        """Return those of §3.2 to §3.7."""
        if at is not At.ROOM:
            return
        known = _hats(passing.room).known

        def command(name: str, title: str, form: Form | None, run: Run) -> AdHoc:
            begin = _begin(form, run)
            return AdHoc(f"{NS_HATS_COMMANDS}:{name}", title, begin, may=_manages)

        yield command("create", "Create or change a hat", rules.creation(), self._create)
        chosen = (
            ("destroy", "Destroy a hat", rules.destruction, self._destroy),
            ("assign", "Give somebody a hat", rules.assignment, self._assign),
            ("unassign", "Take a hat from somebody", rules.removal, self._unassign),
        )
        for name, title, form, run in chosen:
            yield command(name, title, form(known) if known else None, run)
        yield AdHoc(f"{NS_HATS_COMMANDS}:list", "List hats", _list, may=_is_of_room)
        yield AdHoc(
            f"{NS_HATS_COMMANDS}:list-assigned", "List who wears hats", _list_worn, may=_knows
        )

    async def _create(self, passing: Passing, form: Any) -> Done:
        """§3.2: the URI of a hat that there is changes that one."""
        hat, room = rules.read(form), passing.room
        async with room.turn:
            hats = _checked(passing)
            if hat.uri not in hats.known and len(hats.known) >= self.options.most:
                raise StanzaError("resource-constraint", text="this room has too many hats")
            if hats.known.get(hat.uri) == hat:
                return Done()
            row = room.bare, room.made, hat.uri, hat.title, hat.hue, self.host.store.ids.next()
            await self.host.store.transaction(_write_hat, row)
            hats.put(hat)
            self._show_again(room, hats.wearers(hat.uri))
            self._tell_changed(room)
        return Done()

    async def _destroy(self, passing: Passing, form: Any) -> Done:
        """§3.3: whoever wears it wears it no more."""
        room = passing.room
        async with room.turn:
            hats = _checked(passing)
            uri = _known(hats, form)
            await self.host.store.transaction(_delete_hat, room.bare, room.made, uri)
            self._show_again(room, hats.destroy(uri))
            self._tell_changed(room)
        return Done()

    async def _assign(self, passing: Passing, form: Any) -> Done:
        """§3.5: one hat at a time; everybody sees it."""
        room = passing.room
        async with room.turn:
            hats = _checked(passing)
            bare, uri = _person(passing, form), _known(hats, form)
            worn = hats.worn.get(bare, ())
            if uri in worn:
                return Done()
            if len(worn) >= self.options.most_each:
                raise StanzaError("resource-constraint", text="nobody wears so many hats")
            if sum(map(len, hats.worn.values())) >= self.options.most_worn:
                raise StanzaError("resource-constraint", text="too many hats are worn here")
            row = room.bare, room.made, bare, uri, self.host.store.ids.next()
            await self.host.store.execute(
                "INSERT INTO room_hat_wearer (room, made, jid, uri, place) VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT (room, made, jid, uri) DO NOTHING",
                *row,
            )
            hats.give(bare, uri)
            self._show_again(room, (bare,))
        return Done()

    async def _unassign(self, passing: Passing, form: Any) -> Done:
        """§3.6"""
        room = passing.room
        async with room.turn:
            hats = _checked(passing)
            bare, uri = _person(passing, form), _known(hats, form)
            if uri not in hats.worn.get(bare, ()):
                raise StanzaError("item-not-found", text="that hat is not worn by that person")
            await self.host.store.execute(
                "DELETE FROM room_hat_wearer WHERE room = ? AND made = ? AND jid = ? AND uri = ?",
                room.bare,
                room.made,
                bare,
                uri,
            )
            hats.take(bare, uri)
            self._show_again(room, (bare,))
        return Done()


def _hats(room: Any) -> Hats:
    """Return the hats of a room; a new one has none."""
    found: Hats | None = room.extra.get(_WORD)
    if found is None:
        found = room.extra[_WORD] = Hats()
    return found


# who may


def _manages(passing: Passing) -> bool:
    affiliation: Affiliation = passing.room.affiliation(passing.sender.bare)
    return affiliation >= Affiliation.ADMIN


def _is_of_room(passing: Passing) -> bool:
    """Who is in sees the hats anyway."""
    affiliation: Affiliation = passing.room.affiliation(passing.sender.bare)
    return affiliation >= Affiliation.MEMBER or passing.occupant is not None


def _knows(passing: Passing) -> bool:
    """The list has real addresses, which are not for everybody (XEP-0045 §4.2)."""
    return _manages(passing) or (passing.occupant is not None and passing.occupant.knows_all)


def _checked(passing: Passing) -> Hats:
    """Return the hats of a room, for who may change them now. Raises StanzaError."""
    if passing.room.gone:
        raise StanzaError("item-not-found")
    if not _manages(passing):
        raise StanzaError("forbidden")
    return _hats(passing.room)


# forms


def _begin(form: Form | None, run: Run) -> Callable[[Passing], Awaitable[Page | Done]]:
    """Return how a command begins: with its form, or at once where that came already (§3.3).

    form: None while there are no hats to choose from.
    """

    async def begin(passing: Passing) -> Page | Done:
        if form is None:
            raise StanzaError("item-not-found", text="this room has no hats")
        page, request = Page(run, form), passing.stanza.payload
        assert request is not None
        if child(request, NS.DATA, "x") is None:
            return page
        return await run(passing, submitted(request, page))

    return begin


async def _list(passing: Passing) -> Done:
    """§3.4"""
    return Done(payload=(rules.listed(_hats(passing.room).known.values()),))


async def _list_worn(passing: Passing) -> Done:
    """§3.7"""
    return Done(payload=(rules.listed_worn(_hats(passing.room)),))


def _known(hats: Hats, form: Any) -> str:
    """Return the URI of the hat that a form names. Raises StanzaError."""
    uri = forms.text(form, rules.URI)
    if uri not in hats.known:
        raise StanzaError("item-not-found", text="this room has no such hat")
    return uri


def _person(passing: Passing, form: Any) -> str:
    """Return the bare JID of whom a form names, also by nickname. Raises StanzaError."""
    jid, room = forms.jid(form, rules.JID), passing.room
    if jid is not None and jid.bare == room.bare:
        occupant = room.find(jid.resource) if jid.resource else None
        if occupant is None:
            raise StanzaError("item-not-found", text="nobody of that name is in the room")
        return str(occupant.bare)
    if jid is None or not jid.local:
        raise StanzaError("not-acceptable", text="only people wear hats")
    return str(jid.bare)


# the store


def _write_hat(cursor: Any, row: tuple[Any, ...]) -> None:
    """Write a hat; those of a room that had the name before go."""
    for table in _TABLES:
        cursor.execute(f"DELETE FROM {table} WHERE room = ? AND made <> ?", row[:2])  # noqa: S608
    cursor.execute(
        "INSERT INTO room_hat (room, made, uri, title, hue, place) VALUES (?, ?, ?, ?, ?, ?)"
        " ON CONFLICT (room, made, uri) DO UPDATE SET title = excluded.title, hue = excluded.hue",
        row,
    )


def _delete_hat(cursor: Any, room: str, made: int, uri: str) -> None:
    for table in _TABLES:
        cursor.execute(
            f"DELETE FROM {table} WHERE room = ? AND made = ? AND uri = ?",  # noqa: S608
            (room, made, uri),
        )


def _forget(cursor: Any, room: str) -> None:
    for table in _TABLES:
        cursor.execute(f"DELETE FROM {table} WHERE room = ?", (room,))  # noqa: S608


async def _wait(later: Any) -> None:
    await later
