"""SASL mechanisms against a host in memory (RFC 6120 §6; pitfalls 7, 8 and 9)."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.cred.checkers import (
    AllowAnonymousAccess,
    FilePasswordDB,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher

from imsuite.auth.mechanisms import Channel, Mechanism, Success
from imsuite.auth.secrets import check_password
from imsuite.rules.sasl import Challenge, Failure, SaslOptions

SCRAM = ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1")
PLUS = tuple(f"{name}-PLUS" for name in SCRAM)


@pytest.mark.parametrize("name", [*SCRAM, *PLUS])
@pytest.mark.parametrize("username", ["romeo", "ROMEO", "romeo@example.org"])
def test_the_right_password_logs_in_and_the_server_proves_itself(host, name, username):
    """RFC 5802 §5, §6; RFC 6120 §6.3.7"""
    outcome, client = host.scram(name, username=username)
    assert isinstance(outcome, Success)
    assert (outcome.localpart, outcome.data) == ("romeo", client.signature)
    assert (outcome.avatar.localpart, outcome.avatar.temporary) == ("romeo", False)


def test_logout_ends_the_session(host):
    """Architecture §7"""
    outcome = host.plain()
    outcome.logout()
    assert host.gone == ["romeo"]


@pytest.mark.parametrize("kind", ["tls-exporter", "tls-server-end-point"])
def test_both_channel_bindings_work(host, kind):
    """RFC 9266, RFC 5929 §4, XEP-0440 §3"""
    binding = host.channel().bindings[kind]
    outcome, _ = host.scram("SCRAM-SHA-256-PLUS", flag=f"p={kind}", binding=binding)
    assert isinstance(outcome, Success)


@pytest.mark.parametrize(
    ("client", "failure"),
    [
        ({"binding": b"other"}, Failure("not-authorized", "channel-bindings-dont-match")),
        (
            {"flag": "p=tls-unique"},
            Failure("malformed-request", "unsupported-channel-binding-type"),
        ),
        ({"flag": "n"}, Failure("malformed-request", "channel-binding-not-supported")),
    ],
)
def test_wrong_channel_bindings_are_refused(host, client, failure):
    """RFC 5802 §6, pitfall 9"""
    outcome, _ = host.scram("SCRAM-SHA-256-PLUS", **client)
    assert outcome == failure


def test_y_is_refused_when_plus_was_offered_only(host, make_host):
    """RFC 5802 §6, pitfall 8"""
    outcome, _ = host.scram(flag="y")
    assert outcome.reason == "server-does-support-channel-binding"
    outcome, _ = host.scram(flag="y", channel=host.channel(bindings={}))
    assert isinstance(outcome, Success)
    behind_proxy = make_host(options=SaslOptions(bindings=()))
    outcome, _ = behind_proxy.scram(flag="y")
    assert isinstance(outcome, Success)


def test_offer_follows_from_the_channel(host):
    """RFC 6120 §6.3.4, XEP-0440 §2"""
    offer = host.auth.offer(host.channel())
    assert offer.mechanisms == (*PLUS, *SCRAM, "PLAIN")
    assert offer.bindings == ("tls-exporter", "tls-server-end-point")
    plain = host.auth.offer(host.channel(bindings={}))
    assert (plain.mechanisms, plain.bindings) == ((*SCRAM, "PLAIN"), ())
    assert host.auth.offer(host.channel(secure=False)).mechanisms == ()


def test_channel_asks_tls_for_its_bindings():
    """XEP-0440: what cannot be given is not offered."""

    class Tls:
        def channel_binding(self, kind):
            return {"tls-server-end-point": b"hash"}.get(kind)

    channel = Channel.over("192.0.2.1", Tls())
    assert (channel.secure, dict(channel.bindings)) == (True, {"tls-server-end-point": b"hash"})
    assert Channel.over("192.0.2.1", None) == Channel("192.0.2.1", False)


def test_offer_is_signed(host):
    """XEP-0474 §5.1"""
    _, client = host.scram("SCRAM-SHA-256")
    digest = host.auth.offer(host.channel()).digest("sha256")
    assert client.challenge.endswith(b",h=" + base64.b64encode(digest))


def test_offer_is_not_signed_if_the_option_says_so(make_host):
    """XEP-0474"""
    _, client = make_host(options=SaslOptions(downgrade_protection=False)).scram()
    assert b",h=" not in client.challenge


@pytest.mark.parametrize(
    ("name", "secure", "condition"),
    [
        ("PLAIN", False, "encryption-required"),
        ("ANONYMOUS", True, "invalid-mechanism"),
        ("DIGEST-MD5", True, "invalid-mechanism"),
    ],
)
def test_what_is_not_offered_cannot_be_begun(host, name, secure, condition):
    """RFC 6120 §6.5"""
    outcome = host.begin(name, host.channel(secure=secure))
    assert isinstance(outcome, Failure)
    assert outcome.condition == condition


@pytest.mark.parametrize("name", SCRAM)
def test_unknown_user_looks_like_a_wrong_password(host, name):
    """RFC 5802 §9, pitfall 8: same form of challenge, stable, same failure, same questions"""
    unknown, tybalt = host.scram(name, username="tybalt")
    wrong, romeo = host.scram(name, password="wrong")
    again, tybalt_again = host.scram(name, username="tybalt")
    assert unknown == wrong == again == Failure("not-authorized", "invalid-proof")
    assert tybalt.salt == tybalt_again.salt != romeo.salt
    assert len(tybalt.challenge) == len(romeo.challenge)
    assert tybalt.iterations == romeo.iterations
    assert host.accounts.asked == ["tybalt", "romeo", "tybalt"]
    salts = {host.scram(other, username="tybalt")[1].salt for other in SCRAM}
    assert len(salts) == 3  # one for each hash, as accounts have


def test_unknown_user_costs_plain_the_same_hashing(host):
    """Pitfall 8: PBKDF2 runs once for each, in a thread"""
    assert host.plain("tybalt") == host.plain("romeo", "wrong")
    assert host.plain("tybalt") == Failure("not-authorized", "wrong credentials")
    assert host.hashed == [check_password] * 3


def test_plain_logs_in(host):
    """RFC 4616 §2"""
    assert host.plain().localpart == "romeo"
    assert host.plain("ROMEO@example.org", authzid="romeo@example.org").localpart == "romeo"
    assert host.plain().data is None


@pytest.mark.parametrize("name", ["romeo@example.com", "ro meo", "@example.org"])
def test_impossible_names_are_not_authorized(host, name):
    """RFC 7622 §3.3"""
    assert host.plain(name).condition == "not-authorized"
    outcome, _ = host.scram(username=name)
    assert outcome.condition == "not-authorized"


@pytest.mark.parametrize("authzid", ["juliet@example.org", "romeo", "romeo@example.com"])
def test_another_authzid_is_invalid(host, authzid):
    """RFC 6120 §6.3.8, pitfall 7; nothing was logged in"""
    assert host.plain(authzid=authzid).condition == "invalid-authzid"
    outcome, _ = host.scram(authzid=authzid)
    assert outcome.condition == "invalid-authzid"
    assert host.scram(authzid="romeo@example.org")[0].localpart == "romeo"


def test_authzid_tells_nothing_without_the_password(host):
    """RFC 4616 §2: authorization comes after authentication"""
    assert host.plain(password="wrong", authzid="juliet@example.org").condition == "not-authorized"


@pytest.mark.parametrize("condition", ["account-disabled", "credentials-expired"])
def test_only_the_owner_learns_that_an_account_is_closed(host, condition):
    """RFC 6120 §6.5.2, §6.5.3"""
    host.refused["romeo"] = condition
    assert host.plain().condition == condition
    assert host.scram()[0].condition == condition
    assert host.plain(password="wrong").condition == "not-authorized"


@pytest.mark.parametrize("name", ["PLAIN", "SCRAM-SHA-1"])
def test_without_initial_response_there_is_an_empty_challenge(host, name, make_client):
    """RFC 4422 §3.2, RFC 6120 §6.4.2"""
    mechanism = host.begin(name)
    assert host.now(mechanism.start(None)) == Challenge(b"")
    first = b"\0romeo\0pencil" if name == "PLAIN" else make_client(name).first
    assert isinstance(host.now(mechanism.respond(first)), Success | Challenge)


@pytest.mark.parametrize("name", ["PLAIN", "SCRAM-SHA-1"])
def test_a_mechanism_works_once(host, name, make_client):
    """RFC 6120 §6.4: a new attempt begins a new exchange"""
    mechanism = host.begin(name)
    client = make_client(name)
    outcome = host.now(mechanism.start(b"\0romeo\0pencil" if name == "PLAIN" else client.first))
    if isinstance(outcome, Challenge):
        outcome = host.now(mechanism.respond(client.final(outcome.data)))
    assert isinstance(outcome, Success)
    assert host.now(mechanism.respond(b"")).condition == "malformed-request"


def test_anonymous_gets_a_new_temporary_name(make_host):
    """RFC 4505, XEP-0175 §3: nothing of the trace is used"""
    host = make_host(options=SaslOptions(anonymous=True))
    one = host.now(host.begin("ANONYMOUS").start(None))
    two = host.now(host.begin("ANONYMOUS").start(b"romeo@example.org"))
    assert one.avatar.temporary
    assert two.avatar.temporary
    assert len({one.localpart, two.localpart, "romeo"}) == 3
    assert len(one.localpart) == 36
    assert host.now(host.begin("ANONYMOUS").start(b"a" * 300)).condition == "malformed-request"
    assert host.now(host.begin("ANONYMOUS").respond(b"")).condition == "malformed-request"


def test_anonymous_logins_of_an_address_are_limited(make_host):
    """XEP-0175 §3, XEP-0205"""
    host = make_host(options=SaslOptions(anonymous=True))
    outcomes = [host.now(host.begin("ANONYMOUS").start(None)) for _ in range(21)]
    assert all(isinstance(outcome, Success) for outcome in outcomes[:20])
    assert outcomes[20].condition == "temporary-auth-failure"


def file_of_passwords(tmp_path):
    path = tmp_path / "passwords"
    path.write_bytes(b"romeo:pencil\n")
    return FilePasswordDB(str(path))


def dictionary(_):
    return InMemoryUsernamePasswordDatabaseDontUse(romeo=b"pencil")


@pytest.mark.parametrize("make_checker", [file_of_passwords, dictionary])
def test_any_checker_of_cred_makes_plain_work_and_nothing_else(make_host, make_checker, tmp_path):
    """Issue 2: accounts through twisted.cred"""
    host = make_host(checkers=(make_checker(tmp_path),), options=SaslOptions(anonymous=True))
    offer = host.auth.offer(host.channel())
    assert (offer.mechanisms, offer.bindings) == (("PLAIN",), ())
    assert host.plain("Romeo").localpart == "romeo"
    assert host.plain(password="wrong").condition == "not-authorized"
    assert host.plain("tybalt").condition == "not-authorized"
    assert host.begin("SCRAM-SHA-1").condition == "mechanism-too-weak"


def test_anonymous_needs_both_the_checker_and_the_option(make_host):
    """XEP-0175 §3: never by default"""
    host = make_host(checkers=(AllowAnonymousAccess(),))
    assert host.auth.offer(host.channel()).mechanisms == ()


class Broken(InMemoryUsernamePasswordDatabaseDontUse):
    def requestAvatarId(self, credentials):
        raise RuntimeError("the directory is away")


def test_a_broken_checker_is_temporary_and_logged(make_host):
    """RFC 6120 §6.5.11; the client hears nothing of the cause"""
    events = []
    globalLogPublisher.addObserver(events.append)
    outcome = make_host(checkers=(Broken(),)).plain()
    globalLogPublisher.removeObserver(events.append)
    assert outcome.condition == "temporary-auth-failure"
    assert "pencil" not in repr([event for event in events if "log_failure" not in event])
    assert any("log_failure" in event for event in events)


def test_a_broken_store_is_temporary_for_scram_as_well(host):
    """RFC 6120 §6.5.11"""
    host.accounts.passwords = None
    outcome, _ = host.scram()
    assert outcome.condition == "temporary-auth-failure"


def test_failures_are_slowed_and_then_refused_unseen(host):
    """Issue 2: limits on failures; RFC 6120 §6.5.11"""
    for _ in range(5):
        assert host.plain(password="wrong").condition == "not-authorized"
    assert host.clock.seconds() == 0.0
    for _ in range(30):
        outcome = host.plain(password="wrong")
    assert host.clock.seconds() > 10.0
    assert outcome.condition == "temporary-auth-failure"
    assert len(host.hashed) < 20
    assert isinstance(host.plain("juliet", "balcony"), Success)


def test_scram_failures_count_as_well(host):
    """Issue 2"""
    outcomes = [host.scram(password="wrong")[0].condition for _ in range(40)]
    assert outcomes[0] == "not-authorized"
    assert outcomes[-1] == "temporary-auth-failure"


def test_nothing_is_waited_for_by_a_link_that_is_gone(host):
    """A stream that ends cancels; what was not looked at does not count."""
    for _ in range(8):
        host.plain(password="wrong")
    waiting = Deferred.fromCoroutine(host.begin("PLAIN").start(b"\0romeo\0pencil"))
    errors = []
    waiting.addErrback(errors.append)
    waiting.cancel()
    assert len(errors) == 1
    assert host.clock.getDelayedCalls() == []
    assert isinstance(host.plain(), Success)


@pytest.mark.parametrize("name", ["PLAIN", "ANONYMOUS", *SCRAM, *PLUS])
def test_mechanisms_have_the_name_they_are_asked_for_by(make_host, name):
    """RFC 6120 §6.4.2"""
    mechanism: Mechanism = make_host(options=SaslOptions(anonymous=True)).begin(name)
    assert mechanism.name == name


@given(data=st.data())
def test_any_bytes_end_in_a_failure(make_host, data):
    """Nothing from the network raises, and no such thing logs in."""
    host = make_host()
    mechanism = host.begin(data.draw(st.sampled_from(["PLAIN", "SCRAM-SHA-1", "SCRAM-SHA-1-PLUS"])))
    outcome = host.now(mechanism.start(data.draw(st.binary(max_size=50))))
    while isinstance(outcome, Challenge):
        outcome = host.now(mechanism.respond(data.draw(st.binary(max_size=50))))
    assert isinstance(outcome, Failure)
