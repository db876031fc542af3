"""XEP-0133: Service Administration: who may, accounts (§4.1-§4.10), figures (§4.13-§4.22)."""

import base64

import pytest

from imsuite.testing.memory import MemoryServer, befriend, now
from imsuite.testing.memory_link import MemoryTls
from tests.admins import ADMIN, admin, completed, field, nodes, refusal, says, session, shown
from tests.helpers import fitting, holds

# every node that the specification names, and those of its text that have no section
NODES = """
add-user delete-user disable-user reenable-user end-user-session change-user-password
get-user-roster get-user-lastlogin user-stats edit-blacklist add-to-blacklist-in
add-to-blacklist-out edit-whitelist add-to-whitelist add-to-whitelist-in add-to-whitelist-out
get-registered-users-num get-disabled-users-num get-online-users-num get-active-users-num
get-idle-users-num get-registered-users-list get-disabled-users-list get-online-users-list
get-active-users get-idle-users announce set-motd edit-motd delete-motd set-welcome
delete-welcome edit-admin restart shutdown
""".split()


@pytest.fixture
def boss(server):
    """An administrator of the domain."""
    server.account("romeo@example.org", admin=True)
    return server.login("romeo@example.org/orchard")


def logs_in(server, name, password):
    """Tell whether a password opens an account."""
    secret = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
    link = server.connect(MemoryTls())
    link.put(
        b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        b" to='example.org' version='1.0'>"
    )
    link.put(
        b"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>%s</auth>"
        % secret.encode()
    )
    server.settle()
    return b"<success" in link.take()


def jid(*addresses):
    return field("accountjid" if len(addresses) == 1 else "accountjids", *addresses)


def jids(*addresses):
    return field("accountjids", *addresses)


# --- who may ----------------------------------------------------------------------------------


def test_every_command_is_there(boss):
    """§4"""
    shown_nodes = nodes(boss)
    assert [word for word in NODES if f"{ADMIN}#{word}" not in shown_nodes] == []


@pytest.mark.parametrize("word", [*NODES, "get-user-password"])
def test_nobody_else_may_run_them(boss, juliet, word):
    """§5, §6"""
    assert refusal(says(juliet, f"{ADMIN}#{word}"), "forbidden", type="cancel")


def test_nobody_else_sees_them(juliet):
    assert not [node for node in nodes(juliet) if node.startswith(ADMIN)]


def test_forms_are_of_the_specification(boss):
    """§8.2: the FORM_TYPE, and a title and instructions."""
    answer = says(boss, f"{ADMIN}#add-user")
    assert holds(
        answer,
        "<iq><command xmlns='http://jabber.org/protocol/commands' status='executing'>"
        "<x xmlns='jabber:x:data' type='form'><title>Add User</title>"
        "<instructions>{_}</instructions>"
        f"<field type='hidden' var='FORM_TYPE'><value>{ADMIN}</value></field>"
        "<field type='jid-single' var='accountjid'><required/></field>"
        "<field type='text-private' var='password'/>"
        "<field type='text-private' var='password-verify'/>"
        "<field type='text-single' var='email'/><field type='text-single' var='given_name'/>"
        "<field type='text-single' var='surname'/></x></command></iq>",
    )
    form = f"<x xmlns='jabber:x:data' type='submit'>{field('FORM_TYPE', 'urn:x')}</x>"
    answer = says(boss, f"{ADMIN}#add-user", form, sessionid=session(answer))
    assert refusal(answer, "bad-request", "bad-payload")


# --- accounts ---------------------------------------------------------------------------------


