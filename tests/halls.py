"""A room as small as can be, for tests of what others keep and send for rooms.

It stands at hall.example.org. Whoever speaks there is in it by the resource as nickname, and errors
put people out.
"""

from imsuite.core.fanout import Fan
from imsuite.core.feature import Feature
from imsuite.core.interfaces import IArchive
from imsuite.testing.memory import MemoryServer
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import result

HALL = "hall.example.org"
ROOM = f"coven@{HALL}"


class Hall(Feature):
    """Rooms of which nothing is kept but what is said.

    inside: full JID → nickname; errors: what came back; archived: messages are; lasting: for good;
    sees: everybody may know who is who; done: how many messages were durable when they went out.
    """

    spec = "XEP-0045 1.35.4"

    def __init__(self, host, options):
        super().__init__(host, options)
        self.inside = {}
        self.errors = []
        self.archived = self.lasting = True
        self.sees = False
        self.done = 0

    @property
    def archive(self):
        return self.host.find_feature(IArchive)

    def serves(self):
        return [(HALL, self)]

    def loading(self, jid):
        return None

    def receive(self, passing):
        """Take a stanza for the room."""
        passing.host = self.host
        stanza = passing.stanza
        if stanza.kind == "iq":
            return self._answer(passing)
        if stanza.type == "error":
            self.errors.append((passing.sender.full, stanza))
            self.inside.pop(passing.sender.full, None)
            return None
        if stanza.kind != "message":
            return None
        nick = self.inside.get(passing.sender.full)
        if nick is None:
            raise StanzaError("not-acceptable")
        return self.tell(passing, stanza.amended({"from": f"{ROOM}/{nick}", "to": None}))

    def tell(self, passing, stanza):
        if self.archived:
            record, speaker = passing.keep(), passing.sender
            stanza = self.archive.hold(ROOM, record, stanza, speaker, self.lasting)
            passing.after(self._count)
        fan = Fan(self.host, stanza, passing.record)
        for full in list(self.inside):
            fan.send(full)
        return fan.finished()

    def _count(self):
        self.done += 1

    async def _answer(self, passing):
        if passing.stanza.type == "set" and passing.stanza.payload.name == "gone":
            await self.archive.abandon(ROOM)
            self.host.answer(passing, result(passing.stanza))
            return
        answer = await self.archive.answer(passing, ROOM, self.sees)
        self.host.answer(passing, answer)


def make(*words, **arguments):
    """Return a server with a hall, and the hall. words: that change the default features."""
    server = MemoryServer(features=["default", *words, Hall], **arguments)
    return server, server.host.features["halls"]


def enter(hall, *clients):
    """Let clients into the hall; their resources are their nicknames."""
    for client in clients:
        hall.inside[client.jid.full] = client.jid.resource


def said(text, id="m", inner=""):
    """Return a message to the room."""
    return f"<message to='{ROOM}' type='groupchat' id='{id}'><body>{text}</body>{inner}</message>"


def saying(client, *texts):
    """Let a client say something to the room."""
    for text in texts:
        client.says(said(text, text))
