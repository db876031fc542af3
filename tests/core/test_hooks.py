"""Stages, interests and the run of a hook."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.hooks import HOOKS, OUTGOING, Interest, Passing, Stage, Step, Switch
from imsuite.testing.memory import now
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, make

MESSAGE = make("message", {"type": "chat"}, b"<body>hi</body>", "jabber:client}body")
ROMEO = parse("romeo@example.org/orchard")


def passing(stanza=MESSAGE):
    return Passing(stanza, None, ROMEO)


def step(handler, stage=Stage.GUARD, **interest):
    wanted = Interest(**{name: frozenset(values) for name, values in interest.items()})
    return Step(OUTGOING, stage, wanted, handler, "test")


@pytest.mark.parametrize(
    ("interest", "shape", "wanted"),
    [
        ({}, ("message", "chat", ()), True),
        ({"kinds": {"message"}}, ("message", None, ()), True),
        ({"kinds": {"message"}}, ("presence", None, ()), False),
        ({"types": {None}}, ("message", None, ()), True),
        ({"types": {None}}, ("message", "chat", ()), False),
        ({"types": {None, "chat"}}, ("message", "chat", ()), True),
        ({"children": {"a}b"}}, ("message", None, ("x}y", "a}b")), True),
        ({"children": {"a}b"}}, ("message", None, ("a}c",)), False),
        ({"kinds": {"iq"}, "children": {"a}b"}}, ("message", None, ("a}b",)), False),
        ({"others": {"groupchat"}}, ("message", "chat", ()), True),
        ({"others": {"groupchat"}}, ("message", None, ()), True),
        ({"others": {"groupchat"}, "kinds": {"message"}}, ("message", "groupchat", ()), False),
    ],
)
def test_interest_is_kind_and_type_and_one_of_the_children(interest, shape, wanted):
    found = Interest(**{name: frozenset(values) for name, values in interest.items()})
    assert found.matches(*shape) is wanted


def test_stages_run_in_their_order():
    """Architecture §4: guard, amend, record, copy, whatever the order of the features."""
    ran = []
    steps = [step(lambda _, stage=stage: ran.append(stage), stage) for stage in reversed(Stage)]
    assert Switch(steps).run(passing()) is None
    assert ran == list(Stage)


def test_only_the_interested_are_visited():
    ran = []
    switch = Switch(
        [
            step(lambda _: ran.append("every")),
            step(lambda _: ran.append("presence"), kinds={"presence"}),
            step(lambda _: ran.append("body"), children={"jabber:client}body"}),
        ]
    )
    switch.run(passing())
    switch.run(passing())
    assert ran == ["every", "body"] * 2


def test_a_stanza_that_a_handler_returns_takes_the_place_of_the_old_one():
    seen = []
    other = MESSAGE.amended({"id": "2"})
    switch = Switch(
        [
            step(lambda _: other, Stage.AMEND),
            step(lambda event: seen.append(event.stanza), Stage.RECORD),
        ]
    )
    event = passing()
    switch.run(event)
    assert event.stanza is other
    assert seen == [other]


def test_handlers_behind_one_that_waits_run_after_it():
    ran = []
    gate = Deferred()
    other = MESSAGE.amended({"id": "2"})

    async def waits(event):
        await gate
        ran.append("waited")
        return other

    switch = Switch(
        [
            step(lambda _: ran.append("before")),
            step(waits, Stage.AMEND),
            step(lambda event: ran.append(event.stanza.id), Stage.COPY),
        ]
    )
    event = passing()
    done = Deferred.fromCoroutine(switch.run(event))
    assert ran == ["before"]
    gate.callback(None)
    now(done)
    assert ran == ["before", "waited", "2"]
    assert event.stanza is other


def test_a_handler_that_steps_in_twice_runs_twice():
    """Also when it waits only the second time: nothing before it runs again."""
    order = []

    async def wait():
        order.append("waited")

    def twice(event):
        order.append("twice")
        return wait() if order.count("twice") == 2 else None

    switch = Switch(
        [
            step(twice),
            step(lambda event: order.append("between"), Stage.AMEND),
            step(twice, Stage.COPY),
        ]
    )
    now(switch.run(passing()))
    assert order == ["twice", "between", "twice", "waited"]


def test_a_second_one_that_waits_is_waited_for():
    order = []
    first, second = Deferred(), Deferred()

    async def one(event):
        await first
        order.append(1)

    async def two(event):
        await second
        order.append(2)
        return event.stanza.amended({"id": "two"})

    event = passing()
    done = Deferred.fromCoroutine(Switch([step(one), step(two)]).run(event))
    second.callback(None)
    assert order == []
    first.callback(None)
    now(done)
    assert order == [1, 2]
    assert event.stanza.id == "two"


@pytest.mark.parametrize("error", [StanzaError("forbidden"), Dropped(), ValueError("a bug")])
def test_the_first_exception_ends_the_run(error):
    ran = []

    def refuses(event):
        raise error

    switch = Switch([step(refuses), step(lambda _: ran.append(1), Stage.COPY)])
    with pytest.raises(type(error)):
        switch.run(passing())
    assert ran == []


def test_the_first_exception_ends_a_run_that_waits():
    ran = []

    async def waits(event):
        return None

    async def refuses(event):
        raise StanzaError("forbidden")

    switch = Switch([step(waits), step(refuses), step(lambda _: ran.append(1), Stage.COPY)])
    with pytest.raises(StanzaError):
        now(switch.run(passing()))
    assert ran == []


def test_an_event_is_told_to_everybody_in_turn():
    told = []

    async def waits(event):
        told.append(("waits", event))

    switch = Switch([step(waits), step(lambda event: told.append(("plain", event)), Stage.COPY)])
    now(switch.tell("event"))
    assert told == [("waits", "event"), ("plain", "event")]


@pytest.mark.parametrize("type", ["chat", "x" * 10_000])
def test_what_peers_invent_is_not_remembered_at_any_length(type):
    """Types and names of children come from outside, and a table of shapes is kept."""
    switch = Switch([step(lambda _: None)])
    for number in range(5000):
        switch.handlers(Stanza("message", "jabber:client", {"type": f"{type}{number}"}, (), b""))
    kept = sum(len(shape[1] or "") for shape in switch._by_shape)
    assert kept < 1_000_000


def test_hooks_are_called_as_their_constants():
    assert len({hook.name for hook in HOOKS}) == len(HOOKS) > 10
