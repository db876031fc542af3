"""RFC 6120 §6: SASL, as a client sees it."""

from base64 import b64decode, b64encode

import pytest

from benchmarks.scram import ScramClient
from imsuite.testing.memory import now
from imsuite.testing.memory_link import MemoryTls
from tests.raw import PASSWORD, SASL, Raw, auth, condition, failure, names, plain

CORE = ["starttls", "sasl", "bind"]
pytestmark = pytest.mark.server(features=CORE)
ABORT = f"<abort xmlns='{SASL}'/>"
BINDINGS = {"tls-exporter": b"e" * 32, "tls-server-end-point": b"s" * 32}


@pytest.fixture
def raw(server):
    """A stream inside TLS; romeo and juliet have accounts."""
    for name in ("romeo", "juliet"):
        server.account(f"{name}@example.org", PASSWORD)
    raw = Raw(server, secure=True)
    _, raw.features = raw.opens()
    return raw


def response(data):
    return f"<response xmlns='{SASL}'>{data}</response>"


def mechanisms(features):
    return [each.text for each in features.iter(f"{{{SASL}}}mechanism")]


def succeeded(got):
    return [each.tag for each in got] == [f"{{{SASL}}}success"]


# what is offered


def test_mechanisms_come_strongest_first(raw):
    """§6.3.3, §6.4.1"""
    assert mechanisms(raw.features) == ["SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1", "PLAIN"]


def test_channel_bindings_bring_plus_forms(server):
    """XEP-0440 §3, pitfall 9"""
    _, features = Raw(server, tls=MemoryTls(BINDINGS)).opens()
    assert mechanisms(features)[:3] == [
        "SCRAM-SHA-512-PLUS",
        "SCRAM-SHA-256-PLUS",
        "SCRAM-SHA-1-PLUS",
    ]
    assert [each.get("type") for each in features.iter("{urn:xmpp:sasl-cb:0}channel-binding")] == [
        "tls-exporter",
        "tls-server-end-point",
    ]


@pytest.mark.server(features=CORE, options={"sasl": {"bindings": []}})
def test_behind_a_proxy_there_is_no_channel_binding(server):
    """XEP-0440, pitfall 9"""
    _, features = Raw(server, tls=MemoryTls(BINDINGS)).opens()
    assert not any(name.endswith("-PLUS") for name in mechanisms(features))
    assert "sasl-channel-binding" not in names(features)


@pytest.mark.server(features=CORE, options={"sasl": {"plain": False, "hashes": ["SHA-256"]}})
def test_options_choose_what_is_offered_and_taken(raw):
    assert mechanisms(raw.features) == ["SCRAM-SHA-256"]
    assert failure(raw.says(plain("romeo"))) == "mechanism-too-weak"


@pytest.mark.server(features=CORE, options={"sasl": {"plaintext": True}})
def test_without_tls_passwords_are_never_sent(server):
    """§6.3.4, §13.8: even where TLS is not required."""
    raw = Raw(server)
    _, features = raw.opens()
    assert names(features) == ["starttls", "mechanisms"]
    assert "PLAIN" not in mechanisms(features)
    assert failure(raw.says(plain("romeo"))) == "encryption-required"


# outcomes


@pytest.mark.parametrize(
    "name", ["romeo", "ROMEO", "romeo@example.org", "Romeo@EXAMPLE.org", "ｒomeo"]
)
def test_plain_logs_in(raw, name):
    """RFC 4616; pitfall 13: the name in any spelling is the same account."""
    assert succeeded(raw.says(plain(name)))
    assert raw.stream.account.bare == "romeo@example.org"


