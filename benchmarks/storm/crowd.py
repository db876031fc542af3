"""A storm in rooms: a crowd enters, talks, takes other names, is thrown out and vanishes.

At the end, and now and then before, what each client has been told of a room is what the server
has (XEP-0045 §7.2, §8, §9): who is in it, under which name, as what, and whether it is told who
they are. What it heard while it was in is what was said there, in the same order, without a gap.
"""

from __future__ import annotations

import random
from typing import Any

import attrs

from benchmarks.storm.late import LateStore
from benchmarks.storm.storm import Wrong
from imsuite.testing.memory import MemoryClient, MemoryServer
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import Stanza, child, children, text_of

MUC = "http://jabber.org/protocol/muc"
USER = f"{MUC}#user"
ADMIN = f"{MUC}#admin"
OWNER = f"{MUC}#owner"
ROOMS = ("garden@conference.example.org", "tomb@conference.example.org")
NICKS = ("Rose", "rose", "Thorn", "Moon", "Sun", "Lark", "Nightingale", "Owl", "Star", "Dew")
OWNERS = ("account0@example.org", "account1@example.org")
SETTINGS = ("moderatedroom", "membersonly", "presencebroadcast")
SURE = 25  # steps between two looks at everything
HISTORY = 200  # lines of what happened, for whoever looks for a fault


@attrs.define
class Seen:
    """What one client has been told of one room."""

    nick: str | None = None  # its own, None while it is not in
    people: dict[str, tuple[str, str, str | None]] = attrs.field(factory=dict)
    heard: list[int] = attrs.field(factory=list)  # since it entered
    stays: list[list[int]] = attrs.field(factory=list)


@attrs.define
class Person:
    """Somebody with a client, or without one for a while."""

    number: int
    share: int = 1  # people with one account
    client: MemoryClient | None = None
    rooms: dict[str, Seen] = attrs.field(factory=lambda: {room: Seen() for room in ROOMS})

    @property
    def bare(self) -> str:
        """The account."""
        return f"account{self.number // self.share}@example.org"


@attrs.define
class Tally:
    """What happened."""

    steps: int = 0
    entered: int = 0
    said: int = 0
    heard: int = 0
    thrown: int = 0
    looks: int = 0

    def line(self) -> str:
        """One line for people."""
        return ", ".join(f"{value} {name}" for name, value in attrs.asdict(self).items())


