"""Locks by name."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.turns import Turns
from imsuite.testing.memory import now


def work(turns, name, log, until):
    """Do something in the turn of a name that ends when a Deferred fires."""

    async def run():
        async with turns.of(name):
            log.append(f"{name} begins")
            await until
            log.append(f"{name} ends")

    return Deferred.fromCoroutine(run())


def test_one_after_the_other():
    """Who comes later waits for who came first; another name is no obstacle."""
    turns, log, gates = Turns(), [], [Deferred() for _ in range(3)]
    done = [work(turns, name, log, gate) for name, gate in zip("aab", gates, strict=True)]
    assert log == ["a begins", "b begins"]
    gates[0].callback(None)
    assert log[2:] == ["a ends", "a begins"]
    for gate in gates[1:]:
        gate.callback(None)
    assert log[4:] == ["a ends", "b ends"]
    for each in done:
        now(each)


def test_failure_lets_the_next_one_in():
    turns, log, gate = Turns(), [], Deferred()
    broken, next = work(turns, "a", log, gate), work(turns, "a", log, Deferred())
    gate.errback(ValueError("no"))
    with pytest.raises(ValueError, match="no"):
        now(broken)
    assert log == ["a begins", "a begins"]
    next.addErrback(lambda _: None)


def test_nothing_is_left_of_a_name_that_nobody_wants():
    """Names come from outside."""
    turns = Turns()
    now(work(turns, "a", [], now_fired()))
    assert turns._locks == {}


def now_fired():
    """Return a Deferred that has fired."""
    gate = Deferred()
    gate.callback(None)
    return gate
