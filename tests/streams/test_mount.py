"""Wokkel's handlers on a domain of ours, unchanged (architecture §3)."""

import imsuite._compat  # noqa: F401  isort: skip
import pytest
from twisted.internet.defer import Deferred
from twisted.words.protocols.jabber import jid as jabber_jid
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.protocols.jabber.jid import JID
from twisted.words.xish import domish
from wokkel.disco import DiscoClientProtocol
from wokkel.muc import MUCClient
from wokkel.ping import PingClientProtocol, PingHandler
from wokkel.subprotocols import XMPPHandler

from imsuite.streams.mount import mount
from tests.helpers import fitting, holds, iq_error

PING = "<iq type='get' id='p' to='{}'><ping xmlns='urn:xmpp:ping'/></iq>"
NS_INFO = "http://jabber.org/protocol/disco#info"


@pytest.fixture
def mounted(server):
    """Mount handlers on a domain; they are unmounted at the end."""
    made = []

    def put(domain, *handlers):
        service = mount(server.router, server.host, domain, handlers)
        service.startService()
        made.append(service)
        return handlers[0] if len(handlers) == 1 else handlers

    yield put
    for service in made:
        service.stopService()


def result(deferred: Deferred):
    """Return what a Deferred that has fired holds, or raise it."""
    found = []
    deferred.addBoth(found.append)
    (outcome,) = found
    if hasattr(outcome, "raiseException"):
        outcome.raiseException()
    return outcome


def test_wokkels_ping_handler_answers(romeo, mounted):
    """XEP-0199 §4: a handler from wokkel, a domain, and nothing else."""
    mounted("echo.example.org", PingHandler())
    (answer,) = romeo.says(PING.format("echo.example.org"))
    assert holds(answer, "<iq type='result' id='p' from='echo.example.org'/>")


def test_what_handlers_say_of_themselves_is_in_disco(romeo, mounted):
    """IDisco of a handler is asked through wokkel's DiscoHandler, which is added."""
    mounted("echo.example.org", PingHandler())
    (answer,) = romeo.says(
        f"<iq type='get' id='d' to='echo.example.org'><query xmlns='{NS_INFO}'/></iq>"
    )
    assert holds(
        answer,
        f"<iq type='result' id='d'><query xmlns='{NS_INFO}'>"
        "<feature var='urn:xmpp:ping'/></query></iq>",
    )


def test_a_request_that_no_handler_knows_is_refused(romeo, mounted):
    """RFC 6120 §8.4"""
    mounted("echo.example.org", PingHandler())
    (answer,) = romeo.says("<iq type='get' id='x' to='echo.example.org'><a xmlns='no:such'/></iq>")
    assert holds(answer, iq_error("x", "service-unavailable"))


def test_addresses_of_strangers_are_not_kept(server, romeo, mounted):
    """Pitfall S-5: Twisted's internJID would remember each of them for ever."""
    mounted("echo.example.org", PingHandler())
    kept = jabber_jid.__dict__["__internJIDs"]
    before = len(kept)
    for number in range(20):
        romeo.says(PING.format(f"u{number}@echo.example.org/r{number}"))
    assert len(kept) == before


def test_an_emoji_resource_reaches_a_handler(server, mounted):
    """RFC 7622 §3.4: Twisted's own addresses would refuse it."""
    mounted("echo.example.org", PingHandler())
    client = server.login("mercutio@example.org/\N{GRINNING FACE}")
    (answer,) = client.says(PING.format("echo.example.org"))
    assert holds(answer, "<iq type='result' id='p'/>")


def test_a_handler_asks_and_is_answered(mounted):
    """`handler.request` is answered by our host, and by an error for what it does not know."""
    asking, disco = mounted("bot.example.org", PingClientProtocol(), DiscoClientProtocol())
    sender = JID("bot.example.org")
    result(asking.ping(JID("example.org"), sender))
    info = result(disco.requestInfo(JID("example.org"), "", sender))
    assert ("server", "im") in info.identities
    with pytest.raises(StanzaError, match="service-unavailable"):
        result(disco.requestInfo(JID("nobody@example.org"), "", sender))


