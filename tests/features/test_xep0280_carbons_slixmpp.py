"""XEP-0280 with three clients that nobody here wrote: slixmpp and its plugins, over TLS."""

import asyncio

import pytest
import slixmpp

from imsuite.testing.server import serve

PATIENCE = 10  # seconds


class Person:
    """A client. heard: ("plain", "sent" or "received", body) of what came."""

    def __init__(self, server, account, resource, *, carbons):
        client = self.client = slixmpp.ClientXMPP(f"{account.jid}/{resource}", account.password)
        for plugin in ("xep_0030", "xep_0085", "xep_0184", "xep_0199", "xep_0280", "xep_0352"):
            client.register_plugin(plugin)
        client.ca_certs = server.ca_file
        self.heard = asyncio.Queue()
        self._carbons = carbons
        self._online = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_start", self._start)
        client.add_event_handler("message", lambda message: self._hear("plain", message))
        for word in ("sent", "received"):
            client.add_event_handler(
                f"carbon_{word}",
                lambda copy, word=word: self._hear(word, copy[f"carbon_{word}"]),
            )
        client.connect(server.host, server.port)

    async def _start(self, _event):
        self.client.send_presence()
        await self.client.get_roster()
        if self._carbons:
            await self.client.plugin["xep_0280"].enable()
        self._online.set_result(None)

    def _hear(self, how, message):
        if message["body"]:
            self.heard.put_nowait((how, message["body"]))

    async def online(self):
        await asyncio.wait_for(self._online, PATIENCE)
        return self

    async def hears(self):
        return await asyncio.wait_for(self.heard.get(), PATIENCE)

    async def ping(self):
        """Return when everything that the server sent before has come."""
        await asyncio.wait_for(
            self.client.plugin["xep_0199"].send_ping(self.client.boundjid.domain), PATIENCE
        )


async def everybody(server):
    romeo, juliet = server.account("romeo"), server.account("juliet")
    people = [
        Person(server, romeo, "home", carbons=True),
        Person(server, romeo, "garden", carbons=True),
        Person(server, romeo, "orchard", carbons=False),
        Person(server, juliet, "balcony", carbons=True),
    ]
    return [await person.online() for person in people]


async def leave(*people):
    for person in people:
        await person.client.disconnect()


def test_a_conversation_on_every_device():
    """§2, §7, §8: both sides of it, once each."""

    async def converse(server):
        home, garden, orchard, juliet = people = await everybody(server)
        juliet.client.send_message("romeo@example.org/home", "art thou not Romeo", mtype="chat")
        assert await home.hears() == ("plain", "art thou not Romeo")
        assert await garden.hears() == ("received", "art thou not Romeo")
        home.client.send_message("juliet@example.org/balcony", "neither", mtype="chat")
        assert await juliet.hears() == ("plain", "neither")
        assert await garden.hears() == ("sent", "neither")
        orchard.client.send_message("juliet@example.org", "from the orchard", mtype="chat")
        assert await juliet.hears() == ("plain", "from the orchard")
        assert await garden.hears() == await home.hears() == ("sent", "from the orchard")
        for person in people:
            await person.ping()
            assert person.heard.empty()
        await leave(*people)

    with serve() as server:
        asyncio.run(converse(server))


@pytest.mark.parametrize("on_disk", [True, False])
def test_order_and_number_of_many_copies(tmp_path, on_disk):
    """§7, §8: a device sees the conversation as it was, whoever sends how fast.

    Also where one message has to be written down first and the one behind it has not.
    """
    count = 50

    async def flood(server):
        home, garden, _, juliet = people = await everybody(server)
        for n in range(count):
            for speaker, to in ((home, "juliet@example.org"), (juliet, "romeo@example.org/home")):
                word = speaker.client.boundjid.user[0]
                for kind, hint in (("kept", ""), ("passing", "<no-store xmlns='urn:xmpp:hints'/>")):
                    speaker.client.send_raw(
                        f"<message to='{to}' type='chat'>"
                        f"<body>{word} {n} {kind}</body>{hint}</message>"
                    )
        heard = [await garden.hears() for _ in range(4 * count)]
        for how, word in (("sent", "r"), ("received", "j")):
            assert [body for each, body in heard if each == how] == [
                f"{word} {n} {kind}" for n in range(count) for kind in ("kept", "passing")
            ]
        await garden.ping()
        assert garden.heard.empty()
        await leave(*people)

    store = f"sqlite:///{tmp_path / 'imsuite.db'}" if on_disk else "sqlite:///:memory:"
    with serve(store=store) as server:
        asyncio.run(flood(server))


def test_an_inactive_device_hears_at_once_what_matters():
    """XEP-0352: slixmpp's plugin says that nobody looks."""

    async def doze(server):
        home, garden, _, juliet = people = await everybody(server)
        garden.client.plugin["xep_0352"].send_inactive()
        await garden.ping()
        juliet.client.send_message("romeo@example.org", "wake up", mtype="chat")
        assert await garden.hears() == await home.hears() == ("plain", "wake up")
        garden.client.plugin["xep_0352"].send_active()
        assert garden.client.plugin["xep_0352"].enabled
        await leave(*people)

    with serve() as server:
        asyncio.run(doze(server))
