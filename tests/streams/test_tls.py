"""TLS on links: versions, certificates by name, ALPN, channel binding, tickets, hostile peers."""

from __future__ import annotations

import hashlib
import ssl
import time

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from zope.interface.verify import verifyObject

from imsuite.streams import slimtls
from imsuite.streams.certificates import Certificate, CertificateError, make, own_certificate
from imsuite.streams.ilink import ITlsContexts, ITlsInfo
from imsuite.streams.tls import ALPN_CLIENT, ALPN_SERVER, ServerContexts, TlsInfo
from tests.streams.links import TlsClient

KINDS = [slimtls.Slim, slimtls.Public]


@pytest.fixture(params=KINDS, ids=["slim", "public"])
def kind(request, monkeypatch):
    """Both ways to OpenSSL must do the same."""
    monkeypatch.setattr(slimtls, "best", lambda: request.param)
    return request.param


def secured(world, contexts, name="example.org", *, alpn=(), domain=None, **options):
    """Return receiver and client after a handshake."""
    receiver, peer = world.link()
    receiver.link.start_tls(contexts, alpn, domain)
    client = TlsClient(world, peer, name, **options)
    client.handshake()
    world.until(lambda: receiver.link.secure)
    return receiver, client


def pyopenssl_client(contexts, version, before=None):
    """Return a server's and a client's connection of pyOpenSSL after their handshake.

    before: an earlier client's connection, to be resumed.
    """
    if before is None:
        context = SSL.Context(SSL.TLS_METHOD)
        context.set_max_proto_version(version)
    else:
        context = before.get_context()
    client, server = SSL.Connection(context), contexts.connection()
    client.set_connect_state()
    if before is not None:
        client.set_session(before.get_session())
    client.set_tlsext_host_name(b"example.net")
    for _ in range(6):
        for one, other in ((client, server), (server, client)):
            try:
                one.do_handshake()
            except SSL.WantReadError:
                pass
            try:
                while True:
                    other.bio_write(one.bio_read(65536))
            except SSL.WantReadError:
                pass
    with pytest.raises(SSL.WantReadError):
        client.recv(1)
    return server, client


def test_self_test_passes_here():
    """If this fails, TLS is slower than it could be: slimtls is to be adapted to pyOpenSSL."""
    for kind in KINDS:
        assert slimtls.self_test(kind) is None
    assert slimtls.best() is slimtls.Slim


def test_self_test_notices_what_does_not_work(monkeypatch):
    class Broken(slimtls.Slim):
        def decrypt(self, data):
            return super().decrypt(data)[:100]

    assert "16384 bytes failed" in slimtls.self_test(Broken)
    monkeypatch.setattr(slimtls, "_lib", None)
    slimtls.best.cache_clear()
    try:
        assert slimtls.best() is slimtls.Public
    finally:
        slimtls.best.cache_clear()


def test_interfaces(world, contexts):
    receiver, _ = secured(world, contexts)
    assert verifyObject(ITlsInfo, receiver.link.tls)
    assert verifyObject(ITlsContexts, contexts)
    assert verifyObject(IOpenSSLServerConnectionCreator, contexts)


@pytest.mark.parametrize("version", ["TLSv1_2", "TLSv1_3"])
def test_bytes_go_both_ways(world, contexts, kind, version):
    receiver, client = secured(
        world, contexts, version=getattr(ssl.TLSVersion, version), alpn=(ALPN_CLIENT,)
    )
    assert receiver.calls == ["secured"]
    assert receiver.link.tls.version == version.replace("_", ".")
    assert receiver.link.tls.server_name == "example.org"
    assert receiver.link.tls.alpn == ""
    receiver.on_data = lambda data: receiver.link.write(data.swapcase())
    for size in (1, 16384, 16385, 300_000):
        client.send(b"a" * size)
        assert client.read(size) == b"A" * size


def test_starttls_begins_after_what_was_written(world, contexts, kind):
    """RFC 6120 §5.4.2.3: <proceed/> in clear, then TLS; the receiver's words wait for it."""
    receiver, peer = world.link()
    receiver.on_secured = lambda: receiver.link.write(b"third")

    def proceed(data):
        receiver.link.write(b"proceed")
        receiver.link.start_tls(contexts)
        receiver.link.write(b"first,")
        receiver.link.write(b"second,")

    receiver.on_data = proceed
    peer.send(b"starttls")
    assert world.read(peer, 7) == b"proceed"
    assert not receiver.link.secure
    assert receiver.link.tls is None
    client = TlsClient(world, peer, None)
    client.handshake()
    assert client.read(18) == b"first,second,third"
    receiver.on_data = lambda data: None
    client.send(b"x")
    world.until(lambda: receiver.received == b"starttlsx")
    with pytest.raises(RuntimeError):
        receiver.link.start_tls(contexts)


