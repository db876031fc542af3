"""Gajim's library at `twistd -n imsuite`: what Gajim asks at login, in rooms and of nodes."""

import base64
import hashlib
import itertools
from contextlib import ExitStack
from functools import cache

import pytest

from tests.gajim import Gajim, Refused, jid, made
from tests.served import served

DOMAIN = "localhost"
SERVICE, NODES = f"conference.{DOMAIN}", f"pubsub.{DOMAIN}"
HOSTS = f"""
[hosts."{DOMAIN}"]
admins = ["prince@{DOMAIN}"]
[hosts."{DOMAIN}".features.commands]
page = 3
"""
PASSWORD = "wherefore-art-thou"
PEOPLE = 2
PNG = b"\x89PNG\r\n\x1a\n a picture, as far as a server can tell"
NS_ADMIN = "http://jabber.org/protocol/admin"
NICK, TUNE = "http://jabber.org/protocol/nick", "http://jabber.org/protocol/tune"
AVATAR, CARD = "urn:xmpp:avatar:metadata", "urn:xmpp:vcard4"
BOOKMARKS, DEVICES = "urn:xmpp:bookmarks:1", "eu.siacs.conversations.axolotl.devicelist"

pytestmark = pytest.mark.needs_nbxmpp


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server with accounts, of whom one is its administrator."""
    with served(tmp_path_factory.mktemp("served"), HOSTS) as server:
        names = ("romeo", "juliet", "nurse", "prince", *(f"person{n}" for n in range(PEOPLE)))
        given = "".join(f"{name}@{DOMAIN} {PASSWORD}\n" for name in names)
        server.ctl("adduser", "--from", "-", given=given)
        server.names = (f"person{n}@{DOMAIN}" for n in itertools.count())
        yield server


@pytest.fixture(scope="module")
def cast(server):
    """Make somebody who stays online for all tests; the same one each time."""

    @cache
    def make(name):
        person = Gajim(server, f"{name}@{DOMAIN}/laptop", PASSWORD)
        everybody.callback(person.close)
        person.log_in()
        return person

    with ExitStack() as everybody:
        yield make


@pytest.fixture
def people(server):
    """Make somebody with an account who is online; afterwards everybody is gone."""

    def make(bare=None, device="laptop"):
        person = Gajim(server, f"{bare or next(server.names)}/{device}", PASSWORD)
        everybody.callback(person.close)
        person.log_in()
        return person

    with ExitStack() as everybody:
        yield make


@pytest.fixture
def romeo(cast):
    return cast("romeo")


@pytest.fixture
def juliet(cast):
    return cast("juliet")


@pytest.fixture
def nurse(cast):
    """Somebody whom the others do not know."""
    return cast("nurse")


@pytest.fixture
def prince(cast):
    """Who administers the server."""
    return cast("prince")


@pytest.fixture(scope="module")
def friends(cast):
    """Two who see each other."""
    romeo, juliet = cast("romeo"), cast("juliet")
    romeo.befriend(juliet.bare)
    juliet.befriend(romeo.bare)
    romeo.sees(juliet.bare, True)
    juliet.sees(romeo.bare, True)
    return romeo, juliet


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
    romeo = people()
    asked = romeo.asked()
    items = "http://jabber.org/protocol/pubsub pubsub items"
    assert refused(*asked) == [("", f"{items} {BOOKMARKS}", "item-not-found")]
    assert len(asked) == 14
    for service, category in ((SERVICE, "conference"), (NODES, "pubsub")):
        romeo.ears.wait(("service", service, category))
    romeo.create(f"login@{SERVICE}", "Romeo")
    romeo.ears.wait(("event", romeo.bare, BOOKMARKS))
    later = people(romeo.bare, "phone")
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


def test_server_keeps_what_gajim_keeps_there(romeo):
    """XEP-0049, XEP-0145, XEP-0083, XEP-0313 §3"""
    note = made("note", {"jid": "juliet@example.org", "text": "the sun"})
    romeo.ask("Annotations", "set_annotations", [note])
    (found,) = romeo.ask("Annotations", "request_annotations")
    assert (found["jid"], found["data"]) == ("juliet@example.org", "the sun")
    preferences = romeo.ask("MAM", "request_preferences")
    assert preferences["default"] in ("always", "roster")
    romeo.ask("MAM", "set_preferences", "roster", [jid("juliet@example.org")], [])
    assert romeo.ask("MAM", "request_preferences") == {
        "default": "roster",
        "always": ["juliet@example.org"],
        "never": [],
    }
    assert romeo.ask("SoftwareVersion", "request_software_version", DOMAIN)["name"] == "imsuite"
    assert romeo.ask("LastActivity", "request_last_activity", DOMAIN)["seconds"] >= 0
    romeo.ask("EntityTime", "request_entity_time", DOMAIN)


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
    """XEP-0313 §4.1: and what nobody has any more is item-not-found, after which Gajim starts anew"""
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


def test_occupant_is_blocked(people, room, romeo, juliet):
    """XEP-0191 §3.3: an occupant's address like any other; all clients of the account hear of it"""
    phone = people(romeo.bare, "phone")
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


