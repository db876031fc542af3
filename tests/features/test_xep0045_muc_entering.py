"""XEP-0045 §7.1, §7.2, §7.6, §7.7: entering a room, and speaking of oneself in it."""

import re

import pytest

from imsuite.rules.affiliations import Affiliation, Role
from tests.covens import COVEN, affiliates, enters, meets, tells, the_room

BY = f"by='{COVEN}'"


@pytest.fixture
def nurse(server):
    """A third client."""
    return server.login("nurse@example.org/kitchen")


def kinds(texts):
    """Return kind and sender's nickname of stanzas, in their order."""
    found = []
    for text in texts:
        sender = re.search(r"from='([^']*)'", text)[1].partition("/")[2]
        found.append((re.match(r"<(\w+)", text)[1], sender))
    return found


def codes(text):
    """Return the status codes of a presence, sorted."""
    return sorted(int(code) for code in re.findall(r"<status code='(\d+)'/>", text))


def error(text):
    """Return the condition of an error."""
    assert BY in text
    return re.search(r"<error [^>]*><([\w-]+) ", text)[1]


def test_what_comes_comes_in_order(server, romeo, juliet, nurse):
    """§7.1: the others, oneself, the past, the subject, what is live"""
    meets(server, romeo, juliet)
    tells(romeo, "one")
    romeo.says(f"<message to='{COVEN}' type='groupchat'><subject>s</subject></message>")
    tells(juliet, "two")
    got = enters(nurse)
    assert kinds(got) == [
        ("presence", "orchard"),
        ("presence", "balcony"),
        ("presence", "kitchen"),
        ("message", "orchard"),
        ("message", "balcony"),
        ("message", "orchard"),
    ]
    assert "<subject>s</subject>" in got[-1]
    assert "<delay" in got[3]
    nurse.forget()
    tells(romeo, "three")
    assert "<delay" not in nurse.received[0]


def test_the_subject_comes_also_where_there_is_none(romeo):
    """§7.2.15"""
    *_, subject = enters(romeo)
    assert "<subject/>" in subject
    assert "type='groupchat'" in subject


def test_who_makes_a_room_owns_it(romeo):
    """§10.1.1: 201, and 110; 170 as everything is archived"""
    presence, _ = enters(romeo)
    assert codes(presence) == [110, 170, 201]
    assert "affiliation='owner'" in presence
    assert "role='moderator'" in presence


def test_a_room_without_secrets_says_so(server, romeo, juliet):
    """§7.2.3: 100"""
    meets(server, romeo, whois="anyone")
    others, own, _ = enters(juliet)
    assert codes(own) == [100, 110, 170]
    assert "jid='romeo@example.org/orchard'" in others


def test_only_moderators_see_who_is_who(server, romeo, juliet, nurse):
    """§7.2.4"""
    meets(server, romeo, juliet)
    enters(nurse)
    assert "jid='nurse@example.org/kitchen'" in romeo.received[0]
    assert "jid=" not in juliet.received[0]
    assert "jid='romeo" not in "".join(nurse.received)


@pytest.mark.parametrize(
    ("config", "affiliation", "condition"),
    [
        ({"members_only": True}, Affiliation.NONE, "registration-required"),
        ({"members_only": True}, Affiliation.MEMBER, None),
        ({}, Affiliation.OUTCAST, "forbidden"),
        ({"password_protected": True, "secret": "x"}, Affiliation.NONE, "not-authorized"),
        ({"password_protected": True, "secret": "x"}, Affiliation.MEMBER, "not-authorized"),
        ({"max_users": 10}, Affiliation.NONE, None),
    ],
)
def test_not_everybody_may_enter(server, romeo, juliet, config, affiliation, condition):
    """§7.2.5-§7.2.7"""
    room = meets(server, romeo, **config)
    affiliates(room, "juliet@example.org", affiliation)
    answer = enters(juliet)[0]
    if condition is None:
        assert "type='error'" not in answer
    else:
        assert error(answer) == condition
        assert room.find("balcony") is None
        assert romeo.received == []


def test_a_password_opens_the_room(server, romeo, juliet):
    """§7.2.5"""
    meets(server, romeo, password_protected=True, secret="cauldron & burn")
    x = "<x xmlns='http://jabber.org/protocol/muc'><password>{}</password></x>"
    presence = f"<presence to='{COVEN}/balcony'>{x}</presence>"
    assert error(juliet.says(presence.format("cauldron"))[0]) == "not-authorized"
    assert codes(juliet.says(presence.format("cauldron &amp; burn"))[1]) == [110, 170]


