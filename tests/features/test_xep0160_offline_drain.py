"""XEP-0160 §2.5: how a session is given what waits, and what is in the way of that."""

from collections import Counter

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from imsuite.features.xep0160_offline import storage
from imsuite.features.xep0160_offline.drain import PAGE
from imsuite.store.dialect import StoreFull
from imsuite.testing.memory import MemoryServer, now
from imsuite.xmpp.stanza import KINDS
from tests.features.test_xep0160_offline import JULIET, UNKEPT, bodies, comes, rows, says
from tests.paced import Pace

ENABLE = "<enable xmlns='urn:xmpp:sm:3' resume='true'/>"


@pytest.fixture
def away(server, host):
    """Juliet's account, in which nobody is logged in."""
    server.account(JULIET)
    return now(host.account("juliet"))


@pytest.fixture
def pace(host, away):
    """How fast the store is."""
    return Pace(host.store)


def full():
    """Return what a store says that has no room."""
    return StoreFull("there is no room")


def manages(server, resource="balcony"):
    """Log in Juliet's client with stream management; it sends presence."""
    juliet = server.login(f"{JULIET}/{resource}", available=False)
    juliet.says(ENABLE)
    juliet.says("<presence/>")
    return juliet


def test_much_comes_in_pages(server, host, romeo, pace):
    """What waits is never in memory as a whole."""
    count = PAGE[0] + 100
    for number in range(count):
        says(romeo, number)
    juliet = comes(server)
    assert bodies(juliet) == [str(number) for number in range(count)]
    assert pace.calls["read"] == 2
    assert rows(host) == []


def test_a_page_that_is_full_may_be_the_last(server, host, romeo, pace):
    """The next look finds nothing."""
    for number in range(PAGE[0]):
        says(romeo, number, more=UNKEPT)
    assert len(bodies(comes(server))) == PAGE[0]
    assert pace.calls["read"] == 2
    assert rows(host) == rows(host, "message") == []


def test_a_page_is_bounded_in_bytes(host, romeo, pace):
    """One message at least, and not many large ones."""
    for _ in range(4):
        says(romeo, "x" * 1000)
    for most, most_bytes, count, more in (
        (5, 100, 1, True),
        (5, 2500, 2, True),
        (5, 10000, 4, False),
        (3, 10000, 3, True),
        (4, 10000, 4, True),
    ):
        page = now(host.store.read(storage.read, JULIET, most, most_bytes))
        assert (len(page[0]), page[1]) == (count, more)


def test_a_slow_client_is_waited_for(server, host, romeo, away):
    """No more is read from the store than the client takes."""
    for number in range(250):
        says(romeo, number)
    juliet = server.login(f"{JULIET}/balcony", available=False)
    juliet.link.congested = True
    juliet.says("<presence/>")
    server.advance(60)
    assert bodies(juliet) == []
    assert len(rows(host)) == 250
    juliet.link.drain()
    server.advance(1)
    assert bodies(juliet) == [str(number) for number in range(250)]


def test_what_comes_meanwhile_waits_behind(server, host, romeo, pace):
    """RFC 6120 §10.1: the order stays."""
    for number in range(3):
        says(romeo, number)
    pace.held = True
    juliet = comes(server)
    assert pace.step(reading=True)
    says(romeo, 3)
    romeo.says(f"<message to='{JULIET}' type='chat' id='state'><thread>t</thread></message>")
    pace.go_on()
    assert bodies(juliet) == ["0", "1", "2", "3"]
    says(romeo, 4)
    assert bodies(juliet) == ["4"]
    assert rows(host) == []


def test_what_is_stored_while_the_last_page_is_read_is_not_forgotten(server, host, romeo, pace):
    """It was too late for that look and too early to begin another."""
    pace.held = True
    says(romeo, "old")
    juliet = comes(server)  # for whom "old" must be stored first
    says(romeo, "new")
    assert pace.step()
    read, args, answer = pace._reads.popleft()
    found = read(*args)
    assert pace.step()
    found.addCallbacks(answer.callback, answer.errback)
    pace.go_on()
    assert bodies(juliet) == ["old", "new"]
    assert rows(host) == []


def test_another_session_gets_what_comes_meanwhile(server, romeo, pace):
    """RFC 6121 §8.5.2.1.1: it waits for nothing."""
    says(romeo, "old")
    pace.held = True
    balcony = comes(server)
    chamber = comes(server, f"{JULIET}/chamber")
    says(romeo, "new")
    pace.go_on()
    assert sorted(bodies(balcony)) == ["new", "old"]
    assert bodies(chamber) == ["new"]


