"""XEP-0045 §17.3, §17.4, §18.1.2: occupants who have no session on this server."""

import re

import pytest

from imsuite.core.hooks import Passing
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import Dropped, ImsuiteError, StanzaError
from imsuite.xmpp.stanza import Stanza
from tests.covens import COVEN, meets, tells

NURSE = "nurse@far.example/kitchen"
ENTER = f"<presence from='{NURSE}' to='{COVEN}/Nurse'><x xmlns='http://jabber.org/protocol/muc'/>"
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"


class Far:
    """Another server. got: what was sent there; broken: why nothing can be, or None."""

    def __init__(self, server):
        self.server = server
        self.got = []
        self.broken = None
        server.router.services["far.example"] = self

    def receive(self, passing):
        """Take a stanza."""
        if self.broken is not None:
            raise StanzaError(self.broken)
        self.got.append(passing.stanza.raw.decode())

    def loading(self, jid):
        """Nothing has to be loaded."""

    def says(self, xml):
        """Send a stanza, as a stream between servers does; return what comes back."""
        stanza = Stanza.parse(xml.encode())
        passing = Passing(stanza, None, parse(stanza.attrs["from"]))
        self.got.clear()
        self.server.host.spawn(self._route(stanza, passing))
        self.server.settle()
        return list(self.got)

    async def _route(self, stanza, passing):
        try:
            later = self.server.router.route(passing)
            if later is not None:
                await passing.wait(later)
            passing.complete()
        except Dropped:
            pass
        except ImsuiteError as why:
            self.server.host.refuse(stanza, why)


@pytest.fixture
def far(server):
    """Another server."""
    return Far(server)


@pytest.fixture
def room(server, romeo, far):
    """A room in which Romeo is, and somebody from afar."""
    room = meets(server, romeo)
    far.says(f"{ENTER}</presence>")
    assert NURSE in room.by_client
    romeo.forget()
    return room


def test_somebody_from_afar_enters(server, romeo, far):
    """§7.2: others, self-presence, history, subject, in this order"""
    meets(server, romeo)
    tells(romeo, "before")
    got = far.says(f"{ENTER}</presence>")
    assert "/orchard'" in got[0]
    assert "'110'" in got[1]
    assert "before" in got[2]
    assert "<subject/>" in got[3]
    assert len(got) == 4


def test_what_is_said_goes_both_ways(room, romeo, far):
    """§7.4"""
    text = f"<message from='{NURSE}' to='{COVEN}' type='groupchat'><body>hi</body></message>"
    (own,) = far.says(text)
    assert f"to='{NURSE}'" in own
    assert "hi" in romeo.received[-1]
    tells(romeo, "hello")
    assert "hello" in far.got[-1]


def test_an_address_that_can_not_be_reached_is_not_in(room, romeo, far):
    """§18.1.2: a ghost is taken out when something does not get there"""
    far.broken = "remote-server-not-found"
    tells(romeo, "anybody?")
    assert NURSE not in room.by_client
    assert "'333'" in romeo.received[-1]


def test_an_error_that_comes_back_takes_a_ghost_out(room, romeo, far):
    """§18.1.2: once; other errors do not"""
    for condition, there in (("not-acceptable", True), ("recipient-unavailable", False)):
        inner = f"<error type='cancel'><{condition} xmlns='{STANZAS}'/></error>"
        far.says(
            f"<message from='{NURSE}' to='{COVEN}/orchard' type='error'>{inner}</message>",
        )
        assert (NURSE in room.by_client) is there
    assert far.says(f"<message from='{NURSE}' to='{COVEN}' type='error'>{inner}</message>") == []


def test_a_whisper_that_gets_nowhere_comes_back(room, romeo, far):
    """§7.5: who wrote it hears so"""
    far.broken = "remote-server-timeout"
    romeo.says(f"<message to='{COVEN}/Nurse' type='chat' id='w'><body>psst</body></message>")
    assert NURSE not in room.by_client
    (error,) = [text for text in romeo.received if text.startswith("<message")]
    assert "remote-server-timeout" in error
    assert f"from='{COVEN}/Nurse'" in error


def test_an_answer_tells_nothing_of_who_gave_it(room, romeo, far):
    """§17.4: not even an error does; and only the one who was asked gives it"""
    romeo.says(f"<iq to='{COVEN}/Nurse' type='get' id='v'><query xmlns='jabber:iq:version'/></iq>")
    asked = far.got[-1]
    assert "romeo" not in asked
    id = re.search(r" id='(\w+)'", asked)[1]
    answer = f"<iq from='{{}}' to='{COVEN}/orchard' type='error' id='{id}'>{{}}</iq>"
    inner = (
        f"<error type='cancel' by='{NURSE}'><forbidden xmlns='{STANZAS}'/>"
        f"<text xmlns='{STANZAS}'>I am {NURSE}</text></error>"
    )
    far.says(answer.format("nurse@far.example/other", inner))
    assert romeo.received == []
    far.says(answer.format(NURSE, inner))
    (got,) = romeo.received
    assert "forbidden" in got
    assert f"from='{COVEN}/Nurse'" in got
    assert "far.example" not in got


def test_a_request_without_a_question_is_bad(room, far):
    """RFC 6120 §8.2.3"""
    (answer,) = far.says(f"<iq from='{NURSE}' to='{COVEN}/orchard' type='get' id='1'/>")
    assert "bad-request" in answer