@pytest.mark.parametrize(
    ("authzid", "fits"),
    [
        ("romeo@example.org", True),
        ("ROMEO@example.org", True),
        ("juliet@example.org", False),
        ("romeo@example.net", False),
        ("romeo", False),
        ("romeo@example.org/orchard", False),
        ("example.org", False),
    ],
)
def test_one_acts_as_oneself_only(raw, authzid, fits):
    """§6.3.8, §6.5.6, pitfall 7"""
    got = raw.says(plain("romeo", authzid=authzid))
    if fits:
        assert succeeded(got)
    else:
        assert failure(got) == "invalid-authzid"


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (auth("X-GUESS"), "invalid-mechanism"),
        (auth(""), "invalid-mechanism"),
        (auth("plain", "AHIAcA=="), "invalid-mechanism"),
        (f"<auth xmlns='{SASL}'>AHIAcA==</auth>", "invalid-mechanism"),
        (auth("SCRAM-SHA-256-PLUS"), "invalid-mechanism"),
        (auth("ANONYMOUS"), "invalid-mechanism"),
        (auth("PLAIN", "*"), "incorrect-encoding"),
        (auth("PLAIN", "AHIAcA"), "incorrect-encoding"),
        (auth("PLAIN", "AHIA\ncA=="), "incorrect-encoding"),
        (auth("PLAIN", "=AAA"), "incorrect-encoding"),
        (auth("PLAIN", "="), "malformed-request"),
        (auth("PLAIN", b64encode(b"romeo").decode()), "malformed-request"),
        (auth("PLAIN", b64encode(b"\0romeo\0\xff").decode()), "malformed-request"),
        (plain("romeo", ""), "malformed-request"),
        (plain("", "x"), "malformed-request"),
        (plain("romeo", "wrong"), "not-authorized"),
        (plain("nobody"), "not-authorized"),
        (plain("romeo@example.net"), "not-authorized"),
        (plain("ro meo"), "not-authorized"),
        (auth("SCRAM-SHA-256", b64encode(b"n,,r=abc").decode()), "malformed-request"),
        (auth("SCRAM-SHA-256", b64encode(b"x,,n=romeo,r=abc").decode()), "malformed-request"),
        (response(""), "malformed-request"),
        (response("*"), "malformed-request"),
        (ABORT, "aborted"),
    ],
)
def test_wrong_attempt_fails_and_another_may_follow(raw, said, expected):
    """§6.4.5, §6.5"""
    assert failure(raw.says(said)) == expected
    assert succeeded(raw.says(plain("romeo")))


def test_no_such_account_looks_like_a_wrong_password(raw):
    """Pitfall 8, 20"""
    for mechanism in ("SCRAM-SHA-1", "SCRAM-SHA-256"):
        answers = []
        for name in ("romeo", "nobody"):
            client = ScramClient(mechanism[6:].lower().replace("-", ""), name, "wrong")
            (challenge,) = raw.says(auth(mechanism, client.first().decode()))
            got = raw.says(response(client.final(challenge.text.encode()).decode()))
            said = b64decode(challenge.text).decode().split(",")[:2]  # passwords here are cheap
            answers.append(([len(part) for part in said], failure(got)))
        assert answers[0] == answers[1]


@pytest.mark.parametrize(
    ("mechanism", "algorithm"), [("SCRAM-SHA-1", "sha1"), ("SCRAM-SHA-256", "sha256")]
)
def test_scram_proves_both_sides(raw, mechanism, algorithm):
    """RFC 5802"""
    client = ScramClient(algorithm, "romeo", PASSWORD)
    (challenge,) = raw.says(auth(mechanism, client.first().decode()))
    assert challenge.tag == f"{{{SASL}}}challenge"
    (success,) = raw.says(response(client.final(challenge.text.encode()).decode()))
    assert succeeded([success])
    client.verify(success.text.encode())


def test_scram_may_begin_without_initial_response(raw):
    """§6.4.2: then the challenge is empty."""
    client = ScramClient("sha1", "romeo", PASSWORD)
    (challenge,) = raw.says(auth("SCRAM-SHA-1"))
    assert not challenge.text
    (challenge,) = raw.says(response(client.first().decode()))
    assert succeeded(raw.says(response(client.final(challenge.text.encode()).decode())))