# --- nodes of people ----------------------------------------------------------------------------


def test_avatar_is_published_seen_and_taken_away(friends):
    """XEP-0084 §3, §4, XEP-0398 §3: to friends, then to everybody, then to nobody"""
    romeo, juliet = friends
    sha = hashlib.sha1(PNG).hexdigest()
    with pytest.raises(Refused) as why:
        juliet.ask("UserAvatar", "request_avatar_metadata", jid=romeo.bare)
    assert why.value.condition == "item-not-found"
    romeo.ask("UserAvatar", "set_avatar", made("picture", PNG.hex()))
    juliet.ears.wait(("event", romeo.bare, AVATAR, sha))
    (info,) = juliet.ask("UserAvatar", "request_avatar_metadata", jid=romeo.bare)["infos"]
    assert (info["bytes"], info["id"]) == (len(PNG), sha)
    data = juliet.ask("UserAvatar", "request_avatar_data", sha, jid=romeo.bare)
    assert bytes.fromhex(data["data"]) == PNG
    assert romeo.ask("PubSub", "get_access_model", AVATAR) == "presence"
    romeo.ask("UserAvatar", "set_access_model", True)
    assert romeo.ask("PubSub", "get_access_model", AVATAR) == "open"
    romeo.ask("UserAvatar", "set_avatar", made("picture", PNG.hex()), public=True)
    card = juliet.ask("VCardTemp", "request_vcard", jid=romeo.bare)
    assert card["data"]["PHOTO"]["TYPE"] == "image/png"
    romeo.ask("UserAvatar", "set_avatar", None, public=True)
    assert juliet.ask("UserAvatar", "request_avatar_metadata", jid=romeo.bare) is None
    assert juliet.ask("UserAvatar", "request_avatar_data", sha, jid=romeo.bare) is None


def test_avatar_of_a_stranger_is_hidden_until_it_is_for_everybody(romeo, nurse):
    """XEP-0060 §6.5.9.4: the error that Gajim knows; publish-options that do not fit are set"""
    nurse.ask("UserAvatar", "set_avatar", made("picture", PNG.hex()))
    with pytest.raises(Refused) as why:
        romeo.ask("UserAvatar", "request_avatar_metadata", jid=nurse.bare)
    assert why.value.type == "auth"
    nurse.ask("UserAvatar", "set_avatar", made("picture", PNG.hex()), public=True)
    found = romeo.ask("UserAvatar", "request_avatar_metadata", jid=nurse.bare)
    assert len(found["infos"]) == 1


