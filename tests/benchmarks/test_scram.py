"""SCRAM of the load generator against the examples of its specifications."""

from base64 import b64decode, b64encode

import pytest

from benchmarks.scram import ScramClient, ScramError, stored_keys

EXAMPLES = [  # RFC 5802 §5, RFC 7677 §3
    (
        "sha1",
        "fyko+d2lbbFgONRv9qkxdawL",
        b"r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
        b"p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        b"v=rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    ),
    (
        "sha256",
        "rOprNGfwEbeRWgbNEkqO",
        b"r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
        b"p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        b"v=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    ),
]


@pytest.mark.parametrize(("algorithm", "nonce", "first", "proof", "signature"), EXAMPLES)
def test_examples_of_the_specification(algorithm, nonce, first, proof, signature):
    client = ScramClient(algorithm, "user", "pencil", bare=f"n=user,r={nonce}")
    assert b64decode(client.final(b64encode(first))).endswith(b"," + proof)
    client.verify(b64encode(signature))
    with pytest.raises(ScramError):
        client.verify(b64encode(b"v=" + b64encode(b"somebody else")))


def test_nonce_of_somebody_else_is_refused():
    client = ScramClient("sha1", "user", "pencil", bare="n=user,r=mine")
    with pytest.raises(ScramError):
        client.final(b64encode(b"r=other,s=QSXCR+Q6sek8bf92,i=4096"))


def test_stored_keys_have_the_length_of_their_hash():
    keys = stored_keys("sha256", "pencil", b"salt", 10)
    assert (len(keys.stored_key), len(keys.server_key)) == (32, 32)
    assert keys.stored_key != keys.server_key
