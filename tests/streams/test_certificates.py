"""Certificates: made by ourselves, read from files, refused with one clear line."""

from __future__ import annotations

import datetime
import errno
import os
import socket
import ssl
import stat
import threading
import time
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID

from imsuite.streams import certificates
from imsuite.streams.certificates import (
    CertificateError,
    ascii_domain,
    covers,
    load,
    make,
    names_of,
    own_certificate,
    pem_of,
    xmpp_names_of,
)
from imsuite.xmpp.errors import ImsuiteError

NOW = 1_800_000_000.0
DAY = 86400


def key():
    return ec.generate_private_key(ec.SECP256R1())


def write(folder, content, name="given.pem"):
    file = folder / name
    file.write_bytes(content)
    return file


def refusal(*args, **kwargs):
    """Return the line with which load refuses."""
    with pytest.raises(CertificateError) as caught:
        load(*args, **kwargs, now=NOW)
    assert isinstance(caught.value, ImsuiteError)
    line = str(caught.value)
    assert "\n" not in line
    return line


def test_own_certificate_names_the_domain_in_every_way():
    """RFC 6120 §13.7.1.2.1: dNSName, SRVName and XmppAddr."""
    certificate = make("example.org", key(), also=("conference.example.org",), now=NOW)
    assert names_of(certificate) == {"example.org", "conference.example.org"}
    assert xmpp_names_of(certificate) == {"example.org", "conference.example.org"}
    names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    others = [
        (name.type_id.dotted_string, name.value) for name in names if hasattr(name, "type_id")
    ]
    assert ("1.3.6.1.5.5.7.8.5", b"\x0c\x0bexample.org") in others
    assert ("1.3.6.1.5.5.7.8.7", b"\x16\x18_xmpp-client.example.org") in others
    assert ("1.3.6.1.5.5.7.8.7", b"\x16\x18_xmpp-server.example.org") in others
    usage = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    assert ExtendedKeyUsageOID.SERVER_AUTH in usage
    assert certificate.signature_hash_algorithm.name == "sha256"


def test_own_certificate_of_localhost_is_good_for_its_addresses():
    names = names_of(make("localhost", key(), now=NOW))
    assert names == {"localhost", "127.0.0.1", "::1"}


def test_own_certificate_of_an_address_or_a_foreign_name():
    assert names_of(make("192.0.2.1", key(), now=NOW)) == {"192.0.2.1"}
    assert names_of(make("[2001:db8::1]", key(), now=NOW)) == {"2001:db8::1"}
    certificate = make("bücher.example", key(), now=NOW)
    assert names_of(certificate) == {"xn--bcher-kva.example"}
    assert xmpp_names_of(certificate) == {"xn--bcher-kva.example"}


def test_own_certificate_of_a_long_domain():
    """The common name has at most 64 characters, a DER string of more than 127 a longer head."""
    domain = ".".join(["a" * 60] * 4)
    certificate = make(domain, key(), now=NOW)
    assert names_of(certificate) == xmpp_names_of(certificate) == {domain}
    assert len(certificates._der(0x0C, bytes(700))) == 704


def test_own_certificate_lives_as_long_as_clients_accept():
    certificate = make("example.org", key(), now=NOW)
    life = certificate.not_valid_after_utc - certificate.not_valid_before_utc
    assert datetime.timedelta(days=800) < life <= datetime.timedelta(days=825)
    assert certificate.not_valid_before_utc.timestamp() < NOW


def test_own_certificate_is_made_once(tmp_path):
    first = own_certificate("example.org", tmp_path / "new", now=NOW)
    again = own_certificate("example.org", tmp_path / "new", now=NOW + 700 * DAY)
    assert again.chain == first.chain
    assert isinstance(first.key, ec.EllipticCurvePrivateKey)
    assert first.key.curve.name == "secp256r1"
    assert first.file == tmp_path / "new" / "example.org.pem"
    assert stat.S_IMODE(first.file.stat().st_mode) == 0o600
    assert os.listdir(tmp_path / "new") == ["example.org.pem"], "nothing half-written is left"
    assert "key" not in repr(first).split("names")[0].replace("pem", "")