def test_a_full_room_has_places_for_its_admins(server, romeo, juliet, nurse):
    """§7.2.9"""
    room = meets(server, romeo, max_users=1)
    assert error(enters(juliet)[0]) == "service-unavailable"
    affiliates(room, "nurse@example.org", Affiliation.ADMIN)
    assert "type='error'" not in enters(nurse)[0]


@pytest.mark.server(options={"muc": {"most": 2}})
def test_no_room_has_more_clients_than_the_operator_allows(server, romeo, juliet, nurse):
    """§7.2.9: whatever its configuration says"""
    meets(server, romeo, juliet)
    assert error(enters(nurse)[0]) == "service-unavailable"


@pytest.mark.parametrize("nick", ["Orchard", "ORCHARD", "ｏrchard"])
def test_a_nickname_is_somebodys_in_every_spelling(server, romeo, juliet, nick):
    """§7.2.8, RFC 8266"""
    meets(server, romeo)
    assert error(enters(juliet, nick=nick)[0]) == "conflict"


def test_an_emoji_is_a_nickname(romeo):
    """RFC 8265: a resourcepart may hold what a localpart may not"""
    presence, _ = enters(romeo, nick="🌹")
    assert "/🌹'" in presence


@pytest.mark.server(options={"muc": {"longest_nick": 5}})
def test_a_nickname_has_an_end(romeo):
    """§17.1"""
    assert "<not-acceptable" in enters(romeo, nick="abcdef")[0]


def test_a_second_client_has_the_same_name(server, romeo, juliet):
    """§7.2.8: of the same account; others see one occupant"""
    room = meets(server, romeo, juliet)
    second = server.login("romeo@example.org/tomb")
    romeo.forget()
    got = enters(second, nick="orchard")
    assert kinds(got)[:2] == [("presence", "balcony"), ("presence", "orchard")]
    assert codes(got[1]) == [110, 170]
    assert len(room.occupants) == 2
    assert codes(romeo.received[0]) == [110]
    tells(juliet, "both")
    assert "both" in romeo.received[-1]
    assert "both" in second.received[-1]


def test_who_enters_again_gets_everything_again(server, romeo, juliet):
    """§7.2.1: a client that is in and lost step"""
    room = meets(server, romeo, juliet)
    got = enters(juliet)
    assert kinds(got) == [("presence", "orchard"), ("presence", "balcony"), ("message", "")]
    assert codes(got[1]) == [110, 170]
    assert len(room.occupants) == 2


def test_who_enters_again_under_another_name_has_only_that(server, romeo, juliet):
    """§7.2.1"""
    room = meets(server, romeo, juliet)
    enters(juliet, nick="window")
    assert room.find("balcony") is None
    left, came = romeo.received
    assert "/balcony' type='unavailable'" in left
    assert "/window'" in came


def test_presence_of_a_stranger_is_no_way_in(server, romeo, juliet):
    """§7.2.1: since 1.32 it is told that it is out"""
    room = meets(server, romeo)
    (answer,) = juliet.says(f"<presence to='{COVEN}/balcony'/>")
    assert codes(answer) == [110, 307, 333]
    assert "type='unavailable'" in answer
    assert room.find("balcony") is None


@pytest.mark.parametrize("type", ["subscribe", "subscribed", "probe", "unsubscribe", "error"])
def test_presence_of_another_kind_neither_enters_nor_leaves(server, romeo, juliet, type):
    """§17.3"""
    room = meets(server, romeo, juliet)
    enter = f"<presence to='{COVEN}/x' type='{type}'><x xmlns='http://jabber.org/protocol/muc'/>"
    server.login("nurse@example.org/kitchen").says(enter + "</presence>")
    juliet.says(f"<presence to='{COVEN}/balcony' type='{type}'/>")
    assert sorted(room.occupants) == ["balcony", "orchard"]