def test_when_it_leaves_the_rest_goes_to_the_next(server, romeo, pace):
    """What was not handed over still waits."""
    says(romeo, "hello")
    pace.held = True
    balcony = comes(server)
    balcony.vanishes()
    pace.go_on()
    assert bodies(balcony) == []
    assert bodies(comes(server, f"{JULIET}/chamber")) == ["hello"]


def test_another_that_is_there_takes_over(server, romeo, pace):
    """Of several the one that has been there longest."""
    says(romeo, "hello")
    pace.held = True
    balcony = comes(server)
    chamber = comes(server, f"{JULIET}/chamber")
    balcony.closes()
    pace.go_on()
    assert bodies(chamber) == ["hello"]


def test_what_two_accounts_were_given_goes_in_one_transaction(server, host, romeo, pace):
    """Whichever statements of one are like those of the other, no body stays behind."""
    nurse = "nurse@example.org"
    server.account(nurse)
    says(romeo, "archived", to=nurse)
    says(romeo, "not archived", more=UNKEPT)
    pace.held = True
    says(romeo, "under way", to="romeo@example.org")
    clients = [comes(server, f"{jid}/balcony") for jid in (nurse, JULIET)]
    while pace.step(reading=True):
        pass
    writing = pace.calls["run"]
    pace.go_on()
    assert pace.calls["run"] == writing + 1
    assert [bodies(client) for client in clients] == [["archived"], ["not archived"]]
    assert rows(host) == []
    assert [row[3] for row in rows(host, "message") if b"not archived" in row[3]] == []


def test_an_inactive_client_is_given_it_like_anything_else(server, host, romeo, away):
    """XEP-0352 §5: what may wait does, and then comes in its order."""
    says(romeo, "first")
    juliet = server.login(f"{JULIET}/balcony", available=False)
    juliet.says("<inactive xmlns='urn:xmpp:csi:0'/>")
    juliet.says("<presence/>")
    says(romeo, "second")
    juliet.says("<active xmlns='urn:xmpp:csi:0'/>")
    assert bodies(juliet) == ["first", "second"]
    assert rows(host) == []


def test_it_comes_behind_what_waits_to_be_sent(server, host, romeo, pace):
    """RFC 6120 §10.1: a message to the resource itself is on its way already."""
    says(romeo, "old")
    juliet = server.login(f"{JULIET}/balcony", available=False)
    pace.held = True
    says(romeo, "new", to=f"{JULIET}/balcony")
    juliet.says("<presence/>")
    while pace.step(reading=True):
        pass
    assert bodies(juliet) == []
    pace.go_on()
    assert bodies(juliet) == ["new", "old"]
    assert rows(host) == []


def test_what_could_not_be_removed_is_not_given_twice(server, host, romeo, pace):
    """A full disk in the middle: it is removed once there is room."""
    says(romeo, "hello")
    pace.held = True
    juliet = comes(server)
    pace.step(reading=True)
    assert bodies(juliet) == ["hello"]
    assert pace.step(full())
    juliet.closes()
    chamber = comes(server, f"{JULIET}/chamber")
    pace.go_on()
    server.advance(10)
    assert bodies(chamber) == []
    assert rows(host) == []


def test_a_store_that_fails_is_asked_again(server, romeo, pace):
    """Nobody has to log in anew for it."""
    says(romeo, "hello")
    pace.held = True
    juliet = comes(server)
    assert pace.step(full(), reading=True)
    pace.go_on()
    assert bodies(juliet) == []
    server.advance(10)
    assert bodies(juliet) == ["hello"]


def test_with_stream_management_it_becomes_pending(server, host, romeo, pace):
    """XEP-0198 §4: in the transaction that removes it; nothing is sent before."""
    for number in range(3):
        says(romeo, number)
    pace.held = True
    juliet = manages(server)
    pace.go_on()
    assert bodies(juliet) == ["0", "1", "2"]
    assert rows(host) == []
    assert len(rows(host, "pending")) == 3


def test_with_stream_management_it_waits_for_the_client(server, host, romeo, away):
    """XEP-0198 §4: what is unacknowledged is bounded, however much waits."""
    for number in range(100):
        says(romeo, number)
    juliet = manages(server)
    server.advance(5)
    got = bodies(juliet)
    assert 0 < len(got) < 50
    assert len(rows(host)) == 100 - len(got)
    while rows(host):
        juliet.says(f"<a xmlns='urn:xmpp:sm:3' h='{len(got) + 1}'/>")  # and a presence
        server.advance(1)
        got += bodies(juliet)
    assert got == [str(number) for number in range(100)]


