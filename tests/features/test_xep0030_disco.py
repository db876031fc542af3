"""XEP-0030: Service Discovery."""

import re

import pytest
from zope.interface import implementer

from imsuite.core.feature import At, Feature
from imsuite.core.interfaces import IDiscoExtension, IDiscoNodes
from imsuite.core.options import WrongValue
from imsuite.features.xep0030_disco import Options
from imsuite.testing.memory import now
from imsuite.xmpp import forms
from imsuite.xmpp.build import build
from tests.helpers import holds, iq_error

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"
OWN = ["conference.example.org", "pubsub.example.org"]  # rooms and nodes


def ask(client, ns, to=None, node=None):
    """Return the answer to a query."""
    address = "" if to is None else f" to='{to}'"
    which = "" if node is None else f" node='{node}'"
    (answer,) = client.says(f"<iq type='get' id='q'{address}><query xmlns='{ns}'{which}/></iq>")
    return answer


def features(answer):
    return set(re.findall("<feature var='([^']*)'/>", answer))


def items(answer):
    return re.findall("<item jid='([^']*)'", answer)


@implementer(IDiscoExtension, IDiscoNodes)
class Talkative(Feature):
    """Says something wherever a feature can."""

    advertises = {At.HOST: ("urn:at-host",), At.ACCOUNT: ("urn:at-account",)}

    def identities(self, at):
        return [("gateway", "pep", None)] if at is not At.HOST else []

    def forms(self, at):
        return [forms.make("result", "urn:form", [forms.field("text-single", "a", "b")])]

    def node_info(self, passing, at, node):
        if node == "waits":
            return self.later(build(f"<query xmlns='{INFO}'/>".encode(), "jabber:client"))
        return None

    def node_items(self, passing, at, node):
        if node == "waits":
            return self.later([(self.host.domain, "inner", "Name & more")])
        return [("other.example.net", "", None)] if not node and at is At.HOST else None

    async def later(self, value):
        await self.host.store.query("SELECT 1")
        return value


def test_domain_says_what_it_is(romeo):
    """§3.1: an identity, and the features, disco#info among them."""
    answer = ask(romeo, INFO, "example.org")
    assert holds(
        answer,
        f"<iq type='result' id='q' from='example.org'><query xmlns='{INFO}'>"
        "<identity category='server' type='im' name='imsuite'/></query></iq>",
    )
    assert {INFO, ITEMS, "urn:xmpp:ping"} <= features(answer)
    assert "node=" not in answer


@pytest.mark.server(options={"disco": {"name": "Capulet's"}})
def test_name_of_the_domain_is_an_option(romeo):
    """§3.1"""
    pattern = '<iq><query xmlns="{}"><identity name="Capulet\'s"/></query></iq>'
    assert holds(ask(romeo, INFO, "example.org"), pattern.format(INFO))


@pytest.mark.parametrize("to", [None, "romeo@example.org"])
def test_own_account_is_answered_by_the_server(romeo, to):
    """§3.1; RFC 6120 §10.3.3: no address is one's own bare JID."""
    answer = ask(romeo, INFO, to)
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{INFO}'>"
        "<identity category='account' type='registered'/></query></iq>",
    )
    assert INFO in features(answer)


def test_account_without_registration_is_anonymous(server, romeo):
    """§3.1; XEP-0175"""
    romeo.session.account.temporary = True
    answer = ask(romeo, INFO)
    assert holds(
        answer,
        f"<iq><query xmlns='{INFO}'><identity category='account' type='anonymous'/></query></iq>",
    )
    romeo.session.account.temporary = False


def test_friend_is_told_about_an_account(friends):
    """§3.1, §4.1: the identity, the features, and the available resources."""
    romeo, juliet = friends
    answer = ask(romeo, INFO, "juliet@example.org")
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{INFO}'><identity category='account'/></query></iq>",
    )
    assert items(ask(romeo, ITEMS, "juliet@example.org")) == [str(juliet.jid)]


def test_unavailable_resource_is_no_item(friends):
    """§4.1"""
    romeo, juliet = friends
    juliet.says("<presence type='unavailable'/>")
    romeo.forget()
    assert items(ask(romeo, ITEMS, "juliet@example.org")) == []


