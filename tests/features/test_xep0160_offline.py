"""XEP-0160: Best Practices for Handling Offline Messages."""

import re

import pytest

from imsuite.core.feature import At
from imsuite.store.dialect import StoreFull
from imsuite.testing.memory import now
from imsuite.xmpp.times import parse_datetime
from tests.helpers import fitting, holds, value
from tests.paced import Pace

JULIET = "juliet@example.org"
UNAVAILABLE = (
    "<message type='error'><error type='cancel'>"
    "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
)
DELAYED = "<message><delay xmlns='urn:xmpp:delay' from='example.org'/></message>"
STATE = "<composing xmlns='http://jabber.org/protocol/chatstates'/>"
HINT = "<{} xmlns='urn:xmpp:hints'/>"
UNKEPT = HINT.format("no-permanent-store")


def says(client, body, to=JULIET, type="chat", more=""):
    """Send a message; return what came back."""
    return client.says(f"<message to='{to}' type='{type}'><body>{body}</body>{more}</message>")


def bodies(client):
    """Return the bodies of the messages a client received, and forget what it received."""
    found = re.findall("<body>(.*?)</body>", "".join(client.received))
    client.forget()
    return found


def rows(host, table="offline"):
    return now(host.store.query(f"SELECT * FROM {table}"))


def comes(server, jid="juliet@example.org/balcony", priority=0):
    """Log in somebody who sends presence, without forgetting what comes for it."""
    client = server.login(jid, available=False)
    client.says(f"<presence><priority>{priority}</priority></presence>")
    return client


@pytest.fixture
def away(server, host):
    """Juliet's account, in which nobody is logged in."""
    server.account(JULIET)
    return now(host.account("juliet"))


# what is kept


def test_messages_wait_and_come_in_order_once(server, host, romeo, away):
    """§2"""
    for number in range(5):
        assert says(romeo, number) == []
    juliet = comes(server)
    assert bodies(juliet) == ["0", "1", "2", "3", "4"]
    assert rows(host) == []
    juliet.closes()
    assert bodies(comes(server)) == []


def test_each_says_when_it_came(server, romeo, away):
    """§2; XEP-0203 §4: in the name of the domain."""
    before = int(server.clock.seconds() * 1_000_000)
    says(romeo, "early")
    server.advance(100)
    says(romeo, "late")
    server.advance(100)
    juliet = comes(server)
    delayed = fitting(juliet.received, DELAYED)
    stamps = [re.search("stamp='(.*?)'", each)[1] for each in delayed]
    assert [parse_datetime(stamp) - before for stamp in stamps] == [0, 100_000_000]


def test_domain_says_that_it_keeps_messages(host):
    """§4"""
    assert "msgoffline" in host.advertised(At.HOST)


def test_a_message_to_a_resource_that_is_gone_is_kept(server, romeo, away):
    """RFC 6121 §8.5.3.2.1: one of type chat, as if it were to the account."""
    assert says(romeo, "chat", to=f"{JULIET}/gone") == []
    (answer,) = says(romeo, "normal", to=f"{JULIET}/gone", type="normal")
    assert holds(answer, UNAVAILABLE)
    assert bodies(comes(server)) == ["chat"]


@pytest.mark.parametrize("type", ["normal", "chat", "of no known type"])
def test_what_is_kept_by_type(server, romeo, away, type):
    """§3; RFC 6121 §5.2.2: an unknown type is normal."""
    assert says(romeo, "hello", type=type) == []
    assert bodies(comes(server)) == ["hello"]


def test_a_groupchat_message_is_refused(host, romeo, away):
    """§3; RFC 6121 §8.5.2.2.1"""
    (answer,) = says(romeo, "hello", type="groupchat")
    assert holds(answer, UNAVAILABLE)
    assert rows(host) == []


@pytest.mark.parametrize("type", ["headline", "error"])
def test_headlines_and_errors_are_dropped(host, romeo, away, type):
    """§3; RFC 6121 §8.5.2.2.1"""
    assert says(romeo, "hello", type=type) == []
    assert rows(host) == []


