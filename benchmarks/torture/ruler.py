"""Somebody who owns rooms and never leaves anything in them as it is (XEP-0045 §8-§10)."""

from __future__ import annotations

import asyncio

from benchmarks.torture.dweller import NS_MUC, ManagedDweller
from benchmarks.torture.ledger import State
from benchmarks.torture.orders import Order

NS_ADMIN, NS_OWNER = f"{NS_MUC}#admin", f"{NS_MUC}#owner"
FORM = "jabber:x:data"
AFFILIATIONS = ("member", "admin", "outcast", "none")
STRANGERS = 12  # accounts that are nowhere but on lists
ANSWERED = 5.0  # seconds after which an answer may have been lost


class Ruler(ManagedDweller):
    """It makes the rooms; it gives and takes affiliations, sets them up, throws people out."""

    victims: tuple[str, ...] = ()  # accounts that may be thrown out, and made members

    async def make(self) -> bool:
        """Make its rooms last, once it is in; return whether they do."""
        done = True
        for view in self.views.values():
            fields = {"persistentroom": "1", "enablelogging": "1", "changesubject": "1"}
            order = self._configure(view.room, fields, ("made", view.room), "1")
            await self._answered(order)
            done = done and order.state is State.ACKED
        return done

    async def rule(self) -> None:
        """Change things, one after the other, until cancelled."""
        while True:
            await asyncio.sleep(self.dice.expovariate(1 / self.pause))
            view = self.dice.choice(list(self.views.values()))
            if view.nick is not None and not self.silent:
                await self._answered(self._change(view.room))

    async def _answered(self, order: Order) -> None:
        """Wait; with the link there, for so long that the answer was lost with the server."""
        waited = 0.0
        while order.state is State.WAITING and waited < ANSWERED:
            await asyncio.sleep(0.01)
            waited += 0.01 if self.stream is not None and order.counted else 0.0
        if order.state is State.WAITING:
            order.state = State.DOUBT

    def _change(self, room: str) -> Order:
        choice, number = self.dice.random(), next(self._numbers)
        if choice < 0.25:
            text = f"{room} {number}"
            name = ("name", room)
            return self._configure(room, {"roomname": text}, name, text)
        if choice < 0.45:
            text = f"subject {number}"
            stanza = f"<message type='groupchat' to='{room}' id='{{}}'><subject>{text}</subject>"
            return self.order(("subject", room), text, f"{stanza}</message>")
        if choice < 0.7 or not self.victims:
            bare = f"stranger{self.dice.randrange(STRANGERS)}@{self.place.domain}"
            return self._affiliate(room, bare, self.dice.choice(AFFILIATIONS))
        account = self.dice.choice(self.victims)
        if choice < 0.85:
            bare = f"{account}@{self.place.domain}"
            return self._affiliate(room, bare, self.dice.choice(("member", "admin", "none")))
        return self._kick(room)

    def _configure(
        self, room: str, values: dict[str, str], name: tuple[str, ...], value: str
    ) -> Order:
        fields = "".join(
            f"<field var='muc#roomconfig_{var}'><value>{text}</value></field>"
            for var, text in values.items()
        )
        return self.order(
            name,
            value,
            f"<iq type='set' id='{{}}' to='{room}'><query xmlns='{NS_OWNER}'>"
            f"<x xmlns='{FORM}' type='submit'><field var='FORM_TYPE'>"
            f"<value>{NS_MUC}#roomconfig</value></field>{fields}</x></query></iq>",
        )

    def _affiliate(self, room: str, bare: str, affiliation: str) -> Order:
        value = None if affiliation == "none" else affiliation
        return self.order(
            ("affiliation", room, bare),
            value,
            f"<iq type='set' id='{{}}' to='{room}'><query xmlns='{NS_ADMIN}'>"
            f"<item jid='{bare}' affiliation='{affiliation}'/></query></iq>",
        )

    def _kick(self, room: str) -> Order:
        view = self.views[room]
        there = [nick for nick in view.people if nick.partition("-")[0] in self.victims]
        nick = self.dice.choice(there or [str(view.nick)])
        role = "none" if there else "moderator"
        return self.order(
            ("role", room, nick),
            role,
            f"<iq type='set' id='{{}}' to='{room}'><query xmlns='{NS_ADMIN}'>"
            f"<item nick='{nick}' role='{role}'/></query></iq>",
        )
