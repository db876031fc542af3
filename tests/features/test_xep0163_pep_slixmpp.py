"""XEP-0163 with clients that nobody here wrote: slixmpp and its plugins, over TLS."""

import asyncio

import pytest
import slixmpp

from imsuite.testing.server import serve

PATIENCE = 10  # seconds
EVENTS = {
    "user_tune_publish": lambda item: item["tune"]["title"],
    "user_nick_publish": lambda item: item["nick"]["nick"],
    "avatar_metadata_publish": lambda item: item["avatar_metadata"]["items"][0]["id"],
}


class Person:
    """A client. heard: (event, from, what) of what contacts and itself published."""

    def __init__(self, server, account, resource, *, plugins):
        client = self.client = slixmpp.ClientXMPP(f"{account.jid}/{resource}", account.password)
        for plugin in ("xep_0030", "xep_0115", "xep_0163", "xep_0199", *plugins):
            client.register_plugin(plugin)
        client.ca_certs = server.ca_file
        self.heard = asyncio.Queue()
        self._online = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_start", self._start)
        for event, read in EVENTS.items():
            client.add_event_handler(
                event, lambda message, event=event, read=read: self._hear(event, read, message)
            )
        client.connect(server.host, server.port)

    async def _start(self, _event):
        # some plugins say what they can only now, when the hash of all that is made
        await self.client.plugin["xep_0115"].update_caps(broadcast=False)
        self.client.send_presence()
        await self.client.get_roster()
        self._online.set_result(None)

    def _hear(self, event, read, message):
        item = message["pubsub_event"]["items"]["item"]
        self.heard.put_nowait((event, message["from"].full, read(item)))

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

    async def befriends(self, other):
        """Subscribe to each other's presence; slixmpp approves by itself."""
        seen = asyncio.get_running_loop().create_future()
        theirs = other.client.boundjid.bare

        def see(presence):
            if presence["from"].bare == theirs and not seen.done():
                seen.set_result(None)

        self.client.add_event_handler("presence_available", see)
        self.client.send_presence_subscription(theirs)
        await asyncio.wait_for(seen, PATIENCE)
        self.client.del_event_handler("presence_available", see)


def run(conversation):
    """Run a conversation with a server; its people leave at the end."""

    async def main(server):
        people = []

        async def come(account, resource, *plugins):
            people.append(Person(server, account, resource, plugins=plugins))
            return await people[-1].online()

        try:
            await conversation(server, come)
        finally:
            for person in people:
                await person.client.disconnect()

    with serve() as server:
        asyncio.run(main(server))


@pytest.fixture
def art():
    return b"\x89PNG\r\n\x1a\n not really"


def test_tune_nick_and_avatar_are_heard(art):
    """§3, §4: by contacts that are interested, at once and when they come later."""

    async def conversation(server, come):
        romeo = await come(server.account("romeo"), "orchard", "xep_0118", "xep_0172", "xep_0084")
        account = server.account("juliet")
        juliet = await come(account, "balcony", "xep_0118", "xep_0172", "xep_0084")
        await juliet.befriends(romeo)
        await romeo.client.plugin["xep_0118"].publish_tune(title="Introduction", length=255)
        heard = ("user_tune_publish", romeo.client.boundjid.bare, "Introduction")
        assert await juliet.hears() == heard
        assert await romeo.hears() == heard
        await romeo.client.plugin["xep_0172"].publish_nick("Montague")
        assert (await juliet.hears())[2] == "Montague"
        avatars = romeo.client.plugin["xep_0084"]
        id = avatars.generate_id(art)
        await avatars.publish_avatar(art)
        await avatars.publish_avatar_metadata({"id": id, "type": "image/png", "bytes": len(art)})
        assert (await juliet.hears())[2] == id
        whose = slixmpp.JID(romeo.client.boundjid.bare)
        data = await juliet.client.plugin["xep_0084"].retrieve_avatar(whose, id)
        assert data["pubsub"]["items"]["item"]["avatar_data"]["value"] == art
        chamber = await come(account, "chamber", "xep_0118")
        assert await chamber.hears() == heard
        await chamber.ping()
        assert chamber.heard.empty()

    run(conversation)
