"""A node while it is loaded, and the turn of whoever changes it."""

from __future__ import annotations

from typing import Any

import attrs
from twisted.internet.defer import DeferredLock

from imsuite.features.xep0060_pubsub.item_storage import Item
from imsuite.features.xep0060_pubsub.storage import Subscription
from imsuite.rules.node_access import Affiliation, Subscribed
from imsuite.rules.nodes import NodeConfig
from imsuite.xmpp.address import JID

LIVING = (Subscribed.SUBSCRIBED, Subscribed.UNCONFIGURED)

Key = tuple[str, str]  # service and name of a node


@attrs.define(eq=False)
class Node:
    """A node that is loaded. affiliations: by bare JID; subscriptions: by subid, oldest first.

    creator: bare JID; created: µs since 1970 UTC; count: of stored items; last: the newest item,
    also where items are not stored; gone: it was deleted.
    """

    service: str
    name: str
    id: int
    config: NodeConfig
    creator: str
    created: int
    affiliations: dict[str, Affiliation] = attrs.field(factory=dict)
    subscriptions: dict[str, Subscription] = attrs.field(factory=dict)
    count: int = 0
    last: Item | None = None
    gone: bool = False
    _plain: list[str] | None = attrs.field(default=None, init=False)

    @property
    def key(self) -> Key:
        """How it is found."""
        return self.service, self.name

    def affiliation(self, site: Any, jid: JID) -> Affiliation:
        """Return what somebody is to it; the owner of the site owns it."""
        found = self.affiliations.get(jid.bare, Affiliation.NONE)
        if found is not Affiliation.OWNER and site.owner(jid):
            return Affiliation.OWNER
        return found

    def archived(self, site: Any) -> bool:
        """Tell whether what is published to it can be read later (XEP-0442)."""
        config = self.config
        return bool(config.is_leaf and config.persist_items and config.most_items(site.limits))

    def of(self, bare: str) -> list[Subscription]:
        """Return the subscriptions of a bare JID and its resources."""
        return [each for each in self.subscriptions.values() if each.bare == bare]

    @property
    def plain(self) -> list[str]:
        """The addresses of its subscribers, if each of them has one subscription as usual."""
        if self._plain is None:
            living = [each for each in self.subscriptions.values() if each.state in LIVING]
            jids = [each.jid for each in living if not each.options]
            usual = len(set(jids)) == len(living)
            self._plain = jids if usual else []
        return self._plain

    def changed_people(self) -> None:
        """Know that its subscriptions are different now."""
        self._plain = None

    @property
    def owners(self) -> list[str]:
        """The bare JIDs of its owners."""
        return [jid for jid, each in self.affiliations.items() if each is Affiliation.OWNER]


@attrs.define
class Held:
    """What is known of a loaded account. names: its own nodes; follows: those it subscribes to."""

    names: set[str] = attrs.field(factory=set)
    follows: set[Key] = attrs.field(factory=set)


class Turn:
    """`async with`: nobody else changes the node meanwhile. Not re-entrant."""

    __slots__ = ("_key", "_turns")

    def __init__(self, turns: dict[Key, list[Any]], key: Key) -> None:
        self._turns = turns
        self._key = key

    async def __aenter__(self) -> None:
        entry = self._turns.setdefault(self._key, [DeferredLock(), 0])
        entry[1] += 1
        await entry[0].acquire()

    async def __aexit__(self, *_: object) -> None:
        entry = self._turns[self._key]
        entry[1] -= 1
        if not entry[1]:
            del self._turns[self._key]
        entry[0].release()