def test_data_behind_the_handshake_is_not_lost(world, contexts, kind):
    """TLS 1.3 clients may send their first data together with Finished."""
    receiver, peer = world.link()
    receiver.link.start_tls(contexts)
    client = TlsClient(world, peer, "example.org")
    peer_send = peer.send
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    peer_send(client._out.read())
    world.turns()
    client._into.write(peer.recv(65536))
    client.tls.do_handshake()
    client.tls.write(b"early bird")
    peer_send(client._out.read())
    world.until(lambda: receiver.received == b"early bird")
    assert receiver.calls == ["secured", "data"]


def test_byte_by_byte(world, contexts, kind):
    receiver, peer = world.link()
    receiver.link.start_tls(contexts)
    client = TlsClient(world, peer, "example.org")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.do_handshake()
    for byte in client._out.read():
        peer.send(bytes((byte,)))
        world.turn()
    client.handshake()
    client.tls.write(b"hello")
    for byte in client._out.read():
        peer.send(bytes((byte,)))
        world.turn()
    world.until(lambda: receiver.received == b"hello")


@pytest.mark.parametrize(
    ("asked", "given"),
    [
        ("example.org", "example.org"),
        ("example.net", "example.net"),
        ("EXAMPLE.net", "example.net"),
        ("unknown.example", "example.org"),
        (None, "example.org"),
    ],
)
def test_certificate_by_server_name(world, contexts, certificates, asked, given):
    _, client = secured(world, contexts, asked)
    expected = certificates[given].chain[0].fingerprint(hashes.SHA256())
    assert hashlib.sha256(client.certificate()).digest() == expected


def test_domain_of_the_stream_counts_without_server_name(world, contexts, certificates):
    for name, domain, given in (
        (None, "example.net", "example.net"),
        ("example.org", "example.net", "example.org"),
        (None, "not hosted.\N{SNOWMAN}..", "example.org"),
    ):
        _, client = secured(world, contexts, name, domain=domain)
        expected = certificates[given].chain[0].fingerprint(hashes.SHA256())
        assert hashlib.sha256(client.certificate()).digest() == expected


def test_names_in_a_certificate_count_too(folder):
    """A component's domain needs no certificate of its own if the host's one covers it."""
    now = time.time()
    plain = own_certificate("a.example", folder, now=now)
    wide = own_certificate("b.example", folder, also=("*.b.example", "c.example"), now=now)
    contexts = ServerContexts({"a.example": plain, "b.example": wide}, "a.example")
    chosen = contexts.choose(b"b.example")
    assert chosen is not contexts.choose(None)
    assert contexts.choose(b"room.b.example") is chosen
    assert contexts.choose(b"c.example.") is chosen
    for name in (b"x.y.b.example", b"a.example", b"\xff\x00", b"", b"*"):
        assert contexts.choose(name) is contexts.choose(None)


@pytest.mark.parametrize("kind_of_old", ["ssl3", "tls1", "tls1_1"])
def test_old_versions_are_refused(contexts, kind_of_old):
    """RFC 8996; the first bytes of a ClientHello of each version."""
    version = {"ssl3": 0x0300, "tls1": 0x0301, "tls1_1": 0x0302}[kind_of_old]
    body = version.to_bytes(2, "big") + bytes(32) + b"\0" + b"\0\4\xc0\x13\x00\x2f" + b"\1\0"
    hello = b"\1" + len(body).to_bytes(3, "big") + body
    record = b"\x16\3\1" + len(hello).to_bytes(2, "big") + hello
    channel = slimtls.channel(contexts.connection())
    assert channel.handshake(record) is False
    assert "TLS handshake failed" in channel.ended
    assert channel.take()[0] == 0x15


@pytest.mark.parametrize(
    "cipher", ["AES128-GCM-SHA256", "AES256-SHA", "ECDHE-ECDSA-AES128-SHA256", "NULL-SHA256"]
)
def test_ciphers_without_forward_secrecy_or_aead_are_refused(world, contexts, cipher):
    """RFC 9325 §4.1, §4.2."""
    with pytest.raises(ssl.SSLError):
        secured(
            world,
            contexts,
            version=ssl.TLSVersion.TLSv1_2,
            ciphers=f"{cipher}:@SECLEVEL=0",
        )