class Crowd:
    """A server in memory, two rooms, and people. late: the store answers late."""

    share = 1
    exact = True  # nobody hears that somebody leaves of whom it did not hear before

    def __init__(self, seed: int, people: int = 20, late: bool = False) -> None:
        self.dice = dice = random.Random(seed)
        self.name = f"crowd of {people}, seed {seed}{', late' if late else ''}"
        self.server = self._open()
        self.late: LateStore | None = None
        if late:
            self.late = LateStore(self.server.store, dice)
            self.late.prompt = True
            self.server.host.store = self.late
        self.people = [Person(number, self.share) for number in range(people)]
        self.history: list[str] = []
        self.tally = Tally()
        self.said = 0
        for person in self.people:
            self.server.account(person.bare)
        for person in self.people[:2]:
            self._arrive(person)
        self.promptly(self._make_rooms)
        if self.late is not None:
            self.late.prompt = False

    def _open(self) -> MemoryServer:
        return MemoryServer()

    def promptly(self, function: Any) -> None:
        """Do something while the store answers at once."""
        late = self.late
        before = late is None or late.prompt
        if late is not None:
            late.prompt = True
            while len(late):
                late.turn()
        function()
        self._hear()
        if late is not None:
            late.prompt = before

    def _make_rooms(self) -> None:
        first = self.people[0]
        for room in ROOMS:
            self._says(first, _enter(room, "Romeo"))
            fields = {"persistentroom": "1", "changesubject": "1"}
            self._says(first, configure(room, fields))
            self._says(first, _affiliate(room, OWNERS[1], "owner"))

    # steps

    def step(self) -> None:
        """Let somebody do something, and look."""
        self.tally.steps += 1
        if self.late is not None:
            for _ in range(self.dice.randrange(6)):
                self.late.turn()
        person = self.dice.choice(self.people)
        room = self.dice.choice(ROOMS)
        if person.client is None:
            self.promptly(lambda: self._arrive(person))
        elif self._rules(person, room) and self.dice.random() < 0.5:
            self._says(person, self._rule(room))
        elif self.dice.random() < 0.04:
            self._vanish(person)
        else:
            self._says(person, self._act(person, room))
        self._hear()
        if self.tally.steps % SURE == 0:
            self.look()

    def _arrive(self, person: Person) -> None:
        person.client = self.server.login(f"{person.bare}/{self._resource(person)}")
        for seen in person.rooms.values():
            _leave(seen)

    def _resource(self, person: Person) -> str:
        return self.dice.choice("ab")

    def _vanish(self, person: Person) -> None:
        self._note(f"{person.bare} vanishes")
        assert person.client is not None
        if self.dice.random() < 0.5:
            person.client.vanishes()
        else:
            person.client.closes()
        self.server.settle()
        self._read(person)
        person.client = None
        for seen in person.rooms.values():
            _leave(seen)

    def _act(self, person: Person, room: str) -> str:
        """Return what an ordinary occupant, or somebody outside, may say."""
        dice, seen = self.dice, person.rooms[room]
        nick = self._nick()
        if seen.nick is None or dice.random() < 0.1:
            return _enter(room, nick)
        choice = dice.random()
        if choice < 0.55:
            self.said += 1
            self.tally.said += 1
            return (
                f"<message type='groupchat' to='{room}' id='n{self.said}'>"
                f"<body>n{self.said}</body></message>"
            )
        if choice < 0.65:
            return f"<presence to='{room}/{nick}'/>"
        if choice < 0.75:
            show = dice.choice(("away", "dnd", "xa"))
            return f"<presence to='{room}/{seen.nick}'><show>{show}</show></presence>"
        if choice < 0.85:
            return f"<presence to='{room}/{seen.nick}' type='unavailable'/>"
        if choice < 0.9:
            return f"<message type='groupchat' to='{room}'><subject>s</subject></message>"
        other = dice.choice(sorted(seen.people) or [nick])
        return f"<message type='chat' to='{room}/{other}'><body>psst</body></message>"

    def _rules(self, person: Person, room: str) -> bool:
        """Tell whether somebody orders others about in a room."""
        return person.bare in OWNERS

    def _nick(self) -> str:
        """Return a name that may be somebody's already."""
        return f"{self.dice.choice(NICKS)}{self.dice.randrange(1 + len(self.people) // 10)}"

    def _rule(self, room: str) -> str:
        """Return what an owner may order."""
        dice = self.dice
        person = dice.choice(self.people)
        choice = dice.random()
        if choice < 0.45:
            affiliation = dice.choice(("outcast", "none", "none", "member", "admin"))
            return _affiliate(room, person.bare, affiliation)
        if choice < 0.8:
            role = dice.choice(("none", "visitor", "participant", "moderator"))
            return (
                f"<iq type='set' id='r' to='{room}'><query xmlns='{ADMIN}'>"
                f"<item nick='{self._nick()}' role='{role}'/></query></iq>"
            )
        name = dice.choice(SETTINGS)
        value: str | tuple[str, ...] = dice.choice(("0", "1"))
        if name == "presencebroadcast":
            value = ("moderator", "participant") if value == "0" else _ALL_ROLES
        return configure(room, {name: value})

    def _says(self, person: Person, xml: str) -> None:
        self._note(f"{person.bare}: {xml}")
        if person.client is not None and not person.client.gone:
            person.client.says(xml)
            self.server.settle()

    def _note(self, line: str) -> None:
        self.history.append(line)
        del self.history[:-HISTORY]

    # what they hear

    def _hear(self) -> None:
        self.server.settle()
        for person in self.people:
            self._read(person)

    def _read(self, person: Person) -> None:
        client = person.client
        if client is None:
            return
        for stanza in client.stanzas:
            sender = parse(stanza.attrs.get("from", "x"))
            seen = person.rooms.get(sender.bare)
            if seen is None or stanza.type == "error":
                continue
            if stanza.kind == "presence":
                self._presence(person, seen, sender.resource, stanza)
            elif stanza.type == "groupchat":
                self._message(seen, stanza)
        client.forget()

    def _presence(self, person: Person, seen: Seen, nick: str, stanza: Stanza) -> None:
        x = stanza.child(USER, "x")
        if x is None:
            self.fail(f"{person.bare} got presence of a room without what it is about")
        assert x is not None
        codes = {status.getAttribute("code") for status in children(x, USER, "status")}
        item = child(x, USER, "item")
        assert item is not None
        own = "110" in codes
        if stanza.type == "unavailable":
            if nick not in seen.people and not own and self.exact:
                self.fail(f"{person.bare} sees {nick} leave, who was not there: {stanza.raw!r}")
            seen.people.pop(nick, None)
            if own and "303" in codes:
                seen.nick = item["nick"]
            elif own:
                self.tally.thrown += bool(codes & {"301", "307", "321", "322"})
                _leave(seen)
            return
        jid = item.getAttribute("jid")
        seen.people[nick] = item["affiliation"], item["role"], jid
        if own:
            self.tally.entered += seen.nick is None
            seen.nick = nick

    def _message(self, seen: Seen, stanza: Stanza) -> None:
        body = text_of(child(stanza.element, "jabber:client", "body"))
        if body.startswith("n") and not stanza.has("urn:xmpp:delay", "delay"):
            seen.heard.append(int(body[1:]))
            self.tally.heard += 1

    # what must hold

    def look(self) -> None:
        """Let everything happen, and compare what everybody knows with what is so."""
        self.promptly(lambda: None)
        self.tally.looks += 1
        rooms: Any = self.server.host.features["muc"]
        for name in ROOMS:
            room = rooms.find(name)
            for person in self.people:
                self._compare(room, name, person)
        failures = self._failures()
        if failures:
            self.fail(f"the server logged {failures}")

    def _failures(self) -> list[str]:
        return list(self.server.failures.take())

    def _compare(self, room: Any, name: str, person: Person) -> None:
        seen = person.rooms[name]
        jid = "" if person.client is None else person.client.jid.full
        occupant = None if room is None else room.by_client.get(jid)
        if occupant is None:
            if seen.nick is not None:
                self.fail(f"{jid} thinks it is in {name} as {seen.nick}, and is not")
            return
        if seen.nick != occupant.nick:
            self.fail(f"{jid} thinks it is {seen.nick} in {name}, and is {occupant.nick}")
        shown = set(room.config["presence_broadcast"])
        expected = {
            other.nick: (other.affiliation.value, other.role.value)
            for other in room.occupants.values()
            if other is occupant or other.role in shown or other.role.value in shown
        }
        known = {nick: standing[:2] for nick, standing in seen.people.items()}
        if known != expected:
            self.fail(f"{jid} sees {known} in {name}, where there are {expected}")
        if not occupant.knows_all:
            return
        for nick, standing in seen.people.items():
            if standing[2] is None:
                self.fail(f"{jid} may know who {nick} in {name} is, and was not told")

    def end(self) -> None:
        """Look, and see whether everybody heard what was said while they were in."""
        self.look()
        for name in ROOMS:
            order = self._order(name)
            place = {number: position for position, number in enumerate(order)}
            for person in self.people:
                seen = person.rooms[name]
                for stay in (*seen.stays, seen.heard):
                    positions = self._positions(stay, place)
                    if positions and positions != list(
                        range(positions[0], positions[0] + len(positions))
                    ):
                        self.fail(f"{person.bare} heard {stay} in {name}, where {order} was said")
        if self.late is not None:
            self.late.prompt = True
        self.server.stop()

    def _positions(self, stay: list[int], place: dict[int, int]) -> list[int]:
        """Return where what somebody heard stands in what was said."""
        return [place.get(number, -1) for number in stay]

    def _order(self, name: str) -> list[int]:
        """Return what was said in a room, by the one who heard all of it: the archive's bodies."""
        rows: list[Any] = []
        query = "SELECT id, raw FROM message ORDER BY id"
        self.server.store.query(query).addCallback(rows.extend)
        found = []
        for _, raw in rows:
            stanza = Stanza.parse(bytes(raw))
            body = text_of(child(stanza.element, "jabber:client", "body"))
            if stanza.attrs.get("from", "").startswith(f"{name}/") and body.startswith("n"):
                found.append(int(body[1:]))
        return found

    def fail(self, what: str) -> None:
        """Say what is wrong, and what happened before. Raises Wrong."""
        self.server.failures.stop()
        lines = "\n".join(self.history[-40:])
        raise Wrong(f"{self.name}, step {self.tally.steps}: {what}\n{lines}")


