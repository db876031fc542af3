"""XEP-0077 §3.2: cancelling a registration; nothing of the account is left."""

import base64

import pytest

from imsuite.core.interfaces import IArchive
from imsuite.testing.memory import befriend, now
from imsuite.testing.memory_link import MemoryTls
from imsuite.xmpp.errors import StanzaError
from tests.helpers import fitting, holds, iq_error

REMOVE = "<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>"


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


def test_account_is_removed(server, romeo):
    """§3.2: the result, then the stream ends with not-authorized, in all sessions."""
    garden = server.login("romeo@example.org/garden")
    romeo.forget()
    answers = romeo.says(REMOVE)
    assert holds(answers[-2], "<iq type='result' id='r'/>")
    unauthorized = "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>"
    assert holds(answers[-1], f"<stream:error>{unauthorized}</stream:error>")
    assert romeo.gone
    assert fitting(garden.received, f"<stream:error>{unauthorized}</stream:error>")
    assert garden.gone
    assert not now(server.host.users.exists("romeo"))
    assert server.router.sessions == {}


def test_what_is_gone_does_not_log_in(server):
    """§3.2"""
    server.account("juliet@example.org", "pencil")
    assert logs_in(server, "juliet", "pencil")
    server.login("juliet@example.org/balcony").says(REMOVE)
    assert not logs_in(server, "juliet", "pencil")


def test_remove_stands_alone(romeo):
    """§3.2"""
    (answer,) = romeo.says(REMOVE.replace("<remove/>", "<remove/><username>romeo</username>"))
    assert holds(answer, iq_error("r", "bad-request"))
    assert not romeo.gone


def test_nobody_removes_another(romeo, juliet):
    """§3.2"""
    (answer,) = juliet.says(REMOVE.replace("id=", "to='romeo@example.org' id="))
    assert holds(answer, iq_error("r", "service-unavailable"))
    assert not romeo.gone


def test_subscriptions_are_cancelled(friends):
    """§3.2; RFC 6121 §2.5.2: contacts see the user go, and are told that it is for good."""
    romeo, juliet = friends
    juliet.forget()
    romeo.says(REMOVE)
    assert fitting(
        juliet.received, "<presence type='unavailable' from='romeo@example.org/orchard'/>"
    )
    for kind in ("unsubscribe", "unsubscribed"):
        assert fitting(juliet.received, f"<presence type='{kind}' from='romeo@example.org'/>")
    juliet.forget()
    (roster,) = juliet.says("<iq type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>")
    assert holds(
        roster,
        "<iq id='q'><query xmlns='jabber:iq:roster'>"
        "<item jid='romeo@example.org' subscription='none'/></query></iq>",
    )
    assert "ask=" not in roster


def test_open_requests_are_taken_back(server, romeo, juliet):
    """RFC 6121 §2.5.2: what was asked, and what was never answered."""
    paris = server.login("paris@example.org/yard")
    romeo.says("<presence type='subscribe' to='juliet@example.org'/>")
    paris.says("<presence type='subscribe' to='romeo@example.org'/>")
    paris.forget()
    romeo.says(REMOVE)
    assert fitting(paris.received, "<presence type='unsubscribed' from='romeo@example.org'/>")
    juliet.closes()
    again = server.login("juliet@example.org/chamber", available=False)
    assert not fitting(again.says("<presence/>"), "<presence type='subscribe'/>")


