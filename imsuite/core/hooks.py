"""Every place where a feature may step in, and in which order features do.

A handler is a plain function, or a coroutine function when it must wait. On hooks that stanzas
pass it returns None to leave the stanza alone or another Stanza to put in its place; it raises
StanzaError to refuse and Dropped to end the way of the stanza in silence. The first exception
ends the run.
"""

from __future__ import annotations

import enum
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

import attrs

from imsuite.core.record import Record
from imsuite.xmpp.address import JID
from imsuite.xmpp.stanza import Stanza

if TYPE_CHECKING:
    from imsuite.core.account import Account
    from imsuite.core.host import Host
    from imsuite.core.session import Session

Handler = Callable[[Any], Any]  # the event differs by hook; what comes back may be awaitable


class Stage(enum.IntEnum):
    """What a handler may do; stages run in this order, handlers of one stage in any."""

    GUARD = 0  # refuse
    AMEND = 1  # change the stanza
    RECORD = 2  # write it down unchanged
    COPY = 3  # send copies elsewhere


@attrs.frozen
class Hook:
    """A place where features step in. passes: what handlers receive."""

    name: str
    passes: str
    doc: str


class Passing:
    """A stanza on its way through one host.

    account: the local account it concerns (the sender's on OUTGOING, the recipient's on
    INCOMING); sender: who sent it; session: the local session that sent it, if one did;
    target: the session it is addressed to, if it names one that exists; record: what it causes to
    be written, None while nothing; afterwards: called once it went its way; came: id that
    it has had since before, 0 for none; host: whose service has it, None while an account has;
    room, occupant: where in a room it was sent, and by whom; vouched: this server made it, so that
    what it says of us is true.
    """

    __slots__ = (
        "_waits",
        "account",
        "afterwards",
        "came",
        "host",
        "occupant",
        "record",
        "room",
        "sender",
        "session",
        "stanza",
        "target",
        "vouched",
    )

    def __init__(
        self,
        stanza: Stanza,
        account: Account,
        sender: JID,
        session: Session | None = None,
        target: Session | None = None,
    ) -> None:
        self.stanza = stanza
        self.account = account
        self.sender = sender
        self.session = session
        self.target = target
        self.record: Record | None = None
        self.afterwards: list[Callable[[], object]] | None = None
        self._waits = False
        self.came = 0
        self.vouched = False
        self.host: Host | None = None
        self.room: Any = None  # a Room of the feature that has the rooms
        self.occupant: Any = None  # an Occupant of it

    def keep(self) -> Record:
        """Return what it causes to be written; from now on it has an id."""
        if self.record is None:
            host = self.host or self.account.host
            self.record = Record(host, self.stanza, host.store.ids, self.session)
            if self._waits:
                host.store.ids.waiting.add(self.record.id)
        return self.record

    async def wait(self, later: Awaitable[None]) -> None:
        """Wait until it has gone its way; the id that it may have stays open meanwhile."""
        self._waits = True
        if self.record is not None:
            self.record.host.store.ids.waiting.add(self.record.id)
        try:
            await later
        finally:
            self._waits = False
            if self.record is not None:
                self.record.host.store.ids.waiting.discard(self.record.id)

    def after(self, function: Callable[[], object]) -> None:
        """Call a function once it went its way without an error, and what it wrote is durable."""
        if self.afterwards is None:
            self.afterwards = []
        self.afterwards.append(function)

    @property
    def traced(self) -> bool:
        """What becomes of it is remembered, whether or not it causes anything to be written."""
        account = self.account
        return (
            account is not None and account.host.trail is not None and self.stanza.kind == "message"
        )

    def complete(self) -> None:
        """Make durable what it causes to be written; it has gone its way."""
        record, afterwards = self.record, self.afterwards or ()
        trail = None if self.account is None else self.account.host.trail
        if trail is not None and self.stanza.kind == "message":
            trail.passed(self)
        if record is None:
            for function in afterwards:
                function()
            return
        record.afterwards += afterwards
        if self.session is not None:
            self.session.keeping(len(self.stanza.raw))
            record.number = self.session.taken
        record.host.store.append(record)


