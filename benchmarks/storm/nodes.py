"""A storm of nodes: people publish, retract, subscribe, configure, delete, come and go.

There are two nodes of the service, of which one is for members only, and nodes of each account.
Now and then, and at the end, what each client has been told of a node is what the store has
(XEP-0060 §7.1.2, §7.2.2, §8.5.2); what it was told came in the order of the commits; who may not
have an item got none; and each request got one answer.
"""

from __future__ import annotations

import gc
import random
from typing import Any

from benchmarks.storm.node_checks import Checks, Log
from benchmarks.storm.node_words import (
    AFFILIATIONS,
    CLOSED,
    EVENT,
    FEATURES,
    INFO,
    OPEN,
    OWNER,
    PUBSUB,
    SERVICE,
    SHARED,
    TUNE,
    FullStore,
    Grave,
    Person,
    Tally,
    bookmark,
    create,
    form,
    number_of,
    presence,
    wake_nobody,
)
from benchmarks.storm.storm import Wrong
from imsuite.core import host as core_host
from imsuite.core.service_interfaces import INodes
from imsuite.store.dialect import StoreError
from imsuite.testing.failures import Failures
from imsuite.testing.memory import MemoryServer, befriend
from imsuite.xmpp.stanza import Stanza, child, children

SURE = 20  # steps between two looks at everything
HISTORY = 400  # lines of what happened


