"""RFC 6120 §5: STARTTLS."""

import pytest

from tests.raw import BIND, OPEN, PASSWORD, STARTTLS, Raw, condition, failure, names, plain

CORE = ["starttls", "sasl", "bind"]
pytestmark = pytest.mark.server(features=CORE)


@pytest.fixture
def raw(server):
    server.account("romeo@example.org", PASSWORD)
    raw = Raw(server)
    _, raw.features = raw.opens()
    return raw


def test_it_is_offered_as_required_and_alone(raw):
    """§5.3.1, §5.4.1: SASL comes after it."""
    assert names(raw.features) == ["starttls"]
    assert names(raw.features[0]) == ["required"]


@pytest.mark.server(features=CORE, options={"starttls": {"required": False}})
def test_it_may_be_offered_as_voluntary(raw):
    assert names(raw.features[0]) == []


def test_it_is_not_offered_inside_tls(server):
    """§5.4.3.3"""
    assert names(Raw(server, secure=True).opens()[1]) == ["mechanisms"]


def test_proceed_is_all_that_comes_in_clear(raw):
    """§5.4.2.3"""
    (got,) = raw.says(STARTTLS)
    assert got.tag == "{urn:ietf:params:xml:ns:xmpp-tls}proceed"
    assert raw.link.started_tls == ((), "example.org")


@pytest.mark.parametrize(
    "injected",
    [
        OPEN.format("example.org", ""),
        plain("romeo"),
        BIND.format(id="b", resource=""),
        "<message to='juliet@example.org'><body>injected</body></message>",
        "<half",
        "x",
        "</stream:stream>",
        STARTTLS,
    ],
)
def test_what_comes_with_it_ends_the_stream(raw, injected):
    """§5.3.1, pitfall 2: it would be taken for something that was said inside TLS."""
    got = raw.says(STARTTLS + injected)
    expected = {"x": ("bad-format", "policy-violation")}.get(injected, ("policy-violation",))
    assert condition(got) in expected
    assert "<proceed" not in raw.text
    assert raw.link.started_tls is None
    assert raw.ended


def test_whitespace_behind_it_is_no_injection(raw):
    """Some clients end each element with a line break."""
    (got,) = raw.says(STARTTLS + "\n")
    assert names([got]) == ["proceed"]


@pytest.mark.parametrize("more", [plain("romeo"), "<message/>", BIND.format(id="b", resource="")])
def test_inside_tls_nothing_is_valid_before_a_new_header(raw, more):
    """§5.4.3.3: the stream that was in clear is gone, and what was read of it."""
    raw.says(STARTTLS)
    got = raw.says(more)
    assert condition(got) in ("bad-format", "not-well-formed", "invalid-namespace")
    assert raw.ended


@pytest.mark.server(domains=("example.org", "example.net"), features=CORE)
def test_another_host_may_be_named_inside_tls(raw):
    """§5.4.3.3: everything that was learned in clear is discarded."""
    raw.says(STARTTLS)
    assert raw.opens("example.net")[0].get("from") == "example.net"


def test_authentication_in_clear_is_refused(raw):
    """§6.5.4, pitfall 2"""
    assert failure(raw.says(plain("romeo"))) == "encryption-required"
    assert names(raw.says(STARTTLS)) == ["proceed"]


def test_asking_twice_is_out_of_place(raw):
    """§5.3.2"""
    raw.says(STARTTLS)
    raw.opens()
    assert condition(raw.says(STARTTLS)) == "unsupported-stanza-type"
