"""SCRAM, the server's side (RFC 5802, RFC 7677, XEP-0474)."""

import base64
import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from slixmpp.util.sasl.mechanisms import SCRAM as SlixmppScram

from imsuite.rules import scram
from imsuite.rules.sasl import Failure, Offer
from imsuite.rules.scram import (
    Challenged,
    Finished,
    Lookup,
    Named,
    Proved,
    Secrets,
    Send,
    Start,
    Verifier,
    derive,
    step,
)

VECTORS = {
    "RFC 5802 §5": (
        "SHA-1",
        "QSXCR+Q6sek8bf92",
        b"n,,n=user,r=fyko+d2lbbFgONRv9qkxdawL",
        b"3rfcNHYJY1ZVvWVs7j",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    "RFC 7677 §3": (
        "SHA-256",
        "W22ZaJ0SNY7soEsUEjb6gQ==",
        b"n,,n=user,r=rOprNGfwEbeRWgbNEkqO",
        b"%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,"
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
}
NAMES = tuple(scram.ALGORITHMS)
VERIFIERS = {name: derive(name, b"pencil", b"0123456789abcdef", 1000) for name in NAMES}


@pytest.mark.parametrize("vector", VECTORS.values(), ids=VECTORS)
def test_the_examples_of_the_rfcs_come_out_to_the_letter(vector):
    """RFC 5802 §5, RFC 7677 §3"""
    name, salt, first, nonce, server_first, final, server_final = vector
    verifier = derive(name, b"pencil", base64.b64decode(salt), 4096)
    state, effect = step(Start(name, False, False), first)
    assert effect == Lookup("user", "", None)
    state, effect = step(state, Secrets(verifier, True, nonce))
    assert effect == Send(server_first)
    state, effect = step(state, final)
    assert (state, effect) == (Finished(), Proved(server_final))


class Client:
    """slixmpp's SCRAM, an implementation that shares nothing with ours."""

    def __init__(self, name, password="pencil", username="romeo", binding=None, flag=b"n", **more):
        self.mechanism = SlixmppScram(
            f"SCRAM-{name}" + ("-PLUS" if binding else ""),
            {
                "username": username.encode(),
                "password": password.encode(),
                "authzid": more.get("authzid", "").encode(),
                "channel_binding": binding,
            },
            {
                "encrypted": True,
                "tls_version": "TLSv1.3",
                "unencrypted_scram": False,
                "binding_proposed": flag != b"y",
            },
        )

    def says(self, challenge=b""):
        return self.mechanism.process(challenge)


def talk(client, start, binding=None, verifier=None, known=True):
    """Play an exchange with slixmpp; return the last effect."""
    state, effect = step(start, client.says())
    if isinstance(effect, Failure):
        return effect
    state, effect = step(
        state, Secrets(verifier or VERIFIERS[start.name], known, b"server+nonce", binding)
    )
    if isinstance(effect, Failure):
        return effect
    _, effect = step(state, client.says(effect.data))
    if isinstance(effect, Proved):
        client.says(effect.data)  # raises if our signature is wrong
    return effect


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("username", ["romeo", "a=b,c", "ромео"])
def test_another_implementation_logs_in_and_accepts_our_signature(name, username):
    """RFC 5802 §5"""
    client = Client(name, username=username)
    start = Start(name, False, True)
    _, effect = step(start, client.says())
    assert effect == Lookup(username, "", None)
    assert isinstance(talk(Client(name, username=username), start), Proved)


@pytest.mark.parametrize("name", NAMES)
def test_another_implementation_logs_in_with_channel_binding(name):
    """RFC 5802 §6, RFC 9266"""
    start = Start(name, True, True, ("tls-exporter",))
    assert isinstance(talk(Client(name, binding=b"\0\1" * 16), start, b"\0\1" * 16), Proved)


def test_authzid_is_handed_on():
    """RFC 5802 §5.1"""
    _, effect = step(Start("SHA-1", False, False), b"n,a=romeo=3D=2C@example.org,n=romeo,r=abc")
    assert effect == Lookup("romeo", "romeo=,@example.org", None)


@pytest.mark.parametrize("name", NAMES)
def test_wrong_password_is_not_authorized(name):
    """RFC 5802 §3"""
    effect = talk(Client(name, "pencils"), Start(name, False, False))
    assert effect == Failure("not-authorized", "invalid-proof")


def test_unknown_account_fails_like_a_wrong_password_even_with_a_right_proof():
    """RFC 5802 §9, pitfall 8"""
    effect = talk(Client("SHA-256"), Start("SHA-256", False, False), known=False)
    assert effect == Failure("not-authorized", "invalid-proof")


def test_other_channel_binding_data_is_refused():
    """RFC 5802 §6: somebody stands in the middle"""
    start = Start("SHA-256", True, True, ("tls-exporter",))
    effect = talk(Client("SHA-256", binding=b"theirs"), start, b"ours")
    assert effect == Failure("not-authorized", "channel-bindings-dont-match")


def test_client_that_was_not_shown_plus_is_refused_when_it_was_offered():
    """RFC 5802 §6: y means that the list of mechanisms was tampered with"""
    effect = talk(Client("SHA-256", flag=b"y"), Start("SHA-256", False, True))
    assert effect == Failure("not-authorized", "server-does-support-channel-binding")


def test_client_that_could_bind_is_welcome_when_plus_was_not_offered():
    """RFC 5802 §6"""
    effect = talk(Client("SHA-256", flag=b"y"), Start("SHA-256", False, False))
    assert isinstance(effect, Proved)


@pytest.mark.parametrize(
    ("first", "plus", "reason"),
    [
        (b"p=tls-unique,,n=romeo,r=abc", True, "unsupported-channel-binding-type"),
        (b"p=tls-exporter,,n=romeo,r=abc", False, "channel-binding-not-supported"),
        (b"n,,n=romeo,r=abc", True, "channel-binding-not-supported"),
        (b"n,,m=x,n=romeo,r=abc", False, "extensions-not-supported"),
        (b"n,,n=romeo,r=abc,m=x", False, "invalid-encoding"),
        (b"n,,n=ro=2Dmeo,r=abc", False, "invalid-username-encoding"),
        (b"n,,n=romeo=,r=abc", False, "invalid-username-encoding"),
        (b"n,,n=romeo=2c,r=abc", False, "invalid-username-encoding"),
        (b"n,,n=\xff,r=abc", False, "invalid-username-encoding"),
        (b"n,a=\xff,n=romeo,r=abc", False, "invalid-username-encoding"),
        (b"n,,n=,r=abc", False, "invalid-encoding"),
        (b"n,,n=romeo,r=", False, "invalid-encoding"),
        (b"n,,n=romeo,r=a c", False, "invalid-encoding"),
        (b"n,,n=ro\0meo,r=abc", False, "invalid-encoding"),
        (b"n,,n=romeo", False, "invalid-encoding"),
        (b"n,,r=abc,n=romeo", False, "invalid-encoding"),
        (b"n,n=romeo,r=abc", False, "invalid-encoding"),
        (b"x,,n=romeo,r=abc", False, "invalid-encoding"),
        (b"F,n,,n=romeo,r=abc", False, "invalid-encoding"),
        (b"p=,,n=romeo,r=abc", True, "invalid-encoding"),
        (b"p=tls exporter,,n=romeo,r=abc", True, "invalid-encoding"),
        (b"n,a=,n=romeo,r=abc", False, "invalid-encoding"),
        (b"n,,n=" + b"a" * 9000 + b",r=abc", False, "invalid-encoding"),
        (b"", False, "invalid-encoding"),
    ],
)
def test_first_messages_that_break_the_grammar(first, plus, reason):
    """RFC 5802 §5.1, §6, §7"""
    state, effect = step(Start("SHA-1", plus, plus), first)
    assert (state, effect) == (Finished(), Failure("malformed-request", reason))


def test_optional_extensions_are_ignored_and_signed():
    """RFC 5802 §5.1"""
    state, effect = step(Start("SHA-1", False, False), b"n,,n=romeo,r=abc,x=y,z==,")
    assert isinstance(effect, Failure)
    state, effect = step(Start("SHA-1", False, False), b"n,,n=romeo,r=abc,x=y,z==")
    assert isinstance(state, Named)
    assert state.bare == b"n=romeo,r=abc,x=y,z=="


def challenged():
    state, _ = step(Start("SHA-1", False, False), b"n,,n=romeo,r=abc")
    state, _ = step(state, Secrets(VERIFIERS["SHA-1"], True, b"def"))
    return state


PROOF = base64.b64encode(bytes(20))


@pytest.mark.parametrize(
    ("final", "failure"),
    [
        (b"c=biws,r=abcdef,p=" + PROOF, Failure("not-authorized", "invalid-proof")),
        (b"c=biws,r=abcdef,x=y,p=" + PROOF, Failure("not-authorized", "invalid-proof")),
        (b"c=biws,r=abcde,p=" + PROOF, Failure("not-authorized", "other-error")),
        (b"c=biws,r=xbcdef,p=" + PROOF, Failure("not-authorized", "other-error")),
        (b"c=eSws,r=abcdef,p=" + PROOF, Failure("not-authorized", "channel-bindings-dont-match")),
        (b"c=bi!s,r=abcdef,p=" + PROOF, Failure("malformed-request", "invalid-encoding")),
        (b"c=biws,r=abcdef,p=AAAA", Failure("malformed-request", "invalid-encoding")),
        (b"c=biws,r=abcdef,p=A", Failure("malformed-request", "invalid-encoding")),
        (b"c=biws,r=abcdef,m=x,p=" + PROOF, Failure("malformed-request", "invalid-encoding")),
        (b"c=biws,r=abcdef", Failure("malformed-request", "invalid-encoding")),
        (b"r=abcdef,c=biws,p=" + PROOF, Failure("malformed-request", "invalid-encoding")),
        (b"", Failure("malformed-request", "invalid-encoding")),
    ],
)
def test_last_messages_that_are_wrong(final, failure):
    """RFC 5802 §5.1, §7"""
    assert step(challenged(), final) == (Finished(), failure)


def test_plus_without_binding_data_is_refused():
    """The channel has no data of that type after all."""
    state, _ = step(Start("SHA-1", True, True), b"p=tls-exporter,,n=romeo,r=abc")
    _, effect = step(state, Secrets(VERIFIERS["SHA-1"], True, b"def", None))
    assert effect == Failure("malformed-request", "channel-binding-not-supported")


def test_hash_of_the_offer_is_that_of_the_example():
    """XEP-0474 §5.3"""
    offer = Offer(("SCRAM-SHA-1-PLUS", "SCRAM-SHA-1"), ("tls-server-end-point", "tls-exporter"))
    protection = offer.digest("sha1")
    assert base64.b64encode(protection) == b"G6k/rBLDqgOhRRaCuuatSDFkJ08="
    state, _ = step(Start("SHA-1", False, False, protection=protection), b"n,,n=user,r=abc")
    _, effect = step(state, Secrets(VERIFIERS["SHA-1"], True, b"def"))
    assert effect.data.endswith(b",i=1000,h=G6k/rBLDqgOhRRaCuuatSDFkJ08=")
    protected = Start("SHA-1", False, False, protection=protection)
    assert isinstance(talk(Client("SHA-1"), protected), Proved)


def test_hash_of_an_offer_without_bindings_has_no_second_part():
    """XEP-0474 §5.1"""
    offer = Offer(("SCRAM-SHA-256", "PLAIN"), ())
    assert offer.digest("sha256") == hashlib.sha256(b"PLAIN\x1eSCRAM-SHA-256").digest()


STATES = st.sampled_from(
    [
        Start("SHA-1", False, False),
        Start("SHA-512", True, True),
        step(Start("SHA-1", False, False), b"n,,n=romeo,r=abc")[0],
        challenged(),
        Finished(),
    ]
)
PIECES = st.sampled_from(
    [
        *(b"n", b"y", b"p=tls-exporter", b"p=", b",", b",,", b"a=", b"n=romeo", b"r=abcdef"),
        *(b"m=x", b"c=biws", b"p=" + PROOF, b"=2C", b"=", b"\0", b"\xff", b"\xc3", b"x=y"),
    ]
)
MESSAGES = st.one_of(st.binary(max_size=200), st.lists(PIECES, max_size=12).map(b"".join))
EVENTS = st.one_of(
    MESSAGES, st.builds(Secrets, st.just(VERIFIERS["SHA-1"]), st.booleans(), st.just(b"x"))
)


@given(STATES, st.lists(EVENTS, max_size=4))
def test_nothing_that_comes_raises_or_proves_anything(state, events):
    """RFC 5802 §7: whatever comes, in whatever order"""
    for event in events:
        state, effect = step(state, event)
        assert isinstance(effect, Failure | Lookup | Send)
        assert isinstance(state, Named | Challenged | Finished)
        assert not isinstance(effect, Failure) or state == Finished()


def test_keys_do_not_show_in_a_log():
    """RFC 5802 §9: who has them can pose as the server"""
    shown = repr(Verifier(b"SALT", 10, b"STORED", b"SERVER"))
    assert not any(word in shown for word in ("SALT", "STORED", "SERVER"))
