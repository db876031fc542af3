"""RFC 6120 over real sockets: what only TCP and TLS can show."""

import socket
import ssl

import pytest

from imsuite.testing.server import serve
from tests.clients import HEADER, Client

STARTTLS = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>"
PING = "<iq type='get' id='{}'><query xmlns='jabber:iq:roster'/></iq>"


@pytest.fixture(scope="module")
def server():
    """One server for all: they do not get into each other's way."""
    with serve() as server:
        server.romeo = server.account("romeo")
        server.juliet = server.account("juliet")
        yield server
    assert server.failures.take() == []


def test_a_whole_session(server):
    """§9.1: TLS, SASL, binding, a message, and the end."""
    romeo = Client(server).log_in(server.romeo, "orchard")
    juliet = Client(server).log_in(server.juliet, "balcony")
    romeo.send(f"<message to='{juliet.jid}' id='m'><body>hi \U0001f339</body></message>")
    juliet.until("<body>hi \U0001f339</body>".encode())
    for client in (romeo, juliet):
        client.send("</stream:stream>")
        assert client.rest().endswith(b"</stream:stream>")


def test_injection_in_the_same_packet_ends_the_stream(server):
    """§5.3.1, pitfall 2"""
    client = Client(server, tls=False)
    client.send(STARTTLS + HEADER.format(domain="example.org") + "<presence/>")
    rest = client.rest()
    assert b"<policy-violation" in rest
    assert b"<proceed" not in rest
    assert rest.endswith(b"</stream:stream>")


def test_injection_before_the_handshake_is_no_xml(server):
    """§5.3.1: a second packet after the request is TLS or nothing."""
    client = Client(server, tls=False)
    client.send(STARTTLS)
    client.until(b"<proceed[^>]*>")
    client.send("<message to='juliet@example.org'><body>injected</body></message>")
    assert b"stream" not in client.rest()


def test_nothing_in_clear_comes_after_proceed(server):
    """§5.4.3: also when the stream has to end before the handshake."""
    client = Client(server, tls=False)
    client.send(STARTTLS)
    client.until(b"<proceed[^>]*>")
    client.sock.shutdown(socket.SHUT_WR)
    assert client.rest() == b""


def test_channel_binding_is_offered_inside_real_tls(server):
    """XEP-0440 §3"""
    client = Client(server, tls=False)
    client.send(STARTTLS)
    client.until(b"<proceed[^>]*>")
    client.sock = server.ssl_context().wrap_socket(client.sock, server_hostname="example.org")
    client.send(HEADER.format(domain="example.org"))
    features = client.until(b"<stream:features>(.*)</stream:features>")[1]
    assert b"<mechanism>SCRAM-SHA-256-PLUS</mechanism>" in features
    assert b"<channel-binding type='tls-server-end-point'/>" in features


def test_direct_tls_needs_no_starttls(server):
    """XEP-0368"""
    sock = socket.create_connection((server.host, server.tls_port), 10)
    sock = server.ssl_context().wrap_socket(sock, server_hostname="example.org")
    with sock:
        sock.sendall(HEADER.format(domain="example.org").encode())
        data = b""
        while b"</stream:features>" not in data:
            data += sock.recv(65536)
    assert b"<mechanism>PLAIN</mechanism>" in data
    assert b"starttls" not in data


def test_old_tls_is_refused(server):
    """RFC 7590: 1.2 and 1.3 only."""
    client = Client(server, tls=False)
    client.send(STARTTLS)
    client.until(b"<proceed[^>]*>")
    context = ssl.create_default_context(cafile=server.ca_file)
    context.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1_1"):
        context.minimum_version = context.maximum_version = ssl.TLSVersion.TLSv1_1
    with pytest.raises((ssl.SSLError, ConnectionError)):
        context.wrap_socket(client.sock, server_hostname="example.org")


def test_answers_to_many_requests_come_in_order(server):
    """§10.1: in one packet, through the threads of the store."""
    client = Client(server).log_in(server.romeo, "many")
    add = (
        "<iq type='set' id='{}'><query xmlns='jabber:iq:roster'>"
        "<item jid='a{}@example.org'/></query></iq>"
    )
    client.send("".join((add if n % 3 == 0 else PING).format(n, n) for n in range(30)))
    found = [int(client.until(b"<iq type='result' id='([0-9]+)'")[1]) for _ in range(30)]
    assert found == list(range(30))
    client.close()


def test_what_was_sent_before_the_end_is_handled(server):
    """§4.4: the message arrives although its sender closed at once, behind something slow."""
    juliet = Client(server).log_in(server.juliet, "end")
    romeo = Client(server).log_in(server.romeo, "end")
    romeo.send(
        "<iq type='set' id='1'><query xmlns='jabber:iq:roster'><item jid='b@example.org'/></query>"
        f"</iq><message to='{juliet.jid}'><body>last words</body></message></stream:stream>"
    )
    juliet.until(b"<body>last words</body>")
    assert b"</stream:stream>" in romeo.rest()
    juliet.close()


def test_conflict_over_tcp(server):
    """§7.7.2.2: error, end tag, and the connection closes."""
    old = Client(server).log_in(server.romeo, "same")
    new = Client(server).log_in(server.romeo, "same")
    rest = old.rest()
    assert b"<conflict xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>" in rest
    assert rest.endswith(b"</stream:stream>")
    new.send(PING.format("p"))
    new.until(b"id='p'")
    new.close()


def test_vanished_client_leaves_nothing(server):
    """§4.4, pitfall 11: a reset connection ends the session, and contacts hear of it."""
    romeo = Client(server).log_in(server.romeo, "gone")
    juliet = Client(server).log_in(server.juliet, "watch")
    juliet.send("<presence/>")
    romeo.send(f"<presence to='{juliet.jid}'/>")
    juliet.until(rb"<presence[^>]*from='romeo@example.org/gone'[^>]*>")
    romeo.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    romeo.close()
    juliet.until(rb"<presence[^>]*type='unavailable'[^>]*from='romeo@example.org/gone'")
    juliet.close()


def test_stranger_that_talks_http_is_sent_away(server):
    with socket.create_connection((server.host, server.port), 10) as sock:
        sock.sendall(b"GET / HTTP/1.1\r\nHost: example.org\r\n\r\n")
        data = b""
        while more := sock.recv(65536):
            data += more
    assert b"<stream:error>" in data