class Storm:
    """A server in memory, its nodes, and people.

    late: the store answers late; full: part of the transactions that fail; killed: the server is
    killed and restarted now and then.
    """

    def __init__(
        self, seed: int, people: int = 6, late: bool = False, full: float = 0.0, killed: bool = True
    ) -> None:
        self.dice = random.Random(seed)
        words = [word for word, given in (("late", late), ("full", full)) if given]
        self.name = ", ".join([f"nodes, seed {seed}", *words])
        self._slow, self._full, self._killed = late or bool(full), full, killed
        self.server = MemoryServer()
        self.late: FullStore | None = None
        self.log = Log(self.server.store)
        self.people = [Person(number) for number in range(people)]
        self.history: list[str] = []
        self.tally = Tally()
        self.number = 0
        self.graves: list[tuple[Grave, MemoryServer]] = []
        self.acked: set[int] = set()
        self.few: int | None = None
        self.checks = Checks(self)
        for person in self.people:
            self.server.account(person.bare)
            self._arrive(person)
        for one, other in zip(self.people, self.people[1:], strict=False):
            assert one.client is not None
            assert other.client is not None
            befriend(one.client, other.client)
        self._make_nodes()
        self._slow_down()
        self.look()

    def _slow_down(self) -> None:
        """Put a late store between the server and its store."""
        if self._slow:
            self.late = FullStore(self.server.store, self.dice, self._full)
            store: Any = self.late
            for host in self.server.hosts:
                host.store = host.users.store = store

    def _make_room(self) -> None:
        """Let few nodes stay in memory."""
        if self.few is not None:
            nodes: Any = self.server.host.find_feature(INodes)
            nodes.nodes.most = self.few

    def promptly(self, function: Any) -> None:
        """Do something while the store answers at once and nothing else is under way."""
        late = self.late
        before = late is None or late.prompt
        if late is not None:
            self._drain()
            late.prompt = True
        function()
        self._hear()
        if late is not None:
            late.prompt = before

    def _drain(self) -> None:
        for _ in range(100_000):
            self._hear()
            if not self.late:
                break
            self.late.turn()
        else:
            self.fail("it never comes to rest")

    def _make_nodes(self) -> None:
        first = self.people[0]
        fields = {"max_items": "4", "publish_model": "open", "notify_config": "1"}
        self._ask(first, create(OPEN, fields))
        fields = {"max_items": "max", "access_model": "whitelist", "notify_retract": "1"}
        self._ask(first, create(CLOSED, fields))
        for person in self.people:
            self._ask(person, create(TUNE, {"max_items": "3"}), to=None)
            for node in SHARED:
                self._ask(person, f"<subscribe node='{node}' jid='{person.bare}'/>")
        self._hear()

    # steps

    def step(self) -> None:
        """Let somebody do something, and look now and then. Raises Wrong."""
        self.tally.steps += 1
        dice, late = self.dice, self.late
        if late is not None:
            for _ in range(dice.randrange(8)):
                late.turn()
        person = dice.choice(self.people)
        chance = dice.random()
        if self._killed and chance < 0.01:
            self._stop(dice.random() < 0.6)
        elif person.client is None:
            self.promptly(lambda: self._arrive(person))
        elif chance < 0.04:
            self._vanish(person)
        else:
            self._make_room()
            for _ in range(dice.choice((1, 1, 2, 5))):
                self._act(person)
        self._hear()
        if self.tally.steps % SURE == 0:
            self.look()

    def _arrive(self, person: Person) -> None:
        client = self.server.login(f"{person.bare}/{self.dice.choice('ab')}", available=False)
        person.client = client
        person.asked.clear()
        self._says(person, presence())
        self._hear()
        self.checks.begin(person)

    def _vanish(self, person: Person) -> None:
        self.note(f"{person.bare} goes")
        assert person.client is not None
        if self.dice.random() < 0.5:
            person.client.vanishes()
        else:
            person.client.closes()
        self.server.settle()
        person.client = None
        person.views.clear()

    def _stop(self, kill: bool) -> None:
        """Kill the server, or restart it."""
        self.note("the server is killed" if kill else "the server is restarted")
        self.tally.crashes += 1
        if not kill:
            self._drain()
        self._hear()
        self._failures()
        if self.late is not None:
            self.late.forget()
            self.late.prompt = True
        old = self.server
        for host in old.hosts:
            host.store = host.users.store = old.store
        self.server = old.crash() if kill else old.restart()
        for host in old.hosts:
            grave: Any = Grave(self.server.store, self.late)
            host.store = host.users.store = grave
            self.graves.append((grave, old))
        for person in self.people:
            person.client = None
            person.views.clear()
        self._slow_down()
        self._make_room()
        self.checks.changed_all()

    def _act(self, person: Person) -> None:
        dice = self.dice
        chance = dice.random()
        if chance < 0.3:
            self._publish(person, SERVICE, dice.choice(SHARED))
        elif chance < 0.45:
            self._publish(person, person.bare, TUNE)
        elif chance < 0.55:
            node = dice.choice(SHARED)
            item = f"<item id='i{dice.randrange(8)}'/>"
            self._ask(person, f"<retract node='{node}' notify='true'>{item}</retract>")
        elif chance < 0.6:
            item = f"<item id='i{dice.randrange(8)}'/>"
            retract = f"<retract node='{TUNE}' notify='true'>{item}</retract>"
            self._ask(person, retract, to=None)
        elif chance < 0.68:
            self._ask(person, f"<items node='{dice.choice(SHARED)}'/>", "get")
        elif chance < 0.74:
            other = dice.choice(self.people)
            self._ask(person, f"<items node='{TUNE}'/>", "get", to=other.bare)
        elif chance < 0.82:
            self._subscribe(person)
        elif chance < 0.92:
            self._rule(person)
        elif chance < 0.95:
            self._bookmark(person)
        else:
            self._relate(person)

    def _publish(self, person: Person, service: str, node: str) -> None:
        """Publish one item or two; who may not is told so."""
        items = ""
        numbers = []
        for _ in range(self.dice.choice((1, 1, 1, 2))):
            self.number += 1
            numbers.append(self.number)
            id = f"i{self.dice.randrange(8)}"
            items += f"<item id='{id}'><n xmlns='urn:storm'>{self.number}</n></item>"
        self.tally.published += len(numbers)
        id = self._ask(person, f"<publish node='{node}'>{items}</publish>", to=service)
        self.checks.publishing[id] = numbers

    def _subscribe(self, person: Person) -> None:
        node = self.dice.choice(SHARED)
        word = self.dice.choice(("subscribe", "subscribe", "unsubscribe"))
        jid = person.bare
        if self.dice.random() < 0.1:  # of somebody else, which is refused
            jid = self.dice.choice(self.people).bare
        if jid == person.bare:
            self.checks.changed(person, SERVICE, node)
        self._ask(person, f"<{word} node='{node}' jid='{jid}'/>")

    def _rule(self, person: Person) -> None:
        """Do what an owner may."""
        dice = self.dice
        node, other = dice.choice(SHARED), dice.choice(self.people)
        chance = dice.random()
        if chance < 0.5:
            affiliation = dice.choice(AFFILIATIONS)
            self.checks.changed(other, SERVICE, node)
            entry = f"<affiliation jid='{other.bare}' affiliation='{affiliation}'/>"
            self._ask(person, f"<affiliations node='{node}'>{entry}</affiliations>", ns=OWNER)
        elif chance < 0.65:
            most = dice.choice(("2", "4", "6"))
            wishes = form({"max_items": most, "notify_retract": "1"})
            self._ask(person, f"<configure node='{node}'>{wishes}</configure>", ns=OWNER)
        elif chance < 0.75:
            self._ask(person, f"<purge node='{node}'/>", ns=OWNER)
        elif chance < 0.85:
            self.checks.changed_all(SERVICE, node)
            self._ask(person, f"<delete node='{node}'/>", ns=OWNER)
        else:
            self.checks.changed_all(SERVICE, node)
            wish = {"max_items": "4", "publish_model": "open"}
            if node == CLOSED:
                wish = {"max_items": "max", "access_model": "whitelist"}
            self._ask(person, create(node, wish))

    def _bookmark(self, person: Person) -> None:
        """Change bookmarks in one of their three places."""
        self._ask(person, bookmark(self.dice), to=None)

    def _relate(self, person: Person) -> None:
        """Let somebody see one's presence, or no more; or block somebody, or no more."""
        other = self.dice.choice([each for each in self.people if each is not person])
        word = self.dice.choice(("subscribe", "subscribed", "unsubscribed", "unsubscribe"))
        for one, two in ((person, other), (other, person)):
            self.checks.changed(one, two.bare, TUNE)
        if self.dice.random() < 0.7:
            self._says(person, f"<presence type='{word}' to='{other.bare}'/>")
            return
        verb = self.dice.choice(("block", "unblock"))
        inner = f"<{verb} xmlns='urn:xmpp:blocking'><item jid='{other.bare}'/></{verb}>"
        self.number += 1
        self._request(person, f"x{self.number}", f"<iq type='set' id='x{self.number}'>{inner}</iq>")

    # what they say

    def _ask(
        self,
        person: Person,
        inner: str,
        type: str = "set",
        to: str | None = SERVICE,
        ns: str = PUBSUB,
    ) -> str:
        self.number += 1
        id = f"x{self.number}"
        about = "" if to is None else f" to='{to}'"
        xml = f"<iq type='{type}' id='{id}'{about}><pubsub xmlns='{ns}'>{inner}</pubsub></iq>"
        self._request(person, id, xml)
        return id

    def _request(self, person: Person, id: str, xml: str) -> None:
        if person.client is not None and not person.client.gone:
            person.asked.add(id)
            self._says(person, xml)

    def _says(self, person: Person, xml: str) -> None:
        self.note(f"{person.bare}: {xml}")
        if person.client is not None and not person.client.gone:
            person.client.link.put(xml.encode())
            self.server.settle()

    def note(self, line: str) -> None:
        """Keep in mind what happened."""
        self.history.append(line)
        del self.history[:-HISTORY]

    # what they hear

    def _hear(self) -> None:
        moved = True
        while moved:
            self.server.settle()
            heard = [self._read(person) for person in self.people]
            moved = any(heard)

    def _read(self, person: Person) -> bool:
        client = person.client
        if client is None:
            return False
        stanzas = list(client.stanzas)
        client.forget()
        for stanza in stanzas:
            if stanza.kind == "message":
                self._event(person, stanza)
            elif stanza.kind == "iq":
                self._answer(person, stanza)
        return bool(stanzas)

    def _answer(self, person: Person, stanza: Stanza) -> None:
        id = stanza.id or ""
        if stanza.type == "get" and stanza.has(INFO, "query"):
            assert person.client is not None
            host, payload = stanza.attrs["from"], stanza.payload
            node = None if payload is None else payload.getAttribute("node")
            about = f" node='{node}'" if node else ""
            self._says(
                person,
                f"<iq type='result' id='{id}' to='{host}'>"
                f"<query xmlns='{INFO}'{about}>{FEATURES}</query></iq>",
            )
        if stanza.type not in ("result", "error"):
            return
        self.note(f"  {person.bare} < {stanza.raw.decode()}")
        if not id.startswith("x"):
            return
        if id not in person.asked:
            self.fail(f"{person.bare} got an answer to {id}, which it did not ask or that had one")
        person.asked.discard(id)
        self.tally.answers += 1
        self.tally.errors += stanza.type == "error"
        numbers = self.checks.publishing.pop(id, [])
        if stanza.type == "result":
            self.acked.update(numbers)
            pubsub = stanza.child(PUBSUB, "pubsub")
            items = None if pubsub is None else child(pubsub, PUBSUB, "items")
            if items is not None:
                service = stanza.attrs.get("from", person.bare)
                numbers = [number_of(item) for item in children(items, PUBSUB, "item")]
                self.checks.got(person, service, items["node"], numbers)

    def _event(self, person: Person, stanza: Stanza) -> None:
        event = stanza.child(EVENT, "event")
        if event is None:
            return
        self.note(f"  {person.bare} < {stanza.raw.decode()}")
        service = stanza.attrs["from"]
        about = next(iter(event.elements()))
        node = about.getAttribute("node", "")
        view = person.view(service, node)
        if about.name in ("delete", "purge"):
            view.items = {} if about.name == "purge" and view.items is not None else None
        if about.name != "items":
            return
        numbers = []
        for each in about.elements():
            if each.name == "retract":
                if view.items is not None:
                    view.items.pop(each["id"], None)
                continue
            number = number_of(each)
            numbers.append(number)
            if view.items is not None:
                view.items.pop(each["id"], None)
                view.items[each["id"]] = str(number)
        self.tally.heard += len(numbers)
        old = stanza.has("urn:xmpp:delay", "delay")
        if not old:
            view.heard += numbers
        self.checks.got(person, service, node, numbers, live=not old)

    # what must hold

    def look(self) -> None:
        """Let everything happen, and compare what everybody knows with what is so. Raises Wrong."""
        self.promptly(lambda: None)
        self.tally.looks += 1
        self._failures()
        self.checks.look()

    def _failures(self) -> None:
        failures = self.server.failures.take(StoreError)
        if failures:
            self.fail(f"the server logged {failures}")

    def end(self) -> None:
        """Look, let everybody go, and see whether anything is left. Raises Wrong."""
        self.look()
        for person in self.people:
            if person.client is not None:
                person.client.closes()
                person.client = None
        for _ in range(3):
            self.server.advance(61)
            self._drain()
        if self.late is not None:
            self.late.prompt = True
        found = self.checks.remains()
        if found:
            self.fail(f"left in memory: {found}")
        self._failures()
        self.server.stop()

    def bury(self) -> None:
        """Let go of servers that were killed, without a word of what never ended there."""
        self.server.failures.stop()
        quiet = Failures()
        quiet.watch()
        for _, server in self.graves:
            for host in server.hosts:
                wake_nobody(host)
        self.graves.clear()
        while gc.collect():  # what ends wakes others that end
            quiet.take()
        quiet.stop()

    def fail(self, what: str) -> None:
        """Say what is wrong, and what happened before. Raises Wrong."""
        self.server.failures.stop()
        lines = "\n".join(self.history[-60:])
        raise Wrong(f"{self.name}, step {self.tally.steps}: {what}\n{lines}")


def run(
    seed: int,
    steps: int,
    *,
    people: int = 6,
    late: bool = False,
    full: float = 0.0,
    few: int | None = None,
) -> Tally:
    """Let a storm blow. Raises Wrong.

    few: that many accounts without sessions, and nodes, stay in memory; None: as usual.
    """
    storm = Storm(seed, people, late, full)
    before = core_host._OFFLINE
    if few is not None:
        core_host._OFFLINE = storm.few = few
    try:
        for _ in range(steps):
            storm.step()
        storm.end()
    finally:
        core_host._OFFLINE = before
        storm.bury()
    return storm.tally
