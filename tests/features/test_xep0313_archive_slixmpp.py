"""XEP-0313 with a client that nobody here wrote: slixmpp and its plugins, over TLS, on disk."""

import asyncio
from xml.etree.ElementTree import fromstring

import pytest
import slixmpp
from slixmpp import JID

from imsuite.testing.server import serve
from tests.archives import FULLTEXT, MAM, form
from tests.postgres import empty_database

PATIENCE = 10  # seconds
COUNT = 73
PLUGINS = ("xep_0030", "xep_0199", "xep_0313", "xep_0359", "xep_0424", "xep_0441")


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/archive.db"
    return empty_database()


class Person:
    """A client with its archive."""

    def __init__(self, server, account, resource):
        client = self.client = slixmpp.ClientXMPP(f"{account.jid}/{resource}", account.password)
        for plugin in PLUGINS:
            client.register_plugin(plugin)
        client.ca_certs = server.ca_file
        self._online = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_start", self._start)
        client.connect(server.host, server.port)

    async def _start(self, _event):
        self.client.send_presence()
        await self.client.get_roster()
        self._online.set_result(None)

    async def online(self):
        await asyncio.wait_for(self._online, PATIENCE)
        return self

    async def ping(self):
        """Return when everything that was sent before is handled."""
        await asyncio.wait_for(self.client.plugin["xep_0199"].send_ping("example.org"), PATIENCE)

    async def search(self, text):
        """Return how many messages have these words (XEP-0059 §2.7), as the server counts them."""
        request = self.client.make_iq_set()
        page = "<set xmlns='http://jabber.org/protocol/rsm'><max>0</max></set>"
        query = f"<query xmlns='{MAM}'>{form({FULLTEXT: text})}{page}</query>"
        request.append(fromstring(query))
        answer = await request.send(timeout=PATIENCE)
        return int(answer["mam_fin"]["rsm"]["count"])

    async def history(self, **asked):
        """Return the bodies of all that its archive gives, page by page."""
        found = []
        async for message in self.client.plugin["xep_0313"].iterate(**asked):
            found.append(message["mam_result"]["forwarded"]["stanza"]["body"])
        return found


async def conversation(server):
    """Return Romeo and Juliet, after he has said much."""
    romeo = await Person(server, server.account("romeo"), "orchard").online()
    hers = server.account("juliet")
    juliet = await Person(server, hers, "balcony").online()
    for number in range(COUNT):
        romeo.client.send_message("juliet@example.org", f"r{number}", mtype="chat")
    await romeo.ping()
    return romeo, juliet, hers


async def leave(*people):
    for person in people:
        await person.client.disconnect()


def test_the_whole_conversation_page_by_page(store):
    """§4.3: forwards and backwards, with and without a filter."""

    async def read(server):
        romeo, juliet, hers = await conversation(server)
        expected = [f"r{number}" for number in range(COUNT)]
        assert await juliet.history() == expected
        assert await juliet.history(rsm={"max": 7}) == expected
        assert (
            await juliet.history(with_jid=JID("romeo@example.org"), reverse=True) == expected[::-1]
        )
        assert await juliet.history(with_jid=JID("nurse@example.org")) == []
        assert await romeo.history(total=5) == expected[:5]
        later = await Person(server, hers, "chamber").online()
        assert await later.history() == expected
        await leave(romeo, juliet, later)

    with serve(store=store) as server:
        asyncio.run(read(server))


def test_what_a_client_finds_out_first(store):
    """§4.1.5, §5, §7"""

    async def look(server):
        romeo, juliet, _ = await conversation(server)
        mam = juliet.client.plugin["xep_0313"]
        info = await juliet.client.plugin["xep_0030"].get_info("juliet@example.org")
        features = info["disco_info"]["features"]
        assert {"urn:xmpp:mam:2", "urn:xmpp:mam:2#extended", "urn:xmpp:fulltext:0"} <= features
        fields = await mam.get_fields()
        assert {"with", "start", "end", "before-id", "after-id", "ids"} <= set(fields.get_fields())
        metadata = (await mam.get_archive_metadata())["mam_metadata"]
        assert metadata["start"]["id"] < metadata["end"]["id"]
        assert metadata["start"]["timestamp"] <= metadata["end"]["timestamp"]
        await leave(romeo, juliet)

    with serve(store=store) as server:
        asyncio.run(look(server))


def test_words_are_found(store):
    """XEP-0431: whatever the database is, and whatever is written."""

    async def search(server):
        romeo, juliet, _ = await conversation(server)
        said = ("Parting is such sweet sorrow", "sweet dreams", "it's 5 & 'sweet' ✨")
        for text in (*said, "Épée, 薔薇です, Straße"):
            romeo.client.send_message("juliet@example.org", text, mtype="chat")
        await romeo.ping()
        found = {
            "sweet": 3,
            "SORROW sweet": 1,
            "r7": 1,
            "r": 0,
            "swee": 0,
            "swe*": 0,
            "epee": 1,
            "sweet | dreams": 1,
            "sweet:A": 0,
            "!sweet": 3,
            "5 sweet": 1,
            "sweet' OR '1": 0,
            "\\ sweet": 3,
            "it's": 1,
            "薔薇": 1,
            "薇薔": 0,
            "STRASSE": 1,
        }
        for person in (romeo, juliet):
            assert {text: await person.search(text) for text in found} == found
        await leave(romeo, juliet)

    with serve(store=store) as server:
        asyncio.run(search(server))


def test_preferences_and_retraction(store):
    """XEP-0441; XEP-0424 §4"""

    async def change(server):
        romeo, juliet, _ = await conversation(server)
        retraction = romeo.client.plugin["xep_0424"]
        message = romeo.client.make_message("juliet@example.org", "a secret", mtype="chat")
        message["id"] = "m1"
        message.send()
        retraction.send_retraction(JID("juliet@example.org"), "m1", mtype="chat")
        await romeo.ping()
        assert "a secret" not in await juliet.history()
        assert "a secret" not in await romeo.history()
        prefs = juliet.client.plugin["xep_0441"]
        await prefs.set_preferences(default="always", never=[JID("romeo@example.org")])
        default, always, never = await prefs.get_preferences()
        assert (default, set(always), set(never)) == ("always", set(), {JID("romeo@example.org")})
        romeo.client.send_message("juliet@example.org", "not kept", mtype="chat")
        await romeo.ping()
        assert "not kept" not in await juliet.history()
        assert "not kept" in await romeo.history()
        await leave(romeo, juliet)

    with serve(store=store) as server:
        asyncio.run(change(server))
