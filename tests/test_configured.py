"""What an operator plugs in by the configuration: checkers of passwords, wokkel's handlers."""

import base64

import pytest
from twisted.cred.checkers import InMemoryUsernamePasswordDatabaseDontUse

from imsuite.app.configuration import load
from imsuite.app.server import make_server, option_classes
from imsuite.testing.server import TestServer, _call, _thread, _write_trusted
from tests.clients import Client

CONFIG = """
[server]
listen = ["c2s:127.0.0.1:0", "c2s-tls:127.0.0.1:0"]
data = "{data}"
store = "sqlite:///:memory:"
drain_seconds = 0

[hosts."example.org"]
checkers = [{{ name = "tests.test_configured.Passwords", options = {{ romeo = "montague" }} }}]

[services."echo.example.org"]
handlers = ["wokkel.ping.PingHandler"]
"""
PLAIN = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>{}</auth>"


class Passwords(InMemoryUsernamePasswordDatabaseDontUse):
    """A checker of twisted.cred as anybody could have it, with its users as options."""

    def __init__(self, **users):
        super().__init__()
        for name, password in users.items():
            self.addUser(name.encode(), password.encode())


@pytest.fixture
def server(tmp_path):
    """A server as twistd would make it of that file."""
    file = tmp_path / "imsuite.toml"
    file.write_text(CONFIG.format(data=tmp_path))
    config = load(str(file), *option_classes())
    _call(lambda: None)
    service = make_server(config, reactor=_thread.reactor)
    _call(service.startService)
    _write_trusted(tmp_path)
    yield TestServer(service, ["example.org"], tmp_path)
    _call(service.stopService)


@pytest.fixture
def client(server):
    """A connection with TLS on, nobody logged in."""
    count = len(Client.made)
    yield Client(server)
    Client.close_since(count)


def credentials(name, password):
    return base64.b64encode(f"\0{name}\0{password}".encode()).decode()


def bind(client):
    client.open()
    client.send(
        "<iq type='set' id='b'><bind xmlns='urn:ietf:params:xml:ns:xmpp-bind'>"
        "<resource>here</resource></bind></iq>"
    )
    return client.until(b"<jid>([^<]*)</jid>.*?</iq>")[1].decode()


def test_any_checker_of_twisted_cred_logs_people_in(client):
    """Architecture §7: whom it vouches for has an account from then on."""
    client.send(PLAIN.format(credentials("romeo", "montague")))
    client.until(b"<success")
    client._held = b""
    assert bind(client) == "romeo@example.org/here"
    client.send("<iq type='get' id='r'><query xmlns='jabber:iq:roster'/></iq>")
    assert b"type='result'" in client.until(b"<iq[^>]*id='r'[^>]*>")[0]


def test_whom_the_checker_refuses_is_refused(client):
    """RFC 6120 §6.5.10: not-authorized, whether the name or the password is wrong."""
    for name, password in (("romeo", "capulet"), ("tybalt", "montague")):
        client.send(PLAIN.format(credentials(name, password)))
        assert b"<not-authorized" in client.until(b"<failure.*?</failure>")[0]


def test_a_checker_of_plain_passwords_offers_plain_alone(server):
    """RFC 6120 §6.3.3: what is offered follows from what the checkers can check."""
    offered = server.service.hosts["example.org"].authenticator
    assert set(offered._possible().hashes) == set()
    assert offered._possible().plain


def test_wokkel_handlers_of_the_configuration_answer(client):
    """Architecture §3: a dotted name and a domain."""
    client.send(PLAIN.format(credentials("romeo", "montague")))
    client.until(b"<success")
    client._held = b""
    bind(client)
    client.send("<iq type='get' id='p' to='echo.example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
    answer = client.until(rb"<iq[^>]*id='p'[^>]*>")[0]
    assert b"type='result'" in answer
    assert b"from='echo.example.org'" in answer