def test_with_stream_management_a_failure_leaves_it_waiting(server, host, romeo, away):
    """Then it was not sent either."""
    says(romeo, "hello")
    juliet = server.login(f"{JULIET}/balcony", available=False)
    juliet.says(ENABLE)
    pace = Pace(host.store)
    pace.held = True
    juliet.says("<presence/>")
    while not pace.step(reading=True):
        assert pace.step()
    while pace.step(full()):
        pass
    pace.go_on()
    assert bodies(juliet) == []
    assert len(rows(host)) == 1
    server.advance(10)
    assert bodies(juliet) == ["hello"]


def test_what_a_session_never_got_waits_for_the_next(server, host, romeo, pace):
    """XEP-0198 §4: it was on its way to a client that is gone."""
    juliet = comes(server)
    pace.held = True
    says(romeo, "hello")
    juliet.vanishes()
    pace.go_on()
    assert bodies(juliet) == []
    assert bodies(comes(server, f"{JULIET}/chamber")) == ["hello"]
    assert romeo.received == []


def test_what_another_session_has_got_does_not_wait(server, host, romeo, pace):
    """RFC 6121 §8.5.2.1.1: each had its own."""
    chamber = comes(server, f"{JULIET}/chamber")
    balcony = comes(server)
    server.advance(1)
    pace.held = True
    says(romeo, "hello")
    balcony.vanishes()
    pace.go_on()
    assert bodies(chamber) == ["hello"]
    assert rows(host) == []


# any order of things

ACTS = some.sampled_from(
    ("says", "says", "comes", "hides", "vanishes", "write", "write", "read", "fail", "later")
)


class Scene:
    """Romeo writes, Juliet comes and goes, and the store does what it wants."""

    def __init__(self, archived, managed):
        self.server = MemoryServer()
        self.managed = managed
        self.more = "" if archived else UNKEPT
        self.host = self.server.host
        self.server.account(JULIET)
        self.romeo = self.server.login("romeo@example.org/orchard")
        self.juliet = None
        self.said, self.got = [], []
        now(self.host.account("juliet"))
        self.pace = Pace(self.host.store)
        self.pace.held = True

    def listen(self):
        """Note what Juliet has got."""
        juliet = self.juliet
        if juliet is None:
            return
        came = [stanza.kind for stanza in juliet.stanzas]
        self.got += bodies(juliet)
        if "enabled" in came:
            self.count, came = 0, came[came.index("enabled") :]
        if self.count is not None and not KINDS.isdisjoint(came):
            self.count += sum(kind in KINDS for kind in came)
            juliet.says(f"<a xmlns='urn:xmpp:sm:3' h='{self.count}'/>")

    def says(self):
        self.said.append(str(len(self.said)))
        text = self.said[-1]
        self.romeo.says(
            f"<message id='{text}' to='{JULIET}' type='chat'>"
            f"<body>{text}</body>{self.more}</message>"
        )

    def comes(self):
        if self.juliet is None:
            # binding waits for what is on its way to the session that had the resource
            while self.pace.step():
                pass
            self.juliet = self.server.login(f"{JULIET}/balcony", available=False)
            self.juliet.forget()
            self.count = None
            if self.managed:
                self.juliet.says(ENABLE)
        self.juliet.says("<presence/>")

    def hides(self):
        if self.juliet is not None:
            self.juliet.says("<presence><priority>-1</priority></presence>")

    def vanishes(self):
        """Lose the link; what goes on to another session then, goes on with its delay."""
        while self.pace.step():
            self.listen()
        self.listen()
        if self.juliet is not None and (self.count is not None or not self.managed):
            self.juliet.vanishes()
            self.juliet = None

    def write(self):
        self.pace.step()

    def read(self):
        self.pace.step(reading=True)

    def fail(self):
        self.pace.step(full())

    def later(self):
        self.server.advance(2)

    def play(self, acts):
        """Do these things, then let everything come to its end."""
        for act in acts:
            getattr(self, act)()
            self.listen()
            self.server.advance(0.001)
        self.pace.go_on()
        self.comes()
        for _ in range(5):
            self.listen()
            self.server.advance(10)
        self.listen()
        refused = {stanza.id for stanza in self.romeo.stanzas if stanza.type == "error"}
        left = rows(self.host)
        self.server.stop()
        return refused, left


@settings(deadline=None, max_examples=150, suppress_health_check=list(HealthCheck))
@given(some.booleans(), some.booleans(), some.lists(ACTS, max_size=40))
def test_any_order_of_things_brings_each_message_once_in_order(archived, managed, acts):
    """§2: whatever comes, goes and fails; what was refused is not delivered.

    archived: the messages are; managed: by stream management, and Juliet says what she has got.
    """
    scene = Scene(archived, managed)
    refused, left = scene.play(acts)
    twice = [body for body, times in Counter(scene.got).items() if times > 1]
    assert twice == []
    assert scene.got == [body for body in scene.said if body not in refused]
    assert left == []
