"""The services of a server: what they promise beyond starting and stopping in order."""

import socket
import ssl

import pytest

from imsuite.app.parts import DAY, RenewalService
from imsuite.testing.server import serve


def certificate(server, domain):
    """Return the certificate that a client which asks for a domain gets, verified for it."""
    context = server.ssl_context()
    with (
        socket.create_connection((server.host, server.tls_port), 10) as plain,
        context.wrap_socket(plain, server_hostname=domain) as sock,
    ):
        return sock.getpeercert(binary_form=True)


@pytest.fixture
def two():
    """A server of two domains."""
    with serve(["example.org", "example.net"]) as server:
        yield server


def test_each_domain_has_its_certificate(two):
    """RFC 6120 §13.7.1, SNI: a client verifies the one of the domain it asked for."""
    assert certificate(two, "example.org") != certificate(two, "example.net")


def test_without_a_name_the_first_domain_answers(two):
    """RFC 6066 §3: SNI is the client's to send or not."""
    context = two.ssl_context()
    context.check_hostname = False
    with (
        socket.create_connection((two.host, two.tls_port), 10) as plain,
        context.wrap_socket(plain) as sock,
    ):
        found = sock.getpeercert(binary_form=True)
    assert found == certificate(two, "example.org")


def test_starttls_presents_the_domain_of_the_stream(two):
    """RFC 6120 §5.4.3: the "to" of the header chooses when the client sends no SNI."""
    context = two.ssl_context()
    context.check_hostname = False
    with socket.create_connection((two.host, two.port), 10) as plain:
        plain.sendall(
            b"<stream:stream to='example.net' version='1.0' xmlns='jabber:client'"
            b" xmlns:stream='http://etherx.jabber.org/streams'>"
        )
        seen = b""
        while b"</stream:features>" not in seen:
            seen += plain.recv(4096)
        plain.sendall(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        while b"<proceed" not in seen:
            seen += plain.recv(4096)
        with context.wrap_socket(plain) as sock:
            found = sock.getpeercert(binary_form=True)
    assert found == certificate(two, "example.net")


def test_certificates_are_looked_at_every_day(two):
    """A certificate that was renewed on disk is in use a day later, without a restart."""
    before = certificate(two, "example.org")

    async def a_day_later():
        service = two.service
        folder = service.certificates["example.org"].file.parent
        (folder / "example.org.pem").unlink()
        (renewal,) = [part for part in service if isinstance(part, RenewalService)]
        assert renewal._next.getTime() - service.reactor.seconds() > DAY - 60
        renewal._next.reset(0)

    two.run(a_day_later)
    two.settle()
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection((two.host, two.tls_port), 10) as plain,
        context.wrap_socket(plain, server_hostname="example.org") as sock,
    ):
        assert sock.getpeercert(binary_form=True) != before


def test_old_versions_of_tls_are_refused(two):
    """RFC 8996: nothing before TLS 1.2."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.minimum_version = ssl.TLSVersion.MINIMUM_SUPPORTED
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.maximum_version = ssl.TLSVersion.TLSv1_1
    with (
        socket.create_connection((two.host, two.tls_port), 10) as plain,
        pytest.raises((ssl.SSLError, ConnectionError)),
    ):
        context.wrap_socket(plain, server_hostname="example.org")
