"""What must be durable before a message counts, and how a message is called for good.

A stanza's way through the hooks decides who keeps a message and which sessions get it; all of
that is written down in one `Record`, which the store commits as a whole. Only then do the copies
go out and does the sender hear that the server has it.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.interfaces import IReactorTime

from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.core.host import Host
    from imsuite.core.outbox import Place
    from imsuite.core.session import Session

_SALTS = struct.Struct("256Q")
_BIGGEST = 1 << 63
_NOTES = 100  # lines about one message; more are not kept of one that goes to many
_BOTH = 32  # hexadecimal digits of a public id


@attrs.frozen(eq=False)
class Insert:
    """A statement that adds a row to a table; many of them become one."""

    table: str
    columns: tuple[str, ...]


def public_id(id: int, salt: int) -> str:
    """Return how others call a message: 32 characters that sort as the messages came."""
    return f"{id:016x}{salt:016x}"


def parse_id(text: str) -> tuple[int, int] | None:
    """Return id and salt of a public id, or None if it is none of ours."""
    if len(text) != _BOTH or not text.isascii() or not text.isalnum() or text != text.lower():
        return None
    try:
        id, salt = int(text[:16], 16), int(text[16:], 16)
    except ValueError:
        return None
    return (id, salt) if id < _BIGGEST and salt < _BIGGEST else None


def unrefer(cursor: Any, ids: Iterable[int]) -> None:
    """Let go of the bodies of messages, once for each id; those nobody refers to are removed.

    cursor: in the transaction that removes the rows which referred to them.
    """
    rows = [(id,) for id in ids]
    if rows:
        cursor.executemany("UPDATE message SET refs = refs - 1 WHERE id = ?", rows)
        cursor.executemany("DELETE FROM message WHERE id = ? AND refs <= 0", rows)


class Body:
    """A message as it is kept. id: µs since 1970 UTC, when it came; refs: rows that point to it;
    tail: what all copies of it have in common, from the start tag's name on, if a room sends it.
    """

    __slots__ = ("id", "raw", "refs", "salt", "tail")

    def __init__(self, id: int, salt: int, raw: bytes, refs: int = 0) -> None:
        self.id = id
        self.salt = salt
        self.raw = raw
        self.refs = refs
        self.tail: bytes | None = None

    @property
    def public(self) -> str:
        """How others call it (XEP-0359)."""
        return public_id(self.id, self.salt)


class Ids:
    """Gives ids to messages: the time in µs, or one more than the last where that is later.

    waiting: ids of messages of which it is not decided yet what they cause.
    """

    __slots__ = ("_clock", "_last", "_salts", "waiting")

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._last = 0
        self._salts: list[int] = []
        self.waiting: set[int] = set()

    def salt(self) -> int:
        """Return 63 random bits, of which many are asked of the kernel at once."""
        if not self._salts:
            self._salts = [number >> 1 for number in _SALTS.unpack(os.urandom(_SALTS.size))]
        return self._salts.pop()

    def next(self) -> int:
        """Return an id greater than all before."""
        now = int(self._clock.seconds() * 1_000_000)
        last = self._last = now if now > self._last else self._last + 1
        return last

    @property
    def last(self) -> int:
        """The greatest id so far."""
        return self._last

    def skip(self, last: int) -> None:
        """Give only ids greater than this one from now on."""
        self._last = max(self._last, last)


class Record:
    """What one message causes to be written, and what follows once it is.

    host: that handles it; stanza: as it came, to be refused if the store fails, or None if there
    is no message; origin: the session that sent it, if one did; number: which stanza of that
    session it is; places: the sessions that get it; refused: called with the exception if the
    store fails; apart: its rows are written after all before it and before all after it, for
    statements that touch rows of others; without it, those of a group may be put together;
    gathered: the store has it, and its places have theirs in what goes out; shared: what a room
    sends to many, of which most copies need not be written.
    """

    __slots__ = (
        "_bodies",
        "_held",
        "_ids",
        "afterwards",
        "apart",
        "followers",
        "gathered",
        "host",
        "notes",
        "number",
        "origin",
        "places",
        "refused",
        "rows",
        "shared",
        "stanza",
    )

    def __init__(
        self, host: Host, stanza: Stanza | None, ids: Ids, origin: Session | None = None
    ) -> None:
        self.host = host
        self.stanza = stanza
        self.origin = origin
        self.number = 0
        self.apart = False
        self.gathered = False
        self.followers: list[Callable[[], object]] = []
        self.places: list[Place] = []
        self.rows: list[tuple[Insert | str, tuple[Any, ...]]] = []
        self.afterwards: list[Callable[[], object]] = []
        self.notes: list[tuple[float, str, str]] = []
        self._ids = ids
        self.refused: Callable[[Exception], object] | None = None
        self._bodies: list[Body] = []
        if stanza is not None:
            self._bodies.append(Body(ids.next(), ids.salt(), stanza.raw))
        self._held: dict[str, Body] = {}
        self.shared: Body | None = None

    @property
    def id(self) -> int:
        """When it came, µs since 1970 UTC; no other message has the same. 0: it is no message."""
        return self._bodies[0].id if self._bodies else 0

    @property
    def salt(self) -> int:
        """What makes the public id unguessable."""
        return self._bodies[0].salt

    @property
    def public(self) -> str:
        """How others call it (XEP-0359)."""
        return self._bodies[0].public

    @property
    def bodies(self) -> list[Body]:
        """The bodies that at least one row points to."""
        return [body for body in self._bodies if body.refs]

    def write(self, statement: Insert | str, *row: Any) -> None:
        """Add a row, or a statement with `?` for values, to the transaction."""
        self.rows.append((statement, row))

    def keep(self, stanza: Stanza) -> Body:
        """Return the body of the stanza, which one more row is going to point to."""
        for body in self._bodies:
            if body.raw is stanza.raw:
                break
        else:
            if self._bodies[0].refs:  # changed on its way: another message, with its own id
                body = Body(self._ids.next(), self._ids.salt(), stanza.raw)
                self._bodies.append(body)
            else:
                body = self._bodies[0]
                body.raw = stanza.raw
        body.refs += 1
        return body

    def hold(self, owner: str, stanza: Stanza) -> Body:
        """Keep the stanza in the archive of an owner, a bare JID."""
        body = self._held[owner] = self.keep(stanza)
        return body

    def of(self, owner: str) -> Body | None:
        """Return what the archive of an owner, a bare JID, has of this message."""
        return self._held.get(owner)

    def has(self, owner: str, body: Body) -> None:
        """Know that the archive of an owner has held this body since before."""
        self._held[owner] = body

    def after(self, function: Callable[[], object]) -> None:
        """Call a function once all is durable."""
        self.afterwards.append(function)

    def follow(self, function: Callable[[], object]) -> None:
        """Call a function once the places have theirs in what goes out; what it sends is next."""
        self.followers.append(function)

    def note(self, rule: str, who: str = "") -> None:
        """Leave a line for `imsuitectl explain`: a constant text, and whom it concerns."""
        if len(self.notes) < _NOTES:
            self.notes.append((self.host.clock.seconds(), rule, who))

    def done(self) -> None:
        """Let go of what has happened now, so that nobody has to search for cycles."""
        self.places.clear()
        self.rows.clear()
        self.afterwards.clear()

    def refuse(self, why: Exception) -> None:
        """Tell the sender that the message could not be kept."""
        self.note("given up: the store could not keep it")
        if self.refused is not None:
            self.refused(why)
        if self.stanza is not None:
            self.host.refuse(self.stanza, why)
