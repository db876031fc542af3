"""Gajim's library at `twistd -n imsuite`: nodes of people and of the service, cards, commands."""

import hashlib

import pytest

from tests.gajim import DOMAIN, PASSWORD, Refused, company, jid, made

SERVICE, NODES = f"conference.{DOMAIN}", f"pubsub.{DOMAIN}"
HOSTS = f"""
[hosts."{DOMAIN}"]
admins = ["prince@{DOMAIN}"]
[hosts."{DOMAIN}".features.commands]
page = 3
"""
NAMES = "romeo", "juliet", "nurse", "prince"
PNG = b"\x89PNG\r\n\x1a\n a picture, as far as a server can tell"
NS_ADMIN = "http://jabber.org/protocol/admin"
NICK, TUNE = "http://jabber.org/protocol/nick", "http://jabber.org/protocol/tune"
AVATAR, CARD = "urn:xmpp:avatar:metadata", "urn:xmpp:vcard4"
BOOKMARKS, DEVICES = "urn:xmpp:bookmarks:1", "eu.siacs.conversations.axolotl.devicelist"

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
    """Somebody whom the others do not know."""
    return people.stays("nurse")


@pytest.fixture
def prince(people):
    """Who administers the server."""
    return people.stays("prince")


@pytest.fixture(scope="module")
def friends(people):
    """Two who see each other."""
    romeo, juliet = people.stays("romeo"), people.stays("juliet")
    romeo.befriend(juliet.bare)
    juliet.befriend(romeo.bare)
    romeo.sees(juliet.bare, True)
    juliet.sees(romeo.bare, True)
    return romeo, juliet


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
    romeo = people.comes()
    phone = people.comes(romeo.user, "phone")
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
    phone = people.comes(juliet.user, "phone")
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


def test_administrator_adds_an_account(people, prince):
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
    assert newcomer in {each["account"] for each in people.server.ask("users")}


def test_administrator_reads_a_list_in_stages(romeo, juliet, nurse, prince):
    """XEP-0050 §3.4: forth, back, and until there is no more"""
    begin(prince, "imsuite#sessions")
    stage = first = complete(prince, {"jid": DOMAIN})
    assert set(stage["actions"]) == {"cancel", "prev", "next", "complete"}
    assert go(prince, "next")["data"] != first["data"]
    assert go(prince, "prev")["data"] == first["data"]
    pages = [first["data"]]
    while stage["status"] == "executing":
        stage = go(prince, "next")
        pages.append(stage["data"])
    for each in (romeo, juliet, nurse, prince):
        assert sum(each.jid in page for page in pages) == 1
    begin(prince, "imsuite#sessions")
    assert go(prince, "cancel")["status"] == "canceled"


def test_others_have_no_commands_of_the_domain(romeo):
    """XEP-0133 §6: those of their own account they have"""
    assert romeo.ask("AdHoc", "request_command_list", DOMAIN) == []
    own = {each["node"] for each in romeo.ask("AdHoc", "request_command_list")}
    assert {"imsuite#kick", "imsuite#sessions"} <= own