def test_bookmarks_are_the_same_in_all_three_forms(people):
    """XEP-0402 §5.2, XEP-0048, XEP-0411"""
    romeo = people()
    phone = people(romeo.bare, "phone")
    name = f"theplay@{SERVICE}"
    mark = {"jid": jid(name), "name": "Play", "nick": "JC", "autojoin": True}
    romeo.ask("NativeBookmarks", "store_bookmarks", [made("bookmark", mark)])
    phone.ears.wait(("event", romeo.bare, BOOKMARKS, name))
    wanted = {"jid": name, "name": "Play", "nick": "JC", "autojoin": True, "password": None}
    for form in ("NativeBookmarks", "PEPBookmarks", "PrivateBookmarks"):
        (found,) = phone.ask(form, "request_bookmarks")
        assert found == wanted | {"extensions": None}
    other = made("bookmark", mark | {"jid": jid(f"other@{SERVICE}")})
    romeo.ask("PEPBookmarks", "store_bookmarks", [made("bookmark", mark), other])
    phone.ears.wait(("event", romeo.bare, BOOKMARKS, f"other@{SERVICE}"))
    romeo.ask("NativeBookmarks", "retract_bookmark", jid(name))
    phone.ears.wait(("event", romeo.bare, BOOKMARKS, "retracted"))
    (left,) = phone.ask("PrivateBookmarks", "request_bookmarks")
    assert left["jid"] == f"other@{SERVICE}"


def test_friends_learn_of_tunes_and_names(people, friends):
    """XEP-0118, XEP-0172: and what is set while somebody is away is told when they come"""
    romeo, juliet = friends
    romeo.ask("Tune", "set_tune", made("tune", {"artist": "Brahms", "title": "Requiem"}))
    event = juliet.ears.wait(("event", romeo.bare, TUNE))
    assert "Requiem" in event[4]
    romeo.ask("Tune", "set_tune", made("tune", {}))
    juliet.ears.wait(("event", romeo.bare, TUNE))
    romeo.ask("Nickname", "set_nickname", "Monty")
    juliet.ears.wait(("event", romeo.bare, NICK, "current", '"Monty"'))
    romeo.ask("Nickname", "set_access_model", True)
    phone = people(juliet.bare, "phone")
    phone.ears.wait(("event", romeo.bare, NICK, "current", '"Monty"'))


def test_devices_and_keys_are_published_and_asked_for(romeo, nurse):
    """XEP-0384 0.3 §4: by people who do not know each other"""
    keys = ["01" * 33, "02" * 33, "03" * 33]
    romeo.ask("OMEMO", "set_devicelist", [5, 6])
    romeo.ask("OMEMO", "set_bundle", made("bundle", keys), 5)
    romeo.ears.wait(("event", romeo.bare, DEVICES))
    assert nurse.ask("OMEMO", "request_devicelist", jid(romeo.bare)) == [5, 6]
    bundle = nurse.ask("OMEMO", "request_bundle", jid(romeo.bare), 5)
    assert [bundle["spk"]["key"], *(each["key"] for each in bundle["otpks"])] == keys
    with pytest.raises(Refused) as why:
        nurse.ask("OMEMO", "request_bundle", jid(romeo.bare), 6)
    assert why.value.condition == "not-authorized"  # whether there is one is for friends
    romeo.ask("OMEMO", "set_devicelist", [6])
    assert nurse.ask("OMEMO", "request_devicelist", jid(romeo.bare)) == [6]


def test_own_nodes_are_looked_at_configured_and_deleted(nurse):
    """XEP-0060 §8.2, §8.4: Gajim's dialog of them"""
    nurse.ask("Nickname", "set_nickname", "Monty")
    listed = nurse.ask("Discovery", "disco_items", nurse.bare)["items"]
    assert {"jid": nurse.bare, "name": None, "node": NICK} in listed
    nurse.ask("PubSub", "get_node_configuration", NICK)
    values = {"pubsub#access_model": "whitelist"}
    nurse.submit("PubSub", "set_node_configuration", NICK, values=values)
    assert nurse.ask("PubSub", "get_access_model", NICK) == "whitelist"
    assert len(nurse.ask("PubSub", "request_items", NICK)) == 1
    nurse.ask("PubSub", "delete", NICK)
    nurse.ears.wait(("event", nurse.bare, NICK, "deleted"))
    with pytest.raises(Refused) as why:
        nurse.ask("PubSub", "request_items", NICK)
    assert why.value.condition == "item-not-found"


