"""XEP-0115: Entity Capabilities."""

import re

import pytest

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import CAPS_CHANGED, Passing
from imsuite.core.interfaces import ICaps
from imsuite.features.xep0115_caps import MOST_ASKED, NODE
from imsuite.rules.caps import ver1
from imsuite.testing.memory import MemoryServer, MemoryTls, now
from imsuite.xmpp.build import build
from imsuite.xmpp.stanza import Stanza
from tests.helpers import fitting, holds, iq_error, value
from tests.managed import Managed

INFO = "http://jabber.org/protocol/disco#info"
CAPS = "http://jabber.org/protocol/caps"
EXODUS = (
    "<identity category='client' name='Exodus 0.9.1' type='pc'/>"
    "<feature var='http://jabber.org/protocol/caps'/>"
    "<feature var='http://jabber.org/protocol/disco#info'/>"
    "<feature var='http://jabber.org/protocol/disco#items'/>"
    "<feature var='http://jabber.org/protocol/muc'/>"
)
VER = "QgayPKawpkPSDYmwT/WM94uAlu0="
MUC = "http://jabber.org/protocol/muc"
QUERY = f"<iq type='get' from='example.org' id='{{id}}'><query xmlns='{INFO}'/></iq>"


def presence(ver=VER, node="http://exodus", hash=" hash='sha-1'"):
    return f"<presence><c xmlns='{CAPS}' node='{node}' ver='{ver}'{hash}/></presence>"


def queries(client):
    """Return the disco#info queries that a client received."""
    return fitting(client.received, QUERY)


def answer(client, query, inner=EXODUS):
    """Let a client answer a disco#info query."""
    id = value(query, QUERY)
    client.says(
        f"<iq type='result' to='example.org' id='{id}'><query xmlns='{INFO}'>{inner}</query></iq>"
    )


def refuse(client, query):
    id = value(query, QUERY)
    client.says(
        f"<iq type='error' to='example.org' id='{id}'><error type='cancel'>"
        "<service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
    )


def known(client):
    """Return what the server knows of a client's features."""
    return client.server.host.find_feature(ICaps).features(client.session)


class Listening(Feature):
    """Notes whose features became known."""

    def __init__(self, host, options):
        super().__init__(host, options)
        self.heard = []

    @on(CAPS_CHANGED)
    def heard_of(self, session):
        self.heard.append(session.full)


# clients


def test_client_is_asked_what_its_caps_mean(romeo):
    """§6.2: at its full JID, for the node and ver it announced."""
    assert known(romeo) is None
    romeo.says(presence())
    (query,) = queries(romeo)
    assert holds(
        query,
        "<iq from='example.org' to='romeo@example.org/orchard' type='get'>"
        f"<query xmlns='{INFO}' node='http://exodus#{VER}'/></iq>",
    )
    assert known(romeo) is None
    answer(romeo, query)
    assert MUC in known(romeo)


def test_each_kind_of_client_is_asked_once(romeo, juliet):
    """§5.4: what is proven holds for everybody who has the same hash."""
    romeo.says(presence())
    answer(romeo, *queries(romeo))
    juliet.says(presence(node="http://another"))
    assert queries(juliet) == []
    assert known(juliet) is known(romeo)


def test_while_one_is_asked_others_wait(romeo, juliet):
    """§8.2"""
    romeo.says(presence())
    juliet.says(presence())
    assert queries(juliet) == []
    answer(romeo, *queries(romeo))
    assert MUC in known(juliet)


@pytest.mark.parametrize("how", ["lies", "refuses", "stays silent", "leaves"])
def test_next_is_asked_if_one_does_not_prove_it(server, romeo, juliet, how):
    """§5.4: "it SHOULD check … another generating entity"."""
    romeo.says(presence())
    (query,) = queries(romeo)
    juliet.says(presence(node="http://other"))
    if how == "lies":
        answer(romeo, query, EXODUS.replace("muc", "evil"))
    elif how == "refuses":
        refuse(romeo, query)
    else:
        if how == "leaves":
            romeo.vanishes()
        server.advance(20)
    (query,) = queries(juliet)
    assert f"node='http://other#{VER}'" in query
    answer(juliet, query)
    assert MUC in known(juliet)
    if how in ("lies", "refuses"):
        assert known(romeo) is None


def test_many_sessions_of_one_account_do_not_hold_up_the_others(server, romeo, juliet):
    """§9.3: whose account was asked already comes last."""
    romeo.says(presence())
    others = [server.login(f"romeo@example.org/{number}") for number in range(3)]
    for other in others:
        other.says(presence())
    juliet.says(presence())
    refuse(romeo, *queries(romeo))
    answer(juliet, *queries(juliet))
    assert all(MUC in known(other) for other in others)
    assert not any(queries(other) for other in others)


