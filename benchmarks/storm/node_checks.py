"""What must hold in a storm of nodes, by what the store says itself.

Triggers of the store write down what was committed, in that order, whatever the server thinks.
"""

from __future__ import annotations

import gc
import re
from typing import TYPE_CHECKING, Any

from benchmarks.storm.node_words import CLOSED, SERVICE, SHARED, TUNE
from imsuite.core.service_interfaces import INodes, IPep
from imsuite.core.session import Session
from imsuite.rules import bookmarks
from imsuite.store.pool import Store
from imsuite.xmpp.address import parse
from imsuite.xmpp.build import build

if TYPE_CHECKING:
    from benchmarks.storm.node_words import Person
    from benchmarks.storm.nodes import Storm

_NUMBER = re.compile(rb">(\d+)<")
_ALLOWED = ("owner", "publisher", "member")
_LOG = (
    "CREATE TABLE storm (place INTEGER PRIMARY KEY, what TEXT, service TEXT, node BIGINT,"
    " key TEXT, value BLOB)",
    "CREATE TRIGGER storm_item AFTER INSERT ON node_item BEGIN INSERT INTO storm"
    " (what, service, node, key, value) VALUES"
    " ('item', new.service, new.node, new.item, new.payload); END",
    "CREATE TRIGGER storm_items AFTER UPDATE OF payload ON node_item BEGIN INSERT INTO storm"
    " (what, service, node, key, value) VALUES"
    " ('item', new.service, new.node, new.item, new.payload); END",
    "CREATE TRIGGER storm_person AFTER INSERT ON node_affiliation BEGIN INSERT INTO storm"
    " (what, service, node, key, value) VALUES"
    " ('person', new.service, new.node, new.jid, new.affiliation); END",
    "CREATE TRIGGER storm_people AFTER UPDATE ON node_affiliation BEGIN INSERT INTO storm"
    " (what, service, node, key, value) VALUES"
    " ('person', new.service, new.node, new.jid, new.affiliation); END",
    "CREATE TRIGGER storm_gone AFTER DELETE ON node_affiliation BEGIN INSERT INTO storm"
    " (what, service, node, key, value) VALUES"
    " ('person', old.service, old.node, old.jid, 'none'); END",
)


class Log:
    """What was committed, in order. store: the real one, without any delay."""

    def __init__(self, store: Store) -> None:
        self._store = store
        for sql in _LOG:
            store.execute(sql)

    def rows(self, sql: str, *args: object) -> list[Any]:
        """Return what the store answers."""
        found: list[Any] = []
        self._store.query(sql, *args).addCallback(found.extend)
        return found

    def places(self) -> dict[int, tuple[int, int]]:
        """Return place and node of each number that was published."""
        sql = "SELECT place, node, value FROM storm WHERE what = 'item'"
        found = {}
        for place, node, value in self.rows(sql):
            match = _NUMBER.search(bytes(value))
            if match is not None:
                found[int(match[1])] = place, node
        return found

    def affiliation(self, node: int, jid: str, place: int) -> str:
        """Return what somebody was to a node when something was committed."""
        sql = (
            "SELECT value FROM storm WHERE what = 'person' AND node = ? AND key = ? AND place < ?"
            " ORDER BY place DESC LIMIT 1"
        )
        rows = self.rows(sql, node, jid, place)
        return rows[0][0] if rows else "none"

    def items(self, service: str, name: str) -> dict[str, str] | None:
        """Return the numbers of the items of a node by id, None if there is no such node."""
        nodes = self.rows("SELECT id FROM node WHERE service = ? AND name = ?", service, name)
        if not nodes:
            return None
        sql = "SELECT item, payload FROM node_item WHERE service = ? AND node = ? ORDER BY stamp"
        found = {}
        for id, payload in self.rows(sql, service, nodes[0][0]):
            match = _NUMBER.search(bytes(payload))
            found[id] = match[1].decode() if match else ""
        return found


