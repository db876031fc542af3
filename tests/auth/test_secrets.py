"""What is kept instead of a password (RFC 5802 §3, RFC 5803, XEP-0438)."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred

from imsuite.auth.secrets import (
    Hasher,
    InvalidVerifiers,
    TooBusy,
    Verifiers,
    check_password,
    invent_verifiers,
    make_verifiers,
)
from imsuite.rules.sasl import InvalidPassword
from imsuite.rules.scram import Verifier

SALT = b"0123456789abcdef"
SECRET = b"s" * 32


@pytest.fixture(scope="module")
def made():
    return make_verifiers("pencil", 10, SALT)


def test_all_hashes_are_made_at_once_with_salts_of_their_own(made):
    """XEP-0438 §4.3, §4.4"""
    assert set(made.by_hash) == {"SHA-1", "SHA-256", "SHA-512"}
    assert len({kept.salt for kept in made.by_hash.values()}) == 3
    assert {len(kept.salt) for kept in made.by_hash.values()} == {16}
    assert {kept.iterations for kept in made.by_hash.values()} == {10}


@pytest.mark.parametrize("name", ["SHA-1", "SHA-256", "SHA-512"])
def test_keys_are_those_of_rfc_5802(made, name):
    """RFC 5802 §3"""
    kept, algorithm = made.by_hash[name], name.replace("-", "").lower()
    salted = hashlib.pbkdf2_hmac(algorithm, b"pencil", kept.salt, 10)
    client_key = hmac.digest(salted, b"Client Key", algorithm)
    assert kept.stored_key == hashlib.new(algorithm, client_key).digest()
    assert kept.server_key == hmac.digest(salted, b"Server Key", algorithm)


def test_text_brings_them_back_and_holds_no_password(made):
    """RFC 5803 §3"""
    text = made.text()
    assert Verifiers.parse(text) == made
    assert "pencil" not in text
    assert text.startswith("SCRAM-SHA-512$10:")


def test_an_imported_value_of_one_hash_is_enough(made):
    """RFC 5803: what other servers keep"""
    value = next(part for part in made.text().split(" ") if "SHA-1$" in part)
    imported = Verifiers.parse(value)
    assert list(imported.by_hash) == ["SHA-1"]
    assert check_password(imported, "pencil")
    assert not check_password(imported, "pencils")


def test_hashes_from_the_future_are_left_out(made):
    """A later version of imsuite may have written them."""
    assert Verifiers.parse(made.text() + " SCRAM-SHA3-512$10:AAAA$AAAA:AAAA") == made


KEY = base64.b64encode(bytes(20)).decode()


@pytest.mark.parametrize(
    "text",
    [
        *("", " ", "pencil", "SCRAM-SHA-1$10:AAAA$AAAA:AAAA", f"SCRAM-SHA-1$0:AAAA${KEY}:{KEY}"),
        *(f"SCRAM-SHA-1$10:A${KEY}:{KEY}", f"SCRAM-SHA-1$x:AAAA${KEY}:{KEY}"),
    ],
)
def test_other_texts_are_refused_without_showing_them(text):
    """No secret in a log."""
    with pytest.raises(InvalidVerifiers) as caught:
        Verifiers.parse(text)
    assert KEY not in str(caught.value)


@given(st.text(alphabet="SCRAM-H1$:A= ", max_size=40))
def test_no_text_raises_anything_else(text):
    """A broken row must not break the server."""
    with pytest.raises(InvalidVerifiers):
        Verifiers.parse(text)


@pytest.mark.parametrize("password", ["", "\u0007", "pencil🖍"])
def test_a_password_that_some_client_could_not_send_is_not_taken(password):
    """RFC 5802 §2.2"""
    with pytest.raises(InvalidPassword):
        make_verifiers(password, 10, SALT)


def test_a_short_salt_is_a_bug():
    """XEP-0438 §4.4"""
    with pytest.raises(ValueError, match="16"):
        make_verifiers("pencil", 10, b"short")
    with pytest.raises(ValueError, match="16"):
        invent_verifiers(b"short", "romeo", 10)


def test_passwords_are_checked_after_preparation(made):
    """RFC 4616 §4, RFC 4013"""
    assert check_password(made, "pencil")
    assert check_password(made, "ｐｅｎｃｉｌ")
    assert check_password(made, "pen\u00adcil")
    assert not check_password(made, "Pencil")
    assert not check_password(made, "")
    assert not check_password(made, "-")
    assert not check_password(made, "\ud800")


def test_an_impossible_password_is_never_right():
    """What is hashed in its place is not a password."""
    dash = make_verifiers("-", 10, SALT)
    assert check_password(dash, "-")
    assert not check_password(dash, "\u0007")


def test_invented_verifiers_look_real_and_stay_the_same(made):
    """RFC 5802 §9, pitfall 8"""
    one = invent_verifiers(SECRET, "tybalt", 10)
    assert one == invent_verifiers(SECRET, "tybalt", 10)
    assert one != invent_verifiers(SECRET, "paris", 10)
    assert one != invent_verifiers(b"t" * 32, "tybalt", 10)
    assert [len(part) for part in one.text().split(" ")] == [
        len(part) for part in made.text().split(" ")
    ]
    assert not check_password(one, "pencil")


def test_keys_do_not_show_in_a_log(made):
    """No secret in a log."""
    assert repr(made) == "Verifiers()"
    assert isinstance(made.by_hash["SHA-1"], Verifier)


class Threads:
    """Runs nothing until told."""

    def __init__(self):
        self.running = []

    def __call__(self, function, *args):
        deferred = Deferred()
        self.running.append((deferred, function, args))
        return deferred

    def finish(self):
        deferred, function, args = self.running.pop(0)
        deferred.callback(function(*args))


def test_only_a_few_are_hashed_at_once_and_few_may_wait():
    """Issue 2: hashing off the reactor thread, bounded"""
    threads, results = Threads(), []
    hasher = Hasher(threads, at_once=2, waiting=1)
    for number in (1, 2, 3):
        hasher(str, number).addCallback(results.append)
    assert (len(threads.running), results) == (2, [])
    with pytest.raises(TooBusy):
        hasher(str, 4)
    threads.finish()
    assert (len(threads.running), results) == (2, ["1"])
    threads.finish()
    threads.finish()
    assert results == ["1", "2", "3"]