_ALL_ROLES = ("moderator", "participant", "visitor")


def _leave(seen: Seen) -> None:
    if seen.heard:
        seen.stays.append(seen.heard)
    seen.nick, seen.people, seen.heard = None, {}, []


def _enter(room: str, nick: str) -> str:
    return f"<presence to='{room}/{nick}'><x xmlns='{MUC}'/></presence>"


def _affiliate(room: str, bare: str, affiliation: str) -> str:
    return (
        f"<iq type='set' id='a' to='{room}'><query xmlns='{ADMIN}'>"
        f"<item jid='{bare}' affiliation='{affiliation}'/></query></iq>"
    )


def configure(room: str, values: dict[str, Any]) -> str:
    """Return a configuration form that somebody filled in."""
    fields = ""
    for name, value in values.items():
        texts = "".join(f"<value>{text}</value>" for text in _listed(value))
        fields += f"<field var='muc#roomconfig_{name}'>{texts}</field>"
    return (
        f"<iq type='set' id='c' to='{room}'><query xmlns='{OWNER}'>"
        "<x xmlns='jabber:x:data' type='submit'>"
        f"<field var='FORM_TYPE'><value>{MUC}#roomconfig</value></field>{fields}</x></query></iq>"
    )


def _listed(value: str | tuple[str, ...]) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else value


def run(seed: int, steps: int, *, people: int = 20, late: bool = False) -> Tally:
    """Let a storm blow. Raises Wrong."""
    crowd = Crowd(seed, people, late)
    try:
        for _ in range(steps):
            crowd.step()
        crowd.end()
    finally:
        crowd.server.failures.stop()
    return crowd.tally
