"""XEP-0191: Blocking Command."""

import pytest

from imsuite.core.feature import At
from imsuite.features.xep0191_blocking import matches
from imsuite.testing.memory import befriend
from imsuite.xmpp.address import parse
from tests.helpers import fitting, holds, iq_error

NS = "urn:xmpp:blocking"
LIST = f"<iq type='get' id='l'><blocklist xmlns='{NS}'/></iq>"
MESSAGE = "<message to='{}' type='{}' id='m'><body>hello?</body></message>"
REFUSED = (
    "<message type='error' id='m'><error type='cancel'>"
    "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></message>"
)
BLOCKED = (
    "<error type='cancel'><not-acceptable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
    "<blocked xmlns='urn:xmpp:blocking:errors'/></error>"
)
JULIET = "juliet@example.org"
ROMEO = "romeo@example.org"


def command(name, *jids, id="b"):
    items = "".join(f"<item jid='{jid}'/>" for jid in jids)
    return f"<iq type='set' id='{id}'><{name} xmlns='{NS}'>{items}</{name}></iq>"


def block(client, *jids):
    answers = client.says(command("block", *jids))
    assert holds(answers[0], "<iq type='result' id='b'/>"), answers
    return answers[1:]


def unblock(client, *jids):
    answers = client.says(command("unblock", *jids))
    assert holds(answers[0], "<iq type='result' id='b'/>"), answers
    return answers[1:]


# the list


def test_list_is_empty_at_first(romeo):
    """§3.2"""
    (answer,) = romeo.says(LIST)
    assert holds(answer, f"<iq type='result' id='l'><blocklist xmlns='{NS}'/></iq>")
    assert "item" not in answer


def test_list_holds_what_was_blocked(romeo):
    """§3.2, §3.3: prepared, each address once."""
    block(romeo, "Juliet@Example.ORG", JULIET, "paris@example.com/yard")
    block(romeo, "example.net")
    (answer,) = romeo.says(LIST)
    items = "".join(
        f"<item jid='{jid}'/>" for jid in (JULIET, "paris@example.com/yard", "example.net")
    )
    assert holds(answer, f"<iq id='l'><blocklist xmlns='{NS}'>{items}</blocklist></iq>")
    assert answer.count("<item") == 3


def test_unblocking_takes_away_one_or_all(romeo):
    """§3.4, §3.5"""
    block(romeo, "a@example.com", "b@example.com", "c@example.com")
    unblock(romeo, "b@example.com", "never@example.com")
    (answer,) = romeo.says(LIST)
    assert answer.count("<item") == 2
    unblock(romeo)
    (answer,) = romeo.says(LIST)
    assert "item" not in answer


def test_list_outlives_the_session(server, romeo, juliet):
    """§3.3: until it is unblocked, in all sessions, loaded anew or not."""
    block(romeo, JULIET)
    romeo.closes()
    server.host.forget("romeo")
    again = server.login("romeo@example.org/garden")
    juliet.says(MESSAGE.format(ROMEO, "chat"))
    assert again.received == []
    (answer,) = again.says(LIST)
    assert JULIET in answer


@pytest.mark.parametrize(
    ("payload", "condition"),
    [
        (f"<block xmlns='{NS}'/>", "bad-request"),
        (f"<block xmlns='{NS}'><item/></block>", "bad-request"),
        (f"<block xmlns='{NS}'><item jid='a@b@c'/></block>", "jid-malformed"),
        (f"<unblock xmlns='{NS}'><item jid='@'/></unblock>", "jid-malformed"),
    ],
)
def test_wrong_commands(romeo, payload, condition):
    """§3.3"""
    block(romeo, JULIET)
    (answer,) = romeo.says(f"<iq type='set' id='w'>{payload}</iq>")
    assert holds(answer, iq_error("w", condition))
    (answer,) = romeo.says(LIST)
    assert answer.count("<item") == 1


@pytest.mark.server(options={"blocking": {"longest": 2}})
def test_list_has_a_limit(romeo):
    """The option `longest`; nothing of what is too much is blocked."""
    block(romeo, "a@example.com")
    (answer,) = romeo.says(command("block", "b@example.com", "c@example.com"))
    assert holds(answer, iq_error("b", "resource-constraint"))
    (answer,) = romeo.says(LIST)
    assert answer.count("<item") == 1


def test_lists_of_others_are_out_of_reach(romeo, juliet):
    """§3.2: the list is one's own."""
    block(romeo, "a@example.com")
    (answer,) = juliet.says(LIST.replace("id=", f"to='{ROMEO}' id="))
    assert holds(answer, iq_error("l", "service-unavailable"))