def test_strong_ciphers_of_tls_1_2_are_accepted(world, contexts):
    receiver, client = secured(
        world, contexts, version=ssl.TLSVersion.TLSv1_2, ciphers="ECDHE+CHACHA20"
    )
    assert receiver.link.tls.cipher == "ECDHE-ECDSA-CHACHA20-POLY1305"
    assert client.tls.compression() is None


@pytest.mark.parametrize(
    ("offered", "agreed"),
    [
        (["xmpp-client"], "xmpp-client"),
        (["h2", "xmpp-server", "xmpp-client"], "xmpp-client"),
        (["xmpp-server"], "xmpp-server"),
    ],
)
def test_alpn_agrees_on_the_first_of_ours(world, contexts, offered, agreed):
    """XEP-0368 §3."""
    receiver, _ = secured(world, contexts, alpn=(ALPN_CLIENT, ALPN_SERVER))
    assert receiver.link.tls.alpn == "", "none offered is accepted"
    receiver, peer = world.link()
    receiver.link.start_tls(contexts, (ALPN_CLIENT, ALPN_SERVER))
    client = TlsClient(world, peer, "example.org", alpn=offered)
    client.handshake()
    assert client.tls.selected_alpn_protocol() == agreed
    world.until(lambda: receiver.link.secure)
    assert receiver.link.tls.alpn == agreed


@pytest.mark.parametrize("name", ["example.org", "example.net", None])
def test_alpn_without_ours_is_refused(world, contexts, kind, name):
    """RFC 7301 §3.2: the alert is no_application_protocol, 120; nothing piles up."""
    for _ in range(3):
        receiver, peer = world.link()
        receiver.link.start_tls(contexts, (ALPN_CLIENT,))
        client = TlsClient(world, peer, name, alpn=["h2", "http/1.1"])
        with pytest.raises(ssl.SSLError, match="no application protocol"):
            client.handshake()
        world.until(lambda: receiver.lost)  # noqa: B023
        assert receiver.lost == ["TLS handshake failed: no common ALPN protocol"]
    problems = contexts.choose(name and name.encode())._alpn_select_helper._problems
    assert problems == []


def test_alpn_is_no_matter_of_starttls(world, contexts):
    receiver, peer = world.link()
    receiver.link.start_tls(contexts)
    client = TlsClient(world, peer, "example.org", alpn=["h2"])
    client.handshake()
    assert client.tls.selected_alpn_protocol() is None


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_channel_binding_is_the_same_on_both_sides(contexts, certificates, version):
    """RFC 9266 §2, RFC 5929 §4."""
    server, client = pyopenssl_client(contexts, version)
    info = TlsInfo(slimtls.Slim(server))
    ours = info.channel_binding("tls-exporter")
    assert len(ours) == 32
    assert ours == client.export_keying_material(b"EXPORTER-Channel-Binding", 32)
    seen = client.get_peer_certificate(as_cryptography=True)
    assert info.channel_binding("tls-server-end-point") == seen.fingerprint(hashes.SHA256())
    assert seen == certificates["example.net"].chain[0]
    assert info.channel_binding("tls-unique") is None
    without_knowing = TlsInfo(slimtls.Public(server)).channel_binding("tls-exporter")
    assert without_knowing == (ours if version == SSL.TLS1_3_VERSION else None)


def test_end_point_binding_uses_the_hash_of_the_signature(world):
    """RFC 5929 §4.1."""
    now = time.time()

    def binding(key, sign_with=None):
        certificate = make("example.org", key, now=now)
        if sign_with is not None:
            builder = x509.CertificateBuilder(
                certificate.issuer, certificate.subject, key.public_key(), 1
            )
            certificate = (
                builder.not_valid_before(certificate.not_valid_before_utc)
                .not_valid_after(certificate.not_valid_after_utc)
                .sign(key, sign_with)
            )
        ours = Certificate((certificate,), key, "made", frozenset(("example.org",)))
        receiver, _ = secured(world, ServerContexts({"example.org": ours}, "example.org"))
        der = receiver.link.tls.channel_binding("tls-server-end-point")
        return der, certificate

    key = ec.generate_private_key(ec.SECP384R1())
    value, certificate = binding(key, hashes.SHA384())
    assert value == certificate.fingerprint(hashes.SHA384())
    value, certificate = binding(ed25519.Ed25519PrivateKey.generate())
    assert value is None


@pytest.mark.parametrize("version", [SSL.TLS1_2_VERSION, SSL.TLS1_3_VERSION])
def test_tickets_resume_until_keys_are_rotated(contexts, version):
    _, first = pyopenssl_client(contexts, version)
    _, second = pyopenssl_client(contexts, version, first)
    assert slimtls._lib.SSL_session_reused(second._ssl) == 1
    contexts.rotate()
    _, third = pyopenssl_client(contexts, version, second)
    assert slimtls._lib.SSL_session_reused(third._ssl) == 0