@attrs.frozen
class RosterChange:
    """An item of a roster changed. item: the new RosterItem; removed: it is gone."""

    account: Account
    item: Any  # a rules.roster.RosterItem
    removed: bool = False


@attrs.frozen
class RoomChange:
    """Something about a room is different.

    room: the Room; by: full JID of who did it, None for the service; occupant: whom it concerns,
    if somebody; jid: the bare JID whose affiliation changed; fields: names of the settings that
    changed.
    """

    room: Any
    by: str | None = None
    occupant: Any = None
    jid: str = ""
    fields: frozenset[str] = frozenset()


@attrs.frozen
class Published:
    """Items of a node, which are durable now.

    host: that has the service; service: address of it, a bare JID where it is an account's
    (XEP-0163); node: its name; items: id and payload of each; by: full JID of the publisher.
    """

    host: Host
    service: str
    node: str
    items: tuple[tuple[str, Any], ...]
    by: str


@attrs.frozen
class PhotoChange:
    """The photo in the card of an account is another one (XEP-0054, XEP-0153), and durable.

    before: SHA-1 of the one there was, "" or None for none; photo: a rules.avatars.Image, or None
    for none; by: full JID of who changed it, the account's bare JID for a feature.
    """

    account: Account
    before: str | None
    photo: Any
    by: str


BOUND = Hook("BOUND", "Session", "a resource was bound")
UNBOUND = Hook("UNBOUND", "Session", "a session ended")
AVAILABLE = Hook("AVAILABLE", "Session", "a session sent its initial presence")
REACHABLE = Hook(
    "REACHABLE", "Session", "a session takes messages: its priority is not negative now"
)
UNAVAILABLE = Hook("UNAVAILABLE", "Session", "a session became unavailable")
OUTGOING = Hook("OUTGOING", "Passing", "a local account sends")
INCOMING = Hook("INCOMING", "Passing", "a stanza reaches a local account")
DELIVERING = Hook("DELIVERING", "Passing", "a stanza is about to go to one session")
UNDELIVERED = Hook("UNDELIVERED", "Passing", "no session could take a message")
UNACKED = Hook("UNACKED", "Passing", "a session ended without having got a message")
DETACHED = Hook("DETACHED", "Session", "the link is lost; the session waits to be resumed")
RESUMED = Hook("RESUMED", "Session", "the session has a link again")
SUBSCRIPTION_CHANGED = Hook("SUBSCRIPTION_CHANGED", "RosterChange", "a subscription changed")
ROSTER_CHANGED = Hook("ROSTER_CHANGED", "RosterChange", "a roster item changed")
ACCOUNT_CREATED = Hook("ACCOUNT_CREATED", "str", "an account was made; its bare JID")
PASSWORD_CHANGED = Hook("PASSWORD_CHANGED", "str", "a password was changed; the bare JID")
ACCOUNT_DELETED = Hook("ACCOUNT_DELETED", "Account", "an account is about to be removed")
CAPS_CHANGED = Hook("CAPS_CHANGED", "Session", "what a client supports became known or changed")
ROOM_JOINING = Hook("ROOM_JOINING", "Passing", "somebody wants to enter a room; it has no occupant")
ROOM_PRESENCE = Hook(
    "ROOM_PRESENCE", "Passing", "the presence of an occupant, as others will see it"
)
ROOM_MESSAGE = Hook("ROOM_MESSAGE", "Passing", "a groupchat message is about to go to a room")
ROOM_PRIVATE = Hook("ROOM_PRIVATE", "Passing", "one occupant writes to another")
ROOM_CHANGED = Hook("ROOM_CHANGED", "RoomChange", "the configuration or a list of a room changed")
ROOM_LEFT = Hook("ROOM_LEFT", "RoomChange", "an occupant is not in a room any more")
ROOM_DESTROYED = Hook("ROOM_DESTROYED", "RoomChange", "a room is no more")
PUBLISHED = Hook("PUBLISHED", "Published", "an item was published")
RETRACTED = Hook(
    "RETRACTED", "Published", "items were taken back, purged or deleted with their node"
)
PHOTO_CHANGED = Hook("PHOTO_CHANGED", "PhotoChange", "the photo in a card is another one")
STARTED = Hook("STARTED", "Host", "the host serves")
CLOSING = Hook("CLOSING", "Host", "the streams are about to be ended")
STOPPING = Hook("STOPPING", "Host", "the host is about to stop")

