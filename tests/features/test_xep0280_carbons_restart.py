"""XEP-0280 with XEP-0198: copies go on after a restart of the server, and none is missing."""

import re

from benchmarks.scram import ScramClient
from imsuite.testing.server import serve
from tests.clients import Client

PASSWORD = "wherefore"
SM = "urn:xmpp:sm:3"
MESSAGE = "<message to='juliet@example.org' type='chat' id='{}'><body>hi</body></message>"
COPY = rb"<sent xmlns='urn:xmpp:carbons:2'>.*? id='([a-z])'.*?</sent></message>"


def says(client, *ids):
    """Send messages, and wait until the server has handled them."""
    for id in ids:
        client.send(MESSAGE.format(id))
    client.send("<iq type='get' id='ping' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
    client.until(b"id='ping'")


def authenticated(server, name):
    """Return a client that has not bound a resource."""
    client = Client(server)
    scram = ScramClient("sha1", name, PASSWORD)
    client._sasl("auth", scram.first(), " mechanism='SCRAM-SHA-1'")
    client._sasl("response", scram.final(client.until(b"<challenge[^>]*>([^<]*)</challenge>")[1]))
    client.until(b"<success[^>]*>([^<]*</success>)?")
    client.open()
    return client


def copied(client, count):
    """Return the ids of the messages in the next copies."""
    return [client.until(COPY)[1].decode() for _ in range(count)]


def test_copies_go_on_after_a_restart(tmp_path):
    """XEP-0198 §5: sent while the link was gone, while the server was, and after it came back."""
    store = f"sqlite:///{tmp_path / 'imsuite.db'}"
    before = len(Client.made)
    try:
        with serve(store=store) as server:
            romeo = server.account("romeo", PASSWORD)
            server.account("juliet")
            home = Client(server).log_in(romeo, "home")
            garden = Client(server).log_in(romeo, "garden")
            garden.send(
                f"<enable xmlns='{SM}' resume='true'/>"
                "<iq type='set' id='c'><enable xmlns='urn:xmpp:carbons:2'/></iq>"
            )
            previous = re.search(rb"\bid='([^']*)'", garden.until(b"<enabled[^>]*>")[0])[1]
            garden.until(b"<iq[^>]*id='c'[^>]*>")
            says(home, "a")
            assert copied(garden, 1) == ["a"]
            garden.send("<inactive xmlns='urn:xmpp:csi:0'/>")
            garden.close()
            says(home, "b")
        with serve(store=store) as server:
            home = Client(server).log_in(romeo, "home")
            says(home, "c")
            garden = authenticated(server, "romeo")
            garden.send(f"<resume xmlns='{SM}' previd='{previous.decode()}' h='2'/>")
            garden.until(b"<resumed")
            says(home, "d")
            assert copied(garden, 3) == ["b", "c", "d"]
    finally:
        Client.close_since(before)
