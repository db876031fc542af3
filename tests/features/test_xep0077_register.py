"""XEP-0077: In-Band Registration."""

import base64

import pytest

from imsuite.app.registry import all_features
from imsuite.core.feature import At
from imsuite.testing.memory import now
from imsuite.testing.memory_link import MemoryTls
from tests.helpers import holds, iq_error

NS = "jabber:iq:register"
HEADER = (
    "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    " to='example.org' version='1.0'>"
)
FEATURE = "<register xmlns='http://jabber.org/features/iq-register'/>"
GET = f"<iq type='get' id='g'><query xmlns='{NS}'/></iq>"
SET = (
    f"<iq type='set' id='s'><query xmlns='{NS}'>"
    "<username>{}</username><password>{}</password></query></iq>"
)
FORM = (
    f"<iq type='set' id='s'><query xmlns='{NS}'><x xmlns='jabber:x:data' type='submit'>"
    "<field var='FORM_TYPE'><value>{}</value></field>"
    "<field var='username'><value>{}</value></field>"
    "<field var='password'><value>{}</value></field></x></query></iq>"
)
REMOVE = f"<iq type='set' id='r'><query xmlns='{NS}'><remove/></query></iq>"
DONE = "<iq type='result' id='s'/>"
PASSWORD = "wherefore art"
open_for_all = pytest.mark.server(options={"register": {"open": True}})


class Caller:
    """Somebody who has not logged in."""

    def __init__(self, server, tls=True, address=None):
        self.server = server
        self.link = server.connect(MemoryTls() if tls else None)
        if address is not None:
            self.link.address = address
        self.features = self.says(HEADER)

    def says(self, text):
        self.link.put(text.encode())
        self.server.settle()
        return self.link.take().decode()

    def logs_in(self, name, password):
        secret = base64.b64encode(f"\0{name}\0{password}".encode()).decode()
        answer = self.says(
            "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>" + secret + "</auth>"
        )
        return "<success" in answer

    @property
    def gone(self):
        return self.link.closed


@pytest.fixture
def caller(server):
    return Caller(server)


# registration


def test_registration_is_closed_by_default(caller):
    """§3.1: neither offered nor possible."""
    assert "iq-register" not in caller.features
    assert holds(caller.says(GET), iq_error("g", "service-unavailable"))
    assert holds(caller.says(SET.format("bill", PASSWORD)), iq_error("s", "service-unavailable"))
    assert not caller.logs_in("bill", PASSWORD)


@open_for_all
def test_registration_is_offered(caller):
    """§8"""
    assert "<register xmlns='http://jabber.org/features/iq-register'/>" in caller.features


@open_for_all
def test_fields_are_told(caller):
    """§3.1, §4: both as elements and as a form."""
    answer = caller.says(GET)
    assert holds(
        answer,
        f"<iq type='result' id='g'><query xmlns='{NS}'><username/><password/>"
        "<x xmlns='jabber:x:data' type='form'><field type='hidden' var='FORM_TYPE'>"
        f"<value>{NS}</value></field><field var='username' type='text-single'><required/></field>"
        "<field var='password' type='text-private'><required/></field></x></query></iq>",
    )
    assert "registered" not in answer


@open_for_all
@pytest.mark.parametrize("stanza", [SET, FORM.replace("{}", NS, 1)])
def test_an_account_is_made_and_can_be_used(caller, stanza):
    """§3.1, §4: on the same stream."""
    assert not caller.logs_in("bill", PASSWORD)
    assert holds(caller.says(stanza.format("Bill", PASSWORD)), DONE)
    assert caller.logs_in("bill", PASSWORD)


@open_for_all
def test_name_that_is_taken(server, caller):
    """§3.1: the account stays with its owner."""
    server.account("juliet@example.org", "pencil")
    assert holds(caller.says(SET.format("JULIET", PASSWORD)), iq_error("s", "conflict"))
    assert not caller.logs_in("juliet", PASSWORD)
    assert caller.logs_in("juliet", "pencil")