def test_a_chat_state_alone_is_not_kept(host, romeo, away):
    """§3"""
    romeo.says(f"<message to='{JULIET}' type='chat'>{STATE}</message>")
    assert rows(host) == []


def test_what_must_not_be_stored_is_not(host, romeo, away):
    """XEP-0334 §4.2: and its sender is told."""
    (answer,) = says(romeo, "hush", more=HINT.format("no-store"))
    assert holds(answer, UNAVAILABLE)
    assert rows(host) == []
    assert rows(host, "message") == []


def test_what_must_not_be_archived_is_kept_until_it_is_read(server, host, romeo, away):
    """XEP-0334 §4.1: and of its body nothing is left; nobody could find it by an id."""
    says(romeo, "off the record", more=UNKEPT)
    assert [row[2] for row in rows(host)] == [1]
    juliet = comes(server)
    assert not fitting(juliet.received, "<message><stanza-id xmlns='urn:xmpp:sid:0'/></message>")
    assert bodies(juliet) == ["off the record"]
    assert rows(host, "message") == []


@pytest.mark.server(options={"offline": {"most": 3}})
def test_who_sends_too_much_is_told(server, romeo, away):
    """§2.3: the error of one for whom nothing can be kept."""
    for number in range(3):
        assert says(romeo, number) == []
    (answer,) = says(romeo, 3)
    assert holds(answer, UNAVAILABLE)
    juliet = comes(server)
    assert bodies(juliet) == ["0", "1", "2"]
    juliet.closes()
    assert says(romeo, 4) == []


@pytest.mark.server(options={"offline": {"most": 2}})
def test_what_failed_takes_no_room(server, host, romeo, away):
    """§2.3: what is on its way counts until it is known that it did not arrive."""
    pace = Pace(host.store)
    pace.held = True
    for number in range(3):
        says(romeo, number)
    assert romeo.received == []  # the last waits to know
    assert pace.step(StoreFull("no room"))  # neither for the first nor for what came after it
    pace.go_on()
    server.settle()
    assert len(fitting(romeo.received, "<message type='error'/>")) == 2
    assert bodies(comes(server)) == ["2"]


def test_nothing_is_kept_of_a_temporary_account(server, host, romeo):
    """XEP-0175: it is gone with its last session."""
    host.temporary_account("ghost")
    (answer,) = says(romeo, "hello", to="ghost@example.org")
    assert holds(answer, UNAVAILABLE)
    assert rows(host) == []


# who gets it


def test_nobody_is_given_it_before_presence(server, romeo, away):
    """§2.5"""
    says(romeo, "hello")
    juliet = server.login("juliet@example.org/balcony", available=False)
    server.settle()
    assert bodies(juliet) == []
    juliet.says("<presence/>")
    assert bodies(juliet) == ["hello"]


def test_a_negative_priority_gets_nothing_until_it_rises(server, romeo, away):
    """§2, note: such a resource shall never receive what is for the account."""
    says(romeo, "hello")
    juliet = comes(server, priority=-1)
    assert bodies(juliet) == []
    says(romeo, "still there?")
    juliet.says("<presence><priority>0</priority></presence>")
    assert bodies(juliet) == ["hello", "still there?"]
    juliet.says("<presence><priority>5</priority></presence>")
    assert bodies(juliet) == []


def test_one_session_gets_it(server, romeo, away):
    """§2.5: the one that has sent that presence."""
    says(romeo, "hello")
    camera = comes(server, "juliet@example.org/camera", priority=-1)
    balcony = comes(server)
    chamber = comes(server, "juliet@example.org/chamber")
    assert [bodies(each) for each in (camera, balcony, chamber)] == [[], ["hello"], []]


def test_who_has_nothing_costs_no_query(server, host, romeo, away):
    """What waits is counted when the account is loaded."""
    pace = Pace(host.store)
    juliet = comes(server)
    juliet.closes()
    comes(server)
    assert pace.calls["read"] == 0


