"""Avatars and bookmarks in all their forms, changed by many clients at once on a real store."""

import random
import re

import pytest

from imsuite.testing.server import serve
from tests.clients import Client
from tests.features import test_xep0398_avatars as avatars
from tests.features import test_xep0402_bookmarks as bookmarks

PASSWORD = "wherefore"
CLIENTS, CHANGES = 4, 60
PUBSUB = "http://jabber.org/protocol/pubsub"
NAMES = "abcdefgh"


class Writer:
    """In the place of a client: what it would send is kept."""

    received = ("<iq id='q' type='result'>",)

    def __init__(self):
        self.stanzas = []

    def says(self, xml):
        """Keep a stanza; it seems to be answered."""
        self.stanzas.append(xml)
        return self.received


def room(name):
    """Return the address of a room."""
    return f"{name}@x.lit"


def changes(chance, tag):
    """Return what one client sends."""
    writer = Writer()
    for n in range(CHANGES):
        name, picture = f"{tag}{n}", chance.choice([avatars.PNG, avatars.OTHER])
        some = chance.sample(NAMES, chance.randrange(5))
        old = [bookmarks.old(room(each), name=name) for each in some]
        match chance.randrange(8):
            case 0:
                bookmarks.adds(writer, room(chance.choice(NAMES)), name=name)
            case 1:
                bookmarks.removes(writer, room(chance.choice(NAMES)))
            case 2:
                bookmarks.writes(writer, *old)
            case 3:
                bookmarks.stores(writer, *old)
            case 4:
                avatars.puts(writer, picture)
            case 5:
                avatars.shows(writer, picture)
            case 6:
                avatars.shows_nothing(writer)
            case 7:
                avatars.hides(writer)
    return writer.stanzas


def asks(client, id, payload):
    """Return the answer to a question."""
    client.send(f"<iq type='get' id='{id}'>{payload}</iq>")
    return client.until(rf"<iq[^>]*id='{id}'.*?</iq>".encode())[0].decode()


def items(client, id, node):
    """Return the items of a node."""
    return asks(client, id, f"<pubsub xmlns='{PUBSUB}'><items node='{node}'/></pubsub>")


def says_all(clients, work):
    """Let clients send a few stanzas each, in turns, and wait until all of it is handled."""
    for start in range(0, max(map(len, work)), 5):
        for client, stanzas in zip(clients, work, strict=True):
            client.send("".join(stanzas[start : start + 5]))
    for client in clients:
        client.send("<iq type='get' id='end' to='example.org'><ping xmlns='urn:xmpp:ping'/></iq>")
    for client in clients:
        client.until(rb"<iq[^>]*id='end'[^>]*>")


@pytest.mark.parametrize("seed", range(3))
def test_all_forms_agree_in_the_end(tmp_path, seed):
    """XEP-0398 §3, XEP-0402 §5.2, XEP-0411 §4"""
    before = len(Client.made)
    try:
        with serve(store=f"sqlite:///{tmp_path / 'imsuite.db'}") as server:
            romeo = server.account("romeo", PASSWORD)
            clients = [Client(server).log_in(romeo, f"c{n}") for n in range(CLIENTS)]
            chance = random.Random(seed)
            says_all(clients, [changes(chance, "ABCD"[n]) for n in range(CLIENTS)])

            native = items(clients[0], "native", bookmarks.NODE)
            query = f"<query xmlns='jabber:iq:private'>{bookmarks.storage()}</query>"
            others = [
                items(clients[0], "pep", bookmarks.STORAGE),
                asks(clients[0], "private", query),
            ]
            rooms = sorted(re.findall(r"<item id='(.@x\.lit)'", native))
            names = sorted(re.findall(r" name='(\w+)'", native))
            for other in others:
                assert sorted(re.findall(r" jid='(.@x\.lit)'", other)) == rooms
                assert sorted(re.findall(r" name='(\w+)'", other)) == names

            metadata = items(clients[0], "avatar", avatars.METADATA)
            card = asks(clients[0], "card", "<vCard xmlns='vcard-temp'/>")
            for picture in (avatars.PNG, avatars.OTHER):
                assert (avatars.sha(picture) in metadata) == (avatars.b64(picture) in card)
    finally:
        Client.close_since(before)
