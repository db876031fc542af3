"""XEP-0500: everybody waits between two messages."""

import pytest

from imsuite.rules.affiliations import Affiliation
from tests.covens import affiliates, heard, meets, tells


def test_too_soon_is_refused(server, romeo, juliet):
    """§6: policy-violation, to be tried again later"""
    meets(server, romeo, juliet, slow_mode=20)
    tells(juliet, "one")
    answer = tells(juliet, "two")[0]
    assert "<error type='wait'" in answer
    assert "<policy-violation" in answer
    server.advance(19)
    assert "<policy-violation" in tells(juliet, "three")[0]
    server.advance(2)
    tells(juliet, "four")
    assert [stanza.id for stanza in heard(romeo)] == ["one", "four"]


def test_each_waits_for_oneself(server, romeo, juliet):
    """§6: the same user, whichever client"""
    nurse = server.login("nurse@example.org/kitchen")
    meets(server, romeo, juliet, nurse, slow_mode=20)
    tells(juliet, "one")
    tells(nurse, "two")
    assert len(heard(romeo)) == 2


@pytest.mark.parametrize("affiliation", [Affiliation.ADMIN, Affiliation.OWNER])
def test_admins_do_not_wait(server, romeo, juliet, affiliation):
    """§6"""
    room = meets(server, romeo, juliet, slow_mode=20)
    affiliates(room, "juliet@example.org", affiliation)
    tells(juliet, "one")
    tells(juliet, "two")
    assert len(heard(romeo)) == 2


def test_chat_states_do_not_wait(server, romeo, juliet):
    """§6: only what has a body counts"""
    meets(server, romeo, juliet, slow_mode=20)
    tells(juliet, "one")
    tells(juliet, "", inner="<active xmlns='http://jabber.org/protocol/chatstates'/>")
    assert len(heard(romeo)) == 2


def test_it_is_off_unless_somebody_wants_it(server, romeo, juliet):
    """§5.1: 0"""
    meets(server, romeo, juliet)
    for number in range(5):
        tells(juliet, str(number))
    assert len(heard(romeo)) == 5
