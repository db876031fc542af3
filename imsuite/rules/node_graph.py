"""XEP-0248: which nodes are in which collections, as a directed graph without circles.

A node that is in no collection is in the root collection, whose name is empty (§7.1).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from imsuite.rules.node_errors import NS_ERRORS
from imsuite.rules.nodes import Limits, NodeConfig
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError

ROOT = ""


class Graph:
    """The nodes of one service that are in collections."""

    __slots__ = ("_children", "_parents")

    def __init__(self, edges: Iterable[tuple[str, str]] = ()) -> None:
        """Edges: pairs of a node and a collection that it is in."""
        self._parents: dict[str, tuple[str, ...]] = {}
        self._children: dict[str, dict[str, None]] = {}
        for node, parent in edges:
            self.put(node, (*self._parents.get(node, ()), parent))

    def put(self, node: str, parents: Iterable[str]) -> None:
        """Put a node into these collections, and into no other."""
        for parent in self._parents.pop(node, ()):
            children = self._children[parent]
            del children[node]
            if not children:
                del self._children[parent]
        found = tuple(dict.fromkeys(parent for parent in parents if parent != ROOT))
        if found:
            self._parents[node] = found
        for parent in found:
            self._children.setdefault(parent, {})[node] = None

    def drop(self, node: str) -> tuple[str, ...]:
        """Take a node out; return those that were in it, which stay in their other collections."""
        orphans = self.children(node)
        for child in orphans:
            self.put(child, (each for each in self._parents[child] if each != node))
        self.put(node, ())
        return orphans

    def edges(self) -> Iterator[tuple[str, str]]:
        """Yield pairs of a node and a collection that it is in."""
        for node, parents in self._parents.items():
            for parent in parents:
                yield node, parent

    def parents(self, node: str) -> tuple[str, ...]:
        """Return the collections that a node is in; none where that is the root."""
        return self._parents.get(node, ())

    def children(self, node: str) -> tuple[str, ...]:
        """Return the nodes that are in a collection; not for the root, which nobody counts."""
        return tuple(self._children.get(node, ()))

    def is_below_root(self, node: str) -> bool:
        """Tell whether a node is in no other collection than the root."""
        return node not in self._parents

    def above(self, node: str) -> Iterator[tuple[str, int]]:
        """Yield each collection around a node and how many levels it is above, nearest first.

        The root is the last.
        """
        seen = {node}
        level, distance, root = [node], 0, 0
        while level:
            distance += 1
            following: list[str] = []
            for each in level:
                parents = self._parents.get(each, ())
                if not parents and not root:
                    root = distance
                for parent in parents:
                    if parent not in seen:
                        seen.add(parent)
                        following.append(parent)
                        yield parent, distance
            level = following
        yield ROOT, root

    def below(self, node: str, most: int) -> Iterator[str]:
        """Yield nodes that are below a collection at any depth, nearest first, so many at most."""
        seen = {node}
        waiting = [node]
        for each in waiting:
            for child in self._children.get(each, ()):
                if child in seen:
                    continue
                if len(seen) > most:
                    return
                seen.add(child)
                waiting.append(child)
                yield child

    def closes_circle(self, node: str, parent: str) -> bool:
        """Tell whether a node may not be put into a collection because that is below it."""
        return node == parent or any(each == node for each, _ in self.above(parent))


def check_parent(graph: Graph, node: str, parent: str, config: NodeConfig, limits: Limits) -> None:
    """Raise StanzaError if a node can not be put into another one (§6.2.3, §6.5.3).

    config: of the parent.
    """
    if config.is_leaf:
        raise _not_allowed("invalid-options", "that node is not a collection")
    if graph.closes_circle(node, parent):
        raise circular()
    if parent not in graph.parents(node):
        check_room(len(graph.children(parent)) + 1, config, limits)


def circular() -> StanzaError:
    """Return the error for a collection that would be in itself (§6.2.3.5)."""
    return _not_allowed("invalid-options", "the collection would contain itself")


def check_room(children: int, config: NodeConfig, limits: Limits) -> None:
    """Raise StanzaError if a collection may not have so many children (§6.2.3.3)."""
    most = limits.children
    if config.children_max is not None:
        most = min(most, config.children_max)
    if children > most:
        raise _not_allowed("max-nodes-exceeded", "too many nodes are in that collection")


def may_associate(config: NodeConfig, by: JID, owner: bool) -> bool:
    """Tell whether somebody may put nodes into a collection (§6.2.1).

    config: of the collection; owner: it owns the collection.
    """
    if owner or config.children_association_policy == "all":
        return True
    if config.children_association_policy != "whitelist":
        return False
    return any(
        by.full == each or by.bare == each or by.domain == each
        for each in map(_full, config.children_association_whitelist)
    )


def _full(text: str) -> str:
    return parse(text).full


def check_type(before: NodeConfig, after: NodeConfig, children: int) -> None:
    """Raise StanzaError if a node may not become of another type (§6.2.3.1, §6.2.3.4, §6.2.4).

    children: how many nodes are in it then.
    """
    if not before.is_leaf and after.is_leaf:
        raise _not_allowed("invalid-options", "a collection does not become a leaf")
    if after.is_leaf and children:
        raise _not_allowed("invalid-options", "only a collection has nodes in it")


def _not_allowed(word: str, text: str) -> StanzaError:
    # XEP-0060 has another condition beside max-nodes-exceeded, where somebody makes too many
    return StanzaError("not-allowed", "cancel", text, (NS_ERRORS, word))