def test_response_cannot_be_used_twice(raw):
    client = ScramClient("sha1", "romeo", "wrong")
    (challenge,) = raw.says(auth("SCRAM-SHA-1", client.first().decode()))
    final = response(client.final(challenge.text.encode()).decode())
    assert failure(raw.says(final)) == "not-authorized"
    assert failure(raw.says(final)) == "malformed-request"


def test_attempt_in_the_middle_of_another_replaces_it(raw):
    client = ScramClient("sha1", "romeo", PASSWORD)
    (challenge,) = raw.says(auth("SCRAM-SHA-1", client.first().decode()))
    final = response(client.final(challenge.text.encode()).decode())
    assert failure(raw.says(plain("romeo", "wrong"))) == "not-authorized"
    assert failure(raw.says(final)) == "malformed-request"


def test_abort_forgets_the_attempt(raw):
    """§6.4.4"""
    client = ScramClient("sha1", "romeo", PASSWORD)
    (challenge,) = raw.says(auth("SCRAM-SHA-1", client.first().decode()))
    assert failure(raw.says(ABORT)) == "aborted"
    final = response(client.final(challenge.text.encode()).decode())
    assert failure(raw.says(final)) == "malformed-request"


def test_attempts_are_limited(raw):
    """§6.4.5: 2 to 5 retries; then the stream ends."""
    for _ in range(4):
        assert failure(raw.says(auth("X"))) == "invalid-mechanism"
    got = raw.says(auth("X"))
    assert names(got) == ["failure", "error"]
    assert condition(got) == "policy-violation"
    assert raw.ended


@pytest.mark.server(features=CORE, options={"sasl": {"tries": 1}})
def test_limit_of_attempts_is_an_option(raw):
    assert condition(raw.says(plain("romeo", "wrong"))) == "policy-violation"


def test_attempts_before_tls_count_too(server):
    """Otherwise a stranger could go on for ever."""
    raw = Raw(server)
    raw.opens()
    got = [raw.says(plain("romeo")) for _ in range(5)][-1]
    assert condition(got) == "policy-violation"


def test_disabled_account_is_told_so_only_with_the_right_password(server, raw):
    """§6.5.2"""
    now(server.host.users.set_disabled("romeo", True))
    assert failure(raw.says(plain("romeo", "wrong"))) == "not-authorized"
    assert failure(raw.says(plain("romeo"))) == "account-disabled"


def test_authentication_binds_nothing(server, raw):
    """§6.4.6: the account has no session yet."""
    raw.says(plain("romeo"))
    assert server.router.sessions == {}
    assert raw.stream.session is None


@pytest.mark.server(features=CORE, options={"sasl": {"anonymous": True}})
@pytest.mark.parametrize("data", ["", "=", b64encode(b"trace").decode()])
def test_anonymous_gets_an_account_of_its_own(server, data):
    """XEP-0175 §3"""
    jids = set()
    for _ in range(2):
        raw = Raw(server, secure=True)
        _, features = raw.opens()
        assert mechanisms(features)[-1] == "ANONYMOUS"
        assert succeeded(raw.says(auth("ANONYMOUS", data)))
        raw.opens()
        raw.binds("any")
        jids.add(raw.stream.session.account.bare)
    assert len(jids) == 2


@pytest.mark.server(features=CORE, options={"sasl": {"anonymous": True}})
@pytest.mark.parametrize("data", [b"\xff", b"x" * 256])
def test_anonymous_trace_has_bounds(server, data):
    """RFC 4505 §2"""
    raw = Raw(server, secure=True)
    raw.opens()
    got = raw.says(auth("ANONYMOUS", b64encode(data).decode()))
    assert failure(got) == "malformed-request"


def test_password_is_nowhere_in_what_is_said_back(raw):
    raw.says(plain("romeo", "correct horse"))
    assert "correct" not in raw.text
