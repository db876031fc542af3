"""A client that lives in rooms: it enters, talks, moves, and keeps its own list of who is there.

XEP-0045 §7; what it knows of a room it has from the room alone, as any client has.
"""

from __future__ import annotations

import asyncio
import random
from xml.etree.ElementTree import Element
from xml.sax.saxutils import escape

import attrs

from benchmarks.torture import archive
from benchmarks.torture.device import BODY, BURSTS, NS_DELAY, NS_SID, WORDS, Device
from benchmarks.torture.ledger import Diary, Said, State
from benchmarks.torture.managed import Managed
from benchmarks.torture.orders import Order, Orders
from benchmarks.torture.stream import NS_CLIENT, Place, Stream, shown, tag

NS_MUC = "http://jabber.org/protocol/muc"
NS_USER = f"{NS_MUC}#user"
NS_STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
SUBJECT = tag(NS_CLIENT, "subject")
PATIENCE = 4.0  # seconds with a link until it asks once more to be let in


@attrs.frozen
class Caught:
    """A message of a room as it came. stay: counts its visits; way: live, late or history."""

    key: tuple[str, int]
    id: str | None  # of the room's archive (XEP-0359)
    sender: str  # occupant JID
    stay: int
    way: str


@attrs.define
class View:
    """What one client knows of one room. nick: its own there, None while it is not in."""

    room: str  # bare JID
    nick: str | None = None
    stay: int = 0
    asked: float | None = None  # when it asked to be let in
    knocks: int = 0  # how often it did, and has not been let in for yet
    begins: bool = False  # the history has not ended yet
    people: dict[str, tuple[str, str]] = attrs.field(factory=dict)  # affiliation, role
    caught: list[Caught] = attrs.field(factory=list)
    subject: str | None = None


