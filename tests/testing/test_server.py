"""A whole server for tests of others."""

import socket
import ssl
import subprocess
import sys
import threading
import time

import pytest

from imsuite.store.users import AccountExists
from imsuite.testing.server import serve, stop_thread

HEADER = (
    b"<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'"
    b" to='%s' version='1.0'>"
)


def features(sock, domain=b"example.org"):
    sock.sendall(HEADER % domain)
    got = b""
    while b"</stream:features>" not in got:
        more = sock.recv(65536)
        assert more, got
        got += more
    return got


def test_it_listens_with_starttls_and_with_tls():
    with serve() as server:
        with socket.create_connection((server.host, server.port), 5) as plain:
            assert b"starttls" in features(plain)
        context = server.ssl_context()
        with (
            socket.create_connection((server.host, server.tls_port), 5) as plain,
            context.wrap_socket(plain, server_hostname=server.domain) as secure,
        ):
            assert b"SCRAM" in features(secure)


def test_its_certificate_is_trusted_by_its_own_file_only():
    with serve() as server:
        context = ssl.create_default_context()
        with (
            socket.create_connection((server.host, server.tls_port), 5) as plain,
            pytest.raises(ssl.SSLCertVerificationError),
        ):
            context.wrap_socket(plain, server_hostname=server.domain)


def test_accounts_are_made_in_one_line():
    with serve("example.net") as server:
        romeo = server.account("romeo")
        assert romeo.jid == "romeo@example.net"
        assert len(romeo.password) >= 12
        assert server.account("juliet", "secret").password == "secret"
        with pytest.raises(AccountExists):
            server.account("romeo@example.net")


def test_it_serves_several_domains():
    with serve(["example.org", "example.net"]) as server:
        assert server.account("romeo@example.net").jid == "romeo@example.net"
        with socket.create_connection((server.host, server.port), 5) as sock:
            assert b"from='example.net'" in features(sock, b"example.net")


def test_features_are_chosen_with_their_options():
    with (
        serve(features={"starttls": {"required": False}}) as server,
        socket.create_connection((server.host, server.port), 5) as sock,
    ):
        assert b"<required/>" not in features(sock)


def test_servers_do_not_know_each_other():
    with serve() as one, serve() as other:
        assert one.port != other.port
        one.account("romeo")
        other.account("romeo")


def test_a_server_starts_quickly():
    """Well under 100 ms; in CPU time, so that a busy machine does not matter."""
    with serve():
        pass
    taken = []
    for _ in range(5):
        before = time.process_time()
        with serve():
            taken.append(time.process_time() - before)
    assert min(taken) < 0.1


def test_nothing_is_left_when_it_stops():
    with serve() as server:
        host, port, file = server.host, server.port, server.ca_file
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((host, port), 5)
    with pytest.raises(FileNotFoundError), open(file):
        pass
    stop_thread()
    assert not [each for each in threading.enumerate() if each.name == "imsuite-testing"]
    with serve() as server:  # and there may be another one afterwards
        server.account("romeo")


def test_a_server_stops_when_the_test_fails():
    with pytest.raises(ZeroDivisionError), serve() as server:
        raise ZeroDivisionError
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((server.host, server.port), 5)


def test_the_reactor_of_twisted_is_left_to_others():
    """It can be installed once only, and pytest plugins may want to choose which."""
    code = (
        "import sys\n"
        "from imsuite.testing.server import serve\n"
        "with serve(use=('bind', 'sasl', 'starttls')) as server: server.account('romeo')\n"
        "assert 'twisted.internet.reactor' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True, timeout=60)