# what a client does so that each feature has something of its account: by config word
HALL = "hall@conference.example.org"
NS_TOKENS = "urn:xmpp:muc-token-invite:0"
TRACES = {
    "roster": (
        "<iq type='set' id='1'><query xmlns='jabber:iq:roster'>"
        "<item jid='nurse@example.com' name='Nurse'><group>House</group></item></query></iq>",
        "<iq type='set' id='2'><query xmlns='jabber:iq:roster'>"
        "<item jid='tybalt@example.com'/></query></iq>",
        "<iq type='set' id='3'><query xmlns='jabber:iq:roster'>"
        "<item jid='tybalt@example.com' subscription='remove'/></query></iq>",
    ),
    "vcard": ("<iq type='set' id='4'><vCard xmlns='vcard-temp'><FN>Romeo</FN></vCard></iq>",),
    "private": (
        "<iq type='set' id='5'><query xmlns='jabber:iq:private'>"
        "<a xmlns='urn:a'>b</a></query></iq>",
    ),
    "blocking": (
        "<iq type='set' id='6'><block xmlns='urn:xmpp:blocking'>"
        "<item jid='example.net'/></block></iq>",
    ),
    "archive": (
        "<iq type='set' id='7'><prefs xmlns='urn:xmpp:mam:2' default='always'>"
        "<never><jid>nurse@example.com</jid></never></prefs></iq>",
        "<message type='chat'><body>a note to oneself</body></message>",
    ),
    "push": (
        "<iq type='set' id='8'><enable xmlns='urn:xmpp:push:0' jid='push.example.com' node='n'/>"
        "</iq>",
    ),
    "pubsub": (
        *(
            "<iq type='set' id='10'><pubsub xmlns='http://jabber.org/protocol/pubsub'>"
            f"<create node='{node}'/></pubsub></iq>"
            for node in ("here", "gone")
        ),
        "<iq type='set' id='11'><pubsub xmlns='http://jabber.org/protocol/pubsub#owner'>"
        "<delete node='gone'><redirect uri='xmpp:example.net'/></delete></pubsub></iq>",
        "<iq type='set' id='12'><pubsub xmlns='http://jabber.org/protocol/pubsub'>"
        "<subscribe node='here' jid='{jid}'/><options><x xmlns='jabber:x:data' type='submit'>"
        "<field var='pubsub#expire'><value>2030-01-01T00:00:00Z</value></field></x></options>"
        "</pubsub></iq>",
        "<iq type='set' id='13' to='pubsub.example.org'>"
        "<pubsub xmlns='http://jabber.org/protocol/pubsub'><create/></pubsub></iq>",
    ),
    "avatars": (
        *(
            "<iq type='set' id='9'><pubsub xmlns='http://jabber.org/protocol/pubsub'>"
            f"<publish node='urn:xmpp:avatar:{node}'>"
            f"<item id='4caece539b039b16e16206ea2478f8c5ffb2ca05'>{payload}</item></publish>"
            "<publish-options><x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            "<value>http://jabber.org/protocol/pubsub#publish-options</value></field>"
            "<field var='pubsub#access_model'><value>open</value></field></x></publish-options>"
            "</pubsub></iq>"
            for node, payload in (
                ("data", "<data xmlns='urn:xmpp:avatar:data'>iVBORw0KGgo=</data>"),
                (
                    "metadata",
                    "<metadata xmlns='urn:xmpp:avatar:metadata'><info type='image/png' bytes='8'"
                    " id='4caece539b039b16e16206ea2478f8c5ffb2ca05'/></metadata>",
                ),
            )
        ),
    ),
    "bookmarks": (
        "<iq type='set' id='10'><query xmlns='jabber:iq:private'>"
        "<storage xmlns='storage:bookmarks'><conference jid='room@conference.example.com'/>"
        "</storage></query></iq>",
    ),
    "management": (  # what came after that was not acknowledged
        "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
        "<message><body>another note</body></message>",
    ),
}


def rows(host):
    """Return {table: {(row as text, …)}} of everything in the database."""
    names = now(host.store.query("SELECT name FROM sqlite_master WHERE type = 'table'"))
    return {
        name: {tuple(map(shown, row)) for row in now(host.store.query(f'SELECT * FROM "{name}"'))}
        for (name,) in names
        if not name.startswith("imsuite_")
    }


def shown(cell):
    return cell.decode(errors="replace") if isinstance(cell, bytes) else str(cell)


def admits(owner, bare):
    """Let somebody make an admin of an account in a room that lasts."""
    owner.says(
        f"<presence to='{HALL}/Paris'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        f"<iq type='set' id='1' to='{HALL}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
        "<x xmlns='jabber:x:data' type='submit'><field var='muc#roomconfig_persistentroom'>"
        "<value>1</value></field></x></query></iq>"
        f"<iq type='set' id='2' to='{HALL}'><query xmlns='http://jabber.org/protocol/muc#admin'>"
        f"<item jid='{bare}' affiliation='admin'/></query></iq>"
    )


def crowns(owner, bare):
    """Let the owner of that room give somebody a hat (XEP-0317)."""
    for name in ("create", "assign"):
        values = {"title": "Host", "uri": "urn:x:host", "jid": bare}
        fields = "".join(
            f"<field var='hats#{var}'><value>{value}</value></field>"
            for var, value in values.items()
        )
        owner.says(
            f"<iq type='set' id='{name}' to='{HALL}'>"
            "<command xmlns='http://jabber.org/protocol/commands'"
            f" node='urn:xmpp:hats:commands:{name}'>"
            f"<x xmlns='jabber:x:data' type='submit'>{fields}</x></command></iq>"
        )


