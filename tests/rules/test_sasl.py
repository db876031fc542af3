"""SASL in XMPP: what is offered, what is said (RFC 6120 §6, RFC 4616, RFC 4505, RFC 4013)."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.sasl import (
    BINDINGS,
    Failure,
    InvalidPassword,
    Plain,
    SaslOptions,
    authorized,
    decode,
    encode,
    identity,
    offered,
    parse_plain,
    parse_trace,
    prepare_password,
    refusal,
    unbase64,
    usable_bindings,
)
from imsuite.xmpp.address import InvalidAddress

PLUS = ("SCRAM-SHA-512-PLUS", "SCRAM-SHA-256-PLUS", "SCRAM-SHA-1-PLUS")
SCRAM = ("SCRAM-SHA-512", "SCRAM-SHA-256", "SCRAM-SHA-1")
ENDPOINT = ("tls-server-end-point",)


@pytest.mark.parametrize(
    ("secure", "bindings", "options", "names"),
    [
        (True, BINDINGS, SaslOptions(), (*PLUS, *SCRAM, "PLAIN")),
        (True, ENDPOINT, SaslOptions(), (*PLUS, *SCRAM, "PLAIN")),
        (True, (), SaslOptions(), (*SCRAM, "PLAIN")),
        (True, ("tls-unique",), SaslOptions(), (*SCRAM, "PLAIN")),
        (True, BINDINGS, SaslOptions(bindings=()), (*SCRAM, "PLAIN")),
        (True, BINDINGS, SaslOptions(plain=False), (*PLUS, *SCRAM)),
        (True, (), SaslOptions(anonymous=True), (*SCRAM, "PLAIN", "ANONYMOUS")),
        (True, (), SaslOptions(hashes=("SHA-256",)), ("SCRAM-SHA-256", "PLAIN")),
        (True, BINDINGS, SaslOptions(hashes=()), ("PLAIN",)),
        (False, (), SaslOptions(anonymous=True), ()),
        (False, (), SaslOptions(tls_required=False), SCRAM),
        (False, BINDINGS, SaslOptions(tls_required=False), SCRAM),
        (False, (), SaslOptions(tls_required=False, anonymous=True), (*SCRAM, "ANONYMOUS")),
    ],
)
def test_mechanisms_follow_from_the_table_strongest_first(secure, bindings, options, names):
    """RFC 6120 §6.3.3, §6.3.4; RFC 4616 §6; XEP-0175 §3"""
    assert offered(secure, bindings, options) == names


def test_listed_bindings_are_ours_and_available():
    """XEP-0440 §2, §3; pitfall 9: never tls-unique"""
    available = ("tls-unique", "tls-server-end-point", "tls-exporter")
    assert usable_bindings(available, SaslOptions()) == ("tls-exporter", "tls-server-end-point")
    assert usable_bindings(ENDPOINT, SaslOptions()) == ENDPOINT
    assert usable_bindings(BINDINGS, SaslOptions(bindings=())) == ()


@pytest.mark.parametrize(
    ("name", "secure", "options", "condition"),
    [
        ("PLAIN", False, SaslOptions(), "encryption-required"),
        ("PLAIN", False, SaslOptions(tls_required=False), "encryption-required"),
        ("SCRAM-SHA-1", False, SaslOptions(), "encryption-required"),
        ("SCRAM-SHA-1", True, SaslOptions(hashes=("SHA-256",)), "mechanism-too-weak"),
        ("PLAIN", True, SaslOptions(plain=False), "mechanism-too-weak"),
        ("ANONYMOUS", True, SaslOptions(), "invalid-mechanism"),
        ("SCRAM-SHA-1-PLUS", True, SaslOptions(), "invalid-mechanism"),
        ("DIGEST-MD5", True, SaslOptions(), "invalid-mechanism"),
        ("plain", True, SaslOptions(), "invalid-mechanism"),
        ("", False, SaslOptions(), "invalid-mechanism"),
    ],
)
def test_a_mechanism_that_was_not_offered_is_refused_with_the_reason(
    name, secure, options, condition
):
    """RFC 6120 §6.5.4, §6.5.7, §6.5.9"""
    assert refusal(name, secure, options).condition == condition


def test_equals_sign_is_empty_and_empty_is_absent():
    """RFC 6120 §6.4.2, pitfall 7"""
    assert decode("") is None
    assert decode("=") == b""
    assert decode("AGE=") == b"\0a"


@pytest.mark.parametrize(
    "text", ["A", "AGE", "AG E=", "AGE=\n", "====", "A=GE", "ÄGE=", "AGE=AGE="]
)
def test_bad_base_64_is_rejected_and_not_repaired(text):
    """RFC 6120 §13.9.1, §6.5.5"""
    assert decode(text) == Failure("incorrect-encoding", "bad base 64")


def test_a_message_that_is_too_long_is_not_decoded():
    """Limits before work."""
    assert decode("AAAA" * 5000) == Failure("malformed-request", "too long")
    assert parse_plain(b"\0a\0" + b"b" * 9000).condition == "malformed-request"


def test_what_is_encoded_is_decoded():
    """RFC 4648 §4"""
    assert (encode(None), encode(b""), encode(b"\0a")) == ("", "", "AGE=")
    assert unbase64(encode(b"v=1")) == b"v=1"


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\0romeo\0pencil", Plain("", "romeo", "pencil")),
        (b"romeo@example.org\0romeo\0pencil", Plain("romeo@example.org", "romeo", "pencil")),
        ("\0ромео\0пароль".encode(), Plain("", "ромео", "пароль")),
    ],
)
def test_a_plain_message_has_three_parts(data, said):
    """RFC 4616 §2"""
    assert parse_plain(data) == said


@pytest.mark.parametrize(
    "data", [b"", b"romeo\0pencil", b"\0\0pencil", b"\0romeo\0", b"\0romeo\0pen\0cil", b"\0\xff\0a"]
)
def test_other_plain_messages_are_malformed(data):
    """RFC 4616 §2, RFC 6120 §6.5.8"""
    assert parse_plain(data).condition == "malformed-request"


def test_a_password_does_not_show_in_a_log():
    """No secret in a log."""
    assert "pencil" not in repr(parse_plain(b"\0romeo\0pencil"))


def test_a_trace_has_at_most_255_characters():
    """RFC 4505 §2"""
    assert parse_trace(None) == ""
    assert parse_trace(("ü" * 255).encode()) == "ü" * 255
    assert parse_trace(b"a" * 256).condition == "malformed-request"
    assert parse_trace(b"\xff").condition == "malformed-request"


@pytest.mark.parametrize(
    ("username", "localpart"),
    [
        ("romeo", "romeo"),
        ("Romeo", "romeo"),
        ("ＲＯＭＥＯ", "romeo"),
        ("romeo@example.org", "romeo"),
        ("Romeo@EXAMPLE.org.", "romeo"),
    ],
)
def test_a_username_is_a_localpart_or_the_bare_jid(username, localpart):
    """RFC 6120 §6.3.7"""
    assert identity(username, "example.org") == localpart


@pytest.mark.parametrize(
    "username",
    [
        *("", "@", "@example.org", "romeo@", "romeo@example.com", "romeo@example.org/orchard"),
        *("a@b@example.org", "ro meo", "ro\0meo", "x" * 2000, "romeo@" + "x" * 8000),
    ],
)
def test_other_usernames_mean_nobody(username):
    """RFC 6120 §6.3.7, RFC 7622 §3.3"""
    with pytest.raises(InvalidAddress):
        identity(username, "example.org")


@pytest.mark.parametrize(
    ("authzid", "allowed"),
    [
        ("", True),
        ("romeo@example.org", True),
        ("Romeo@Example.ORG", True),
        ("juliet@example.org", False),
        ("romeo@example.com", False),
        ("romeo", False),
        ("romeo@example.org/orchard", False),
        ("@example.org", False),
        ("example.org", False),
        ("romeo@example.org@example.org", False),
    ],
)
def test_one_may_act_as_oneself_only(authzid, allowed):
    """RFC 6120 §6.3.8, pitfall 7"""
    assert authorized(authzid, "romeo", "example.org") is allowed


@pytest.mark.parametrize(
    ("password", "prepared"),
    [
        ("I\u00adX", b"IX"),  # 1: soft hyphen mapped to nothing
        ("user", b"user"),  # 2
        ("USER", b"USER"),  # 3: case kept
        ("\u00aa", b"a"),  # 4: NFKC
        ("\u2168", b"IX"),  # 5: NFKC
        ("a\u00a0b", b"a b"),  # non-ASCII space becomes a space
        ("a\u200bb", b"a b"),  # so does U+200B, which is in C.1.2 as well as in B.1
        ("pen cil", b"pen cil"),
        ("e\u0301", "é".encode()),
    ],
)
def test_passwords_are_prepared_as_saslprep_has_it(password, prepared):
    """RFC 4013 §3 and §2.1; RFC 5802 §2.2"""
    assert prepare_password(password, stored=True) == prepared


@pytest.mark.parametrize(
    "password",
    [
        *("", "\u00ad", "\u0007", "a\u007f", "\u0627\u0031", "\ue000", "\ud800", "\ufffd"),
        *("\u200e", "a" * 1025, "ä" * 513, "\u0627a\u0627"),
    ],
)
def test_passwords_that_saslprep_forbids(password):
    """RFC 4013 §2.3, §2.4, §3 (6 and 7)"""
    for stored in (True, False):
        with pytest.raises(InvalidPassword):
            prepare_password(password, stored=stored)


def test_new_characters_are_refused_in_a_new_password_and_let_in_an_old_one():
    """RFC 5802 §2.2, RFC 3454 §7: unassigned code points in stored strings"""
    with pytest.raises(InvalidPassword):
        prepare_password("pencil🖍", stored=True)
    assert prepare_password("pencil🖍", stored=False) == "pencil🖍".encode()


@given(st.text())
def test_preparing_twice_changes_nothing(password):
    """RFC 3454 §3: the server and the client may both do it"""
    try:
        once = prepare_password(password, stored=True)
    except InvalidPassword:
        return
    assert prepare_password(once.decode(), stored=True) == once


@given(st.binary(max_size=60))
def test_any_bytes_are_a_message_or_a_failure(data):
    """Nothing from the network raises."""
    assert isinstance(parse_plain(data), Plain | Failure)
    assert isinstance(parse_trace(data), str | Failure)


@given(st.text(max_size=40))
def test_any_text_is_octets_or_a_failure(text):
    """Nothing from the network raises."""
    assert isinstance(decode(text), bytes | Failure | None)
    assert authorized(text, "romeo", "example.org") in (True, False)