def test_own_certificate_is_renewed_in_time_with_the_same_key(tmp_path):
    first = own_certificate("example.org", tmp_path, now=NOW)
    late = NOW + 800 * DAY
    renewed = own_certificate("example.org", tmp_path, now=late)
    assert renewed.expires > late + 800 * DAY
    assert renewed.chain[0].public_key() == first.chain[0].public_key()
    after_the_end = own_certificate("example.org", tmp_path, now=NOW + 5000 * DAY)
    assert after_the_end.expires > NOW + 5000 * DAY


def test_own_certificate_is_made_anew_for_further_names(tmp_path):
    own_certificate("example.org", tmp_path, now=NOW)
    wider = own_certificate("example.org", tmp_path, also=("room.example.org",), now=NOW)
    assert "room.example.org" in wider.names
    assert own_certificate("example.org", tmp_path, now=NOW).chain == wider.chain


def test_certificate_of_another_issuer_is_never_replaced(tmp_path):
    mine, theirs = key(), key()
    issued = builder("example.org", mine).sign(theirs, hashes.SHA256())
    file = write(tmp_path, pem_of(issued, mine), "example.org.pem")
    before = file.read_bytes()
    assert own_certificate("example.org", tmp_path, now=NOW).chain == (issued,)
    with pytest.raises(CertificateError, match="expired"):
        own_certificate("example.org", tmp_path, now=NOW + 900 * DAY)
    assert file.read_bytes() == before


def test_folder_that_cannot_be_written(tmp_path):
    blocked = write(tmp_path, b"", "file")
    with pytest.raises(CertificateError, match="cannot write the certificate"):
        own_certificate("example.org", blocked, now=NOW)


def test_clients_accept_our_own_certificate(tmp_path):
    """A strict client that trusts exactly this certificate is content with it."""
    ours = own_certificate("localhost", tmp_path, now=time.time())
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(ours.file)
    client = ssl.create_default_context(cafile=ours.file)
    client.verify_flags |= ssl.VERIFY_X509_STRICT
    for name in ("localhost", "127.0.0.1"):
        left, right = socket.socketpair()

        def serve(left=left):
            with server.wrap_socket(left, server_side=True) as sock:
                sock.recv(1)

        thread = threading.Thread(target=serve)
        thread.start()
        with client.wrap_socket(right, server_hostname=name) as sock:
            sock.send(b"x")
        thread.join()


@pytest.mark.parametrize("apart", [False, True])
def test_chain_and_key_from_one_file_or_two(tmp_path, apart):
    mine, theirs = key(), key()
    issued = builder("example.org", mine).sign(theirs, hashes.SHA256())
    issuer = make("issuer.example", theirs, now=NOW)
    chain = b"".join(each.public_bytes(serialization.Encoding.PEM) for each in (issued, issuer))
    private = pem_of(issuer, mine).split(b"-----BEGIN CERTIFICATE")[0]
    if apart:
        found = load(
            "example.org", write(tmp_path, chain), write(tmp_path, private, "key"), now=NOW
        )
    else:
        found = load("example.org", write(tmp_path, private + chain), now=NOW)
    assert found.chain == (issued, issuer)
    assert found.key.private_numbers() == mine.private_numbers()


@pytest.mark.parametrize(
    "make_key",
    [ed25519.Ed25519PrivateKey.generate, lambda: rsa.generate_private_key(65537, 2048)],
)
def test_other_kinds_of_keys(tmp_path, make_key):
    other = make_key()
    file = write(tmp_path, pem_of(make("example.org", other, now=NOW), other))
    assert load("example.org", file, now=NOW).names == {"example.org"}


def test_what_is_wrong_is_said_in_one_line(tmp_path):
    mine, other = key(), key()
    good = make("example.org", mine, now=NOW)
    cert = good.public_bytes(serialization.Encoding.PEM)
    locked = mine.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.BestAvailableEncryption(b"secret"),
    )
    missing = tmp_path / "missing.pem"
    assert refusal("example.org", missing) == (
        f"{missing}: cannot read the certificate: No such file or directory;"
        " correct the name or put the file there"
    )
    both = write(tmp_path, pem_of(good, mine))
    assert "cannot read the private key: Is a dir" in refusal("example.org", both, tmp_path)
    assert "no certificate in PEM form" in refusal("example.org", write(tmp_path, b"junk"))
    assert "no private key in PEM form" in refusal("example.org", write(tmp_path, cert))
    assert "passphrase" in refusal("example.org", write(tmp_path, cert + locked))
    assert "does not belong" in refusal("example.org", write(tmp_path, pem_of(good, other)))
    assert "too large" in refusal("example.org", write(tmp_path, bytes(2_000_000)))


