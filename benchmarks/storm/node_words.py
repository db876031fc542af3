"""What people of a storm of nodes say and remember, and the stores that make it hard."""

from __future__ import annotations

import random
from typing import Any

import attrs
from twisted.internet.defer import Deferred, fail

from benchmarks.storm.late import LateStore
from imsuite.core.service_interfaces import INodes
from imsuite.rules.caps import ver1
from imsuite.store.dialect import StoreFull
from imsuite.store.pool import Store
from imsuite.testing.memory import MemoryClient
from imsuite.xmpp.build import build
from imsuite.xmpp.stanza import text_of

PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = f"{PUBSUB}#owner"
EVENT = f"{PUBSUB}#event"
INFO = "http://jabber.org/protocol/disco#info"
SERVICE = "pubsub.example.org"
OPEN, CLOSED = "verona", "mantua"
TUNE = "urn:storm:tune"  # of accounts, seen by contacts
SHARED = (OPEN, CLOSED)
FULL = 0.05  # of transactions fail
FEATURES = "<identity category='client' type='pc'/>" + "".join(
    f"<feature var='{name}'/>" for name in (f"{TUNE}+notify", "urn:storm")
)
AFFILIATIONS = ("none", "none", "member", "member", "publisher", "outcast", "owner")
ROOMS = [f"room{number}@conference.example.org" for number in range(4)]


class FullStore(LateStore):
    """A late store of which transactions fail now and then. full: part of them."""

    def __init__(self, store: Store, dice: random.Random, full: float) -> None:
        super().__init__(store, dice)
        self._full = full
        self.failed = 0

    def transaction(self, function: Any, *args: object) -> Deferred[Any]:
        """As the store's, later, or not."""
        if self.prompt or self._dice.random() >= self._full:
            return super().transaction(function, *args)
        self.failed += 1
        return self._begin(self._writes, lambda: fail(StoreFull("the disk is full")))

    def forget(self) -> None:
        """Drop what is under way: nobody is left who waits for it."""
        for call in (*self._reads, *self._writes):
            if call.outcome is not None:
                call.outcome.addErrback(lambda failure: None)


class Grave:
    """The store of a server that was killed: it never answers whoever asked it.

    late: what was under way there. Nothing of it is forgotten, or those who wait would be woken.
    """

    def __init__(self, store: Store, late: FullStore | None) -> None:
        self.ids, self.clock, self.dialect = store.ids, store.clock, store.dialect
        self._late = late
        self._asked: list[Deferred[Any]] = []

    def __getattr__(self, name: str) -> Any:
        return self._ask

    def _ask(self, *_: object) -> Deferred[Any]:
        self._asked.append(Deferred())
        return self._asked[-1]


@attrs.define
class View:
    """What a client has been told of a node: payloads by id, None while it can not know."""

    items: dict[str, str] | None = None
    heard: list[int] = attrs.field(factory=list)  # numbers of what was published, as it came


@attrs.define(eq=False)
class Person:
    """An account with a client, or without one for a while.

    asked: ids of requests without an answer; views: by address of a service and node.
    """

    number: int
    client: MemoryClient | None = None
    asked: set[str] = attrs.field(factory=set)
    views: dict[tuple[str, str], View] = attrs.field(factory=dict)

    @property
    def bare(self) -> str:
        """The account."""
        return f"account{self.number}@example.org"

    def view(self, service: str, node: str) -> View:
        """What its client knows of a node."""
        return self.views.setdefault((service, node), View())


@attrs.define
class Tally:
    """What happened."""

    steps: int = 0
    published: int = 0
    heard: int = 0
    answers: int = 0
    errors: int = 0
    looks: int = 0
    compared: int = 0
    crashes: int = 0

    def line(self) -> str:
        """One line for people."""
        return ", ".join(f"{value} {name}" for name, value in attrs.asdict(self).items())


def presence() -> str:
    """Return the presence of somebody who wants to hear of nodes."""
    query = build(f"<query xmlns='{INFO}'>{FEATURES}</query>".encode(), INFO)
    return (
        "<presence><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='urn:storm' "
        f"ver='{ver1(query)}'/></presence>"
    )


def number_of(item: Any) -> int:
    """Return the number that was published as an item."""
    return int(text_of(next(iter(item.elements()))))


def create(node: str, fields: dict[str, str]) -> str:
    """Return a request for a node. fields: of its configuration, without `pubsub#`."""
    return f"<create node='{node}'/><configure>{form(fields)}</configure>"


def form(values: dict[str, str]) -> str:
    """Return a form that configures a node."""
    fields = "".join(
        f"<field var='pubsub#{name}'><value>{value}</value></field>"
        for name, value in values.items()
    )
    return (
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
        f"<value>{PUBSUB}#node_config</value></field>{fields}</x>"
    )


def wake_nobody(host: Any) -> None:
    """Let nobody go on who waits for his turn at a host that was killed."""
    locks = [lock for lock, _ in host.find_feature(INodes).nodes._turns.values()]
    for word in ("attachments", "avatars", "bookmarks"):
        locks += [lock for lock, _ in host.features[word]._turns._locks.values()]
    for lock in locks:
        lock.waiting.clear()


def bookmark(dice: random.Random) -> str:
    """Return a request that changes bookmarks in one of two places."""
    room = dice.choice(ROOMS)
    chance = dice.random()
    if chance < 0.4:
        item = f"<item id='{room}'><conference xmlns='urn:xmpp:bookmarks:1'/></item>"
        return f"<publish node='urn:xmpp:bookmarks:1'>{item}</publish>"
    if chance < 0.6:
        return f"<retract node='urn:xmpp:bookmarks:1'><item id='{room}'/></retract>"
    storage = f"<storage xmlns='storage:bookmarks'><conference jid='{room}'/></storage>"
    return f"<publish node='storage:bookmarks'><item id='current'>{storage}</item></publish>"
