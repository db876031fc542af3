"""XEP-0045 §6: what rooms say of themselves, and to whom."""

import re

import pytest

from imsuite.rules.affiliations import Affiliation
from tests.covens import COVEN, affiliates, enters, meets

INFO = "<iq to='{}' type='get' id='d'><query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
ITEMS = (
    "<iq to='{}' type='get' id='d'><query xmlns='http://jabber.org/protocol/disco#items'>{}"
    "</query></iq>"
)
CONFIGURE = (
    "<iq type='set' id='c' to='{}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
    "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
    "<value>http://jabber.org/protocol/muc#roomconfig</value></field>"
    "<field var='muc#roomconfig_publicroom'><value>{}</value></field></x></query></iq>"
)


def features(text):
    """Return the features in an answer."""
    return set(re.findall(r"<feature var='([^']*)'", text))


def jids(text):
    """Return the addresses in an answer."""
    return re.findall(r"<item jid='([^']*)'", text)


def page(inner):
    """Return a request for a page."""
    return f"<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>"


@pytest.mark.parametrize(
    ("name", "value", "feature", "other"),
    [
        ("members_only", True, "muc_membersonly", "muc_open"),
        ("moderated", True, "muc_moderated", "muc_unmoderated"),
        ("public", False, "muc_hidden", "muc_public"),
        ("persistent", True, "muc_persistent", "muc_temporary"),
        ("whois", "anyone", "muc_nonanonymous", "muc_semianonymous"),
        ("password_protected", True, "muc_passwordprotected", "muc_unsecured"),
    ],
)
def test_every_type_of_room_is_told(server, romeo, juliet, name, value, feature, other):
    """§6.4, §4.2"""
    room = meets(server, romeo)
    before = features(juliet.says(INFO.format(COVEN))[0])
    assert other in before
    assert feature not in before
    room.config = room.config.changed({name: value})
    after = features(juliet.says(INFO.format(COVEN))[0])
    assert feature in after
    assert other not in after


def test_the_archive_is_told_where_there_is_one(server, romeo):
    """XEP-0313 §7"""
    room = meets(server, romeo)
    assert "urn:xmpp:mam:2" in features(romeo.says(INFO.format(COVEN))[0])
    room.config = room.config.changed({"logged": False})
    assert "urn:xmpp:mam:2" not in features(romeo.says(INFO.format(COVEN))[0])


def test_the_form_says_more(server, romeo, juliet):
    """§6.4, §15.5.4: name, description, occupants, subject"""
    meets(server, romeo, juliet, name="Roses", description="A <garden>", change_subject=True)
    romeo.says(f"<message to='{COVEN}' type='groupchat'><subject>Names</subject></message>")
    (answer,) = juliet.says(INFO.format(COVEN))[-1:]
    assert "name='Roses'" in answer
    for var, value in (
        ("muc#roominfo_description", "A &lt;garden&gt;"),
        ("muc#roominfo_occupants", "2"),
        ("muc#roominfo_subject", "Names"),
    ):
        assert re.search(f"var='{var}'[^>]*><value>{value}</value>", answer), var


def test_public_rooms_are_listed_page_by_page(server, romeo, juliet):
    """§6.3, XEP-0059"""
    rooms = [f"room{n}@conference.example.org" for n in range(5)]
    for number, room in enumerate(rooms):
        enters(romeo, room)
        romeo.says(CONFIGURE.format(room, int(number != 2)))
    public = [room for number, room in enumerate(rooms) if number != 2]
    ask = "conference.example.org"
    (answer,) = juliet.says(ITEMS.format(ask, ""))
    assert jids(answer) == public
    (answer,) = juliet.says(ITEMS.format(ask, page("<max>3</max>")))
    assert jids(answer) == public[:3]
    assert "<first index='0'>" in answer
    assert "<count>4</count>" in answer
    after = page(f"<max>3</max><after>{public[2]}</after>")
    (answer,) = juliet.says(ITEMS.format(ask, after))
    assert jids(answer) == public[3:]
    assert "<first index='3'>" in answer
    (answer,) = juliet.says(ITEMS.format(ask, page("<max>2</max><before/>")))
    assert jids(answer) == public[2:]
    (answer,) = juliet.says(ITEMS.format(ask, page("<max>0</max>")))
    assert jids(answer) == []
    assert "<count>4</count>" in answer


def test_who_is_in_is_told_to_who_may_come_in(server, romeo, juliet):
    """§6.5"""
    room = meets(server, romeo)
    assert jids(juliet.says(ITEMS.format(COVEN, ""))[0]) == [f"{COVEN}/orchard"]
    room.config = room.config.changed({"members_only": True})
    assert jids(juliet.says(ITEMS.format(COVEN, ""))[0]) == []
    assert jids(romeo.says(ITEMS.format(COVEN, ""))[0]) == [f"{COVEN}/orchard"]
    room.config = room.config.changed({"members_only": False})
    affiliates(room, "juliet@example.org", Affiliation.OUTCAST)
    assert jids(juliet.says(ITEMS.format(COVEN, ""))[0]) == []


@pytest.mark.parametrize("to", ["conference.example.org", COVEN])
def test_there_are_no_nodes(server, romeo, to):
    """XEP-0030 §7: item-not-found"""
    meets(server, romeo)
    for request in (INFO.format(to), ITEMS.format(to, "")):
        assert (
            "<item-not-found"
            in romeo.says(
                request.replace("'/>", "' node='x'/>", 1).replace("items'>", "items' node='x'>")
            )[0]
        )


def test_the_service_is_known_to_the_domain(server, romeo):
    """§6.1"""
    (answer,) = romeo.says(ITEMS.format("example.org", ""))
    assert "conference.example.org" in jids(answer)


@pytest.mark.server(options={"muc": {"subdomain": "rooms", "name": "Halls"}})
def test_the_service_may_have_another_name(server, romeo):
    """[features.muc] subdomain, name"""
    (answer,) = romeo.says(INFO.format("rooms.example.org"))
    assert "name='Halls'" in answer
    (answer,) = romeo.says(INFO.format("conference.example.org"))
    assert "<remote-server-not-found" in answer


def test_nothing_is_held_back(server, romeo):
    """§18.1.1: there is no list of what may pass"""
    meets(server, romeo)
    node = "http://jabber.org/protocol/muc#traffic"
    query = f"<query xmlns='http://jabber.org/protocol/disco#info' node='{node}'/>"
    (answer,) = romeo.says(f"<iq type='get' to='{COVEN}' id='t'>{query}</iq>")
    assert "service-unavailable" in answer