def test_nobody_but_who_was_asked_answers_a_handler(server, romeo, mounted):
    """RFC 6120 §8.2.3: wokkel's ids can be guessed, so a stranger could answer for others."""
    asking = mounted("bot.example.org", PingClientProtocol())
    juliet = server.login("juliet@example.org/balcony")
    juliet.says("<presence to='bot.example.org'/>")  # who is not told of her may not ask her
    pong = asking.ping(JID("juliet@example.org/balcony"), JID("bot.example.org"))
    (asked,) = [each for each in juliet.stanzas if each.kind == "iq" and each.type == "get"]
    answer = f"<iq type='result' id='{asked.id}' to='bot.example.org'/>"
    romeo.says(answer)
    assert not pong.called
    juliet.says(answer)
    assert pong.called


def test_a_handler_must_speak_for_its_own_domain(server, romeo, mounted):
    """RFC 6120 §8.1.2.2: a component can not send in the name of others."""
    handler = mounted("bot.example.org", Recorder())
    handler.send(message("example.org", str(romeo.jid)))
    assert romeo.received == []
    assert [element["type"] for element in handler.seen] == ["error"]


def test_what_cannot_be_delivered_comes_back_to_the_handler(mounted):
    """RFC 6120 §8.3.1"""
    handler = mounted("bot.example.org", Recorder())
    handler.send(message("bot.example.org", "nobody@example.org"))
    assert [element["type"] for element in handler.seen] == ["error"]


def test_wokkels_muc_client_joins_and_talks(mounted):
    """XEP-0045 §7.2, §7.4: wokkel's client in one domain, a room in another."""
    mounted("conference.example.org", Room())
    client = mounted("bot.example.org", MUCClient())
    heard = []
    client.receivedGroupChat = lambda room, user, message: heard.append((user.nick, message.body))
    joining = client.join(JID("den@conference.example.org"), "bot")
    room = result(joining)
    assert room.nick == "bot"
    client.groupChat(JID("den@conference.example.org"), "hello")
    assert heard == [("bot", "hello")]


def test_a_stopped_service_is_no_longer_there(server, romeo):
    """Its stanzas are answered by the server."""
    service = mount(server.router, server.host, "echo.example.org", [PingHandler()])
    service.startService()
    service.stopService()
    (answer,) = romeo.says(PING.format("echo.example.org"))
    assert fitting([answer], "<iq type='error' id='p'/>")


class Recorder(XMPPHandler):
    """Keeps what comes."""

    def connectionInitialized(self):
        self.seen = []
        self.xmlstream.addObserver("/message", self.seen.append)


class Room(XMPPHandler):
    """Just enough of a room for one occupant, written with wokkel's means."""

    def connectionInitialized(self):
        self.xmlstream.addObserver("/presence", self.join)
        self.xmlstream.addObserver("/message[@type='groupchat']", self.reflect)

    def join(self, presence):
        if presence.getAttribute("type") is not None:
            return
        answer = domish.Element((None, "presence"))
        answer["from"], answer["to"] = presence["to"], presence["from"]
        x = answer.addElement(("http://jabber.org/protocol/muc#user", "x"))
        item = x.addElement("item")
        item["affiliation"], item["role"] = "member", "participant"
        x.addElement("status")["code"] = "110"
        self.nick = presence["to"]
        self.send(answer)

    def reflect(self, said):
        answer = message(self.nick, said["from"])
        answer["type"] = "groupchat"
        answer.body.children = [str(said.body)]
        self.send(answer)


def message(sender, to):
    """Return a message element."""
    element = domish.Element((None, "message"))
    element["from"], element["to"] = sender, to
    element.addElement("body", content="hello")
    return element
