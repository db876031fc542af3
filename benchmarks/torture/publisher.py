"""A client that publishes to a node of the service (XEP-0060) and of its account (XEP-0163)."""

from __future__ import annotations

import asyncio

from benchmarks.torture.dweller import Dweller, Dwelling, ManagedDweller
from benchmarks.torture.ledger import State

NS_PUBSUB = "http://jabber.org/protocol/pubsub"
NOTES = "urn:example:torture:note"
FORM = "jabber:x:data"


class Publishing(Dwelling):
    """It publishes items, some of them anew, and takes some back; only it does so in its nodes."""

    services: tuple[tuple[str, str], ...] = ()  # address, "" for its account, and node

    def publish_in(self, domain: str) -> None:
        """Choose the nodes. domain: of the pubsub service."""
        self.services = ((domain, f"news of {self.account}"), ("", NOTES))
        self._made = False
        self._items: dict[tuple[str, str], list[str]] = {each: [] for each in self.services}

    async def talk(self) -> None:
        """Publish until cancelled."""
        while True:
            if self.can_talk and not self.silent and self.unacknowledged < self.window:
                if not self._made:
                    self._create()
                for _ in range(self.dice.choice((1, 1, 2, 5))):
                    self._publish_something()
                self.sync()
            await asyncio.sleep(self.dice.expovariate(1 / self.pause))

    def _create(self) -> None:
        """Make the node at the service, until it says that it is there."""
        service, node = self.services[0]
        orders = self.ledger.orders.get(("node", service, node), [])
        if any(order.state is State.ACKED for order in orders):
            self._made = True
        elif not orders or orders[-1].state is not State.WAITING or self.dice.random() < 0.02:
            inner = f"<create node='{node}'/>{_form('configure', 'node_config')}"
            self.order(("node", service, node), "made", _pubsub(service, inner))

    def _publish_something(self) -> None:
        place = service, node = self.dice.choice(self.services)
        if service and not self._made:
            return
        number, items = next(self._numbers), self._items[place]
        id = f"item{number}"
        chance = self.dice.random()
        old = self.dice.choice(items) if items and chance < 0.4 else None
        name = ("item", service or self.bare, node, id if old is None else old)
        if old is not None and not self._is_quiet(name):
            return
        if old is not None and chance < 0.25:
            items.remove(old)
            inner = f"<retract node='{node}'><item id='{old}'/></retract>"
            self.order(name, None, _pubsub(service, inner))
            return
        if old is None:
            items.append(id)
        text = f"{self.diary.device} {number}"
        item = f"<item id='{name[3]}'><note xmlns='{NOTES}'>{text}</note></item>"
        inner = f"<publish node='{node}'>{item}</publish>"
        if not service:
            inner += _form("publish-options", "publish-options")
        self.order(name, text, _pubsub(service, inner))

    def _is_quiet(self, name: tuple[str, ...]) -> bool:
        """Tell whether the last word on an item is known."""
        return self.ledger.orders[name][-1].state is State.ACKED


class Publisher(Publishing, Dweller):
    """Without stream management."""


class ManagedPublisher(Publishing, ManagedDweller):
    """With stream management: what it published is sent again after a break."""


def _form(element: str, kind: str) -> str:
    fields = {"persist_items": "1", "max_items": "max"}
    inner = "".join(
        f"<field var='pubsub#{var}'><value>{value}</value></field>" for var, value in fields.items()
    )
    return (
        f"<{element}><x xmlns='{FORM}' type='submit'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{NS_PUBSUB}#{kind}</value></field>{inner}</x></{element}>"
    )


def _pubsub(service: str, inner: str) -> str:
    to = f" to='{service}'" if service else ""
    return f"<iq type='set' id='{{}}'{to}><pubsub xmlns='{NS_PUBSUB}'>{inner}</pubsub></iq>"