class Dwelling(Device):
    """What a client does in rooms, with or without stream management.

    ledger: an Orders. roams: it leaves rooms and comes back; renames: it takes other nicknames.
    """

    ledger: Orders
    roams = False
    renames = False
    window = 30

    def __init__(
        self, place: Place, ledger: Orders, diary: Diary, password: str, dice: random.Random
    ) -> None:
        super().__init__(place, ledger, diary, password, dice)
        self.views: dict[str, View] = {}
        self._orders: dict[str, Order] = {}
        self._nicks = 0

    def dwell(self, *rooms: str) -> None:
        """Live in these rooms from now on."""
        self.views = {room: View(room) for room in rooms}

    # being in

    def _enters(self, view: View) -> str:
        view.asked, view.begins = self._now(), True
        view.knocks += 1
        most = self.dice.choice((0, 5, 20))
        return (
            f"<presence to='{view.room}/{self.account}'><x xmlns='{NS_MUC}'>"
            f"<history maxstanzas='{most}'/></x></presence>"
        )

    def _now(self) -> float:
        return asyncio.get_running_loop().time()

    def _out(self, view: View) -> None:
        view.nick, view.asked, view.people = None, None, {}

    def _all_out(self) -> None:
        for view in self.views.values():
            self._out(view)

    # talking

    async def talk(self) -> None:
        """Live until cancelled."""
        while True:
            if self.can_talk and not self.silent:
                for view in self.views.values():
                    self._live(view)
                self.sync()
            await asyncio.sleep(self.dice.expovariate(1 / self.pause))

    def _live(self, view: View) -> None:
        if view.nick is None:
            self.knock(view)
            return
        if self.unacknowledged >= self.window:
            return
        chance = self.dice.random()
        if chance < 0.04 and self.renames:
            self._nicks += 1
            self.send(f"<presence to='{view.room}/{self.account}-{self._nicks % 7}'/>")
        elif chance < 0.08 and self.roams:
            self.send(f"<presence type='unavailable' to='{view.room}/{view.nick}'/>")
        elif chance < 0.12:
            show = self.dice.choice(("away", "dnd", "xa"))
            to = f"{view.room}/{view.nick}"
            self.send(f"<presence to='{to}'><show>{show}</show></presence>")
        else:
            for _ in range(self.dice.choice(BURSTS[:-1])):
                self.say(view.room)

    def knock(self, view: View) -> None:
        """Ask to be let in, unless it has just done that."""
        late = view.asked is not None and self._now() > view.asked + PATIENCE
        if self.stream is not None and (view.asked is None or late):
            self.send(self._enters(view))

    def say(self, to: str) -> None:
        """Say something new in a room."""
        said = self.ledger.say(self.diary.device, next(self._numbers), to)
        filler = " ".join(self.dice.choices(WORDS, k=self.dice.choice((0, 3, 10))))
        body = escape(f"{said.device} {said.number} {filler}")
        self.send(
            f"<message type='groupchat' to='{to}' id='m{said.number}'>"
            f"<body>{body}</body></message>",
            said,
        )

    def order(self, name: tuple[str, ...], value: str | None, text: str) -> Order:
        """Ask for a change. text: the stanza with {} for its id."""
        number = next(self._ids)
        id = f"order{number}"
        given = self._orders[id] = self.ledger.order(self.diary.device, number, name, value)
        self.send(text.format(id), given)
        return given

    def _settle(self, said: Said) -> None:
        if said in self._waiting:
            self._waiting.remove(said)

    # listening

    def _take_iq(self, iq: Element) -> None:
        order = self._orders.get(iq.get("id", ""))
        if order is not None and iq.get("type") in ("result", "error"):
            self._settle(order)
            if iq.get("type") == "result":
                self.ledger.confirm(order)
            else:
                self._refused(order, iq)
            return
        super()._take_iq(iq)

    def _refused(self, order: Order, error: Element) -> None:
        full = error.find(f".//{tag(NS_STANZAS, 'resource-constraint')}") is not None
        self.ledger.fail(order, full)
        expected = order.name[0] in ("node", "role") or self.ledger.faults.keys() & {
            "full",
            "postgres",
        }
        if order.state is State.REFUSED and not expected:
            self.ledger.complain(f"{self}: {order.name} refused: {shown(error)}")

    def _take_message(self, message: Element) -> None:
        if message.get("type") == "error":
            self._take_error(message)
            return
        if self._pages.take(message) or message.get("type") != "groupchat":
            return
        sender = message.get("from", "")
        view = self.views.get(sender.partition("/")[0])
        if view is None:
            self.ledger.complain(f"{self}: from a room that it is not in: {shown(message)}")
            return
        delayed = message.find(tag(NS_DELAY, "delay")) is not None
        if message.find(SUBJECT) is not None and message.find(BODY) is None:
            view.begins = False
            view.subject = message.findtext(SUBJECT) or None
            order = self._orders.get(message.get("id", ""))
            if order is not None and order.name == ("subject", view.room):
                self._settle(order)
                self.ledger.confirm(order)
            return
        self._catch(view, sender, message, delayed)

    def _catch(self, view: View, sender: str, message: Element, delayed: bool) -> None:
        key = archive.key_of(message)
        if key is None:
            return
        ids = [
            found.get("id")
            for found in message.iterfind(tag(NS_SID, "stanza-id"))
            if found.get("by") == view.room
        ]
        way = "live" if not delayed else "history" if view.begins else "late"
        stay = view.stay if view.nick is not None else 0
        self.diary.caught += 1
        view.caught.append(Caught(key, ids[0] if ids else None, sender, stay, way))
        if key[0] == self.diary.device:
            said = self.ledger.said[key]
            self._settle(said)
            self.ledger.confirm(said)
        self.ledger.moment("heard")

    def _take_error(self, message: Element) -> None:
        id = message.get("id") or ""
        order = self._orders.get(id)
        if order is not None:
            self._settle(order)
            self.ledger.fail(order)
            return
        number = int(id[1:]) if id[1:].isdigit() else 0
        said = self.ledger.said.get((self.diary.device, number))
        if said is None:
            self.ledger.complain(f"{self}: an error for nothing it said: {shown(message)}")
            return
        self._settle(said)
        self.ledger.refuse(said)
        if message.find(f".//{tag(NS_STANZAS, 'not-acceptable')}") is not None:
            self._out(self.views[said.to])  # so it is not in (§7.4)

    def _take_presence(self, presence: Element) -> None:
        room, _, nick = presence.get("from", "").partition("/")
        view, type = self.views.get(room), presence.get("type")
        if view is None:
            return
        if type == "error":
            if view.nick is None:
                view.asked = None
            return
        x = presence.find(tag(NS_USER, "x"))
        item = None if x is None else x.find(tag(NS_USER, "item"))
        if x is None or item is None:
            self.ledger.complain(f"{self}: of an occupant it says nothing: {shown(presence)}")
            return
        codes = {status.get("code") for status in x.iterfind(tag(NS_USER, "status"))}
        if type == "unavailable":
            view.people.pop(nick, None)
            if "110" in codes and "303" in codes:
                view.nick = item.get("nick")
            elif "110" in codes and view.nick in (nick, None):
                self._out(view)
            return
        view.people[nick] = item.get("affiliation", ""), item.get("role", "")
        if "110" in codes:
            if view.nick is None or view.knocks:
                view.stay += 1
                view.begins = view.knocks > 0  # each time the history comes anew
            view.knocks = max(0, view.knocks - 1)
            view.nick, view.asked = nick, None


class Dweller(Dwelling):
    """Without stream management: who loses the link is out, and enters again."""

    def _left(self) -> None:
        super()._left()
        self._all_out()
        for view in self.views.values():
            view.knocks = 0


class ManagedDweller(Dwelling, Managed):
    """With stream management: it stays in while its session goes on."""

    async def _resume(self, stream: Stream) -> bool:
        for _, said in self._queue:
            if isinstance(said, Order):
                said.sent_again = True
        if await super()._resume(stream):
            return True
        self._all_out()
        for said in [*self.ledger.said.values(), *self._orders.values()]:
            if said.device == self.diary.device and said.state is State.WAITING and said.counted:
                said.state = State.DOUBT  # what became of it nobody can tell it any more
        for _, said in self._queue:
            if said is not None and said.again:
                said.again = False
                said.state = State.DOUBT if said.state is State.WAITING else said.state
        self._queue.clear()
        return False

    async def leave(self, away: float) -> None:
        """End the session in order."""
        await super().leave(away)
        self._all_out()
