"""Acknowledged means durable: whatever commits, fails or goes away, in any order.

Messages go from two senders to one recipient while the store commits when it pleases, and fails.
Each is either delivered once, in order, and in both archives, or refused and in none; the count
that a client hears (XEP-0198 §4) never is ahead of what the store has.
"""

import re

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule

from imsuite.store.dialect import StoreConflict, StoreFull, StoreUnavailable
from imsuite.testing.memory import MemoryServer
from tests.managed import Managed
from tests.paced import Pace

FAILURES = (StoreFull("no room"), StoreUnavailable("gone"), StoreConflict("twice"), ValueError("?"))


class Pipeline(RuleBasedStateMachine):
    @initialize(counts=st.booleans())
    def begin(self, counts):
        self.server = MemoryServer(streams=None)
        self.senders = [
            Managed(self.server, "romeo@example.org/orchard"),
            Managed(self.server, "tybalt@example.org/square"),
        ]
        if counts:
            self.juliet = Managed(self.server, "juliet@example.org/balcony")
        else:
            self.juliet = self.server.login("juliet@example.org/balcony")
        self.pace = Pace(self.server.store)
        self.pace.held = True
        self.said = [0, 0]
        self.order = [[], []]

    @rule(who=st.integers(0, 1), bare=st.booleans(), many=st.integers(1, 4))
    def says(self, who, bare, many):
        to = self.juliet.jid.bare if bare else self.juliet.jid
        for _ in range(many):
            number = self.said[who]
            self.said[who] += 1
            self.order[who].append(number)
            self.senders[who].says(
                f"<message to='{to}' type='chat' id='{number}'>"
                f"<body>{who} {number}</body></message>"
            )

    @rule(who=st.integers(0, 1))
    def says_something_that_nobody_keeps(self, who):
        self.order[who].append(None)
        self.senders[who].says(
            f"<message to='{self.juliet.jid}' type='chat' id='x'>"
            "<active xmlns='http://jabber.org/protocol/chatstates'/></message>"
        )

    @rule(who=st.integers(0, 1))
    def asks(self, who):
        sender = self.senders[who]
        sender.asks()
        self.check()

    @precondition(lambda self: self.pace.waiting)
    @rule()
    def commits(self):
        self.pace.step()
        self.check()

    @precondition(lambda self: self.pace.waiting)
    @rule(why=st.sampled_from(FAILURES))
    def fails(self, why):
        self.pace.step(why)
        self.check()

    def is_accounted_for(self, who, number):
        """Tell whether a message is durable, or was refused; None: nobody keeps it."""
        return (
            number is None
            or f"{who} {number}" in self.archived(self.senders[who].jid.bare, who)
            or number in self.refused(who)
        )

    def refused(self, who):
        """Return the numbers of the messages that came back to a sender."""
        errors = [text for text in self.senders[who].got if "type='error'" in text]
        return {int(re.search("id='([0-9]+)'", text)[1]) for text in errors}

    def check(self):
        for who, sender in enumerate(self.senders):
            sender.reads()
            for number in self.order[who][: sender.acked]:
                assert self.is_accounted_for(who, number), "acknowledged and not durable"

    def bodies(self, stanzas):
        return [m[1] for text in stanzas if (m := re.search("<body>(.*?)</body>", text))]

    def teardown(self):
        self.pace.go_on()
        assert self.server.store.settled().called
        heard = self.juliet.got if isinstance(self.juliet, Managed) else self.juliet.received
        if isinstance(self.juliet, Managed):
            self.juliet.reads()
        got = self.bodies(heard)
        for who, sender in enumerate(self.senders):
            sender.asks()
            assert sender.sent == []
            refused = self.refused(who)
            right = [f"{who} {number}" for number in range(self.said[who]) if number not in refused]
            assert [body for body in got if body.startswith(f"{who} ")] == right
            for owner in (sender.jid.bare, "juliet@example.org"):
                assert self.archived(owner, who) == right
        self.server.failures.take()  # what was refused is in the log
        self.server.stop()

    def archived(self, owner, who):
        rows = self.server.store.query(
            "SELECT m.raw FROM archive a JOIN message m ON m.id = a.id"
            " WHERE a.owner = ? ORDER BY a.id",
            owner,
        ).result
        bodies = self.bodies(bytes(raw).decode() for (raw,) in rows)
        return [body for body in bodies if body.startswith(f"{who} ")]


TestPipeline = Pipeline.TestCase
TestPipeline.settings = settings(max_examples=80, stateful_step_count=30, deadline=None)


def test_a_message_that_waits_hides_what_came_after_it_from_the_archive():
    """XEP-0313 §3.2: who goes on after the last message it was given misses none.

    The first message waits until it is known what it retracts, when it has its id already; the
    second is durable before. Whoever asks meanwhile is given neither.
    """
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    other = server.login("romeo@example.org/other", available=False)
    server.login("juliet@example.org/balcony")
    pace = Pace(server.store)
    pace.held = True
    text = "<message to='{0}' type='chat' id='{1}'><body>{1}</body></message>"
    retract = "<retract xmlns='urn:xmpp:message-retract:1' id='zero'/></message>"
    one = text.format("juliet@example.org", "one").replace("</message>", retract)
    romeo.says(one)
    looking = pace.take(reading=True)
    other.says(text.format("juliet@example.org", "two"))
    assert pace.step()

    def given():
        other.forget()
        other.says("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
        pace.step(reading=True)
        return [word for word in ("one", "two") if f">{word}<" in "".join(other.received)]

    assert given() == []
    looking()
    pace.go_on()
    assert given() == ["one", "two"]
    assert server.store.horizon is None
    server.stop()


def test_an_answer_says_that_what_was_sent_before_the_request_is_durable():
    """Also a client without XEP-0198 can know: it asks something, such as a ping."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    server.login("juliet@example.org/balcony")
    pace = Pace(server.store)
    pace.held = True
    ping = "<iq type='get' id='{}'><ping xmlns='urn:xmpp:ping'/></iq>"
    message = "<message to='juliet@example.org' type='chat'><body>hi</body></message>"
    assert "result" in romeo.says(ping.format("before"))[0]
    assert romeo.says(message + ping.format("after")) == []
    pace.step()
    (got,) = romeo.received[1:]
    assert "id='after'" in got
    romeo.forget()
    assert romeo.says(message + ping.format("refused")) == []
    pace.step(StoreFull("no room"))
    assert ["type='error'" in romeo.received[0], "type='result'" in romeo.received[1]] == [True] * 2
    server.failures.take()
    pace.go_on()
    server.stop()


def test_ids_are_given_in_the_order_in_which_messages_go_out():
    """XEP-0313 §3.2: live and in the archive the order is the same."""
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    other = server.login("romeo@example.org/other", available=False)
    server.login("juliet@example.org/balcony")
    server.account("nurse@example.org")
    pace = Pace(server.store)
    pace.held = True
    text = "<message to='{0}' type='chat'><body>{1}</body></message>"
    romeo.says(text.format("nurse@example.org", "one"))  # whose account is not loaded
    other.says(text.format("juliet@example.org", "two"))
    pace.go_on()
    rows = server.store.query(
        "SELECT m.raw FROM archive a JOIN message m ON m.id = a.id WHERE a.owner = ? ORDER BY a.id",
        "romeo@example.org",
    ).result
    assert [b">two<" in rows[0][0], b">one<" in rows[1][0]] == [True, True]
    server.stop()
