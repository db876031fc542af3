"""RFC 6121 §3, §4: what changes while a presence waits on its way, as for a slow store."""

import pytest
from twisted.internet.defer import Deferred

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import INCOMING, Stage
from imsuite.testing.memory import MemoryServer, befriend
from tests.helpers import fitting


class Gates(Feature):
    """Holds presences of a type up at an account until its gate is opened."""

    spec = "none"

    def __init__(self, host, options):
        super().__init__(host, options)
        self.gates = {}

    @on(INCOMING, Stage.RECORD, kind="presence")
    async def hold(self, passing):
        gate = self.gates.get((passing.account.bare, passing.stanza.type))
        if gate is not None:
            await gate

    def close(self, bare, type):
        """Close a gate and return it."""
        gate = self.gates[bare, type] = Deferred()
        return gate

    def open(self, server):
        """Open all gates."""
        gates, self.gates = self.gates, {}
        for gate in gates.values():
            gate.callback(None)
        server.settle()


@pytest.fixture
def server():
    server = MemoryServer(features=["default", Gates])
    yield server
    server.stop()
    assert server.failures.take() == []


@pytest.fixture
def gates(host):
    return next(each for each in host.features.values() if isinstance(each, Gates))


@pytest.fixture
def tybalt(server, friends):
    """A friend of romeo's who hears of him after juliet."""
    romeo, _ = friends
    tybalt = server.login("tybalt@example.org/street")
    befriend(romeo, tybalt)
    return tybalt


def heard_of(client, full="romeo@example.org/orchard"):
    """Return the types of the presences of a full JID."""
    found = fitting(client.received, f"<presence from='{full}'/>")
    return ["unavailable" if "type='unavailable'" in each else "available" for each in found]


def test_who_lost_the_subscription_meanwhile_is_not_told(server, gates, friends, tybalt):
    """§3.2.2: a broadcast under way does not reach whom the user has just cancelled."""
    romeo, juliet = friends
    garden = server.login("romeo@example.org/garden")
    tybalt.forget()
    gates.close("juliet@example.org", None)
    romeo.says("<presence id='late'/>")
    garden.says("<presence type='unsubscribed' to='tybalt@example.org'/>")
    gates.open(server)
    assert heard_of(tybalt) == ["unavailable"]
    assert fitting(juliet.received, "<presence id='late'/>")


def test_last_word_of_a_removed_account_is_unavailable(server, gates, friends, tybalt):
    """XEP-0077 §3.2: what its sessions had begun to say is said before they end."""
    romeo, juliet = friends
    gates.close("juliet@example.org", None)
    romeo.says("<presence id='late'/>")
    removal = Deferred.fromCoroutine(server.host.registrar.delete("romeo"))
    gates.open(server)
    assert removal.called
    assert romeo.gone
    for client in (juliet, tybalt):
        assert heard_of(client)[-1] == "unavailable"


def test_who_was_approved_and_cancelled_at_once_sees_nothing(server, gates, romeo, juliet):
    """§3.4: the presence that follows an approval is not sent when the approval is gone."""
    romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    gates.close("juliet@example.org", "subscribed")
    juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    romeo.says("<presence type='unsubscribed' to='juliet@example.org'/>")
    gates.open(server)
    assert "available" not in heard_of(juliet)


def test_request_to_an_account_on_its_way_out_is_not_answered(server, gates, friends):
    """XEP-0077 §3.2: not even if it was approved; nobody is subscribed to who is gone."""
    romeo, _ = friends
    tybalt = server.login("tybalt@example.org/street")
    romeo.says("<presence type='subscribed' to='tybalt@example.org'/>")
    gates.close("juliet@example.org", "unsubscribe")
    removal = Deferred.fromCoroutine(server.host.registrar.delete("romeo"))
    tybalt.says("<presence type='subscribe' to='romeo@example.org'/>")
    gates.open(server)
    assert removal.called
    assert not fitting(tybalt.received, "<presence type='subscribed'/>")