def test_a_user_is_added(server, boss):
    """§4.1: an account, with a card of who it is."""
    fields = {
        "accountjid": "paris@example.org",
        "password": "pencil",
        "password-verify": "pencil",
        "email": "paris@example.com",
        "given_name": "Paris",
        "surname": "County",
    }
    answer = admin(boss, "add-user", *(field(var, text) for var, text in fields.items()))
    assert completed(answer)
    assert logs_in(server, "paris", "pencil")
    (card,) = boss.says(
        "<iq type='get' id='v' to='paris@example.org'><vCard xmlns='vcard-temp'/></iq>"
    )
    assert holds(
        card,
        "<iq type='result'><vCard xmlns='vcard-temp'><FN>Paris County</FN>"
        "<N><FAMILY>County</FAMILY><GIVEN>Paris</GIVEN></N>"
        "<EMAIL><USERID>paris@example.com</USERID></EMAIL></vCard></iq>",
    )


@pytest.mark.server(options={"vcard": {"largest": 1024}})
def test_a_user_is_added_though_the_card_is_too_large(server, boss):
    answer = admin(
        boss,
        "add-user",
        field("accountjid", "paris@example.org"),
        field("password", "pencil"),
        field("surname", "P" * 2000),
    )
    assert "was added" in answer
    assert "<note type='warn'>" in answer
    assert logs_in(server, "paris", "pencil")


@pytest.mark.parametrize(
    ("account", "password", "again", "condition"),
    [
        ("juliet@example.org", "pencil", "pencil", "conflict"),
        ("paris@example.org", "pencil", "eraser", "bad-request"),
        ("paris@example.net", "pencil", "pencil", "forbidden"),
        ("example.org", "pencil", "pencil", "not-acceptable"),
        ("paris@example.org/yard", "pencil", "pencil", "not-acceptable"),
        ("paris@example.org", "pen\tcil", "pen\tcil", "not-acceptable"),
    ],
)
def test_a_user_is_not_added(server, boss, juliet, account, password, again, condition):
    """§5"""
    answer = admin(
        boss,
        "add-user",
        field("accountjid", account),
        field("password", password),
        field("password-verify", again),
    )
    assert refusal(answer, condition)
    assert not now(server.host.users.exists("paris"))


def test_users_are_deleted(server, boss, juliet):
    """§4.2: their sessions end, and nothing is left."""
    server.account("paris@example.org")
    answer = admin(boss, "delete-user", jids("juliet@example.org", "paris@example.org"))
    assert completed(answer)
    assert juliet.gone
    assert now(server.host.users.count()) == 1


def test_what_fails_with_some_is_a_note(server, boss, juliet):
    """XEP-0050 §3.6; where it fails with all, the error of §5."""
    answer = admin(boss, "delete-user", jids("juliet@example.org", "nobody@example.org"))
    assert completed(answer, "error")
    assert "nobody@example.org" in answer
    assert juliet.gone
    assert refusal(admin(boss, "delete-user", jids("nobody@example.org")), "item-not-found")


@pytest.mark.parametrize("word", ["delete-user", "disable-user"])
def test_nobody_does_it_to_themselves(boss, word):
    """§5: not-allowed."""
    assert refusal(admin(boss, word, jids("romeo@example.org")), "not-allowed")
    assert not boss.gone


