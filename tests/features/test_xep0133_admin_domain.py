"""XEP-0133 §4.11, §4.12, §4.23-§4.31: lists, texts, administrators and the end of the service."""

import pytest

from imsuite.testing.memory import MemoryServer, befriend, now
from tests.admins import ADMIN, admin, completed, field, nodes, refusal, says, shown
from tests.helpers import fitting, holds

TWO = pytest.mark.server(domains=("example.org", "example.net"))
STANZAS = "xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'"
HELLO = "<message to='{}' type='chat' id='h'><body>hello</body></message>"


@pytest.fixture
def boss(server):
    """An administrator of the domain."""
    server.account("romeo@example.org", admin=True)
    return server.login("romeo@example.org/orchard")


@pytest.fixture
def nurse(server):
    """Somebody of another domain."""
    return server.login("nurse@example.net/kitchen")


def alone():
    """Return a server that may be started again, and its administrator."""
    server = MemoryServer()
    server.account("romeo@example.org", admin=True)
    return server, server.login("romeo@example.org/orchard")


def headlines(client):
    """Return the bodies of the headlines that a client received."""
    return [
        stanza.partition("<body>")[2].partition("</body>")[0]
        for stanza in client.received
        if holds(stanza, "<message type='headline' from='example.org'/>")
    ]


# --- lists ------------------------------------------------------------------------------------


@TWO
def test_nothing_comes_from_or_goes_to_the_blacklist(server, boss, nurse):
    """§4.11: both ways, and not for others."""
    befriend(boss, nurse)
    assert completed(admin(boss, "edit-blacklist", field("blacklistjids", "example.net")))
    (answer,) = boss.says(HELLO.format("nurse@example.net"))
    assert holds(answer, f"<message type='error'><error><not-allowed {STANZAS}/></error></message>")
    (answer,) = nurse.says(HELLO.format("romeo@example.org"))
    refused = f"<message type='error'><error><service-unavailable {STANZAS}/></error></message>"
    assert holds(answer, refused)
    boss.forget()
    nurse.says("<presence><show>away</show></presence>")
    assert boss.received == []
    (answer,) = nurse.says(
        "<iq type='get' id='v' to='romeo@example.org'><vCard xmlns='vcard-temp'/></iq>"
    )
    assert "service-unavailable" in answer
    assert shown(says(boss, f"{ADMIN}#edit-blacklist"), "blacklistjids") == ["example.net"]
    assert completed(admin(boss, "edit-blacklist", field("blacklistjids")))
    nurse.forget()
    boss.says(HELLO.format("nurse@example.net/kitchen"))
    assert fitting(nurse.received, "<message><body>hello</body></message>")


@TWO
@pytest.mark.parametrize(
    ("word", "comes", "goes"),
    [("add-to-blacklist-in", False, True), ("add-to-blacklist-out", True, False)],
)
def test_one_direction(server, boss, nurse, word, comes, goes):
    """§4.11: inbound or outbound alone."""
    assert completed(admin(boss, word, field("blacklistjids", "nurse@example.net")))
    boss.forget()
    nurse.says(HELLO.format("romeo@example.org/orchard"))
    assert bool(fitting(boss.received, "<message><body>hello</body></message>")) is comes
    nurse.forget()
    boss.says(HELLO.format("nurse@example.net/kitchen"))
    assert bool(fitting(nurse.received, "<message><body>hello</body></message>")) is goes
    form = says(boss, f"{ADMIN}#edit-blacklist")
    both, inward, outward = (
        shown(form, var) for var in ("blacklistjids", "x-inbound", "x-outbound")
    )
    assert (both, inward, outward) == (
        [],
        [] if comes else ["nurse@example.net"],
        [] if goes else ["nurse@example.net"],
    )


@TWO
def test_both_directions_one_after_the_other_are_both(boss, nurse):
    """§4.11"""
    for word in ("add-to-blacklist-in", "add-to-blacklist-out"):
        admin(boss, word, field("blacklistjids", "nurse@example.net"))
    form = says(boss, f"{ADMIN}#edit-blacklist")
    assert shown(form, "blacklistjids") == ["nurse@example.net"]


