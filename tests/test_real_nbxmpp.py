"""Gajim's library at `twistd -n imsuite`: what Gajim asks at login and in rooms.

In rooms of Gajim's there are people who stay for all tests, each of which has a room of its own.
"""

import base64
import hashlib

import pytest

from tests.gajim import DOMAIN, Refused, company, jid, made

SERVICE, NODES = f"conference.{DOMAIN}", f"pubsub.{DOMAIN}"
HOSTS = f'[hosts."{DOMAIN}"]\n'
NAMES = "romeo", "juliet", "nurse"
PNG = b"\x89PNG\r\n\x1a\n a picture, as far as a server can tell"
BOOKMARKS = "urn:xmpp:bookmarks:1"

pytestmark = pytest.mark.needs_nbxmpp


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """People at a running server."""
    with company(tmp_path_factory.mktemp("served"), HOSTS, *NAMES) as people:
        yield people


@pytest.fixture
def romeo(people):
    return people.stays("romeo")


@pytest.fixture
def juliet(people):
    return people.stays("juliet")


@pytest.fixture
def nurse(people):
    return people.stays("nurse")


@pytest.fixture
def room(request):
    """The address of a room that there is not yet."""
    return f"{request.node.name.rpartition('_')[2]}-{id(request)}@{SERVICE}"


def refused(*asked):
    """Return what was not answered with a result, and how it was."""
    return [each for each in asked if each[-1] != "result"]


# --- logging in ---------------------------------------------------------------------------------


def test_login_of_gajim_needs_no_error_but_for_what_there_is_not(people):
    """Everything that Gajim asks for on its way online; there are no bookmarks at first."""
    romeo = people.comes()
    asked = romeo.asked()
    items = "http://jabber.org/protocol/pubsub pubsub items"
    assert refused(*asked) == [("", f"{items} {BOOKMARKS}", "item-not-found")]
    assert len(asked) == 14
    for service, category in ((SERVICE, "conference"), (NODES, "pubsub")):
        romeo.ears.wait(("service", service, category))
    romeo.create(f"login@{SERVICE}", "Romeo")
    romeo.ears.wait(("event", romeo.bare, BOOKMARKS))
    later = people.comes(romeo.user, "phone")
    later.ears.wait(("in", f"login@{SERVICE}"))  # its bookmark says so
    assert refused(*later.asked()) == []


def test_server_and_account_offer_what_gajim_looks_for(romeo):
    """Features that decide which of its ways Gajim takes."""
    server = set(romeo.ask("Discovery", "disco_info", DOMAIN)["features"])
    assert {"urn:xmpp:blocking", "urn:xmpp:carbons:2", "vcard-temp"} <= server
    account = romeo.ask("Discovery", "disco_info", romeo.bare)
    assert {
        *("urn:xmpp:mam:2", "urn:xmpp:pep-vcard-conversion:0", f"{BOOKMARKS}#compat-pep"),
        *("urn:xmpp:bookmarks-conversion:0", f"{BOOKMARKS}#compat"),
        "http://jabber.org/protocol/pubsub#config-node-max",
        "http://jabber.org/protocol/pubsub#publish-options",
    } <= set(account["features"])
    kinds = {(each["category"], each["type"]) for each in account["identities"]}
    assert ("pubsub", "pep") in kinds


# --- rooms --------------------------------------------------------------------------------------


def test_private_room_of_gajim_is_made_configured_and_entered(room, romeo, juliet):
    """§10.1.3, §7.2, §7.8.2: what Gajim asks on the way is answered"""
    for each in (romeo, juliet):
        each.asked()  # what it did before
    romeo.create(room, "Romeo", roomname="Garden", roomdesc="of the Capulets")
    info = romeo.ask("Discovery", "disco_info", room)
    assert {"muc_membersonly", "muc_hidden", "muc_nonanonymous", "muc_persistent"} <= set(
        info["features"]
    )
    assert {"urn:xmpp:mam:2", "vcard-temp"} <= set(info["features"])
    (form,) = info["dataforms"]
    assert form["muc#roominfo_description"] == "of the Capulets"
    assert form["muc#roomconfig_roomname"] == "Garden"
    # Gajim invites members directly, after it has made them such
    romeo.ask("MUC", "set_affiliation", room, {juliet.bare: {"affiliation": "member"}})
    juliet.enter(room, "Juliet")
    juliet.ears.wait(("occupant", room, "Romeo", "owner", "moderator"))
    romeo.ears.wait(("occupant", room, "Juliet", "member", "participant"))
    juliet.do("tell", room, "Ay me!")
    romeo.ears.wait(("said", f"{room}/Juliet", "Ay me!"))
    info = "http://jabber.org/protocol/disco#info query"
    asked = romeo.asked()
    assert refused(*asked) == [(room, info, "item-not-found")]  # as there was no room yet
    assert refused(*juliet.asked()) == []