def test_client_cannot_renegotiate(contexts):
    server, client = pyopenssl_client(contexts, SSL.TLS1_2_VERSION)
    assert client.renegotiate()
    channel = slimtls.Slim(server)
    for _ in range(5):
        try:
            client.do_handshake()
        except SSL.WantReadError:
            pass
        except SSL.Error:
            break
        assert channel.decrypt(client.bio_read(65536)) == b""
        client.bio_write(channel.take())
    else:
        pytest.fail("renegotiation was not refused")


def test_reload_changes_later_connections_only(world, contexts, certificates):
    old_receiver, old_client = secured(world, contexts, "example.org")
    key = ec.generate_private_key(ec.SECP256R1())
    fresh = make("example.org", key, now=time.time())
    replaced = Certificate((fresh,), key, "made", frozenset(("example.org",)))
    contexts.load({**certificates, "example.org": replaced}, "example.org")
    _, client = secured(world, contexts, "example.org")
    assert hashlib.sha256(client.certificate()).digest() == fresh.fingerprint(hashes.SHA256())
    old_client.send(b"still there")
    world.until(lambda: old_receiver.received == b"still there")
    assert set(contexts.domains()) == set(certificates)


def test_reload_that_fails_keeps_the_old_certificates(world, contexts, certificates):
    broken = Certificate(
        certificates["example.org"].chain, certificates["example.net"].key, "made", frozenset()
    )
    with pytest.raises(CertificateError, match="OpenSSL refuses this certificate"):
        contexts.load({"example.org": broken}, "example.org")
    _, client = secured(world, contexts, "example.net")
    expected = certificates["example.net"].chain[0].fingerprint(hashes.SHA256())
    assert hashlib.sha256(client.certificate()).digest() == expected


@pytest.mark.parametrize(
    "garbage", [b"<?xml version='1.0'?><stream:stream ", b"GET / HTTP/1.1\r\n\r\n", bytes(500)]
)
def test_what_is_no_tls_loses_the_link(world, contexts, kind, garbage):
    receiver, peer = world.link()
    receiver.link.start_tls(contexts)
    peer.send(garbage)
    world.until(lambda: receiver.lost)
    (reason,) = receiver.lost
    assert reason.startswith("TLS handshake failed: ")
    assert receiver.calls == ["lost"]


def test_broken_record_loses_the_link_with_an_alert(world, contexts, kind):
    receiver, client = secured(world, contexts)
    client.peer.send(b"\x17\x03\x03\x00\x20" + bytes(32))
    world.until(lambda: receiver.lost)
    (reason,) = receiver.lost
    assert reason.startswith("TLS failed: ")
    with pytest.raises(ssl.SSLError, match="alert"):
        client.read(1)
    again, other = secured(world, contexts)
    other.send(b"others do not notice")
    world.until(lambda: again.received)


def test_close_says_so_in_tls(world, contexts, kind):
    """RFC 8446 §6.1: close_notify, so that an end cannot be forged."""
    receiver, client = secured(world, contexts)
    receiver.link.write(b"bye")
    receiver.link.close()
    assert client.read(3) == b"bye"
    assert client.read(1) == b""
    client.peer.close()
    world.until(lambda: receiver.lost)


def test_close_notify_of_the_peer_ends_the_link(world, contexts, kind):
    receiver, client = secured(world, contexts)
    client.send(b"last words")
    with pytest.raises(ssl.SSLWantReadError):
        client.tls.unwrap()
    client.peer.send(client._out.read())
    world.until(lambda: receiver.lost)
    assert receiver.received == b"last words"
    assert receiver.lost == ["closed by the peer"]
    assert receiver.link.tls is None


def test_receiver_may_abort_when_secured(world, contexts, kind):
    receiver, peer = world.link()
    receiver.link.start_tls(contexts)
    receiver.on_secured = lambda: receiver.link.abort("not wanted")
    client = TlsClient(world, peer, "example.org")
    client.handshake()
    world.until(lambda: receiver.lost)
    assert receiver.calls == ["secured", "lost"]
    assert receiver.lost == ["not wanted"]


def test_slow_reader_gets_everything_in_order(world, contexts, kind):
    receiver, client = secured(world, contexts)
    pieces = [bytes((number & 255,)) * 30_000 for number in range(100)]
    for piece in pieces:
        receiver.link.write(piece)
    assert receiver.link.congested
    assert client.read(3_000_000) == b"".join(pieces)
    assert receiver.calls[-1] == "writable"