def test_what_only_the_room_says_is_not_passed_on(server, romeo, juliet):
    """§18.2: the elements of the room in a presence"""
    meets(server, romeo, juliet)
    forged = (
        "<x xmlns='http://jabber.org/protocol/muc#user'><item role='moderator'/></x>"
        "<occupant-id xmlns='urn:xmpp:occupant-id:0' id='forged'/>"
        "<hats xmlns='urn:xmpp:hats:0'/>"
    )
    juliet.says(f"<presence to='{COVEN}/balcony'><show>away</show>{forged}</presence>")
    (got,) = romeo.received
    assert got.count("muc#user") == 1
    assert "role='participant'" in got
    assert "forged" not in got
    assert "hats" not in got


def test_another_nickname(server, romeo, juliet):
    """§7.6: 303, then the presence; the role stays"""
    room = meets(server, romeo, juliet)
    left, came = juliet.says(f"<presence to='{COVEN}/Window'/>")
    assert codes(left) == [110, 303]
    assert "nick='Window'" in left
    assert "role='participant'" in left
    assert codes(came) == [110]
    assert room.find("window").nick == "Window"
    assert room.find("balcony") is None


def test_the_same_name_in_another_spelling(server, romeo, juliet):
    """§7.6: one's own"""
    room = meets(server, romeo, juliet)
    juliet.says(f"<presence to='{COVEN}/Balcony'/>")
    assert room.find("balcony").nick == "Balcony"
    assert len(room.occupants) == 2


def test_a_name_that_is_taken_stays_so(server, romeo, juliet):
    """§7.6: conflict"""
    room = meets(server, romeo, juliet)
    assert error(juliet.says(f"<presence to='{COVEN}/orchard'/>")[0]) == "conflict"
    affiliates(room, "nurse@example.org", Affiliation.MEMBER, "angelica")
    assert error(juliet.says(f"<presence to='{COVEN}/Angelica'/>")[0]) == "conflict"


@pytest.mark.server(options={"muc": {"reserved_nicks_only": True}})
def test_a_room_may_insist_on_the_reserved_name(server, romeo, juliet):
    """§7.2.3: 210; §7.10: other names are not acceptable"""
    room = meets(server, romeo)
    affiliates(room, "juliet@example.org", Affiliation.MEMBER, "capulet")
    _, own, _ = enters(juliet)
    assert "/capulet'" in own
    assert codes(own) == [110, 170, 210]
    assert error(juliet.says(f"<presence to='{COVEN}/rose'/>")[0]) == "not-acceptable"


def test_in_a_moderated_room_strangers_only_listen(server, romeo, juliet):
    """§5.1.2"""
    room = meets(server, romeo, moderated=True)
    enters(juliet)
    assert room.find("balcony").role is Role.VISITOR
    assert "<forbidden" in tells(juliet, "hello")[0]


def test_presence_of_listeners_may_be_kept_back(server, romeo, juliet, nurse):
    """muc#roomconfig_presencebroadcast: but everybody hears of itself"""
    meets(server, romeo, juliet, presence_broadcast=("moderator",))
    got = enters(nurse)
    assert kinds(got)[:2] == [("presence", "orchard"), ("presence", "kitchen")]
    assert romeo.received == juliet.received == []


@pytest.mark.server(options={"muc": {"makers": "administrators"}})
def test_only_some_may_make_rooms(server, romeo):
    """§10.1.1: what the operator says"""
    assert error(enters(romeo)[0]) == "not-allowed"
    assert the_room(server) is None
    server.account("friar@example.org", admin=True)
    friar = server.login("friar@example.org/cell")
    assert "'201'" in enters(friar)[0]


def test_history_is_as_long_as_is_wished(server, romeo, juliet):
    """§7.2.14"""
    meets(server, romeo, max_history=3)
    for number in range(5):
        tells(romeo, f"m{number}")
    x = "<x xmlns='http://jabber.org/protocol/muc'><history {}/></x>"

    def heard(wish):
        got = juliet.says(f"<presence to='{COVEN}/balcony'>{x.format(wish)}</presence>")
        return re.findall("<body>(.*?)</body>", "".join(got))

    assert heard("") == ["m2", "m3", "m4"]
    assert heard("maxstanzas='1'") == ["m4"]
    assert heard("maxchars='0'") == []
    assert heard("since='2030-01-01T00:00:00Z'") == []
    got = juliet.says(
        f"<presence to='{COVEN}/balcony'>{x.format('''seconds='soon' ''')}</presence>"
    )
    assert "<bad-request" in got[0]
