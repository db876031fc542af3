"""XEP-0390: Entity Capabilities 2.0."""

import base64
import re

import pytest

from imsuite.core.interfaces import ICaps
from imsuite.rules.caps import vers2
from imsuite.testing.memory import MemoryTls, now
from imsuite.xmpp.build import build
from imsuite.xmpp.stanza import Stanza
from tests.helpers import fitting, holds, iq_error, value

INFO = "http://jabber.org/protocol/disco#info"
CAPS = "http://jabber.org/protocol/caps"
CAPS2 = "urn:xmpp:caps"
INNER = "<identity category='client' type='pc' name='Exodus'/><feature var='urn:a'/>"
QUERY = f"<iq type='get' from='example.org' id='{{id}}'><query xmlns='{INFO}'/></iq>"


def digest(inner=INNER, lang=""):
    query = build(f"<query xmlns='{INFO}'>{inner}</query>".encode(), "jabber:client")
    return base64.b64encode(vers2(query, ["sha-256"], lang)["sha-256"]).decode()


def hash_set(value=None, algo="sha-256"):
    """Return a <c/> with one hash, by default that of INNER."""
    value = digest() if value is None else value
    return f"<c xmlns='{CAPS2}'><hash xmlns='urn:xmpp:hashes:2' algo='{algo}'>{value}</hash></c>"


def queries(client):
    return fitting(client.received, QUERY)


def answer(client, query, inner=INNER, lang=""):
    id = value(query, QUERY)
    client.says(
        f"<iq type='result' to='example.org' id='{id}'{lang}>"
        f"<query xmlns='{INFO}'>{inner}</query></iq>"
    )


def known(client):
    return client.server.host.find_feature(ICaps).features(client.session)


def ask(client, node):
    (answer,) = client.says(
        f"<iq type='get' id='i' to='example.org'><query xmlns='{INFO}' node='{node}'/></iq>"
    )
    return answer


def offered(server):
    """Return what an authenticated stream is offered."""
    link = server.connect(MemoryTls())
    link.receiver.host = server.host
    link.receiver.authenticated(now(server.host.account("romeo")), lambda: None)
    return link.feed(
        b"<stream:stream xmlns='jabber:client' version='1.0' to='example.org'"
        b" xmlns:stream='http://etherx.jabber.org/streams'>"
    ).decode()


def test_client_is_asked_for_its_hash_node(romeo):
    """§5.4, §5.5"""
    romeo.says(f"<presence>{hash_set()}</presence>")
    (query,) = queries(romeo)
    assert f"node='urn:xmpp:caps#sha-256.{digest()}'" in query
    answer(romeo, query)
    assert known(romeo) == {"urn:a"}


def test_proven_hash_holds_for_all(romeo, juliet):
    """§8.1: "Entities MAY share caches among connections and accounts"."""
    romeo.says(f"<presence>{hash_set()}</presence>")
    answer(romeo, *queries(romeo))
    juliet.says(f"<presence>{hash_set()}</presence>")
    assert queries(juliet) == []
    assert known(juliet) == {"urn:a"}


@pytest.mark.parametrize("inner", [INNER.replace("urn:a", "urn:b"), INNER + "<x xmlns='urn:x'/>"])
def test_unproven_hash_is_not_used(romeo, juliet, inner):
    """§4.4, §9.2"""
    romeo.says(f"<presence>{hash_set()}</presence>")
    answer(romeo, *queries(romeo), inner)
    assert known(romeo) is None
    juliet.says(f"<presence>{hash_set()}</presence>")
    assert len(queries(juliet)) == 1


def test_inherited_language_is_taken_into_account(romeo):
    """§4.1: xml:lang of the answer counts for identities without."""
    romeo.says(f"<presence>{hash_set(digest(lang='de'))}</presence>")
    answer(romeo, *queries(romeo), lang=" xml:lang='de'")
    assert known(romeo) == {"urn:a"}


def test_hash_set_goes_before_caps_of_xep0115(romeo):
    """§8.2: a client with both is asked once, by the better hash."""
    old = f"<c xmlns='{CAPS}' hash='sha-1' node='http://a' ver='AAAA'/>"
    romeo.says(f"<presence>{old}{hash_set()}</presence>")
    (query,) = queries(romeo)
    assert "urn:xmpp:caps#" in query