def test_what_waits_is_known_after_a_restart(server, host, romeo, away):
    """The count is in memory, the messages are not."""
    says(romeo, "hello")
    host.forget("juliet")
    assert bodies(comes(server)) == ["hello"]


def test_who_was_blocked_meanwhile_is_not_heard(server, host, romeo, away):
    """XEP-0191 §3.3: nothing reaches the user from there, not even late."""
    says(romeo, "hello")
    paris = server.login("paris@example.org/yard")
    says(paris, "madam")
    juliet = server.login("juliet@example.org/balcony", available=False)
    juliet.says(
        "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
        "<item jid='romeo@example.org'/></block></iq>"
    )
    juliet.forget()
    juliet.says("<presence/>")
    assert bodies(juliet) == ["madam"]
    assert rows(host) == []


# what goes


@pytest.mark.server(options={"offline": {"days": 2}})
def test_what_nobody_came_for_goes(server, host, romeo, away):
    """Retention: of what no archive holds; the rest of it lives as long as the archive says."""
    says(romeo, "long ago", more=UNKEPT)
    server.advance(86400)
    says(romeo, "lately", more=UNKEPT)
    server.advance(86400 + 7 * 3600)
    server.advance(7 * 3600)
    assert len(rows(host)) == 1
    assert bodies(comes(server)) == ["lately"]
    assert rows(host, "message") == []


def test_a_row_without_a_message_goes(server, host, romeo, away):
    """As when an archive was emptied."""
    says(romeo, "hello")
    now(host.store.execute("DELETE FROM message"))
    says(romeo, "again", more=UNKEPT)
    server.advance(7 * 3600)
    assert len(rows(host)) == 1
    assert bodies(comes(server)) == ["again"]


@pytest.mark.server(features=["default", "-archive"])
def test_a_store_that_fails_then_is_looked_at_again(server, host, romeo, away):
    """Nothing is removed by halves."""
    says(romeo, "hello", more=UNKEPT)
    now(host.store.execute("DELETE FROM message"))
    pace = Pace(host.store)
    pace.held = True
    server.advance(7 * 3600)
    while pace.step(StoreFull("there is no room"), reading=True):
        pass
    pace.go_on()
    assert len(rows(host)) == 1
    server.advance(7 * 3600)
    assert rows(host) == []


def test_bodies_go_with_the_account(host, romeo, away):
    """XEP-0077 §3.2: nothing is left of what only waited for it."""
    says(romeo, "hello", more=UNKEPT)
    now(host.registrar.delete("juliet"))
    assert rows(host) == []
    assert rows(host, "message") == []


def test_what_the_archive_gave_is_not_given_again(server, host, romeo, away):
    """XEP-0313 §7: what came after its answer is."""
    says(romeo, "hello")
    juliet = server.login("juliet@example.org/balcony", available=False)
    juliet.says("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
    assert bodies(juliet) == ["hello"]
    says(romeo, "again")
    juliet.says("<presence/>")
    assert bodies(juliet) == ["again"]
    assert rows(host) == []


def test_an_archived_message_has_its_id_there(server, host, romeo, away):
    """XEP-0313 §3.5, XEP-0359 §3: the same as in the archive, and its body is stored once."""
    says(romeo, "hello")
    assert [row[2] for row in rows(host)] == [0]
    assert len(rows(host, "message")) == 1
    juliet = comes(server)
    wanted = f"<message><stanza-id xmlns='urn:xmpp:sid:0' by='{JULIET}' id='{{id}}'/></message>"
    (message,) = fitting(juliet.received, "<message/>")
    id = value(message, wanted)
    juliet.forget()
    juliet.says("<iq type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>")
    assert fitting(
        juliet.received, f"<message><result xmlns='urn:xmpp:mam:2' id='{id}'/></message>"
    )
    assert len(rows(host, "message")) == 1