def test_a_user_is_disabled_and_enabled_again(server, boss):
    """§4.3, §4.4: nobody logs in meanwhile, and nothing is lost."""
    server.account("juliet@example.org", "pencil")
    juliet = server.login("juliet@example.org/balcony")
    befriend(boss, juliet)
    assert logs_in(server, "juliet", "pencil")
    assert completed(admin(boss, "disable-user", jids("juliet@example.org")))
    assert juliet.gone
    assert fitting(
        juliet.received,
        "<stream:error><not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
        "</stream:error>",
    )
    assert not logs_in(server, "juliet", "pencil")
    assert shown(admin(boss, "get-disabled-users-num"), "disabledusersnum") == ["1"]
    disabled = admin(boss, "get-disabled-users-list", field("max_items", "25"))
    assert shown(disabled, "disableduserjids") == ["juliet@example.org"]
    assert completed(admin(boss, "reenable-user", jids("juliet@example.org")))
    assert logs_in(server, "juliet", "pencil")
    again = server.login("juliet@example.org/balcony")
    (roster,) = again.says("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    assert "romeo@example.org" in roster


def test_who_is_about_to_bind_is_disabled_as_well(server, boss):
    """§4.3: they proved who they are, and have no session yet."""
    server.account("juliet@example.org", "pencil")
    secret = base64.b64encode(b"\0juliet\0pencil").decode()
    header = (
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
        " to='example.org' version='1.0'>"
    )
    link = server.connect(MemoryTls())
    auth = f"<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{secret}</auth>"
    link.put(f"{header}{auth}".encode())
    server.settle()
    admin(boss, "disable-user", jids("juliet@example.org"))
    server.settle()
    assert link.closed


def test_sessions_are_ended(server, boss, juliet):
    """§4.5: one, or all of an account; they may come again."""
    chamber = server.login("juliet@example.org/chamber")
    assert completed(admin(boss, "end-user-session", jids("juliet@example.org/chamber")))
    assert (chamber.gone, juliet.gone) == (True, False)
    again = server.login("juliet@example.org/chamber")
    assert completed(admin(boss, "end-user-session", jids("juliet@example.org")))
    assert (again.gone, juliet.gone) == (True, True)
    server.login("juliet@example.org/balcony")


def test_passwords_are_not_told(boss):
    """§4.6, §5: retracted; nobody has them."""
    assert refusal(says(boss, f"{ADMIN}#get-user-password"), "feature-not-implemented")
    assert f"{ADMIN}#get-user-password" not in nodes(boss)


def test_a_password_is_changed(server, boss):
    """§4.7: who logged in with the old one has to do so again."""
    server.account("juliet@example.org", "pencil")
    juliet = server.login("juliet@example.org/balcony")
    answer = admin(
        boss, "change-user-password", jid("juliet@example.org"), field("password", "eraser")
    )
    assert completed(answer)
    assert juliet.gone
    reset = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    assert fitting(juliet.received, reset)
    assert logs_in(server, "juliet", "eraser")
    assert not logs_in(server, "juliet", "pencil")


def test_ones_own_password_is_changed_in_this_session(server, boss):
    """§4.7: the others end."""
    garden = server.login("romeo@example.org/garden")
    answer = admin(
        boss, "change-user-password", jid("romeo@example.org"), field("password", "eraser")
    )
    assert completed(answer)
    assert (garden.gone, boss.gone) == (True, False)


def test_a_roster_is_told(boss, juliet):
    """§4.8: as RFC 6121 has it, inside the form."""
    befriend(boss, juliet)
    juliet.says(
        "<iq type='set' id='r'><query xmlns='jabber:iq:roster'>"
        "<item jid='nurse@example.com' name='Nurse'><group>House</group></item></query></iq>"
    )
    answer = admin(boss, "get-user-roster", jids("juliet@example.org"))
    assert holds(
        answer,
        "<iq><command xmlns='http://jabber.org/protocol/commands' status='completed'>"
        "<x xmlns='jabber:x:data' type='result'>"
        "<field var='accountjids'><value>juliet@example.org</value></field>"
        "<query xmlns='jabber:iq:roster'>"
        "<item jid='nurse@example.com' name='Nurse' subscription='none'><group>House</group></item>"
        "<item jid='romeo@example.org' subscription='both'/></query></x></command></iq>",
    )
    assert refusal(admin(boss, "get-user-roster", jids("nobody@example.org")), "item-not-found")


def test_the_last_login_is_told(server, boss):
    """§4.9; XEP-0082"""
    server.account("paris@example.org")
    server.advance(60)
    server.login("juliet@example.org/balcony")
    answer = admin(boss, "get-user-lastlogin", jids("juliet@example.org"))
    assert shown(answer, "lastlogin") == ["2026-01-01T00:01:00Z"]
    assert shown(answer, "accountjids") == ["juliet@example.org"]
    never = admin(boss, "get-user-lastlogin", jids("paris@example.org"))
    assert completed(never)
    assert shown(never, "lastlogin") is None
    both = admin(boss, "get-user-lastlogin", jids("juliet@example.org", "paris@example.org"))
    assert both.count("<item>") == 2


def test_logins_are_remembered():
    """§4.9: across a restart."""
    server = MemoryServer()
    server.account("romeo@example.org", admin=True)
    server.login("juliet@example.org/balcony").closes()
    later = server.restart()
    again = later.login("romeo@example.org/orchard")
    answer = admin(again, "get-user-lastlogin", jids("juliet@example.org"))
    assert shown(answer, "lastlogin") == ["2026-01-01T00:00:00Z"]
    later.stop()


def test_statistics_are_told(server, boss, juliet):
    """§4.10"""
    befriend(boss, juliet)
    server.login("juliet@example.org/chamber")
    answer = admin(boss, "user-stats", jid("juliet@example.org"))
    assert shown(answer, "ipaddresses") == ["192.0.2.1"]
    assert shown(answer, "rostersize") == ["1"]
    assert shown(answer, "onlineresources") == ["balcony", "chamber"]
    assert float(shown(answer, "stanzaspersecond")[0]) > 0
    assert float(shown(answer, "loginsperminute")[0]) == 2


# --- figures ----------------------------------------------------------------------------------


def figures(client):
    """Return the numbers of §4.13-§4.17."""
    words = ("registered", "disabled", "online", "active", "idle")
    answers = {word: admin(client, f"get-{word}-users-num") for word in words}
    return {word: int(shown(answer, f"{word}usersnum")[0]) for word, answer in answers.items()}


def test_users_are_counted(server, boss, juliet):
    """§4.13-§4.17"""
    server.account("paris@example.org")
    now(server.host.users.set_disabled("paris", True))
    expected = {"registered": 3, "disabled": 1, "online": 2, "active": 2, "idle": 0}
    assert figures(boss) == expected
    juliet.says("<presence><show>away</show></presence>")
    assert figures(boss) == {**expected, "active": 1, "idle": 1}


@pytest.mark.server(options={"admin": {"idle": 30}})
def test_who_says_nothing_is_idle(server, boss, juliet):
    """§4.17"""
    server.advance(40)
    boss.says("<presence/>")
    assert figures(boss)["idle"] == 1
    listed = admin(boss, "get-idle-users", field("max_items", "25"))
    assert shown(listed, "activeuserjids") == ["juliet@example.org"]
    listed = admin(boss, "get-active-users", field("max_items", "25"))
    assert shown(listed, "activeuserjids") == ["romeo@example.org"]


def test_an_inactive_client_is_idle(boss, juliet):
    """§4.17; XEP-0352"""
    juliet.says("<inactive xmlns='urn:xmpp:csi:0'/>")
    assert figures(boss)["idle"] == 1


def test_users_are_listed(server, boss, juliet):
    """§4.18, §4.20: as many as wanted, and whether there are more."""
    for number in range(30):
        server.account(f"guest{number:02}@example.org")
    listed = admin(boss, "get-registered-users-list", field("max_items", "25"))
    assert shown(listed, "registereduserjids") == [f"guest{n:02}@example.org" for n in range(25)]
    assert "There are more" in listed
    for fields in ([field("max_items", "none")], []):
        listed = admin(boss, "get-registered-users-list", *fields)
        assert len(shown(listed, "registereduserjids")) == 32
        assert "There are more" not in listed
    listed = admin(boss, "get-online-users-list", field("max_items", "50"))
    assert shown(listed, "onlineuserjids") == ["juliet@example.org", "romeo@example.org"]
    assert refusal(
        admin(boss, "get-online-users-list", field("max_items", "7")), "bad-request", "bad-payload"
    )


def test_lists_go_by_both_names(boss):
    """§4.21 has no -list at the end, though the sections before it have."""
    assert shown(admin(boss, "get-active-users-list"), "activeuserjids") == ["romeo@example.org"]
