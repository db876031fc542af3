"""The seams between the services of a host, rooms and nodes, and other features."""

from __future__ import annotations

from collections.abc import Awaitable, Iterable
from typing import Any

from zope.interface import Attribute, Interface


class IRooms(Interface):
    """The rooms of a host (XEP-0045)."""

    domain = Attribute("of the rooms")

    def find(bare: str) -> Any:
        """Return a Room if it is loaded, or None."""

    def load(bare: str) -> Awaitable[Any]:
        """Return a Room, loaded; None if there is none."""

    def public(cursor: Any) -> Iterable[tuple[str, dict[str, Any]]]:
        """Yield the public rooms and their settings that are not the usual ones, by var."""

    def affiliate(room: Any, bare: str, affiliation: Any, reason: str, by: str) -> Awaitable[None]:
        """Give an address an Affiliation in its turn, and tell whom it concerns."""

    def show(room: Any, occupant: Any) -> None:
        """Show the presence of an Occupant anew to everybody in its room. Does not wait."""

    def refresh(session: Any) -> Awaitable[None]:
        """Tell a Session after a crash who is in the rooms where it is or was, and who is not."""


class IRoomDoor(Interface):
    """A feature that may make members of those who knock at a room (XEP-0045 §7.2)."""

    def open(passing: Any) -> Awaitable[None] | None:
        """Return what has to be done before it is looked at whether somebody may enter, or None."""


class IRoomKeeper(Interface):
    """A feature that keeps something of each room that is loaded (XEP-0045).

    It is in `room.extra` by the feature's config word; a new room has nothing there.
    """

    def load_room(cursor: Any, room: str, made: int) -> Any:
        """Return what is kept of a room; runs in a thread of the store.

        room: bare JID; made: tells it from rooms that had the name before.
        """

    def forget(room: Any, bare: str) -> None:
        """Know that an account is no more; its rows go with it. Does not wait."""


class IRoomSettings(Interface):
    """A feature that gives rooms more settings (XEP-0045 §10.2)."""

    def settings() -> Iterable[Any]:
        """Return them as rules.room_config.Setting."""


class IRoomInfo(Interface):
    """A feature that says more about rooms in service discovery (XEP-0045 §6.4)."""

    def room_features(room: Any) -> Iterable[str]:
        """Return names of features of a Room."""

    def room_fields(room: Any) -> Iterable[Any]:
        """Return fields of wokkel's for the form that describes a Room."""


class IPresenceLogs(Interface):
    """Remembers changes of presence in rooms for those who come back (XEP-0436)."""

    def begin() -> Any:
        """Return a new rules.presence_log.PresenceLog for a room that was loaded."""


class ISite(Interface):
    """An address that has nodes: the service of a domain, or an account (XEP-0060, XEP-0163)."""

    jid = Attribute("its address: a domain, or the bare JID of an account")
    account = Attribute("the Account whose it is, None for the service")
    auto_create = Attribute("what is published to a node that is not there makes it (§7.1.4)")
    limits = Attribute("a rules.nodes.Limits")
    models = Attribute("the rules.node_access.AccessModels that there are")

    def defaults(node: str, type: str = "leaf") -> Any:
        """Return the rules.nodes.NodeConfig of a node that is made there. type: of the node."""

    def may_create(jid: Any) -> bool:
        """Tell whether a JID may make nodes."""

    def owner(jid: Any) -> bool:
        """Tell whether a JID owns all nodes, whatever its affiliation is."""

    def knows(jid: Any) -> bool:
        """Tell whether a JID may see the presence of the account (access model presence)."""

    def groups(jid: Any) -> frozenset[str]:
        """Return the roster groups that a JID is in (access model roster)."""

    def all_groups() -> Iterable[str]:
        """Return the roster groups that there are, to choose from."""

    def interested(node: str) -> Iterable[str]:
        """Return full JIDs that are told of a node without a subscription, if they have access."""