@pytest.mark.parametrize("node", [None, "urn:any"])
@pytest.mark.parametrize("ns", [INFO, ITEMS])
@pytest.mark.parametrize("resource", ["", "/nowhere"])
def test_stranger_cannot_tell_whether_an_account_exists(romeo, juliet, ns, node, resource):
    """§8: the same answer from an account that hides and from none."""
    answers = [
        ask(romeo, ns, f"{name}@example.org{resource}", node).replace(name, "x")
        for name in ("juliet", "nobody")
    ]
    assert answers[0] == answers[1]
    if ns == INFO or resource:
        assert holds(answers[0], iq_error("q", "service-unavailable"))
    else:
        assert holds(answers[0], f"<iq type='result' id='q'><query xmlns='{ITEMS}'/></iq>")
        assert items(answers[0]) == []


def test_one_way_of_a_subscription_does_not_do(romeo, juliet):
    """§8: who receives presence may ask; who sends it may not."""
    romeo.says("<presence type='subscribe' to='juliet@example.org'/>")
    juliet.says("<presence type='subscribed' to='romeo@example.org'/>")
    romeo.forget()
    juliet.forget()
    assert "type='result'" in ask(romeo, INFO, "juliet@example.org")
    assert "service-unavailable" in ask(juliet, INFO, "romeo@example.org")


@pytest.mark.parametrize("to", ["example.org", "romeo@example.org"])
@pytest.mark.parametrize("ns", [INFO, ITEMS])
def test_unknown_node_is_not_found(romeo, ns, to):
    """§7"""
    assert holds(ask(romeo, ns, to, "urn:no-such-node"), iq_error("q", "item-not-found"))


def test_services_are_items_of_the_domain_they_belong_to(server, romeo):
    """§4.1: below the domain; those below no host belong to all."""
    for domain in ("echo.example.org", "news.example.net"):
        server.router.services[domain] = server.router.hosts["example.org"]
    assert items(ask(romeo, ITEMS, "example.org")) == [
        "conference.example.org",
        "echo.example.org",
        "news.example.net",
        "pubsub.example.org",
    ]


@pytest.mark.server(domains=("example.org", "sub.example.org"))
def test_services_of_another_host_are_its_own(server, romeo):
    """§4.1"""
    server.router.services["echo.sub.example.org"] = server.host
    assert items(ask(romeo, ITEMS, "example.org")) == OWN
    assert items(ask(romeo, ITEMS, "sub.example.org")) == [
        "conference.sub.example.org",
        "echo.sub.example.org",
        "pubsub.sub.example.org",
    ]


@pytest.mark.server(options={"disco": {"items": ("Conference.example.com",)}})
def test_further_items_are_an_option(romeo):
    """§4.1"""
    assert items(ask(romeo, ITEMS, "example.org")) == [*OWN, "conference.example.com"]


def test_items_of_the_option_are_addresses():
    with pytest.raises(WrongValue):
        Options(items=("not an address@",))


@pytest.mark.server(features=["default", Talkative])
def test_features_say_more(romeo):
    """§3.1; XEP-0128 §2: identities, features and forms of other specifications."""
    answer = ask(romeo, INFO, "example.org")
    assert "urn:at-host" in features(answer)
    assert "gateway" not in answer
    assert holds(
        answer,
        f"<iq><query xmlns='{INFO}'><x xmlns='jabber:x:data' type='result'>"
        "<field var='FORM_TYPE' type='hidden'><value>urn:form</value></field>"
        "<field var='a'><value>b</value></field></x></query></iq>",
    )
    own = ask(romeo, INFO)
    assert holds(own, f"<iq><query xmlns='{INFO}'><identity category='gateway'/></query></iq>")
    assert not {"urn:at-host", "urn:at-account"} & features(own)


@pytest.mark.server(features=["default", Talkative])
def test_features_have_nodes(romeo):
    """§3.2, §4.2: the node is repeated, and what has to wait is waited for."""
    answer = ask(romeo, INFO, "example.org", "waits")
    assert holds(answer, f"<iq type='result'><query xmlns='{INFO}' node='waits'/></iq>")
    answer = ask(romeo, ITEMS, "example.org", "waits")
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{ITEMS}' node='waits'>"
        "<item jid='example.org' node='inner' name='Name &amp; more'/></query></iq>",
    )
    assert items(ask(romeo, ITEMS, "example.org")) == [*OWN, "other.example.net"]


def test_queries_of_another_type_are_refused(romeo):
    """RFC 6120 §8.2.3"""
    (answer,) = romeo.says(f"<iq type='set' id='q' to='example.org'><query xmlns='{INFO}'/></iq>")
    assert holds(answer, iq_error("q", "service-unavailable"))


def test_account_that_is_not_loaded_answers_alike(server, romeo):
    """§8: loading it first changes nothing."""
    server.account("nurse@example.org")
    assert now(server.host.users.exists("nurse"))
    assert "service-unavailable" in ask(romeo, INFO, "nurse@example.org")
