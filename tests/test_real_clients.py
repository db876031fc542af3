"""Clients that nobody here wrote, at the server as its operator starts it.

Profanity, slixmpp and nbxmpp connect to `twistd -n imsuite` over TLS and check its certificate.
"""

import itertools
import json
import re
import ssl
from contextlib import ExitStack
from datetime import UTC, datetime

import pytest
from slixmpp import JID
from slixmpp.xmlstream import ElementBase

from tests.people import Nbxmpp, NotLetIn, Profanity, Slixmpp
from tests.real_certificates import misnamed
from tests.served import served

DOMAIN = "localhost"  # Profanity looks up where to register
MISNAMED = "mantua.example"  # its certificate has another name where clients look
HOSTS = f"""
[hosts."{DOMAIN}"]
[hosts."{DOMAIN}".features.register]
open = true
per_address = 20
[hosts."{MISNAMED}"]
certificate = "mantua.pem"
"""
PASSWORD = "wherefore-art-thou"
ANOTHER = "deny-thy-father"
PEOPLE = 60
NEEDS = {Profanity: [pytest.mark.needs_profanity], Nbxmpp: [pytest.mark.needs_nbxmpp]}


def with_clients(*rows):
    """Run a test for each row of clients, marked with what they need."""
    return pytest.mark.parametrize(
        ("one", "other") if isinstance(rows[0], tuple) else "client",
        [
            pytest.param(
                *clients,
                marks=[mark for client in clients for mark in NEEDS.get(client, [])],
                id="-".join(client.program for client in clients),
            )
            for clients in (row if isinstance(row, tuple) else (row,) for row in rows)
        ],
    )


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server with accounts."""
    folder = tmp_path_factory.mktemp("served")
    (folder / "mantua.pem").write_text(misnamed(MISNAMED, "elsewhere.example"))
    with served(folder, HOSTS) as server:
        names = "".join(f"person{n}@{DOMAIN} {PASSWORD}\n" for n in range(PEOPLE))
        server.ctl("adduser", "--from", "-", given=f"{names}tybalt@{MISNAMED} {PASSWORD}\n")
        server.names = (f"person{n}@{DOMAIN}" for n in itertools.count())
        yield server


@pytest.fixture
def people(server, tmp_path):
    """Make somebody with an account and a client; afterwards everybody is gone."""
    homes = (tmp_path / f"home{n}" for n in itertools.count())

    def make(client, jid=None, password=PASSWORD, **given):
        if client is Profanity:
            given["home"] = next(homes)
        jid = jid or next(server.names)
        jid = jid if "/" in jid else f"{jid}/{client.program}"
        person = client(server, jid, password, **given)
        everybody.callback(person.close)
        return person

    with ExitStack() as everybody:
        yield make


def sasl(server, person):
    """Return how somebody's only session is secured and logged in."""
    (session,) = server.sessions(person.jid)
    return session["tls"], session["sasl"]


# --- two people ---------------------------------------------------------------------------------


@with_clients((Profanity, Slixmpp), (Slixmpp, Nbxmpp), (Nbxmpp, Profanity))
def test_two_people_make_friends_and_talk(people, one, other):
    """RFC 6121 §3, §4, §5: they see each other come, talk both ways, and see who goes."""
    one, other = people(one, direct=one is Slixmpp), people(other, direct=other is Nbxmpp)
    for each in (one, other):
        each.log_in()
    one.befriend(other.bare)
    other.accept(one.bare)
    other.befriend(one.bare)
    one.accept(other.bare)
    one.sees(other.bare, True)
    other.sees(one.bare, True)
    one.say(other.bare, "A thousand times good night!")
    other.hears(one.bare, "A thousand times good night!")
    other.say(one.bare, "Parting is such sweet sorrow.")
    one.hears(other.bare, "Parting is such sweet sorrow.")
    one.leave()
    other.sees(one.bare, False)


