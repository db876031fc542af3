"""IQ requests of a host itself (RFC 6120 §8.2.3)."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.requests import NoAnswer
from imsuite.testing.memory import now
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import make as make_stanza
from tests.helpers import value

JULIET = "juliet@example.org/balcony"
ASK = make_stanza(
    "iq", {"type": "get", "from": "example.org", "to": JULIET}, b"<q xmlns='u'/>", "u}q"
)


def ask(clients):
    """Let the host ask juliet; return what will be the answer, and the id of the request."""
    answer = Deferred.fromCoroutine(clients.host.requests.ask(ASK))
    (request,) = clients.juliet.received
    return answer, value(request, "<iq type='get' from='example.org' id='{id}'><q xmlns='u'/></iq>")


def test_the_result_comes_back(pair):
    clients = pair()
    answer, id = ask(clients)
    clients.juliet.says(f"<iq type='result' id='{id}' to='example.org'><r xmlns='u'/></iq>")
    assert now(answer).has("u", "r")


def test_an_error_is_raised(pair):
    clients = pair()
    answer, id = ask(clients)
    clients.juliet.says(
        f"<iq type='error' id='{id}' to='example.org'><error type='cancel'>"
        "<item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )
    with pytest.raises(StanzaError) as caught:
        now(answer)
    assert caught.value.condition == "item-not-found"


@pytest.mark.parametrize("inside", ["", "<error/>", "<error><made-up xmlns='u'/></error>"])
def test_an_error_without_condition_is_one_nevertheless(pair, inside):
    clients = pair()
    answer, id = ask(clients)
    clients.juliet.says(f"<iq type='error' id='{id}' to='example.org'>{inside}</iq>")
    with pytest.raises(StanzaError) as caught:
        now(answer)
    assert caught.value.condition == "undefined-condition"


def test_somebody_else_can_not_answer(pair):
    """Ids are no secret among those who exchange stanzas."""
    clients = pair()
    answer, id = ask(clients)
    clients.romeo.says(f"<iq type='result' id='{id}' to='example.org'/>")
    clients.juliet.says("<iq type='result' id='other' to='example.org'/>")
    assert not answer.called
    clients.juliet.says(f"<iq type='result' id='{id}' to='example.org'/>")
    assert answer.called


def test_an_answer_counts_once(pair):
    clients = pair()
    answer, id = ask(clients)
    for _ in range(2):
        assert clients.juliet.says(f"<iq type='result' id='{id}' to='example.org'/>") == []
    assert now(answer).type == "result"


def test_nobody_is_waited_for_too_long(pair):
    clients = pair()
    answer, _ = ask(clients)
    clients.server.advance(29)
    assert not answer.called
    clients.server.advance(1)
    with pytest.raises(NoAnswer):
        now(answer)


def test_open_requests_end_when_the_host_stops(pair):
    clients = pair()

    async def ask_again():
        with pytest.raises(NoAnswer):
            await clients.host.requests.ask(ASK)
        return await clients.host.requests.ask(ASK)

    asking = Deferred.fromCoroutine(ask_again())
    clients.host.requests.stop()
    assert not asking.called  # what asks while the host stops is its own fault, and waits
    clients.host.requests.stop()
    with pytest.raises(NoAnswer):
        now(asking)


def test_somebody_who_is_not_there_is_not_waited_for(pair):
    """The error that says so settles the request."""
    clients = pair()
    gone = ASK.amended({"to": "juliet@example.org/gone"})
    with pytest.raises(StanzaError) as caught:
        now(clients.host.requests.ask(gone))
    assert caught.value.condition == "service-unavailable"