@open_for_all
@pytest.mark.parametrize(
    ("name", "password"),
    [
        ("bill", ""),
        ("", PASSWORD),
        ("bill", "short"),
        ("bill", "x" * 5000),
        ("bill", "emoji \U0001f600 inside"),
        ("a@b", PASSWORD),
        ("a b", PASSWORD),
        ("x" * 1024, PASSWORD),
        ("admin", PASSWORD),
        ("Postmaster", PASSWORD),
    ],
)
def test_what_is_not_acceptable(caller, name, password):
    """§3.1: missing information, names nobody can have, weak passwords."""
    assert holds(caller.says(SET.format(name, password)), iq_error("s", "not-acceptable"))


@open_for_all
def test_missing_fields_are_not_acceptable(caller):
    """§3.1"""
    for inner in ("<username>bill</username>", f"<password>{PASSWORD}</password>", ""):
        stanza = f"<iq type='set' id='s'><query xmlns='{NS}'>{inner}</query></iq>"
        assert holds(caller.says(stanza), iq_error("s", "not-acceptable"))


@open_for_all
def test_forms_that_are_none_of_ours(caller):
    """§4: a form for something else, one that was cancelled, one that is not a submission."""
    wrong = FORM.format("urn:else", "bill", PASSWORD)
    assert holds(caller.says(wrong), iq_error("s", "bad-request"))
    cancelled = FORM.format(NS, "bill", PASSWORD).replace("'submit'", "'cancel'")
    assert holds(caller.says(cancelled), iq_error("s", "not-acceptable"))
    shown = FORM.format(NS, "bill", PASSWORD).replace("'submit'", "'form'")
    assert holds(caller.says(shown), iq_error("s", "bad-request"))


@open_for_all
def test_errors_do_not_repeat_the_password(caller):
    """§3.3"""
    assert PASSWORD not in caller.says(SET.format("admin", PASSWORD))


@open_for_all
def test_one_account_for_a_stream(caller):
    """§3.1.1"""
    caller.says(SET.format("bill", PASSWORD))
    assert holds(caller.says(SET.format("will", PASSWORD)), iq_error("s", "not-acceptable"))


@pytest.mark.server(options={"register": {"open": True, "per_address": 2}})
def test_registrations_from_one_address_are_limited(server):
    """§3.1.1: conflicts count too, or names could be tried without end; time heals."""
    server.account("juliet@example.org")
    for name, answer in (("bill", DONE), ("juliet", iq_error("s", "conflict"))):
        caller = Caller(server, address="192.0.2.1")
        assert holds(caller.says(SET.format(name, PASSWORD)), answer)
    late = Caller(server, address="192.0.2.1")
    refused = iq_error("s", "resource-constraint")
    assert holds(late.says(SET.format("will", PASSWORD)), refused)
    elsewhere = Caller(server, address="192.0.2.2")
    assert holds(elsewhere.says(SET.format("will", PASSWORD)), DONE)
    server.advance(1801)
    again = Caller(server, address="192.0.2.1")
    assert holds(again.says(SET.format("wilhelm", PASSWORD)), DONE)


@pytest.mark.server(options={"register": {"open": True, "per_address": 1}})
def test_an_ipv6_network_is_one_address(server):
    """A customer has a /64, or more."""
    first = Caller(server, address="2001:db8::1")
    assert holds(first.says(SET.format("bill", PASSWORD)), DONE)
    second = Caller(server, address="2001:db8::2")
    refused = iq_error("s", "resource-constraint")
    assert holds(second.says(SET.format("will", PASSWORD)), refused)


@pytest.mark.server(options={"register": {"open": True, "per_hour": 2}})
def test_registrations_from_everywhere_are_limited(server):
    """The option `per_hour`."""
    answers = []
    for number in range(3):
        caller = Caller(server, address=f"192.0.2.{number}")
        answers.append(caller.says(SET.format(f"bill{number}", PASSWORD)))
    assert [holds(answer, DONE) for answer in answers] == [True, True, False]
    assert holds(answers[2], iq_error("s", "resource-constraint"))