# --- logging in ---------------------------------------------------------------------------------


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
@with_clients(Profanity, Slixmpp, Nbxmpp)
def test_client_logs_in(server, people, client, direct):
    """RFC 6120 §5, XEP-0368: over TLS 1.3 and by SCRAM, whichever way TLS begins."""
    person = people(client, direct=direct)
    person.log_in()
    assert sasl(server, person) == ("TLSv1.3", "SCRAM-SHA-512")


@pytest.mark.needs_nbxmpp
@pytest.mark.parametrize(
    ("binding", "direct"), [("tls-exporter", False), ("tls-server-end-point", True)]
)
def test_client_binds_its_login_to_the_channel(server, people, binding, direct):
    """RFC 5802 §6, RFC 9266: GnuTLS and nbxmpp find the same data as we do."""
    person = people(Nbxmpp, binding=binding, direct=direct)
    person.log_in()
    (session,) = json.loads(server.ctl("--json", "sessions", person.jid))
    assert (session["tls"], session["sasl"]) == ("TLSv1.3", "SCRAM-SHA-256-PLUS")


@pytest.mark.needs_nbxmpp
@pytest.mark.parametrize("binding", ["tls-exporter", "tls-server-end-point"])
def test_login_bound_to_another_channel_is_refused(people, binding):
    """RFC 5802 §6: what somebody in the middle would have."""
    with pytest.raises(NotLetIn, match="not-authorized"):
        people(Nbxmpp, binding=binding, spoil=True).log_in()


def test_client_that_knows_only_an_old_channel_binding_logs_in(server, people):
    """XEP-0440 §1: tls-unique is not offered, slixmpp tries it on TLS 1.2, and goes on without."""

    def older(context):
        context.maximum_version = ssl.TLSVersion.TLSv1_2

    person = people(Slixmpp, context=older)
    person.log_in()
    assert sasl(server, person) == ("TLSv1.2", "SCRAM-SHA-512")


@with_clients(Profanity, Slixmpp, Nbxmpp)
def test_wrong_password_is_refused(server, people, client):
    """RFC 6120 §6.4.5: the client says so, and our log, which does not hold the password."""
    person = people(client, password="a-wrong-password")
    with pytest.raises(NotLetIn, match=r"Login failed|failed_all_auth|not-authorized"):
        person.log_in()
    server.logs(f"wrong credentials for {person.user} from 127.0.0.1")
    assert person.password not in server.log


@with_clients(Profanity, Slixmpp, Nbxmpp)
def test_certificate_that_nobody_trusts_is_refused(server, people, client, tmp_path):
    """RFC 6120 §13.7.2: the client does not send its password."""
    stranger = tmp_path / "stranger.pem"
    stranger.write_text(misnamed(DOMAIN, DOMAIN).partition("-----BEGIN PRIVATE")[0])
    person = people(client, ca_file=stranger)
    with pytest.raises(NotLetIn, match=r"(?i)certificate"):
        person.log_in()
    assert server.sessions(person.bare) == []


@pytest.mark.parametrize("direct", [False, True], ids=["starttls", "direct"])
@with_clients(Profanity, Slixmpp, Nbxmpp)
def test_certificate_for_another_name_is_refused(server, people, client, direct):
    """RFC 6120 §13.7.1.2: trusted, but for another domain."""
    person = people(client, f"tybalt@{MISNAMED}", direct=direct)
    with pytest.raises(NotLetIn, match=r"(?i)mismatch|bad.identity|not valid for"):
        person.log_in()
    assert server.sessions(person.bare) == []


@with_clients((Slixmpp, Profanity), (Profanity, Nbxmpp), (Nbxmpp, Slixmpp))
def test_later_session_takes_the_resource(server, people, one, other):
    """RFC 6120 §7.7.2.2: the earlier one is told of the conflict, and one is left."""
    earlier = people(one)
    later = people(other, earlier.jid)
    earlier.log_in()
    later.log_in()
    earlier.is_told_of_a_conflict()
    (session,) = server.sessions(earlier.bare)
    assert session["session"] == later.jid


# --- accounts -----------------------------------------------------------------------------------


