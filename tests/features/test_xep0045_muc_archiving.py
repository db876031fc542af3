"""XEP-0313 §6.1.2, §8.1: who may read the archive of a room, at the moment of asking."""

import re

import pytest

from imsuite.rules.affiliations import Affiliation
from tests.covens import COVEN, affiliates, meets, tells

QUERY = f"<iq to='{COVEN}' type='set' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"
FORM = f"<iq to='{COVEN}' type='get' id='q'><query xmlns='urn:xmpp:mam:2'/></iq>"
METADATA = f"<iq to='{COVEN}' type='get' id='q'><metadata xmlns='urn:xmpp:mam:2'/></iq>"


def condition(text):
    """Return the condition of an error."""
    return re.search(r"<error [^>]*><([\w-]+) ", text)[1]


def test_what_was_said_can_be_read_again(server, romeo, juliet):
    """§6.1.2: from the occupant, without a recipient; no private messages"""
    meets(server, romeo, juliet)
    tells(juliet, "hello")
    juliet.says(f"<message to='{COVEN}/orchard' type='chat'><body>psst</body></message>")
    juliet.forget()
    result, fin = juliet.says(QUERY)
    assert f"<message from='{COVEN}' to='{juliet.jid}'>" in result
    inner = result.partition("<forwarded")[2]
    assert f"from='{COVEN}/balcony'" in inner
    assert " to=" not in inner
    assert "complete='true'" in fin
    assert "jid=" not in result


@pytest.mark.parametrize(
    ("config", "affiliation", "may"),
    [
        ({}, Affiliation.NONE, True),
        ({}, Affiliation.OUTCAST, False),
        ({"members_only": True}, Affiliation.NONE, False),
        ({"members_only": True}, Affiliation.MEMBER, True),
        ({"password_protected": True, "secret": "x"}, Affiliation.NONE, False),
    ],
)
@pytest.mark.parametrize("request_", [QUERY, FORM, METADATA])
def test_who_may_enter_may_read(server, romeo, juliet, config, affiliation, may, request_):
    """§8.1: as it is now, not as it was"""
    room = meets(server, romeo, **config)
    tells(romeo, "secret")
    affiliates(room, "juliet@example.org", affiliation)
    got = juliet.says(request_)
    if may:
        assert "type='result'" in got[-1]
    else:
        assert condition(got[0]) == "forbidden"
        assert "secret" not in "".join(got)


def test_who_was_thrown_out_reads_no_more(server, romeo, juliet):
    """§8.1"""
    room = meets(server, romeo, juliet)
    tells(romeo, "secret")
    juliet.forget()
    affiliates(room, "juliet@example.org", Affiliation.OUTCAST)
    assert condition(juliet.says(QUERY)[0]) == "forbidden"


def test_a_room_without_an_archive(server, romeo):
    """muc#roomconfig_enablelogging"""
    meets(server, romeo, logged=False)
    tells(romeo, "off the record")
    romeo.forget()
    assert condition(romeo.says(QUERY)[0]) == "service-unavailable"


def test_admins_read_who_it_was(server, romeo, juliet):
    """§6.1.2: who may see real JIDs"""
    meets(server, romeo, juliet)
    tells(juliet, "hello")
    romeo.forget()
    assert "jid='juliet@example.org'" in romeo.says(QUERY)[0]