class Checks:
    """Compares what people of a storm were told with what is so."""

    def __init__(self, storm: Storm) -> None:
        self._storm = storm
        self._unsure: set[tuple[str, str, str]] = set()  # who, service, node: since the last look
        self._closed: set[tuple[str, str, str]] = set()  # who could not have items then
        self.publishing: dict[str, list[int]] = {}  # by id of the request
        self._live: list[tuple[str, str, int]] = []  # who heard what of a node for members

    def changed(self, person: Person, service: str, node: str) -> None:
        """Know that somebody may have access, or a subscription, or not, from now on."""
        self._unsure.add((person.bare, service, node))

    def changed_all(self, service: str | None = None, node: str = "") -> None:
        """Know that of everybody. service: None for all nodes."""
        for person in self._storm.people:
            for key in person.views if service is None else ((service, node),):
                self._unsure.add((person.bare, *key))

    def begin(self, person: Person) -> None:
        """Know that somebody who is here now knows what there is."""
        self._see(person)

    def _nodes(self) -> list[tuple[str, str]]:
        own = [(person.bare, TUNE) for person in self._storm.people]
        return [(SERVICE, name) for name in SHARED] + own

    def _hears(self, person: Person, service: str, name: str) -> bool:
        """Tell whether somebody is told of what happens to a node."""
        log = self._storm.log
        if "@" in service:
            return person.bare == service or self._sees(person, service)
        found = log.rows(
            "SELECT s.state FROM node_subscription s JOIN node n ON n.id = s.node"
            " WHERE n.service = ? AND n.name = ? AND s.bare = ?",
            service,
            name,
            person.bare,
        )
        return ("subscribed",) in [tuple(row) for row in found] and self._may(person, service, name)

    def _may(self, person: Person, service: str, name: str) -> bool:
        """Tell whether somebody may have the items of a node of the service."""
        rows = self._storm.log.rows(
            "SELECT n.config, a.affiliation FROM node n LEFT JOIN node_affiliation a"
            " ON a.node = n.id AND a.jid = ? WHERE n.service = ? AND n.name = ?",
            person.bare,
            service,
            name,
        )
        if not rows:
            return False
        config, affiliation = rows[0]
        if affiliation in ("outcast", "publish-only"):
            return False
        return '"access_model": "whitelist"' not in config or affiliation in _ALLOWED

    def _sees(self, person: Person, service: str) -> bool:
        host = self._storm.server.host
        account = host.accounts.get(parse(service).local)
        if account is None:
            return False
        pep: Any = host.find_feature(IPep)
        jid = parse(person.bare)
        own = host.accounts.get(jid.local)
        blocks = pep._interests.blocks
        parted = blocks(account, jid) or (own is not None and blocks(own, account.jid))
        return pep.site(account).knows(jid) and not parted

    def _see(self, person: Person) -> None:
        """Let somebody know what is so, as if he had asked for it."""
        for service, name in self._nodes():
            items = self._storm.log.items(service, name)
            view = person.view(service, name)
            view.items = items if self._hears(person, service, name) else None
            self._unsure.discard((person.bare, service, name))
            if self._barred(person, service, name):
                self._closed.add((person.bare, service, name))
            else:
                self._closed.discard((person.bare, service, name))

    def _barred(self, person: Person, service: str, name: str) -> bool:
        if "@" not in service:
            return not self._may(person, service, name)
        if service == person.bare:
            return False
        account = self._storm.server.host.accounts.get(parse(service).local)
        return account is not None and not self._sees(person, service)

    # while it blows

    def got(
        self, person: Person, service: str, node: str, numbers: list[int], live: bool = False
    ) -> None:
        """Look at items that somebody got."""
        key = (person.bare, service, node)
        if numbers and key in self._closed and key not in self._unsure:
            self._storm.fail(f"{person.bare} got {numbers} of {node} at {service}")
        if live and node == CLOSED:
            self._live += [(person.bare, service, number) for number in numbers]

    # when nothing is under way

    def look(self) -> None:
        """Compare everything. Raises Wrong."""
        storm = self._storm
        places = storm.log.places()
        lost = storm.acked - set(places)
        if lost:
            storm.fail(f"the publisher was told that {lost} are kept")
        for who, _, number in self._live:
            place, node = places[number]
            if storm.log.affiliation(node, who, place) not in _ALLOWED:
                storm.fail(f"{who} heard of {number}, which it may not have")
        self._live.clear()
        for person in storm.people:
            if person.client is None:
                continue
            if person.asked:
                storm.fail(f"{person.bare} got no answer to {person.asked}")
            for (service, name), view in person.views.items():
                self._compare(person, service, name, places)
                view.heard.clear()
            self._see(person)
        self._memory()
        if not storm._full:
            self._bookmarks()

    def _compare(self, person: Person, service: str, name: str, places: Any) -> None:
        storm, view = self._storm, person.view(service, name)
        order = [places[number][0] for number in view.heard]
        if order != sorted(order):
            storm.fail(f"{person.bare} heard {view.heard} of {name}, committed at {order}")
        if (person.bare, service, name) in self._unsure or view.items is None:
            return
        items = storm.log.items(service, name)
        storm.tally.compared += 1
        if view.items != items:
            storm.fail(f"{person.bare} sees {view.items} in {name} at {service}, where is {items}")

    def _memory(self) -> None:
        """What is in memory of nodes is what the store has."""
        storm = self._storm
        nodes: Any = storm.server.host.find_feature(INodes)
        for (service, name), node in nodes.nodes._loaded.items():
            items = storm.log.items(service, name)
            if items is None:
                storm.fail(f"{name} at {service} is in memory only")
            assert items is not None
            if node.count != len(items):
                storm.fail(f"{name} at {service} has {items}, not {node.count}")
            last = None if node.last is None else node.last.id
            if last != next(reversed(items), None):
                storm.fail(f"the last of {name} at {service} is not {last} in {items}")
            for table, column, known in (
                ("node_affiliation", "jid", set(node.affiliations)),
                ("node_subscription", "subid", set(node.subscriptions)),
            ):
                sql = f"SELECT {column} FROM {table} WHERE node = ?"
                stored = {row[0] for row in storm.log.rows(sql, node.id)}
                if stored != known:
                    storm.fail(f"{table} of {name} at {service}: {stored}, not {known}")
        names: dict[str, set[str]] = {}
        for service, name in storm.log.rows("SELECT service, name FROM node"):
            names.setdefault(service, set()).add(name)
        for account in storm.server.host.accounts.values():
            held = nodes._kept.of(account).names
            if held != names.get(account.bare, set()):
                storm.fail(f"{account} has {names.get(account.bare)}, not {held}")

    def _bookmarks(self) -> None:
        """Both forms of bookmarks say the same (XEP-0402 §5.2)."""
        storm = self._storm
        for person in storm.people:
            if person.client is None:
                continue
            new = storm.log.items(person.bare, "urn:xmpp:bookmarks:1")
            rows = storm.log.rows(
                "SELECT i.payload FROM node n JOIN node_item i ON i.node = n.id"
                " WHERE n.service = ? AND n.name = 'storage:bookmarks'",
                person.bare,
            )
            payload = build(bytes(rows[0][0]), "jabber:client") if rows else None
            old = set(bookmarks.from_storage(payload).rooms)
            if set(new or ()) != old:
                storm.fail(f"bookmarks of {person.bare}: {new} and {old}")

    def remains(self) -> list[str]:
        """Return what is left in memory though everybody has gone."""
        host: Any = self._storm.server.host
        nodes, pep = host.find_feature(INodes).nodes, host.find_feature(IPep)
        kept = {
            "turns": nodes._turns,
            "readings": nodes._readings,
            "greeted": pep._last._greeted,
            "sessions": self._storm.server.router.sessions,
        }
        for word in ("bookmarks", "avatars", "attachments"):
            kept[f"turns of {word}"] = host.features[word]._turns._locks
        found = [f"{name}: {value}" for name, value in kept.items() if value]
        gc.collect()
        left = [
            each
            for each in gc.get_objects()
            if isinstance(each, Session) and each.account.host is host
        ]
        return found + [f"{each}" for each in left]