@pytest.mark.server(options={"register": {"open": True, "refused": "bill.*|[^a-z]+"}})
def test_names_can_be_refused(caller):
    """The option `refused` replaces our own list."""
    assert holds(caller.says(SET.format("billy", PASSWORD)), iq_error("s", "not-acceptable"))
    assert holds(caller.says(SET.format("123", PASSWORD)), iq_error("s", "not-acceptable"))
    assert holds(caller.says(SET.format("admin", PASSWORD)), DONE)


def test_a_pattern_that_is_none_is_refused():
    options = all_features()["register"].options_class()
    with pytest.raises(ValueError, match="regular expression"):
        options(refused="(")


@pytest.mark.server(options={"register": {"open": True}, "starttls": {"required": False}})
def test_not_without_tls(server):
    """§11: a password must not go in clear."""
    caller = Caller(server, tls=False)
    assert "iq-register" not in caller.features
    assert holds(caller.says(SET.format("bill", PASSWORD)), iq_error("s", "not-authorized"))


@pytest.mark.server(options={"register": {"open": True}, "sasl": {"plaintext": True}})
def test_without_tls_where_logging_in_needs_none(server):
    """§11: the operator has decided."""
    caller = Caller(server, tls=False)
    assert "iq-register" in caller.features
    assert holds(caller.says(SET.format("bill", PASSWORD)), DONE)


@open_for_all
@pytest.mark.parametrize(
    "stanza",
    [
        "<iq type='get' id='g'><query xmlns='jabber:iq:roster'/></iq>",
        f"<iq type='get' id='g' to='juliet@example.org'><query xmlns='{NS}'/></iq>",
        f"<iq type='get' id='g' to='example.com'><query xmlns='{NS}'/></iq>",
        f"<iq type='get'><query xmlns='{NS}'/></iq>",
        f"<iq type='result' id='g'><query xmlns='{NS}'/></iq>",
        "<message to='juliet@example.org'><body>hi</body></message>",
    ],
)
def test_nothing_else_is_for_strangers(caller, stanza):
    """§3.1.1; RFC 6120 §4.9.3.12"""
    assert "<not-authorized xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" in caller.says(stanza)
    assert caller.gone


@open_for_all
def test_strangers_cannot_cancel(caller):
    """§3.2"""
    assert holds(caller.says(REMOVE), iq_error("r", "unexpected-request"))


@pytest.mark.server(options={"register": {"url": "https://example.org/register"}})
def test_people_are_sent_to_a_page(caller):
    """§5"""
    assert "iq-register" in caller.features
    assert holds(
        caller.says(GET),
        f"<iq type='result' id='g'><query xmlns='{NS}'>"
        "<instructions>To register, visit https://example.org/register</instructions>"
        "<x xmlns='jabber:x:oob'><url>https://example.org/register</url></x></query></iq>",
    )
    assert holds(caller.says(SET.format("bill", PASSWORD)), iq_error("s", "service-unavailable"))


# what is on file


@pytest.mark.parametrize("to", ["", "to='example.org'", "to='romeo@example.org'"])
def test_who_is_registered_hears_so(romeo, to):
    """§3.1"""
    (answer,) = romeo.says(GET.replace("id=", f"{to} id="))
    pattern = f"<query xmlns='{NS}'><registered/><username>romeo</username><password/></query>"
    assert holds(answer, f"<iq type='result' id='g'>{pattern}</iq>")


@pytest.mark.server(domains=("example.org", "example.com"))
def test_people_of_another_host_are_strangers(server):
    """§3.1, §3.2: they have no account here."""
    paris = server.login("paris@example.com/yard")
    server.account("paris@example.org", PASSWORD)
    (answer,) = paris.says(GET.replace("id=", "to='example.org' id="))
    assert holds(answer, iq_error("g", "service-unavailable"))
    (answer,) = paris.says(SET.format("paris", PASSWORD).replace("id=", "to='example.org' id="))
    assert holds(answer, iq_error("s", "service-unavailable"))
    (answer,) = paris.says(REMOVE.replace("id=", "to='example.org' id="))
    assert holds(answer, iq_error("r", "registration-required"))
    assert now(server.host.users.exists("paris"))


