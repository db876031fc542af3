"""RFC 6120 §10.1: what comes in on a stream is handled in order."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from imsuite.core.inbox import LARGEST, LONGEST, Inbox
from imsuite.xmpp.stanza import make


class Noting(Inbox):
    """Notes what it handles; stanzas of type "slow" wait for their gate."""

    def __init__(self):
        super().__init__()
        self.begun = []
        self.done = []
        self.gates = {}
        self.holds = []

    def handle(self, stanza):
        self.begun.append(stanza.id)
        if stanza.type != "slow":
            self.done.append(stanza.id)
            return None
        self.gates.setdefault(stanza.id, Deferred())
        return self._wait(stanza)

    async def _wait(self, stanza):
        await self.gates[stanza.id]
        self.done.append(stanza.id)

    def hold(self):
        self.holds.append("hold")

    def release(self):
        self.holds.append("release")

    def open(self, id):
        self.gates.setdefault(id, Deferred()).callback(None)


def stanza(id, slow=False, inner=b""):
    return make("message", {"id": str(id), "type": "slow" if slow else "chat"}, inner)


@given(st.lists(st.booleans(), max_size=20), st.randoms(use_true_random=False))
def test_order_is_kept_whatever_waits(slow, random):
    """However stanzas that wait and stanzas that do not are mixed, and whoever is ready first."""
    inbox = Noting()
    events = [("put", number) for number in range(len(slow))]
    for number, is_slow in enumerate(slow):
        if is_slow:
            events.insert(random.randint(0, len(events)), ("open", number))
    for event, number in events:
        if event == "put":
            inbox.put(stanza(number, slow[number]))
        else:
            inbox.open(str(number))
        assert inbox.done == inbox.begun[: len(inbox.done)]
        assert len(inbox.begun) - len(inbox.done) <= 1, "two were under way at once"
    assert inbox.done == [str(number) for number in range(len(slow))]


def test_what_does_not_wait_is_handled_at_once():
    inbox = Noting()
    inbox.put(stanza(1))
    assert inbox.done == ["1"]


def test_a_stanza_behind_one_that_waits_is_not_begun():
    inbox = Noting()
    inbox.put(stanza(1, slow=True))
    inbox.put(stanza(2))
    assert inbox.begun == ["1"]
    inbox.open("1")
    assert inbox.done == ["1", "2"]


def test_a_long_queue_stops_the_reading_until_it_is_empty():
    inbox = Noting()
    inbox.put(stanza("slow", slow=True))
    for number in range(LONGEST):
        assert not inbox.held
        inbox.put(stanza(number))
    assert inbox.held
    inbox.put(stanza("more"))
    assert inbox.holds == ["hold"]
    inbox.open("slow")
    assert inbox.holds == ["hold", "release"]
    assert not inbox.held
    assert len(inbox.done) == LONGEST + 2


def test_a_large_queue_stops_the_reading():
    inbox = Noting()
    inbox.put(stanza("slow", slow=True))
    inbox.put(stanza("large", inner=b"<body>%s</body>" % (b"x" * LARGEST)))
    assert inbox.held
    inbox.open("slow")
    inbox.put(stanza("slow again", slow=True))
    inbox.put(stanza("small"))
    assert not inbox.held
    inbox.open("slow again")


@pytest.mark.parametrize("slow", [False, True])
def test_the_end_comes_after_everything_before_it(slow):
    """A client that says something and closes is heard."""
    inbox = Noting()
    inbox.put(stanza(1, slow))
    inbox.put(stanza(2))
    inbox.finish(lambda: inbox.done.append("end"))
    if slow:
        assert inbox.done == []
        inbox.open("1")
    assert inbox.done == ["1", "2", "end"]


def test_reading_does_not_go_on_after_the_end():
    inbox = Noting()
    inbox.put(stanza("slow", slow=True))
    for number in range(LONGEST):
        inbox.put(stanza(number))
    inbox.finish(lambda: None)
    inbox.open("slow")
    assert inbox.holds == ["hold"]