def test_hash_set_of_unknown_functions_leaves_it_to_xep0115(romeo):
    """§8.2"""
    old = f"<c xmlns='{CAPS}' hash='sha-1' node='http://a' ver='AAAA'/>"
    romeo.says(f"<presence>{old}{hash_set('AAAA', 'md6')}</presence>")
    (query,) = queries(romeo)
    assert "http://a#AAAA" in query


def test_presence_to_somebody_announces_nothing(romeo):
    """§6.1: directed presence is not for the server."""
    romeo.says(f"<presence to='juliet@example.org'>{hash_set()}</presence>")
    assert queries(romeo) == []


def test_gratuitous_capabilities_come_before_presence(server):
    """§5.6: the server knows, and nobody else is told."""
    romeo = server.login("romeo@example.org/orchard", available=False)
    romeo.says(f"<iq type='set' id='g' to='example.org'>{hash_set()}</iq>")
    assert holds(romeo.received[-1], "<iq type='result' id='g'/>")
    answer(romeo, *queries(romeo))
    assert known(romeo) == {"urn:a"}
    assert romeo.session.presence is None


def test_gratuitous_capabilities_are_advertised(romeo):
    """§5.1, §5.6"""
    (info,) = romeo.says(f"<iq type='get' id='i' to='example.org'><query xmlns='{INFO}'/></iq>")
    assert "<feature var='urn:xmpp:caps'/>" in info
    assert "<feature var='urn:xmpp:caps:gratuitous'/>" in info


def test_server_announces_its_hash_set(server, romeo):
    """§5.2, §5.5: every hash has its node; identities inherit the language of the stream."""
    found = re.findall("<hash xmlns='urn:xmpp:hashes:2' algo='(.*?)'>(.*?)</hash>", offered(server))
    assert [name for name, _ in found] == ["sha-256", "sha3-256"]
    for name, digest in found:
        info = ask(romeo, f"urn:xmpp:caps#{name}.{digest}")
        (query,) = Stanza.parse(info.encode()).element.elements()
        assert base64.b64encode(vers2(query, [name], "en")[name]).decode() == digest


def test_server_answers_for_recent_hash_sets(server, romeo):
    """§6.1: what a node stood for when it was announced."""
    disco = server.host.features["disco"]
    pattern = "algo='sha-256'>(.*?)</hash>"
    nodes = []
    for name in "abcd":
        disco.options = type(disco.options)(name=name)
        server.host.computed.clear()  # as a reload does
        nodes.append("urn:xmpp:caps#sha-256." + re.search(pattern, offered(server))[1])
    assert holds(ask(romeo, nodes[0]), iq_error("i", "item-not-found"))
    for name, node in zip("bcd", nodes[1:], strict=True):
        assert holds(
            ask(romeo, node),
            f"<iq type='result'><query xmlns='{INFO}' node='{node}'>"
            f"<identity name='{name}'/></query></iq>",
        )


@pytest.mark.parametrize("to", ["example.org", "romeo@example.org"])
def test_unknown_hash_node_is_not_found(romeo, to):
    """§5.5"""
    (info,) = romeo.says(
        f"<iq type='get' id='i' to='{to}'>"
        f"<query xmlns='{INFO}' node='urn:xmpp:caps#sha-256.AAAA'/></iq>"
    )
    assert holds(info, iq_error("i", "item-not-found"))


@pytest.mark.server(domains=("example.org", "example.net"))
def test_clients_of_another_host_are_not_remembered(server, romeo):
    """§5.6: who is not a client of this domain claims nothing there."""
    claim = (
        "<c xmlns='urn:xmpp:caps'><hash xmlns='urn:xmpp:hashes:2' algo='sha-256'>AAAA</hash></c>"
    )
    (answer,) = romeo.says(f"<iq type='set' id='c' to='example.net'>{claim}</iq>")
    assert holds(answer, iq_error("c", "not-allowed"))
    assert server.hosts[1].features["caps"]._clients == {}