@with_clients(Profanity, Slixmpp)
def test_new_account_is_made_by_the_client(server, people, client):
    """XEP-0077 §3.1: and it can log in."""
    jid = f"newcomer-{client.program}@{DOMAIN}"
    people(client, jid).register()
    newcomer = people(client, f"{jid}/home")
    newcomer.log_in()
    assert len(server.sessions(newcomer.jid)) == 1


@with_clients((Profanity, Slixmpp), (Slixmpp, Nbxmpp), (Nbxmpp, Profanity))
def test_password_changed_by_one_client_is_that_of_all(people, one, other):
    """XEP-0077 §3.3"""
    changing = people(one)
    changing.log_in()
    changing.change_password(ANOTHER)
    with pytest.raises(NotLetIn):
        people(other, changing.bare).log_in()
    people(other, changing.bare, ANOTHER).log_in()


@with_clients(Slixmpp, Nbxmpp)
def test_account_removed_by_its_client_is_gone(server, people, client):
    """XEP-0077 §3.2: friends see it go, and nobody logs in to it."""
    leaving, staying = people(client), people(Slixmpp)
    for each in (leaving, staying):
        each.log_in()
    staying.befriend(leaving.bare)
    staying.sees(leaving.bare, True)
    leaving.unregister()
    staying.sees(leaving.bare, False)
    with pytest.raises(NotLetIn):
        people(Slixmpp, leaving.bare).log_in()
    assert leaving.bare not in {user["account"] for user in server.ask("users")}


# --- what slixmpp's plugins ask the server -------------------------------------------------------

PLUGINS = (
    *("xep_0012", "xep_0049", "xep_0054", "xep_0092", "xep_0115", "xep_0191", "xep_0199"),
    *("xep_0202", "xep_0359"),
)


@pytest.fixture
def pair(people):
    """Two friends at slixmpp, both online."""
    pair = people(Slixmpp, plugins=PLUGINS), people(Slixmpp, plugins=PLUGINS, direct=True)
    for each in pair:
        each.log_in()
    one, other = pair
    one.befriend(other.bare)  # slixmpp answers, and asks for the same
    one.sees(other.bare, True)
    other.sees(one.bare, True)
    return pair


@pytest.fixture
def romeo(people):
    """Somebody at slixmpp, online."""
    romeo = people(Slixmpp, plugins=PLUGINS)
    romeo.log_in()
    return romeo


def test_client_finds_out_what_the_server_is_and_can(romeo):
    """XEP-0030 §3, §4"""
    found = romeo.ask("xep_0030", "get_info", jid=DOMAIN)["disco_info"]
    assert ("server", "im") in {identity[:2] for identity in found["identities"]}
    wanted = {"jabber:iq:register", "jabber:iq:last", "urn:xmpp:blocking", "urn:xmpp:ping"}
    assert wanted <= found["features"]
    own = romeo.ask("xep_0030", "get_info", jid=romeo.bare)["disco_info"]
    assert ("account", "registered") in {identity[:2] for identity in own["identities"]}


def test_client_learns_the_version_of_the_server(romeo):
    """XEP-0092 §2"""
    answer = romeo.ask("xep_0092", "get_version", JID(DOMAIN))
    assert answer["software_version"]["name"] == "imsuite"


def test_client_pings_the_server_and_a_friend(pair):
    """XEP-0199 §4: the first by the server, the second through it."""
    one, other = pair
    for jid in (DOMAIN, other.jid):
        assert one.ask("xep_0199", "ping", JID(jid)) >= 0


def test_client_learns_the_time_of_the_server(romeo):
    """XEP-0202 §3"""
    answer = romeo.ask("xep_0202", "get_entity_time", JID(DOMAIN))
    # COMPAT(slixmpp 1.17): its ["utc"] wants a time without the Z that XEP-0082 §3.2 demands
    there = datetime.fromisoformat(answer["entity_time"].xml.findtext("{urn:xmpp:time}utc"))
    assert abs((there - datetime.now(UTC)).total_seconds()) < 60