def test_configuration_that_is_canceled_changes_nothing(room, romeo):
    """§10.2"""
    romeo.create(room, "Romeo", roomname="Garden")
    romeo.ask("MUC", "request_config", room)
    assert romeo.ask("MUC", "cancel_config", room) == {"jid": room}
    assert romeo.ask("MUC", "request_config", room)["form"]["muc#roomconfig_roomname"] == "Garden"


def test_occupants_talk_whisper_and_change_their_names(room, romeo, juliet):
    """§7.4, §7.5, §7.6, §8.1"""
    romeo.create(room, "Romeo", membersonly=False)
    juliet.do("enter", room, "Romeo", None)
    juliet.ears.wait(("refused", f"{room}/Romeo", "conflict"))
    juliet.enter(room, "Juliet")
    romeo.do("tell", f"{room}/Juliet", "psst", "chat")
    juliet.ears.wait(("whispers", f"{room}/Romeo", "psst"))
    romeo.ask("MUC", "set_subject", room, "Roses")
    juliet.ears.wait(("subject", room, "Roses"))
    juliet.do("rename", room, "Capulet")
    for each in (romeo, juliet):
        each.ears.wait(("renamed", room, "Juliet", "Capulet"))
    juliet.do("exit", room, "Capulet")
    romeo.ears.wait(("gone", room, "Capulet"))


def test_owner_rules_a_room(room, romeo, juliet, nurse):
    """§8.2, §9.1, §9.5, §9.3, §10.9: lists, voice, kick, ban, destruction"""
    romeo.create(room, "Romeo", membersonly=False)
    for each, nick in ((juliet, "Juliet"), (nurse, "Nurse")):
        each.enter(room, nick)
    romeo.ask("MUC", "set_affiliation", room, {juliet.bare: {"affiliation": "admin"}})
    nurse.ears.wait(("occupant", room, "Juliet", "admin", "moderator"))
    assert list(romeo.ask("MUC", "get_affiliation", room, "admin")["users"]) == [juliet.bare]
    assert list(juliet.ask("MUC", "get_affiliation", room, "owner")["users"]) == [romeo.bare]
    with pytest.raises(Refused) as why:
        nurse.ask("MUC", "get_affiliation", room, "outcast")
    assert why.value.condition == "forbidden"
    romeo.ask("MUC", "set_role", room, "Nurse", "visitor", "hush")
    nurse.ears.wait(("occupant", room, "Nurse", "none", "visitor"))
    juliet.ask("MUC", "set_role", room, "Nurse", "none")
    nurse.ears.wait(("gone", room, "Nurse", "110", "307"))
    ban = {nurse.bare: {"affiliation": "outcast", "reason": "loud"}}
    juliet.ask("MUC", "set_affiliation", room, ban)
    nurse.do("enter", room, "Nurse", None)
    nurse.ears.wait(("refused", f"{room}/Nurse", "forbidden"))
    banned = romeo.ask("MUC", "get_affiliation", room, "outcast")["users"]
    assert banned[nurse.bare]["reason"] == "loud"
    romeo.ask("MUC", "destroy", room, "dawn", f"mantua@{SERVICE}")
    # COMPAT(nbxmpp 4.2): it looks for the reason beside the element that has it
    juliet.ears.wait(("destroyed", room, "", f"mantua@{SERVICE}"))


def test_visitor_asks_for_voice_and_gets_it(room, romeo, juliet):
    """§7.13, §8.6"""
    romeo.create(room, "Romeo", membersonly=False, moderatedroom=True)
    juliet.enter(room, "Juliet")
    romeo.ears.wait(("occupant", room, "Juliet", "none", "visitor"))
    juliet.ask("MUC", "request_voice", room)
    romeo.ears.wait(("voice", room, "Juliet", juliet.jid))
    romeo.do("approve", room)
    juliet.ears.wait(("occupant", room, "Juliet", "none", "participant"))


def test_people_are_invited_and_decline(room, romeo, juliet):
    """§7.8.1, §7.8.2, XEP-0249"""
    romeo.create(room, "Romeo", membersonly=False)
    for kind, who in (("mediated", romeo.bare), ("direct", romeo.jid)):
        words = room, juliet.bare, None, "come", False
        romeo.ask("MUC", "invite", *words, type_=made("invitation", kind))
        event = juliet.ears.wait(("invited", room, kind))
        assert event[3:] in [(who, "come"), (romeo.jid, "come")]
    juliet.ask("MUC", "decline", room, romeo.bare, "anon")
    romeo.ears.wait(("declined", room, juliet.bare))