def test_support_is_advertised(host):
    """§10: passwords can be changed even where registration is closed."""
    assert NS in host.advertised(At.HOST)


# passwords


@pytest.mark.parametrize(
    "stanza",
    [
        SET.format("juliet", PASSWORD),
        SET.format("juliet", PASSWORD).replace("id=", "to='example.org' id="),
        FORM.format(NS, "juliet", PASSWORD),
        FORM.format("jabber:iq:register:changepassword", "juliet@example.org", PASSWORD),
    ],
)
def test_password_is_changed(server, stanza):
    """§3.3: the old one is worth nothing then, and the session goes on."""
    server.account("juliet@example.org", "pencil")
    juliet = server.login("juliet@example.org/balcony")
    (answer,) = juliet.says(stanza)
    assert holds(answer, DONE)
    assert not Caller(server).logs_in("juliet", "pencil")
    assert Caller(server).logs_in("juliet", PASSWORD)
    assert not juliet.gone


def test_other_sessions_end_with_the_password(server):
    """§3.3; RFC 6120 §4.9.3.16: who logged in with the old one has to do so again."""
    juliet = server.login("juliet@example.org/balcony")
    chamber = server.login("juliet@example.org/chamber")
    waiting = server.login("juliet@example.org/garden")
    waiting.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    waiting.vanishes()
    assert "juliet@example.org/garden" in server.router.sessions
    now(server.host.users.set_verifiers("juliet", "verifiers"))
    juliet.says(SET.format("juliet", PASSWORD))
    assert not juliet.gone
    assert chamber.gone
    reset = "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>"
    assert holds(chamber.received[-1], reset)
    assert list(server.router.sessions) == ["juliet@example.org/balcony"]


@pytest.mark.parametrize(
    ("name", "password", "condition"),
    [
        ("juliet", "", "bad-request"),
        ("", PASSWORD, "bad-request"),
        ("romeo", PASSWORD, "not-allowed"),
        ("@", PASSWORD, "not-allowed"),
        ("juliet", "short", "not-acceptable"),
        ("juliet", "\U0001f600" * 10, "not-acceptable"),
    ],
)
def test_password_that_is_not_changed(server, name, password, condition):
    """§3.3: the old one stays."""
    server.account("romeo@example.org", "pencil")
    server.account("juliet@example.org", "pencil")
    juliet = server.login("juliet@example.org/balcony")
    (answer,) = juliet.says(SET.format(name, password))
    assert holds(answer, iq_error("s", condition))
    assert Caller(server).logs_in("juliet", "pencil")
    assert Caller(server).logs_in("romeo", "pencil")


def test_password_is_not_changed_in_clear(server, juliet):
    """§3.3"""
    juliet.stream.phase &= ~type(juliet.stream.phase).SECURE
    (answer,) = juliet.says(SET.format("juliet", PASSWORD))
    assert holds(answer, iq_error("s", "not-authorized"))


def test_password_that_is_kept_elsewhere(server, host):
    """§3.3: who logs in by another checker does not get a second password."""
    now(host.users.create("paris", "", 0))
    paris = server.login("paris@example.org/yard")
    (answer,) = paris.says(SET.format("paris", PASSWORD))
    assert holds(answer, iq_error("s", "not-allowed"))


def test_nobody_changes_anothers_password(server, romeo):
    """§3.3: whatever the address."""
    server.account("juliet@example.org", "pencil")
    stanza = SET.format("juliet", PASSWORD).replace("id=", "to='juliet@example.org' id=")
    (answer,) = romeo.says(stanza)
    assert holds(answer, iq_error("s", "service-unavailable"))
    assert Caller(server).logs_in("juliet", "pencil")


def test_temporary_account_has_nothing_to_change(romeo):
    """XEP-0175 §3"""
    romeo.session.account.temporary = True
    (answer,) = romeo.says(SET.format("romeo", PASSWORD))
    assert holds(answer, iq_error("s", "service-unavailable"))
    (answer,) = romeo.says(REMOVE)
    assert holds(answer, iq_error("r", "registration-required"))