def test_client_learns_when_a_friend_was_last_there(pair):
    """XEP-0012 §4"""
    one, other = pair
    other.leave()
    one.sees(other.bare, False)
    answer = one.ask("xep_0012", "get_last_activity", JID(other.bare))
    assert 0 <= answer["last_activity"]["seconds"] < 60


def test_vcard_of_one_client_is_read_by_another(people, romeo):
    """XEP-0054 §3"""
    card = romeo.call(romeo.client.plugin["xep_0054"].make_vcard)
    card["FN"] = "Romeo Montague"
    romeo.ask("xep_0054", "publish_vcard", card)
    juliet = people(Slixmpp, plugins=PLUGINS)
    juliet.log_in()
    found = juliet.ask("xep_0054", "get_vcard", JID(romeo.bare))
    assert found["vcard_temp"]["FN"] == "Romeo Montague"


class Verse(ElementBase):
    """What a client might keep."""

    name, namespace, plugin_attrib, interfaces = "verse", "urn:example:verse", "verse", {"line"}


def test_private_data_comes_back_to_another_client_of_the_account(people, romeo):
    """XEP-0049 §3"""
    line = "Did my heart love till now? <forswear it, sight!>"
    verse = Verse()
    verse["line"] = line
    romeo.ask("xep_0049", "store", verse)
    elsewhere = people(Slixmpp, f"{romeo.bare}/elsewhere", plugins=PLUGINS)
    elsewhere.log_in()
    elsewhere.ask("xep_0049", "register", Verse)
    found = elsewhere.ask("xep_0049", "retrieve", "verse")
    assert found["private"]["verse"]["line"] == line


def test_blocked_friend_goes_and_comes_back_when_unblocked(pair):
    """XEP-0191 §3.3, §3.4: seems offline, is not heard, and is listed."""
    one, other = pair
    one.ask("xep_0191", "block", JID(other.bare))
    other.sees(one.bare, False)
    assert one.ask("xep_0191", "get_blocked_jids") == {JID(other.bare)}
    other.say(one.bare, "Art thou not Romeo?")
    one.ask("xep_0191", "unblock", JID(other.bare))
    other.sees(one.bare, True)
    other.say(one.bare, "Neither, fair saint.")
    one.hears(other.bare, "Neither, fair saint.")
    assert [message["body"] for message in one.messages] == ["Neither, fair saint."]


def test_client_believes_the_capabilities_of_the_server_and_of_a_friend(pair):
    """XEP-0115 §5.4, §6.3: the hashes fit what is then asked for."""
    one, other = pair

    def known(jid):
        for _ in range(20):  # slixmpp looks at them beside what it does, and tells nobody
            if (found := one.ask("xep_0115", "get_caps", JID(jid))) is not None:
                return found
            one.ask("xep_0199", "ping", JID(jid))
        raise AssertionError(f"slixmpp does not believe {jid}")

    other.ask("xep_0115", "update_caps")  # what it can do it says only when told to
    assert "urn:xmpp:ping" in known(other.jid)["features"]
    assert ("server", "im") in {identity[:2] for identity in known(DOMAIN)["identities"]}


def test_ids_that_only_the_server_may_give_are_taken_away(pair):
    """XEP-0359 §3: only the archive's own arrives, and what the client calls the message does."""
    one, other = pair
    message = one.call(one.client.make_message, other.jid, "See how she leans her cheek!")
    message["origin_id"]["id"] = "mine"
    message["stanza_id"]["id"], message["stanza_id"]["by"] = "forged", other.bare
    one.call(message.send)
    other.hears(one.bare, "See how she leans her cheek!")
    (heard,) = other.messages
    assert heard["origin_id"]["id"] == "mine"
    assert heard["stanza_id"]["by"] == other.bare
    assert re.fullmatch("[0-9a-f]{32}", heard["stanza_id"]["id"])
    assert len(heard.xml.findall("{urn:xmpp:sid:0}stanza-id")) == 1