HOOKS = tuple(value for value in list(globals().values()) if isinstance(value, Hook))
_SHAPES = 4096  # remembered shapes of stanzas per hook; cleared when full


@attrs.frozen
class Interest:
    """Which stanzas a handler wants to see; the default is every stanza.

    kinds: "message", "presence", "iq"; types: values of the type attribute, None for absent;
    children: "namespace}name" of child elements, one of which must be there; others: types that
    are of no interest.
    """

    kinds: frozenset[str] = frozenset()
    types: frozenset[str | None] = frozenset()
    children: frozenset[str] = frozenset()
    others: frozenset[str | None] = frozenset()

    def matches(self, kind: str, type: str | None, children: Iterable[str]) -> bool:
        """Tell whether a stanza of this shape is of interest."""
        if self.kinds and kind not in self.kinds:
            return False
        if (self.types and type not in self.types) or type in self.others:
            return False
        return not self.children or not self.children.isdisjoint(children)


@attrs.frozen
class Step:
    """A handler on a hook. owner: config word of the feature."""

    hook: Hook
    stage: Stage
    interest: Interest
    handler: Handler
    owner: str


class Switch:
    """The handlers of one hook of one host, in order of their stages."""

    __slots__ = ("_by_shape", "_muted", "steps")

    def __init__(self, steps: Sequence[Step] = ()) -> None:
        self.steps = sorted(steps, key=lambda step: step.stage)
        self._by_shape: dict[tuple[str, str | None, tuple[str, ...]], tuple[Handler, ...]] = {}
        self._muted: set[str] = set()

    def mute(self, owner: str, muted: bool) -> None:
        """Let stanzas pass a feature by while there is nothing that it could do to them.

        owner: its config word.
        """
        (self._muted.add if muted else self._muted.discard)(owner)
        self._by_shape.clear()

    def handlers(self, stanza: Stanza) -> tuple[Handler, ...]:
        """Return the handlers that want to see a stanza of this shape."""
        shape = (stanza.kind, stanza.attrs.get("type"), stanza.children)
        found = self._by_shape.get(shape)
        if found is None:
            if len(self._by_shape) >= _SHAPES:
                self._by_shape.clear()
            found = tuple(
                step.handler
                for step in self.steps
                if step.owner not in self._muted and step.interest.matches(*shape)
            )
            # remote input is not kept at any length
            if sum(map(len, (shape[1] or "", *stanza.children))) < 1024:
                self._by_shape[shape] = found
        return found

    def run(self, passing: Passing) -> Awaitable[None] | None:
        """Let the interested handlers step in; the result is awaitable if one must wait.

        Raises what a handler raises.
        """
        stanza = passing.stanza
        # once more what `handlers` does, because it is asked twice for every stanza
        handlers = self._by_shape.get((stanza.kind, stanza.attrs.get("type"), stanza.children))
        if handlers is None:
            handlers = self.handlers(stanza)
        rest = iter(handlers)
        for handler in rest:
            outcome = handler(passing)
            if outcome is None:
                continue
            if outcome.__class__ is Stanza:
                passing.stanza = outcome
            else:
                return self._run_waiting(passing, outcome, tuple(rest))
        return None

    async def _run_waiting(
        self, passing: Passing, outcome: Awaitable[Any], rest: tuple[Handler, ...]
    ) -> None:
        changed = await outcome
        if changed is not None:
            passing.stanza = changed
        for handler in rest:
            changed = handler(passing)
            if changed is not None and changed.__class__ is not Stanza:
                changed = await changed
            if changed is not None:
                passing.stanza = changed

    async def tell(self, event: object) -> None:
        """Give an event that is no stanza to every handler, waiting for each.

        A guard that raises ends the run; what another handler raises, the first of it, is
        raised once all have been told.
        """
        first: Exception | None = None
        for step in self.steps:
            try:
                outcome = step.handler(event)
                if outcome is not None:
                    await outcome
            except Exception as why:
                if step.stage is Stage.GUARD:
                    raise
                first = first or why
        if first is not None:
            raise first
