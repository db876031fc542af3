"""A room in memory, with people in it, for tests of what else there is about rooms."""

from imsuite.core.service_interfaces import IRooms
from imsuite.features.xep0045_muc.room import Entry
from imsuite.testing.memory import now
from imsuite.xmpp.stanza import Stanza

COVEN = "coven@conference.example.org"
NS_MUC = "http://jabber.org/protocol/muc"


def enters(client, room=COVEN, nick=None):
    """Let a client into the room; its resource is its nickname. Return what it receives."""
    nick = nick or client.jid.resource
    x = f"<x xmlns='{NS_MUC}'/>"
    return client.says(f"<presence to='{room}/{nick}'>{x}</presence>")


def meets(server, *clients, room=COVEN, **config):
    """Let clients meet in a room that the first of them makes; what they receive is forgotten.

    config: settings, by their short names. Return the Room.
    """
    enters(clients[0], room)
    made = the_room(server, room)
    made.locked = False
    for name, value in config.items():
        made.config = made.config.changed({name: value})
    for client in clients[1:]:
        enters(client, room)
    for client in clients:
        client.forget()
    return made


def the_room(server, room=COVEN):
    """Return a room as the server has it."""
    return now(server.host.find_feature(IRooms).load(room))


def affiliates(room, bare, affiliation, nick=""):
    """Make somebody a member, or whatever else, without any of them hearing of it."""
    room.put(bare, Entry(affiliation, nick))


def tells(client, text, room=COVEN, id=None, inner=""):
    """Let a client say something to all; return what it receives."""
    id = text if id is None else id
    body = f"<body>{text}</body>" if text else ""
    return client.says(f"<message to='{room}' type='groupchat' id='{id}'>{body}{inner}</message>")


def heard(client):
    """Return the messages to all that a client has received, as stanzas; and forget them."""
    found = [stanza for stanza in client.stanzas if stanza.type == "groupchat"]
    client.forget()
    return found


def stanza_id(stanza: Stanza, room=COVEN):
    """Return the id that the room gave a message."""
    found = stanza.child("urn:xmpp:sid:0", "stanza-id")
    assert found["by"] == room
    return found["id"]