def test_wrong_hash_is_never_remembered(romeo, juliet):
    """§5.4, point 3.9"""
    romeo.says(presence())
    answer(romeo, *queries(romeo), EXODUS.replace("muc", "evil"))
    assert known(romeo) is None
    juliet.says(presence())
    assert len(queries(juliet)) == 1


def test_what_could_be_forged_is_not_shared(romeo, juliet):
    """§9.3: features hidden in a name; believed of the sender alone."""
    inner = (
        "<identity category='client' type='pc' name='Exodus 0.9.1&lt;"
        "http://jabber.org/protocol/caps&lt;http://jabber.org/protocol/disco#info'/>"
        "<feature var='http://jabber.org/protocol/disco#items'/>"
        f"<feature var='{MUC}'/>"
    )
    romeo.says(presence())
    answer(romeo, *queries(romeo), inner)
    assert known(romeo) == {"http://jabber.org/protocol/disco#items", MUC}
    juliet.says(presence())
    answer(juliet, *queries(juliet))
    assert CAPS in known(juliet)


def test_unknown_hash_function_is_believed_of_its_sender_only(romeo, juliet):
    """§5.4, point 2"""
    for client in (romeo, juliet):
        client.says(presence(hash=" hash='md5'"))
        answer(client, *queries(client))
        assert MUC in known(client)


def test_legacy_caps_are_ignored(romeo):
    """§13: they cannot be checked."""
    romeo.says(presence(ver="0.9", hash=""))
    assert queries(romeo) == []
    assert known(romeo) is None


def test_changed_caps_are_asked_again(romeo):
    """§6.1: within one session; what held before does not hold any more."""
    romeo.says(presence())
    answer(romeo, *queries(romeo))
    romeo.forget()
    inner = EXODUS + "<feature var='urn:new'/>"
    ver = ver1(build(f"<query xmlns='{INFO}'>{inner}</query>".encode(), "jabber:client"))
    romeo.says(presence(ver))
    assert known(romeo) is None
    answer(romeo, *queries(romeo), inner)
    assert "urn:new" in known(romeo)


def test_answer_to_caps_that_changed_meanwhile_is_not_mixed_up(romeo):
    """§6.1"""
    romeo.says(presence())
    (query,) = queries(romeo)
    romeo.says(presence("AAAAAAAAAAAAAAAAAAAAAAAAAAA="))
    answer(romeo, query)
    assert known(romeo) is None


def test_presence_without_or_with_the_same_caps_changes_nothing(romeo):
    """§8.4: "receivers … MUST NOT expect an annotation on every presence"."""
    romeo.says(presence())
    answer(romeo, *queries(romeo))
    romeo.forget()
    romeo.says("<presence><show>away</show></presence>")
    romeo.says(presence())
    assert queries(romeo) == []
    assert MUC in known(romeo)


def test_silent_client_is_asked_again_with_its_next_presence(server, romeo):
    """§6.2"""
    romeo.says(presence())
    server.advance(20)
    romeo.forget()
    romeo.says(presence())
    answer(romeo, *queries(romeo))
    assert MUC in known(romeo)


def test_client_that_lied_is_not_asked_again(romeo):
    """§5.4"""
    romeo.says(presence())
    refuse(romeo, *queries(romeo))
    romeo.forget()
    romeo.says(presence())
    assert queries(romeo) == []


def test_directed_presence_announces_nothing(romeo):
    """§8.3: it is for somebody else."""
    directed = presence().replace("<presence>", "<presence to='juliet@example.org'>", 1)
    romeo.says(directed)
    assert queries(romeo) == []


def test_answer_of_somebody_else_is_ignored(romeo, juliet):
    """RFC 6120 §8.2.3: only who was asked can answer."""
    romeo.says(presence())
    (query,) = queries(romeo)
    answer(juliet, query)
    assert known(romeo) is None


def test_one_session_is_asked_a_limited_number_of_times(romeo):
    """XEP-0390 §8.2: caches must not be flooded."""
    for number in range(MOST_ASKED + 5):
        romeo.says(presence(f"ver{number}"))
    assert len(queries(romeo)) == MOST_ASKED


@pytest.mark.server(options={"caps": {"longest": 4096}})
def test_endless_answer_is_not_kept(romeo):
    romeo.says(presence())
    answer(romeo, *queries(romeo), EXODUS + f"<feature var='{'x' * 5000}'/>")
    assert known(romeo) is None


@pytest.mark.server(features=["default", Listening])
def test_features_hear_when_caps_become_known(server, romeo, juliet):
    """For XEP-0163 §4.3: after an answer, and where the answer was known before."""
    heard = server.host.features["test_xep0115_caps"].heard
    romeo.says(presence())
    assert heard == []
    answer(romeo, *queries(romeo))
    juliet.says(presence())
    assert heard == [str(romeo.jid), str(juliet.jid)]