def test_an_edited_list_is_the_list(boss):
    """§4.11: what is not there any more is off it; fields that are absent change nothing."""
    admin(boss, "add-to-blacklist-in", field("blacklistjids", "denmark.lit"))
    admin(boss, "edit-blacklist", field("blacklistjids", "france.lit", "marlowe.lit"))
    admin(boss, "edit-blacklist", field("blacklistjids", "marlowe.lit", "England.lit"))
    form = says(boss, f"{ADMIN}#edit-blacklist")
    assert sorted(shown(form, "blacklistjids")) == ["england.lit", "marlowe.lit"]
    assert shown(form, "x-inbound") == ["denmark.lit"]
    admin(boss, "edit-blacklist", field("blacklistjids"), field("x-inbound"))
    form = says(boss, f"{ADMIN}#edit-blacklist")
    assert shown(form, "blacklistjids") == shown(form, "x-inbound") == []


def test_a_direction_is_changed_in_the_form(boss):
    """§4.11"""
    admin(boss, "add-to-blacklist-in", field("blacklistjids", "denmark.lit"))
    admin(boss, "edit-blacklist", field("x-inbound"), field("x-outbound", "denmark.lit"))
    form = says(boss, f"{ADMIN}#edit-blacklist")
    assert (shown(form, "x-inbound"), shown(form, "x-outbound")) == ([], ["denmark.lit"])


@pytest.mark.parametrize("shut_out", ["example.org", "romeo@example.org"])
def test_who_edits_the_list_is_not_on_it(boss, shut_out):
    """§5: conflict."""
    answer = admin(boss, "edit-blacklist", field("blacklistjids", shut_out))
    assert refusal(answer, "conflict")