def test_hosts_advertise_it(host):
    """§3.1"""
    assert NS in host.advertised(At.HOST)


# pushes


def test_resources_that_fetched_the_list_hear_of_changes(server, romeo):
    """§3.3, §3.4, §3.5: the one that made the change too, if it asked for the list."""
    garden = server.login("romeo@example.org/garden")
    silent = server.login("romeo@example.org/silent")
    romeo.says(LIST)
    garden.says(LIST)
    for client in (romeo, garden, silent):
        client.forget()
    for name, jids in (("block", (JULIET,)), ("unblock", (JULIET,)), ("unblock", ())):
        (mine,) = romeo.says(command(name, *jids))[1:]
        (theirs,) = garden.received
        items = "".join(f"<item jid='{jid}'/>" for jid in jids)
        for push, jid in ((mine, "orchard"), (theirs, "garden")):
            pattern = f"<{name} xmlns='{NS}'>{items}</{name}>"
            assert holds(push, f"<iq type='set' to='romeo@example.org/{jid}'>{pattern}</iq>")
            assert push.count("<item") == len(jids)
        garden.forget()
    assert silent.received == []


def test_push_needs_no_answer_and_takes_one(romeo):
    """RFC 6120 §8.2.3: the result of a push is heard by nobody."""
    romeo.says(LIST)
    block(romeo, JULIET)
    push = romeo.stanzas[-1]
    assert romeo.says(f"<iq type='result' id='{push.id}'/>") == []


def test_session_that_ended_gets_no_push(server, romeo):
    """Nothing is kept of a session that is gone."""
    garden = server.login("romeo@example.org/garden")
    garden.says(LIST)
    garden.vanishes()
    block(romeo, JULIET)
    kept = server.host.features["blocking"]._kept.of(romeo.session.account)
    assert kept.fetched_by == set()


# what comes in


@pytest.mark.parametrize("to", [ROMEO, "romeo@example.org/orchard"])
@pytest.mark.parametrize("type", ["chat", "normal", "groupchat", "headline"])
def test_messages_come_back(romeo, juliet, to, type):
    """§3.3: service-unavailable, as if the account were offline; a room's messages too."""
    block(romeo, JULIET)
    romeo.forget()
    (answer,) = juliet.says(MESSAGE.format(to, type))
    assert holds(answer, REFUSED)
    assert romeo.received == []


@pytest.mark.parametrize("to", [ROMEO, "romeo@example.org/orchard"])
@pytest.mark.parametrize("type", ["get", "set"])
def test_requests_come_back(friends, to, type):
    """§3.3: service-unavailable, from a client and from the account itself."""
    romeo, juliet = friends
    romeo.says("<iq type='set' id='c'><vCard xmlns='vcard-temp'><FN>R</FN></vCard></iq>")
    block(romeo, JULIET)
    romeo.forget()
    juliet.forget()
    (answer,) = juliet.says(f"<iq type='{type}' id='i' to='{to}'><vCard xmlns='vcard-temp'/></iq>")
    assert holds(answer, iq_error("i", "service-unavailable"))
    assert romeo.received == []


@pytest.mark.parametrize(
    "stanza",
    [
        "<iq type='result' id='i' to='romeo@example.org/orchard'/>",
        "<iq type='error' id='i' to='romeo@example.org/orchard'/>",
        "<message type='error' to='romeo@example.org/orchard'/>",
        "<presence to='romeo@example.org'/>",
        "<presence to='romeo@example.org/orchard'/>",
        "<presence type='unavailable' to='romeo@example.org'/>",
        "<presence type='subscribe' to='romeo@example.org'/>",
        "<presence type='probe' to='romeo@example.org'/>",
        "<presence type='probe' to='romeo@example.org/orchard'/>",
        "<presence type='error' to='romeo@example.org/orchard'/>",
    ],
)
def test_what_is_dropped_in_silence(romeo, juliet, stanza):
    """§3.3"""
    block(romeo, JULIET)
    romeo.forget()
    assert not fitting(juliet.says(stanza), "<presence from='romeo@example.org'/>")
    assert not fitting(juliet.received, "<iq type='error'/>")
    assert romeo.received == []


def test_presence_of_a_blocked_contact_stays_outside(friends):
    """§3.3: also what the contact broadcasts."""
    romeo, juliet = friends
    block(romeo, JULIET)
    romeo.forget()
    juliet.says("<presence><show>away</show></presence>")
    assert romeo.received == []