def leave_traces(server, jid, paris):
    """Let somebody use every feature that keeps something, and log out and in again."""
    client = server.login(jid)
    befriend(client, paris)
    for stanzas in TRACES.values():
        for stanza in stanzas:
            said = stanza.replace("{jid}", client.jid.bare)
            assert not fitting(client.says(said), "<iq type='error'/>")
    admits(paris, client.jid.bare)
    crowns(paris, client.jid.bare)
    client.says(f"<iq type='set' id='14' to='{HALL}'><request xmlns='{NS_TOKENS}'/></iq>")
    archive = server.host.find_feature(IArchive)
    now(archive.set_days(str(client.jid.bare), 30))
    client.closes()
    server.advance(10)  # then its last activity is stored
    client = server.login(jid)
    server.advance(10)  # then this login is
    return client


def test_removal_removes_everything(server, host):
    """§3.2: no cell of any table names the account, and all else is as before."""
    paris = server.login("paris@example.org/yard")
    leave_traces(server, "juliet@example.org/balcony", paris)
    before = rows(host)
    romeo = leave_traces(server, "romeo@example.org/orchard", paris)
    romeo.says("".join(TRACES["management"]))
    romeo.says("<presence><priority>-1</priority></presence>")  # then messages wait for another
    server.login("tybalt@example.org/street").says(
        "<presence type='subscribe' to='romeo@example.org'/>"
        "<message to='romeo@example.org'><body>Turn, villain.</body>"
        "<no-permanent-store xmlns='urn:xmpp:hints'/></message>"
    )
    now(host.registrar.set_password("romeo", "wherefore art", romeo.jid.full))

    filled = rows(host)
    owned = {
        table.name
        for feature in host.features.values()
        for table in feature.tables
        if table.owner is not None
    }
    filling = owned | {"message", "pending"}  # which others keep, or that of a session
    untouched = {name for name in filling if filled[name] == before[name]}
    assert not untouched, "no trace of the account: add what fills them to TRACES"

    romeo.says(REMOVE)
    after = rows(host)
    left = [
        (name, row)
        for name, found in after.items()
        for row in found
        if "romeo" in " ".join(row)
        # whose contact he was keeps his name, as any contact's (RFC 6121 §2.5.2)
        and not (name == "roster" and row[1] == "romeo@example.org")
    ]
    assert left == []
    assert after["accounts"] > before["accounts"]
    for name in owned:
        of_juliet = {row for row in before[name] if "juliet@example.org" in row}
        assert {row for row in after[name] if "juliet@example.org" in row} == of_juliet
    for name in ("message", "pending"):
        assert after[name] == before[name]


def test_contacts_keep_nothing_but_a_name(server, host, romeo):
    """RFC 6121 §2.5.2: another's roster is that other's, but nothing goes on there."""
    paris = server.login("paris@example.org/yard")
    befriend(romeo, paris)
    romeo.says(REMOVE)
    found = [row for row in rows(host)["roster"] if "romeo@example.org" in row]
    assert [row[0] for row in found] == ["paris@example.org"]
    assert "NONE" in found[0]
    assert rows(host)["roster_requests"] == set()


def test_name_can_be_taken_anew_and_inherits_nothing(server, host, romeo):
    """§3.2: neither from tables nor from memory."""
    for stanzas in TRACES.values():
        for stanza in stanzas:
            romeo.says(stanza)
    romeo.says(REMOVE)
    again = server.login("romeo@example.org/orchard")
    (roster,) = again.says("<iq type='get' id='q'><query xmlns='jabber:iq:roster'/></iq>")
    assert "<item" not in roster
    (blocked,) = again.says("<iq type='get' id='q'><blocklist xmlns='urn:xmpp:blocking'/></iq>")
    assert "<item" not in blocked
    (vcard,) = again.says("<iq type='get' id='q'><vCard xmlns='vcard-temp'/></iq>")
    assert "item-not-found" in vcard


def test_what_was_sent_behind_the_removal_does_nothing(server, host, romeo):
    """§3.2: the stream has ended there."""
    romeo.says(REMOVE + TRACES["vcard"][0] + TRACES["private"][0])
    assert rows(host)["vcard"] == set()
    assert rows(host)["private"] == set()


def test_nobody_finds_the_account_while_it_is_removed(server, host, romeo):
    """What comes for it meanwhile meets nobody."""
    host.removing.add("romeo")
    host.forget("romeo")
    assert now(host.account("romeo")) is None
    host.removing.clear()


def test_two_removals_at_once_are_one(host, romeo):
    """§3.2: the second finds that there is nothing left to do, and spoils nothing."""
    host.removing.add("romeo")
    with pytest.raises(StanzaError):
        now(host.registrar.delete("romeo"))
    host.removing.clear()
    now(host.registrar.delete("romeo"))
    assert romeo.gone