def test_room_is_configured_in_a_dialog(room, romeo, juliet):
    """§10.2, §7.2.5: forms without what is empty; occupants hear of it; a password then"""
    romeo.create(room, "Romeo", membersonly=False)
    romeo.ask("MUC", "request_config", room)
    values = {"passwordprotectedroom": True, "roomsecret": "rose", "whois": "moderators"}
    values = {f"muc#roomconfig_{name}": value for name, value in values.items()}
    romeo.submit("MUC", "set_config", room, values=values)
    romeo.ears.wait(("changed", room, "173"))
    juliet.do("enter", room, "Juliet", "thorn")
    juliet.ears.wait(("refused", f"{room}/Juliet", "not-authorized"))
    juliet.enter(room, "Juliet", "rose")
    with pytest.raises(Refused) as why:
        juliet.ask("MUC", "request_config", room)
    assert why.value.condition == "forbidden"


def test_public_rooms_are_listed_by_the_page(romeo):
    """§6.3, XEP-0059 §2.2"""
    rooms = [f"listed{n}@{SERVICE}" for n in range(5)]
    for each in rooms:
        romeo.create(each, "Romeo", membersonly=False, publicroom=True)
    found, after = [], None
    while True:
        items, after, count = romeo.page(SERVICE, 2, after)
        found += items
        assert len(items) <= 2
        if len(found) >= count:
            break
    assert set(rooms) <= set(found)
    listed = romeo.ask("Discovery", "disco_items", SERVICE)["items"]
    assert {each["jid"] for each in listed} == set(found)
    present = romeo.ask("Discovery", "disco_items", rooms[0])["items"]
    assert [each["jid"] for each in present] == [f"{rooms[0]}/Romeo"]


def test_room_is_read_by_the_page(room, romeo):
    """XEP-0313 §4.1: after what nobody has any more Gajim starts anew"""
    romeo.create(room, "Romeo")
    for number in range(7):
        romeo.do("tell", room, f"line {number}")
    romeo.ears.wait(("said", f"{room}/Romeo", "line 6"))
    after, complete, sizes = None, False, []
    while not complete:
        page = romeo.ask("MAM", "make_query", room, "q", after=after, max_=3)
        after, complete = page["rsm"]["last"], page["complete"]
        sizes.append(page["rsm"]["count"])
    assert len(sizes) >= 3
    for number in range(7):
        romeo.ears.wait(("archived", room, f"{room}/Romeo", f"line {number}"))
    with pytest.raises(Refused) as why:
        romeo.ask("MAM", "make_query", room, "q", after="never-was")
    assert why.value.condition == "item-not-found"


def test_room_gets_a_picture(room, romeo, juliet):
    """XEP-0486 §3, §4: who is in asks for it as it changed, newcomers as they find the room"""
    romeo.create(room, "Romeo", membersonly=False)
    juliet.enter(room, "Juliet")
    field = "{http://modules.prosody.im/mod_vcard_muc}avatar#sha1"

    def known():
        found = juliet.ask("MUC", "request_info", room)
        (form,) = found["info"]["dataforms"]
        return form[field], found["vcard"]

    assert known() == ("", None)
    romeo.ask("VCardTemp", "set_vcard", made("photo", PNG.hex()), jid=room)
    juliet.ears.wait(("changed", room, "104"))
    id, card = known()
    assert id == hashlib.sha1(PNG).hexdigest()
    assert card["data"]["PHOTO"]["TYPE"] == "image/png"
    assert base64.b64decode(card["data"]["PHOTO"]["BINVAL"]) == PNG


def test_picture_of_an_occupant_is_got_through_the_room(people, room, juliet):
    """XEP-0153 §4.2, XEP-0398 §4, XEP-0045 §7.5: the server says in the room that there is one"""
    friar = people.comes()
    friar.ask("UserAvatar", "set_avatar", made("picture", PNG.hex()), public=True)
    juliet.create(room, "Juliet", membersonly=False, whois="moderators")
    friar.enter(room, "Friar")
    juliet.ears.wait(("picture", room, "Friar", hashlib.sha1(PNG).hexdigest()))
    card = juliet.ask("VCardTemp", "request_vcard", jid=f"{room}/Friar")
    assert base64.b64decode(card["data"]["PHOTO"]["BINVAL"]) == PNG


def test_occupant_is_blocked(people, room, romeo, juliet):
    """XEP-0191 §3.3: an occupant's address like any other; all clients of the account hear of it"""
    phone = people.comes(romeo.user, "phone")
    juliet.create(room, "Juliet", membersonly=False)
    romeo.enter(room, "Romeo")
    occupant = f"{room}/Juliet"
    romeo.ask("Blocking", "block", [jid(occupant)])
    phone.ask("Blocking", "request_blocking_list")
    assert romeo.ask("Blocking", "request_blocking_list") == [occupant]
    juliet.do("tell", f"{room}/Romeo", "psst", "chat")
    romeo.ask("Blocking", "unblock", [jid(occupant)])
    for each in (romeo, phone):
        each.ears.wait(("block", occupant))
        each.ears.wait(("unblock", occupant))
    juliet.do("tell", f"{room}/Romeo", "hark", "chat")
    romeo.ears.wait(("whispers", f"{room}/Juliet", "hark"))
    assert not romeo.ears.heard("whispers", f"{room}/Juliet", "psst")