def test_blocked_contact_is_not_shown_at_login(server, friends):
    """§3.3: no probe is answered in either direction."""
    romeo, juliet = friends
    block(romeo, JULIET)
    juliet.forget()
    garden = server.login("romeo@example.org/garden", available=False)
    assert not fitting(garden.says("<presence/>"), "<presence from='juliet@example.org/balcony'/>")
    assert juliet.received == []


def test_after_unblocking_everything_arrives(romeo, juliet):
    """§3.4, §3.5"""
    for jids in ((JULIET,), ()):
        block(romeo, JULIET)
        unblock(romeo, *jids)
        romeo.forget()
        assert juliet.says(MESSAGE.format(ROMEO, "chat")) == []
        assert len(romeo.received) == 1


# what goes out


@pytest.mark.parametrize(
    "stanza",
    [
        "<message to='juliet@example.org'><body>hi</body></message>",
        "<message to='juliet@example.org/balcony'><body>hi</body></message>",
        "<iq type='get' id='i' to='juliet@example.org'><vCard xmlns='vcard-temp'/></iq>",
        "<presence to='juliet@example.org'/>",
        "<presence to='juliet@example.org' type='subscribe'/>",
    ],
)
def test_nothing_goes_to_a_blocked_address(romeo, juliet, stanza):
    """§3.3: it comes back with not-acceptable and <blocked/>."""
    block(romeo, JULIET)
    (answer,) = romeo.says(stanza)
    assert holds(
        answer, f"<{stanza[1:].split()[0]} type='error'>{BLOCKED}</{stanza[1:].split()[0]}>"
    )
    assert juliet.received == []


def test_answers_to_a_blocked_address_are_not_answered(romeo, juliet):
    """RFC 6120 §8.3.1: an error is no reason for another one."""
    block(romeo, JULIET)
    romeo.forget()
    assert romeo.says("<iq type='error' id='i' to='juliet@example.org/balcony'/>") == []
    assert juliet.received == []


def test_others_are_not_concerned(server, romeo, juliet):
    """§3.3"""
    block(romeo, JULIET)
    paris = server.login("paris@example.org/yard")
    paris.says(MESSAGE.format(ROMEO, "chat"))
    assert fitting(romeo.received, "<message from='paris@example.org/yard'/>")
    romeo.says(MESSAGE.format("paris@example.org", "chat"))
    assert fitting(paris.received, "<message from='romeo@example.org/orchard'/>")


# presence


def test_blocked_contact_sees_the_user_go(friends):
    """§3.3"""
    romeo, juliet = friends
    block(romeo, JULIET)
    gone = "<presence type='unavailable' from='romeo@example.org/orchard'/>"
    assert len(fitting(juliet.received, gone)) == 1
    juliet.forget()
    romeo.says("<presence><show>dnd</show></presence>")
    romeo.closes()
    assert juliet.received == []


def test_user_sees_the_blocked_contact_go(friends):
    """XEP-0016 §2.10"""
    romeo, _ = friends
    romeo.forget()
    block(romeo, JULIET)
    gone = "<presence type='unavailable' from='juliet@example.org'/>"
    assert len(fitting(romeo.received, gone)) == 1


def test_unblocked_contact_sees_the_user_come(friends):
    """§3.4: the presence of now; and the user is shown the contact's."""
    romeo, juliet = friends
    block(romeo, JULIET)
    romeo.says("<presence><show>dnd</show></presence>")
    juliet.says("<presence><show>xa</show></presence>")
    romeo.forget()
    juliet.forget()
    unblock(romeo, JULIET)
    shown = "<presence from='{}'><show>{}</show></presence>"
    assert len(fitting(juliet.received, shown.format("romeo@example.org/orchard", "dnd"))) == 1
    assert len(fitting(romeo.received, shown.format("juliet@example.org/balcony", "xa"))) == 1


def test_unblocking_all_shows_the_user_to_contacts(friends):
    """§3.5"""
    romeo, juliet = friends
    block(romeo, "example.org")
    juliet.forget()
    unblock(romeo)
    assert fitting(juliet.received, "<presence from='romeo@example.org/orchard'/>")


def test_strangers_are_shown_nothing(romeo, juliet):
    """§3.3, §3.4: only who may receive the user's presence."""
    block(romeo, JULIET)
    unblock(romeo, JULIET)
    assert juliet.received == []


def test_who_was_sent_directed_presence_sees_the_user_go(romeo, juliet):
    """§3.3; RFC 6121 §4.6.3: and is not told again when the session ends."""
    romeo.says("<presence to='juliet@example.org/balcony'/>")
    juliet.forget()
    block(romeo, JULIET)
    gone = "<presence type='unavailable' from='romeo@example.org/orchard'/>"
    assert len(fitting(juliet.received, gone)) == 1
    unblock(romeo, JULIET)
    juliet.forget()
    romeo.closes()
    assert juliet.received == []


