"""Where stanzas go, by domain and kind of address (RFC 6120 §10, RFC 6121 §8)."""

import pytest

from imsuite.core.feature import At, Feature, answers, takes
from imsuite.core.router import Route
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import result
from tests.core.conftest import login
from tests.helpers import holds, iq_error

ROMEO = "romeo@example.org/orchard"
JULIET = "juliet@example.org/balcony"
KINDS = {"HOST": At.HOST, "ACCOUNT": At.ACCOUNT, "SELF": At.SELF, "ABSENT": At.ABSENT}


class Where(Feature):
    """Notes to which kind of address something came."""

    __module__ = "tests.xep0001_where"
    spec = "XEP-0001"

    def __init__(self, host, options):
        super().__init__(host, options)
        self.came = []

    @takes("message", None, "chat", at=At.HOST)
    def at_host(self, passing):
        self.came.append("HOST")

    @takes("message", None, "chat", at=At.ACCOUNT)
    def at_account(self, passing):
        self.came.append("ACCOUNT")

    @takes("message", None, "chat", at=At.SELF)
    def at_self(self, passing):
        self.came.append("SELF")

    @takes("message", None, "chat", at=At.ABSENT)
    def at_absent(self, passing):
        self.came.append("ABSENT")

    @takes("message", None, "chat", at=At.NOBODY)
    def at_nobody(self, passing):
        self.came.append("NOBODY")

    @takes("presence", "subscribe", "probe", at=At.ACCOUNT)
    def presence_at_account(self, passing):
        self.came.append("presence")

    @answers("get", "urn:where", "where", At.HOST)
    def asked_host(self, passing):
        return result(passing.stanza)

    @answers("set", "urn:where", "where", At.SELF)
    async def asked_self(self, passing):
        return result(passing.stanza)


@pytest.mark.parametrize(
    ("to", "where"),
    [
        ("to='example.org'", "HOST"),
        ("to='EXAMPLE.org'", "HOST"),
        ("to='example.org/anything'", "HOST"),
        ("to='juliet@example.org'", "ACCOUNT"),
        ("to='Juliet@example.org'", "ACCOUNT"),
        ("to='romeo@example.org'", "SELF"),
        ("", "SELF"),
        ("to='juliet@example.org/chamber'", "ABSENT"),
        ("to='romeo@example.org/elsewhere'", "ABSENT"),
        ("to='nobody@example.org'", "NOBODY"),
        ("to='nobody@example.org/there'", "NOBODY"),
    ],
)
def test_a_message_comes_to_its_kind_of_address(pair, to, where):
    """Architecture §3: a feature never works out again who is asking whom."""
    clients = pair(Where)
    assert clients.romeo.says(f"<message {to}><body>hi</body></message>") == []
    assert clients.host.features["where"].came == [where]


@pytest.mark.parametrize(
    "to",
    ["juliet@example.org/balcony", "JULIET@Example.ORG/balcony", "juliet@example.org./balcony"],
)
def test_a_full_jid_in_any_spelling_finds_its_session(pair, to):
    """RFC 7622 §3: addresses are compared in their prepared form."""
    clients = pair(Where)
    clients.romeo.says(f"<message to='{to}'><body>hi</body></message>")
    assert len(clients.juliet.received) == 1
    assert clients.host.features["where"].came == []


def test_resources_are_case_sensitive(pair):
    """RFC 7622 §3.4"""
    clients = pair(Where)
    clients.romeo.says("<message to='juliet@example.org/Balcony'/>")
    assert clients.juliet.received == []
    assert clients.host.features["where"].came == ["ABSENT"]


@pytest.mark.parametrize("type", ["subscribe", "probe"])
def test_presence_about_a_subscription_is_for_the_account(pair, type):
    """RFC 6121 §8.5.2, §8.5.3: never for a session, even if it is named."""
    clients = pair(Where)
    for to in (JULIET, "juliet@example.org", "juliet@example.org/chamber"):
        clients.romeo.says(f"<presence type='{type}' to='{to}'/>")
    assert clients.host.features["where"].came == ["presence"] * 3
    assert clients.juliet.received == []


@pytest.mark.parametrize("presence", ["<presence to='{}'/>", "<presence to='{}' type='error'/>"])
def test_other_presence_for_a_full_jid_is_for_its_session(pair, presence):
    """RFC 6121 §8.5.3.1"""
    clients = pair()
    assert clients.romeo.says(presence.format(JULIET)) == []
    assert len(clients.juliet.received) == 1