def test_key_of_a_kind_that_tls_has_not(tmp_path):
    mine = key()
    signing = dsa.generate_private_key(2048).private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    cert = make("example.org", mine, now=NOW).public_bytes(serialization.Encoding.PEM)
    assert "ECDSA, RSA or EdDSA" in refusal("example.org", write(tmp_path, cert + signing))


def test_unreadable_key(tmp_path, monkeypatch):
    mine = key()
    file = write(tmp_path, pem_of(make("example.org", mine, now=NOW), mine))
    locked = write(tmp_path, b"", "key.pem")
    real = Path.read_bytes

    def read_bytes(path):  # file modes do not bind root, who may be running this
        if path == locked:
            raise PermissionError(errno.EACCES, "Permission denied")
        return real(path)

    monkeypatch.setattr(Path, "read_bytes", read_bytes)
    assert refusal("example.org", file, locked) == (
        f"{locked}: cannot read the private key: Permission denied;"
        " let the user who runs imsuite read it"
    )


def test_expired_or_not_yet_valid(tmp_path):
    mine = key()
    file = write(tmp_path, pem_of(make("example.org", mine, now=NOW - 900 * DAY), mine))
    assert refusal("example.org", file).endswith(
        "the certificate of example.org expired on 2026-10-31; renew it"
    )
    file = write(tmp_path, pem_of(make("example.org", mine, now=NOW + 2 * DAY), mine))
    assert "valid only from 2027-01-16" in refusal("example.org", file)


def test_certificate_of_another_domain(tmp_path):
    mine = key()
    file = write(tmp_path, pem_of(make("example.net", mine, now=NOW), mine))
    assert refusal("example.org", file) == (
        f"{file}: the certificate is for example.net, not for example.org;"
        " get one whose subjectAltName has example.org"
    )


@pytest.mark.parametrize(
    ("names", "domain", "good"),
    [
        ({"example.org"}, "Example.ORG.", True),
        ({"*.example.org"}, "a.example.org", True),
        ({"*.example.org"}, "a.b.example.org", False),
        ({"*.example.org"}, "example.org", False),
        ({"*"}, "localhost", False),
        ({"*."}, "localhost", False),
        ({"xn--bcher-kva.example"}, "BÜCHER.example", True),
        (set(), "example.org", False),
    ],
)
def test_which_names_are_good_for_a_domain(names, domain, good):
    """RFC 9525 §6.3, §6.4."""
    assert covers(frozenset(names), frozenset(), domain) is good


def test_xmpp_names_alone_are_enough():
    """RFC 6120 §13.7.1.2.1."""
    assert covers(frozenset(), frozenset({"example.org"}), "example.org")


def test_malformed_names_in_a_certificate_are_no_names():
    mine = key()
    bad = [
        x509.OtherName(certificates.ID_ON_XMPP_ADDR, value)
        for value in (b"\x0c\x00", b"\x02\x01\x05", b"\x0c\x05..\xe2\x98\x83")
    ]
    for broken in (b"", b"\x0c", b"\x0c\x03ab", b"\x0c\x84ab"):
        assert certificates._text_of(broken) == ""
    certificate = builder("example.org", mine, bad).sign(mine, hashes.SHA256())
    assert xmpp_names_of(certificate) == frozenset()


def test_domain_that_is_no_domain():
    assert ascii_domain("Example.ORG.") == "example.org"
    with pytest.raises(CertificateError, match="no domain name"):
        ascii_domain("\N{SNOWMAN}..org")


def builder(domain, private, names=()):
    """Return a certificate for somebody else to sign."""
    start = datetime.datetime.fromtimestamp(NOW, datetime.UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, domain)])
    issuer = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "issuer.example")])
    return (
        x509.CertificateBuilder(issuer, subject, private.public_key(), 7)
        .not_valid_before(start - datetime.timedelta(days=10))
        .not_valid_after(start + datetime.timedelta(days=100))
        .add_extension(
            x509.SubjectAlternativeName(list(names) or [x509.DNSName(domain)]), critical=False
        )
    )