def test_session_that_ends_is_forgotten(romeo):
    caps = romeo.server.host.features["caps"]
    romeo.says(presence())
    romeo.vanishes()
    assert caps._clients == {}


# what is remembered


def restart(server):
    """Return the feature as it is after the host has been loaded again."""
    caps = server.host.features["caps"]
    fresh = type(caps)(server.host, caps.options)
    now(fresh.load(server.host))
    return fresh


def test_known_caps_survive_a_restart(server, romeo):
    """§8.2: nobody is asked again."""
    romeo.says(presence())
    answer(romeo, *queries(romeo))
    fresh = restart(server)
    romeo.forget()
    server.host.features["caps"].gone(romeo.session)
    fresh.announced(_passing(romeo))
    assert MUC in fresh.features(romeo.session)
    assert queries(romeo) == []


def test_restored_session_is_not_asked_what_is_known():
    """§8.2, XEP-0198 §5: its client may not be there to answer."""
    server = MemoryServer()
    romeo = Managed(server, "romeo@example.org/orchard")
    romeo.client.says(presence())
    answer(romeo.client, *queries(romeo.client))
    romeo.asks()
    second = server.restart()
    assert MUC in second.host.find_feature(ICaps).features(second.router.sessions[romeo.jid.full])
    second.stop()


def test_client_that_was_away_is_asked_again_when_it_is_back(server):
    """XEP-0198 §5: it could not answer in time."""
    romeo = Managed(server, "romeo@example.org/orchard")
    romeo.client.says(presence())
    romeo.vanishes()
    server.advance(30)
    assert romeo.resumes().kind == "resumed"
    asked = [text for text in romeo.got if holds(text, QUERY)]
    assert len(asked) == 2
    answer(romeo.client, asked[-1])
    assert MUC in known(romeo.client)


def _passing(client):
    stanza = Stanza.parse(presence().encode())
    return Passing(stanza, client.session.account, client.jid, client.session)


@pytest.mark.server(options={"caps": {"remembered": 10}})
def test_only_so_many_caps_are_remembered(server, romeo):
    """XEP-0390 §8.2: the latest used, in memory and in the store."""
    romeo.says(presence())
    answer(romeo, *queries(romeo))
    for number in range(10):
        romeo.forget()
        inner = EXODUS + f"<feature var='urn:number:{number}'/>"
        ver = ver1(build(f"<query xmlns='{INFO}'>{inner}</query>".encode(), "jabber:client"))
        romeo.says(presence(ver))
        answer(romeo, *queries(romeo), inner)
    rows = now(server.store.query("SELECT claim FROM caps"))
    assert len(rows) == 10
    assert (f"115 sha-1 {VER}",) not in rows
    romeo.forget()
    romeo.says(presence())
    assert len(queries(romeo)) == 1


def test_caps_that_nobody_has_any_more_are_forgotten(server, romeo, juliet):
    """What is used stays; the rest goes after half a year."""
    romeo.says(presence())
    answer(romeo, *queries(romeo))
    server.clock.rightNow += 179 * 86_400
    juliet.says(presence())
    server.clock.rightNow += 2 * 86_400
    assert len(restart(server)._known) == 1
    server.clock.rightNow += 181 * 86_400
    assert len(restart(server)._known) == 0
    assert now(server.store.query("SELECT claim FROM caps")) == []


# the server itself


def stream_features(server, authenticated):
    """Return what a new stream is offered."""
    link = server.connect(MemoryTls())
    if authenticated:
        account = now(server.host.account("romeo"))
        link.receiver.host = server.host
        link.receiver.authenticated(account, lambda: None)
    return link.feed(
        b"<stream:stream xmlns='jabber:client' version='1.0' to='example.org'"
        b" xmlns:stream='http://etherx.jabber.org/streams'>"
    ).decode()


def test_server_announces_its_caps_in_the_stream(server, romeo):
    """§6.3: after authentication; the hash is that of its disco#info."""
    assert CAPS not in stream_features(server, False)
    offered = stream_features(server, True)
    node, ver = re.search(
        f"<c xmlns='{CAPS}' hash='sha-1' node='(.*?)' ver='(.*?)'", offered
    ).groups()
    assert node == NODE
    (info,) = romeo.says(
        f"<iq type='get' id='i' to='example.org'><query xmlns='{INFO}' node='{node}#{ver}'/></iq>"
    )
    assert holds(info, f"<iq type='result'><query xmlns='{INFO}' node='{node}#{ver}'/></iq>")
    (query,) = Stanza.parse(info.encode()).element.elements()
    assert ver1(query) == ver


def test_other_hash_of_the_server_is_not_known(romeo):
    """§6.2"""
    node = f"{NODE}#AAAA"
    (info,) = romeo.says(
        f"<iq type='get' id='i' to='example.org'><query xmlns='{INFO}' node='{node}'/></iq>"
    )
    assert holds(info, iq_error("i", "item-not-found"))