class INodes(Interface):
    """The nodes of the service and of accounts (XEP-0060)."""

    service = Attribute("the ISite of the domain, None where it serves none")

    def answer(passing: Any, site: Any) -> Awaitable[Any]:
        """Return the answer to an IQ with a <pubsub/>, also of an owner. Raises StanzaError."""

    def publish(site: Any, node: str, items: Any, by: Any, options: Any = None) -> Awaitable[Any]:
        """Publish and return the ids of the items, once they are durable. Raises StanzaError.

        items: pairs of an id, None for a new one, and an Element or None; by: JID; options:
        preconditions, names of fields ("pubsub#access_model") to texts or lists of texts.
        """

    def items(site: Any, node: str, ids: Any = None, most: int | None = None) -> Awaitable[Any]:
        """Return (id, Element or None, publisher, µs since 1970 UTC) of items, the newest last.

        ids: those wanted, None for all; most: so many of the newest. Nothing where there is no
        node; nobody's access is looked at.
        """

    def past(site: Any, node: str, by: Any, wanted: Any) -> Awaitable[Any]:
        """Return the rules.node_archive.Past of a Wanted. Raises StanzaError, also for who has no
        access, and for nodes that keep no items."""

    def ends(site: Any, node: str, by: Any) -> Awaitable[tuple[int, ...]]:
        """Return when the oldest and the newest item were published, as `past` raises.

        µs since 1970 UTC; nothing if there is none.
        """

    def retract(
        site: Any, node: str, ids: Iterable[str], by: Any, notify: bool = True
    ) -> Awaitable[None]:
        """Take items back, once that is durable. Raises StanzaError."""

    def delete(site: Any, node: str) -> Awaitable[None]:
        """Delete a node and tell subscribers, if it is there."""

    def config(site: Any, node: str) -> Awaitable[Any]:
        """Return the rules.nodes.NodeConfig of a node, None if there is none."""

    def send_last(site: Any, to: Any, nodes: Iterable[str] | None = None) -> Awaitable[None]:
        """Send the last items of nodes, of all by default, to a full JID that has access."""

    def authorize(passing: Any, site: Any) -> Awaitable[None]:
        """Take the message in which an owner approves a subscription. Raises StanzaError."""

    def waiting(services: Iterable[str], names: Iterable[str]) -> Awaitable[Any]:
        """Return (service, node) of those nodes that have an item for who comes online."""

    def recheck(site: Any, jid: Any) -> Awaitable[None]:
        """End the subscriptions of a JID that the access models do not allow any more."""

    def concerns(site: Any, node: str, by: Any) -> Awaitable[bool]:
        """Tell whether a stranger may know that a node is there, if it is."""

    def listed(site: Any, by: Any) -> Awaitable[Any]:
        """Return name and title, or None, of the nodes that a JID may read (§5.2)."""

    def disco_info(site: Any, node: str, by: Any) -> Awaitable[Any]:
        """Return the disco#info <query/> of a node that a JID may read, None if none (§5.3)."""

    def disco_items(site: Any, node: str, by: Any) -> Awaitable[Any]:
        """Return (jid, node, name) of what a node that a JID may read has, None if none (§5.5)."""


class INodeArchives(Interface):
    """What answers for the archives of nodes (XEP-0442)."""

    def of_account(request: Any) -> Awaitable[Any]:
        """Return the answer to a request to an account that names a node. Raises StanzaError."""


class INodeRules(Interface):
    """A feature that has a say about some nodes, of accounts or of the service (XEP-0060).

    The engine asks every feature that provides this, and waits for what is awaitable.
    """

    def governs(site: Any, node: str) -> bool:
        """Tell whether it has a say about a node of an ISite. Does not wait."""

    def defaults(site: Any, node: str) -> Any:
        """Return what its configuration starts with where that differs from the site's.

        A mapping of names of fields ("pubsub#access_model") to texts, or lists of texts.
        """

    def check_create(site: Any, node: str, by: Any) -> Any:
        """Raise StanzaError if a JID may not make the node by a request for that."""

    def check_config(site: Any, node: str, config: Any) -> Any:
        """Raise StanzaError if the node may not have a NodeConfig (made, configured, or by
        publish-options)."""

    def check_publish(site: Any, node: str, items: Any, by: Any) -> Any:
        """Raise StanzaError if a JID may not publish items, pairs of id and payload or None.

        Asked before the node is made, if it has to be. An id is None where it is left to us.
        """


class INodeFollower(Interface):
    """A feature that makes nodes for others, and changes them when those change (XEP-0470)."""

    def about(site: Any, node: str) -> str | None:
        """Return the node on which it depends who may know of one that is not there yet."""

    def before_publish(site: Any, node: str, by: Any) -> Awaitable[None]:
        """Make a node that somebody is about to publish to, if there should be one.

        Raises StanzaError. The node is in nobody's turn.
        """

    def configured(site: Any, node: str, config: Any) -> Awaitable[None]:
        """Know that a node has another NodeConfig, which is durable."""


class IPep(Interface):
    """What gives every account its own nodes (XEP-0163)."""

    def site(account: Any) -> Any:
        """Return the ISite of an account."""