def test_somebody_of_the_domain_is_shut_up(boss, juliet):
    """§4.11: a JID of any form; it still reaches the server itself."""
    admin(boss, "edit-blacklist", field("blacklistjids", "juliet@example.org"))
    (answer,) = juliet.says(HELLO.format("romeo@example.org"))
    assert "service-unavailable" in answer
    (answer,) = juliet.says("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    assert holds(answer, "<iq type='result'/>")


@TWO
def test_only_who_is_on_the_whitelist(server, boss, nurse, juliet):
    """§4.12: the own domain needs no place on it."""
    assert completed(admin(boss, "edit-whitelist", field("whitelistjids", "verona.lit")))
    (answer,) = nurse.says(HELLO.format("romeo@example.org"))
    assert "service-unavailable" in answer
    boss.forget()
    juliet.says(HELLO.format("romeo@example.org/orchard"))
    assert fitting(boss.received, "<message><body>hello</body></message>")
    assert completed(admin(boss, "add-to-whitelist", field("whitelistjids", "example.net")))
    boss.forget()
    nurse.says(HELLO.format("romeo@example.org/orchard"))
    assert fitting(boss.received, "<message><body>hello</body></message>")


@TWO
def test_rooms_are_closed_to_the_blacklist(boss, nurse):
    """§4.11: to who comes, and to who was in before."""
    join = "<presence to='garden@conference.example.org/nurse'><x xmlns='{}'/></presence>".format(
        "http://jabber.org/protocol/muc"
    )
    speak = "<message to='garden@conference.example.org' type='groupchat' id='g'>{}</message>"
    boss.says(join.replace("/nurse", "/romeo"))
    boss.says(
        "<iq type='set' id='o' to='garden@conference.example.org'>"
        "<query xmlns='http://jabber.org/protocol/muc#owner'>"
        "<x xmlns='jabber:x:data' type='submit'/></query></iq>"
    )
    assert not fitting(nurse.says(join), "<presence type='error'/>")
    admin(boss, "add-to-blacklist-in", field("blacklistjids", "example.net"))
    nurse.forget()
    nurse.says(speak.format("<body>hello</body>"))
    refused = f"<error><not-allowed {STANZAS}/></error>"
    assert fitting(nurse.received, f"<message type='error'>{refused}</message>")
    nurse.says("<presence type='unavailable' to='garden@conference.example.org/nurse'/>")
    nurse.forget()
    nurse.says(join)
    assert fitting(nurse.received, f"<presence type='error'>{refused}</presence>")


def test_lists_outlast_a_restart():
    """§4.11"""
    server, boss = alone()
    admin(boss, "edit-blacklist", field("blacklistjids", "france.lit"))
    later = server.crash()
    again = later.login("romeo@example.org/orchard")
    assert shown(says(again, f"{ADMIN}#edit-blacklist"), "blacklistjids") == ["france.lit"]
    later.stop()


# --- texts ------------------------------------------------------------------------------------


def test_an_announcement_goes_to_every_client(server, boss, juliet):
    """§4.23: as a headline, to those who are online, and to nobody later."""
    chamber = server.login("juliet@example.org/chamber")
    absent = server.login("paris@example.org/yard", available=False)
    boss.forget()
    answer = admin(boss, "announce", field("announcement", "Attention!", "Please &lt;log off&gt;."))
    assert completed(answer)
    assert "3 clients" in answer
    for client in (juliet, chamber, boss):
        assert headlines(client) == ["Attention!&#10;Please &lt;log off&gt;."] or headlines(
            client
        ) == ["Attention!\nPlease &lt;log off&gt;."]
    absent.says("<presence/>")
    assert headlines(absent) == []


def test_an_announcement_goes_to_very_many(server, boss):
    """§4.23: a part in each turn of the reactor."""
    crowd = [server.login(f"guest{n}@example.org/x", roster=False) for n in range(501)]
    for guest in crowd:
        guest.forget()
    answer = admin(boss, "announce", field("announcement", "Attention!"))
    assert "502 clients" in answer
    assert all(headlines(guest) == ["Attention!"] for guest in crowd)


def test_an_announcement_is_needed(boss):
    """§4.23"""
    assert refusal(admin(boss, "announce", field("announcement")), "bad-request", "bad-payload")


def test_the_message_of_the_day_comes_once(server, boss, juliet):
    """§4.24: to who is online at once, to others when they log in."""
    paris = server.login("paris@example.org/yard", available=False)
    boss.forget()
    assert completed(admin(boss, "set-motd", field("motd", "Tea is at five.")))
    assert headlines(boss) == headlines(juliet) == ["Tea is at five."]
    chamber = server.login("juliet@example.org/chamber", available=False)
    chamber.says("<presence/>")
    assert headlines(chamber) == []
    paris.says("<presence><priority>-1</priority></presence>")
    assert headlines(paris) == []
    paris.says("<presence/>")
    assert headlines(paris) == ["Tea is at five."]


def test_a_corrected_message_of_the_day_is_for_who_has_not_seen_it(server, boss, juliet):
    """§4.25: the form has the one that there is."""
    admin(boss, "set-motd", field("motd", "Tea is at", "six."))
    form = says(boss, f"{ADMIN}#edit-motd")
    assert shown(form, "motd") == ["Tea is at", "six."]
    assert not shown(says(boss, f"{ADMIN}#set-motd"), "motd")
    juliet.forget()
    assert completed(admin(boss, "edit-motd", field("motd", "Tea is at five.")))
    assert headlines(juliet) == []
    paris = server.login("paris@example.org/yard", available=False)
    paris.says("<presence/>")
    assert headlines(paris) == ["Tea is at five."]
    assert completed(admin(boss, "set-motd", field("motd", "No tea today.")))
    assert headlines(juliet) == ["No tea today."]


def test_the_message_of_the_day_is_deleted(server, boss):
    """§4.26"""
    admin(boss, "set-motd", field("motd", "Tea is at five."))
    assert completed(admin(boss, "delete-motd"))
    paris = server.login("paris@example.org/yard", available=False)
    paris.says("<presence/>")
    assert headlines(paris) == []
    assert not shown(says(boss, f"{ADMIN}#edit-motd"), "motd")


def test_who_saw_the_message_of_the_day_is_remembered():
    """§4.24: across a restart."""
    server, boss = alone()
    admin(boss, "set-motd", field("motd", "Tea is at five."))
    server.advance(6)
    later = server.crash()
    again = later.login("romeo@example.org/orchard", available=False)
    again.says("<presence/>")
    assert headlines(again) == []
    paris = later.login("paris@example.org/yard", available=False)
    paris.says("<presence/>")
    assert headlines(paris) == ["Tea is at five."]
    later.stop()


def test_new_accounts_are_welcomed_once(server, boss):
    """§4.27: at their first login, not before and not again."""
    assert completed(admin(boss, "set-welcome", field("welcome", "Welcome to Verona.")))
    assert shown(says(boss, f"{ADMIN}#set-welcome"), "welcome") == ["Welcome to Verona."]
    paris = server.login("paris@example.org/yard", available=False)
    paris.says("<presence/>")
    welcome = "<message from='example.org'><body>Welcome to Verona.</body></message>"
    assert fitting(paris.received, welcome)
    paris.closes()
    again = server.login("paris@example.org/yard", available=False)
    again.says("<presence/>")
    assert not fitting(again.received, welcome)


def test_old_accounts_are_not_welcomed(server, host, boss):
    """§4.27: those that were there before anybody noted who logs in."""
    admin(boss, "set-welcome", field("welcome", "Welcome to Verona."))
    now(host.users.create("paris", "-", 1))
    paris = server.login("paris@example.org/yard", available=False)
    paris.says("<presence/>")
    assert not fitting(paris.received, "<message from='example.org'/>")


def test_the_welcome_is_deleted(server, boss):
    """§4.28"""
    admin(boss, "set-welcome", field("welcome", "Welcome to Verona."))
    assert completed(admin(boss, "delete-welcome"))
    paris = server.login("paris@example.org/yard", available=False)
    paris.says("<presence/>")
    assert not fitting(paris.received, "<message from='example.org'/>")


# --- administrators ---------------------------------------------------------------------------


def test_administrators_are_edited(server, boss, juliet):
    """§4.29: at once, both ways."""
    form = says(boss, f"{ADMIN}#edit-admin")
    assert shown(form, "adminjids") == ["romeo@example.org"]
    both = field("adminjids", "romeo@example.org", "juliet@example.org")
    assert completed(admin(boss, "edit-admin", both))
    assert nodes(juliet)
    assert completed(admin(juliet, "edit-admin", field("adminjids", "juliet@example.org")))
    assert nodes(boss) == []


@pytest.mark.parametrize(
    ("jids", "condition"),
    [
        (["juliet@example.org"], "not-allowed"),
        ([], "not-allowed"),
        (["romeo@example.org", "nobody@example.org"], "item-not-found"),
        (["romeo@example.org", "chris@marlowe.lit"], "forbidden"),
    ],
)
def test_administrators_that_there_cannot_be(server, boss, juliet, jids, condition):
    """§4.29, §5: nobody takes their own rights; those of other domains are in the configuration."""
    assert refusal(admin(boss, "edit-admin", field("adminjids", *jids)), condition)
    assert nodes(boss)


def test_administrators_of_the_configuration_are_shown(server, host, boss):
    """§4.29"""
    host.users.named = frozenset(("chris@marlowe.lit",))
    assert "chris@marlowe.lit" in says(boss, f"{ADMIN}#edit-admin")


@TWO
def test_administrators_may_be_of_another_domain(server, host, nurse):
    """[hosts."example.org"] admins: they administer that one only."""
    host.users.named = frozenset(("nurse@example.net",))
    assert f"{ADMIN}#add-user" in nodes(nurse)
    assert nodes(nurse, "example.net") == []
    answer = admin(nurse, "add-user", field("accountjid", "a@example.org"), field("password", "p"))
    assert completed(answer)


# --- the end ----------------------------------------------------------------------------------


@pytest.mark.parametrize(("word", "again"), [("shutdown", False), ("restart", True)])
def test_the_service_ends_when_it_was_announced(server, boss, juliet, word, again):
    """§4.30, §4.31"""
    ended = []
    server.service.leaving.end = ended.append
    answer = admin(boss, word, field("delay", "120"), field("announcement", "Log off!"))
    assert completed(answer)
    assert headlines(juliet) == ["Log off!"]
    server.advance(119)
    assert ended == []
    server.advance(1)
    assert ended == [again]


def test_the_last_word_counts(server, boss):
    """§4.31: another delay replaces the one before."""
    ended = []
    server.service.leaving.end = ended.append
    admin(boss, "shutdown", field("delay", "30"))
    admin(boss, "restart", field("delay", "60"))
    server.advance(59)
    assert ended == []
    server.advance(300)
    assert ended == [True]


def test_without_a_delay_it_ends_at_once(server, boss):
    """§4.31: after the answer."""
    ended = []
    server.service.leaving.end = ended.append
    assert completed(admin(boss, "shutdown"))
    server.advance(1)
    assert ended == [False]


def test_a_part_of_another_program_is_not_restarted(boss):
    """§5: not-allowed."""
    assert refusal(admin(boss, "restart"), "not-allowed")


@pytest.mark.server(domains=("example.org", "example.net"))
def test_who_does_not_administer_all_domains_does_not_end_the_server(boss):
    """§6"""
    assert refusal(says(boss, f"{ADMIN}#shutdown"), "forbidden", type="cancel")
    assert f"{ADMIN}#shutdown" not in nodes(boss)