def test_card_is_published_and_read(romeo, nurse):
    """XEP-0292 §3: for everybody, and changed by who may"""
    with pytest.raises(Refused) as why:  # Gajim shows an empty one then
        romeo.ask("VCard4", "request_vcard")
    assert why.value.condition == "item-not-found"
    romeo.ask("VCard4", "set_vcard", made("card", {"fn": "Romeo"}), public=True)
    found = nurse.ask("VCard4", "request_vcard", jid=romeo.bare)
    assert "Romeo" in str(found)
    assert romeo.ask("PubSub", "get_access_model", CARD) == "open"


# --- nodes of the service -----------------------------------------------------------------------


def test_node_of_the_service_is_published_to_by_its_owner(prince, juliet):
    """XEP-0060 §7.1, §6.5, §8.2, §8.5, §8.4: what Gajim's browser of services does"""
    node = "news"
    item = made("node", "<entry xmlns='http://www.w3.org/2005/Atom'><title>hi</title></entry>")
    words = {"jid": NODES}
    create = f"<pubsub xmlns='http://jabber.org/protocol/pubsub'><create node='{node}'/></pubsub>"
    assert prince.raw(NODES, create) == "result"
    prince.ask("PubSub", "publish", node, item, id_="one", **words)
    assert {"jid": NODES, "node": node} in [
        {"jid": each["jid"], "node": each["node"]}
        for each in juliet.ask("Discovery", "disco_items", NODES)["items"]
    ]
    prince.ask("PubSub", "get_node_configuration", node, **words)
    values = {"pubsub#title": "News"}
    prince.submit("PubSub", "set_node_configuration", node, values=values, **words)
    info = juliet.ask("Discovery", "disco_info", NODES, node=node)
    assert ("pubsub", "leaf") in [(each["category"], each["type"]) for each in info["identities"]]
    assert len(juliet.ask("PubSub", "request_items", node, **words)) == 1
    with pytest.raises(Refused) as why:
        juliet.ask("PubSub", "publish", node, item, id_="two", **words)
    assert why.value.condition == "forbidden"
    prince.ask("PubSub", "retract", node, "one", **words)
    prince.ask("PubSub", "purge", node, **words)
    prince.ask("PubSub", "delete", node, **words)


# --- commands -----------------------------------------------------------------------------------


def begin(person, node):
    """Return the first stage of a command of the domain, chosen from the list of them."""
    commands = person.ask("AdHoc", "request_command_list", DOMAIN)
    chosen = [each["node"] for each in commands].index(node)
    return person.ask("AdHoc", "execute_command", {"last": chosen})


def go(person, action):
    """Return the stage after the last one, where nothing is to be filled in."""
    return person.ask("AdHoc", "execute_command", {"last": None}, made("action", action))


def complete(person, values):
    """Fill in the form of the last stage, which is the only one."""
    action = made("action", "complete")
    return person.submit("AdHoc", "execute_command", {"last": None}, action, values=values)


def test_administrator_adds_an_account(server, prince):
    """XEP-0050 §3.4, XEP-0133 §4.1: what is wrong is said, and the stage waits"""
    newcomer = f"tybalt@{DOMAIN}"
    stage = begin(prince, f"{NS_ADMIN}#add-user")
    assert (stage["status"], stage["default"]) == ("executing", "complete")
    values = {"accountjid": newcomer, "password": PASSWORD, "password-verify": "another"}
    with pytest.raises(Refused) as why:
        complete(prince, values)
    assert why.value.condition == "bad-request"
    done = complete(prince, values | {"password-verify": PASSWORD})
    assert done["status"] == "completed"
    assert newcomer in {each["account"] for each in server.ask("users")}


def test_administrator_reads_a_list_in_stages(prince):
    """XEP-0050 §3.4: forth and back, and enough of it"""
    print([e["node"] for e in prince.ask("AdHoc", "request_command_list", DOMAIN)])
    stage = begin(prince, "imsuite#sessions")
    print(stage)