@pytest.mark.parametrize(
    "to", ["juliet@example.org", "juliet@example.org/gone", "nobody@example.org", "example.org"]
)
def test_presence_that_nobody_takes_is_dropped_in_silence(pair, to):
    """RFC 6121 §8.5.1, §8.5.3.2.2: nobody learns who exists or is online."""
    assert pair().romeo.says(f"<presence to='{to}'/>") == []


@pytest.mark.parametrize(
    "to", ["@example.org", "a b@example.org", "example.org/", "x" * 2000, "a@b@c"]
)
def test_what_is_no_address_is_said_to_be_none(pair, to):
    """RFC 6120 §8.3.3.8"""
    (got,) = pair().romeo.says(f"<iq type='get' id='1' to='{to}'><q xmlns='u'/></iq>")
    assert holds(got, iq_error("1", "jid-malformed"))


def test_another_domain_is_not_found_while_there_is_no_way(pair):
    """RFC 6120 §10.4, §8.3.3.16"""
    (got,) = pair().romeo.says("<message to='a@example.net' id='1'><body>hi</body></message>")
    assert "remote-server-not-found" in got


def test_other_domains_go_the_way_to_other_servers(pair):
    clients = pair()
    passed = []

    class Remote:
        def receive(self, passing):
            passed.append(passing.stanza.to)

    clients.server.router.remote = Remote()
    assert clients.romeo.says("<message to='a@example.net'/>") == []
    assert passed == ["a@example.net"]


def test_a_service_takes_what_is_for_its_domain(pair):
    clients = pair()

    class Service(Route):
        def receive(self, passing):
            if passing.stanza.kind == "message":
                raise StanzaError("not-acceptable")
            passing.session.send(result(passing.stanza))

    clients.server.router.services["rooms.example.org"] = Service()
    (got,) = clients.romeo.says("<iq type='get' id='1' to='rooms.example.org'><q xmlns='u'/></iq>")
    assert holds(got, "<iq type='result' id='1' from='rooms.example.org'/>")
    (got,) = clients.romeo.says("<message to='a@rooms.example.org'/>")
    assert "not-acceptable" in got


def test_hosts_of_one_server_reach_each_other(make):
    server = make(domains=("example.org", "example.net"))
    romeo = login(server, ROMEO)
    other = login(server, "juliet@example.net/balcony")
    romeo.says("<message to='juliet@example.net/balcony'><body>hi</body></message>")
    assert len(other.received) == 1


def test_an_iq_between_clients_goes_there_and_back(pair):
    """RFC 6121 §8.5.3.1"""
    clients = pair()
    clients.romeo.says(f"<iq type='get' id='1' to='{JULIET}'><q xmlns='u'/></iq>")
    assert holds(clients.juliet.received[0], f"<iq type='get' id='1' from='{ROMEO}'/>")
    clients.juliet.says(f"<iq type='result' id='1' to='{ROMEO}'/>")
    assert holds(clients.romeo.received[0], f"<iq type='result' id='1' from='{JULIET}'/>")


@pytest.mark.parametrize(
    "to", ["juliet@example.org/gone", "juliet@example.org", "nobody@example.org", "example.org/x"]
)
def test_an_iq_that_nobody_takes_gets_one_answer(pair, to):
    """RFC 6121 §8.5.1, §8.5.3.2.3; pitfall 20: the same whether there is such an account."""
    clients = pair()
    (got,) = clients.romeo.says(f"<iq type='get' id='1' to='{to}'><q xmlns='u'/></iq>")
    assert holds(got, iq_error("1", "service-unavailable"))
    assert clients.romeo.says(f"<iq type='result' id='2' to='{to}'/>") == []
    assert clients.juliet.received == []


def test_an_iq_is_answered_by_whom_it_is_for(pair):
    clients = pair(Where)
    ask = "<iq type='{}' id='1' {}><where xmlns='urn:where'/></iq>"
    (got,) = clients.romeo.says(ask.format("get", "to='example.org'"))
    assert holds(got, f"<iq type='result' id='1' from='example.org' to='{ROMEO}'/>")
    # to oneself, said or not, is the same (RFC 6120 §10.3.3)
    for to in ("", "to='romeo@example.org'"):
        (got,) = clients.romeo.says(ask.format("set", to))
        assert holds(got, "<iq type='result' id='1'/>")
    (got,) = clients.romeo.says(ask.format("set", "to='juliet@example.org'"))
    assert holds(got, iq_error("1", "service-unavailable"))
