"""What somebody ordered a server to keep, and what it may have kept of it."""

from __future__ import annotations

from collections.abc import Iterator

import attrs

from benchmarks.torture.ledger import Ledger, Said, State

Name = tuple[str, ...]  # what is ordered: ("item", service, node, id) and the like


@attrs.define(eq=False)
class Order(Said):
    """A change that one device asks for, by an IQ or by a message that comes back to it.

    name: of what changes; value: after it, None for nothing there; sent_again: by a resumed
    session, so that an error says nothing about what the first one did.
    """

    name: Name = ()
    value: str | None = None
    sent_again: bool = False


@attrs.define
class Orders(Ledger):
    """A ledger of those who give orders: `h` is not yet an answer.

    orders: for each name, which only one device changes, in order.
    """

    orders: dict[Name, list[Order]] = attrs.field(factory=dict)

    @classmethod
    def of(cls, all: Ledger) -> Orders:
        """Return one whose complaints, faults and moments are those of another ledger."""
        return cls(wrong=all.wrong, faults=all.faults, trap=all.moment)

    def acknowledge(self, said: Said) -> None:
        """Note that the server counts it as handled; what it says to it comes by itself."""
        said.counted = True

    def confirm(self, said: Said) -> None:
        """Note that the server said it has it: the IQ result or the message itself came."""
        if said.state in (State.WAITING, State.DOUBT):
            said.state = State.ACKED
        self.moment("acknowledged")

    def order(self, device: str, number: int, name: Name, value: str | None) -> Order:
        """Note an order before it is sent."""
        given = Order(device, number, name[0], name=name, value=value)
        self.orders.setdefault(name, []).append(given)
        self.moment("said")
        return given

    def fail(self, order: Order, full: bool = False) -> None:
        """Note that an error came back. full: the store could not do it."""
        if full and order.sent_again and order.state is State.ACKED:
            order.state = State.DOUBT  # one before it may have been done once more, and it not
        if order.state in (State.WAITING, State.DOUBT):
            order.state = State.DOUBT if order.sent_again else State.REFUSED

    def possible(self, name: Name) -> set[str | None]:
        """Return what may be kept: what was confirmed last, or anything in doubt after it."""
        values: set[str | None] = {None}
        for order in self.orders.get(name, ()):
            if order.state is State.ACKED:
                values = {order.value}
            elif order.state is not State.REFUSED:
                values.add(order.value)
        return values

    def all_orders(self) -> Iterator[Order]:
        """Yield all of them."""
        for orders in self.orders.values():
            yield from orders

    def count(self, state: State) -> int:
        """Return how many messages and orders are in a state."""
        return super().count(state) + sum(order.state is state for order in self.all_orders())