def test_contact_that_is_blocked_twice_stays_blocked(friends):
    """§6: unblocking the domain leaves the address, and shows nothing."""
    romeo, juliet = friends
    block(romeo, JULIET, "example.org")
    juliet.forget()
    unblock(romeo, "example.org")
    assert juliet.received == []
    assert fitting(juliet.says(MESSAGE.format(ROMEO, "chat")), REFUSED)


# matching


@pytest.mark.parametrize(
    ("item", "jid", "expected"),
    [
        ("user@domain/resource", "user@domain/resource", True),
        ("user@domain/resource", "user@domain/other", False),
        ("user@domain/resource", "user@domain", False),
        ("user@domain", "user@domain/resource", True),
        ("user@domain", "user@domain", True),
        ("user@domain", "other@domain/resource", False),
        ("user@domain", "domain", False),
        ("domain/resource", "domain/resource", True),
        ("domain/resource", "domain/other", False),
        ("domain/resource", "domain", False),
        ("domain/resource", "user@domain/resource", False),
        ("domain", "domain", True),
        ("domain", "user@domain", True),
        ("domain", "user@domain/resource", True),
        ("domain", "domain/resource", True),
        ("domain", "sub.domain", False),
        ("domain", "user@sub.domain", False),
    ],
)
def test_matching(item, jid, expected):
    """§6"""
    assert matches({item}, parse(jid)) is expected


def test_one_resource_can_be_blocked(server, romeo, juliet):
    """§6: the others of the same user are heard."""
    other = server.login("juliet@example.org/chamber")
    block(romeo, "juliet@example.org/chamber")
    romeo.forget()
    assert fitting(other.says(MESSAGE.format(ROMEO, "chat")), REFUSED)
    assert juliet.says(MESSAGE.format(ROMEO, "chat")) == []
    assert len(romeo.received) == 1


@pytest.mark.parametrize("item", [ROMEO, "romeo@example.org/garden", "example.org"])
def test_own_resources_are_never_blocked(server, romeo, item):
    """§5: even if the list says so."""
    garden = server.login("romeo@example.org/garden")
    block(romeo, item)
    garden.forget()
    romeo.forget()
    assert romeo.says(MESSAGE.format("romeo@example.org/garden", "chat")) == []
    assert len(garden.received) == 1
    assert romeo.says(
        "<iq type='get' id='r' to='romeo@example.org'><query xmlns='jabber:iq:roster'/></iq>"
    )
    garden.says("<presence><show>away</show></presence>")
    assert fitting(romeo.received, "<presence from='romeo@example.org/garden'/>")


# what others ask


def test_blocks_is_answered_without_parsing_when_the_list_is_empty(server, romeo, juliet):
    """IBlocking: asked for every stanza and every contact."""
    blocking = server.host.features["blocking"]
    account = romeo.session.account
    assert blocking.blocks(account, juliet.jid) is False
    block(romeo, JULIET)
    assert blocking.blocks(account, juliet.jid) is True
    assert blocking.blocks(account, parse(JULIET)) is True
    assert blocking.blocks(account, parse("romeo@example.org/garden")) is False


@pytest.mark.server(domains=("example.org", "example.com"))
def test_blocking_reaches_across_hosts(server, romeo):
    """§3.3: the recipient's host guards, whoever's the sender is."""
    paris = server.login("paris@example.com/yard")
    befriend(romeo, paris)
    block(romeo, "example.com")
    gone = "<presence type='unavailable' from='romeo@example.org/orchard'/>"
    assert fitting(paris.received, gone)
    assert fitting(paris.says(MESSAGE.format(ROMEO, "chat")), REFUSED)


def test_temporary_account_blocks_while_it_lasts(romeo, juliet):
    """XEP-0175 §3: nothing is stored."""
    account = romeo.session.account
    account.temporary = True
    block(romeo, JULIET)
    account.temporary = False
    assert fitting(juliet.says(MESSAGE.format(ROMEO, "chat")), REFUSED)


def test_own_resources_do_not_see_each_other_go(server, romeo):
    """§5: not even if the own domain is blocked, and they were told of each other directly."""
    garden = server.login("romeo@example.org/garden")
    garden.says("<presence to='romeo@example.org/orchard'/>")
    romeo.forget()
    block(garden, "example.org")
    assert not fitting(romeo.received, "<presence type='unavailable'/>")
