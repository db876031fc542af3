"""XEP-0050 and XEP-0133 with a client that nobody here wrote: slixmpp, over TLS, on disk."""

import asyncio

import pytest
import slixmpp
from slixmpp.exceptions import IqError

from imsuite.testing.server import serve
from tests.postgres import empty_database

PATIENCE = 10  # seconds
ADMIN = "http://jabber.org/protocol/admin#"
PLUGINS = ("xep_0004", "xep_0030", "xep_0050", "xep_0133", "xep_0199")


class Person:
    """A client that runs commands by slixmpp's plugins."""

    def __init__(self, server, account, resource):
        client = self.client = slixmpp.ClientXMPP(f"{account.jid}/{resource}", account.password)
        for plugin in PLUGINS:
            client.register_plugin(plugin)
        client.ca_certs = server.ca_file
        loop = asyncio.get_running_loop()
        self._online, self.gone = loop.create_future(), loop.create_future()
        self.headlines = asyncio.Queue()
        client.add_event_handler("session_start", self._start)
        client.add_event_handler("disconnected", self._end)
        client.add_event_handler("message", self._hear)
        client.connect(server.host, server.port)

    async def _start(self, _event):
        self.client.send_presence()
        await self.client.get_roster()
        self._online.set_result(None)

    def _end(self, _event):
        if not self.gone.done():
            self.gone.set_result(None)

    def _hear(self, message):
        if message["type"] == "headline":
            self.headlines.put_nowait(message["body"])

    async def online(self):
        await asyncio.wait_for(self._online, PATIENCE)
        return self

    async def nodes(self):
        items = await self.client.plugin["xep_0133"].get_commands(timeout=PATIENCE)
        return {node for _, node, _ in items["disco_items"]["items"]}

    def _form(self, values):
        form = self.client.plugin["xep_0004"].make_form(ftype="submit")
        form.add_field(var="FORM_TYPE", ftype="hidden", value=ADMIN[:-1])
        for var, value in values.items():
            form.add_field(var=var, value=value)
        return form

    async def runs(self, word, **values):
        """Run a command by the plugin for XEP-0133; return the last answer."""
        over = asyncio.get_running_loop().create_future()

        def fill_in(iq, session):
            if iq["command"]["status"] == "completed":
                over.set_result(iq)
                return
            session["payload"] = self._form(values)
            session["next"] = fill_in
            self.client.plugin["xep_0050"].complete_command(session)

        getattr(self.client.plugin["xep_0133"], word)(session={"next": fill_in})
        return await asyncio.wait_for(over, PATIENCE)

    async def refused(self, word, **values):
        """Run a command that fails, by the plugin for XEP-0050; return the condition."""
        send, node = self.client.plugin["xep_0050"].send_command, ADMIN + word

        async def run():
            begun = await send("example.org", node, timeout=PATIENCE)
            await send(
                "example.org",
                node,
                action="complete",
                payload=self._form(values),
                sessionid=begun["command"]["sessionid"],
                timeout=PATIENCE,
            )

        with pytest.raises(IqError) as caught:
            await run()
        return caught.value.condition

    async def leaves(self):
        await self.client.disconnect()


def note(iq):
    """Return the notes of an answer."""
    return [text for _, text in iq["command"]["notes"]]


def fields(iq):
    """Return the values that an answer shows."""
    return iq["command"]["form"].get_values()


async def administers(server):
    boss = await Person(server, server.account("escalus", admin=True), "palace").online()
    romeo_account = server.account("romeo")
    romeo = await Person(server, romeo_account, "orchard").online()
    assert await romeo.nodes() == set()
    assert {ADMIN + "add-user", ADMIN + "shutdown"} <= await boss.nodes()
    assert await romeo.refused("get-online-users-num") == "forbidden"
    assert fields(await boss.runs("get_online_users_num"))["onlineusersnum"] == "2"

    made = {"accountjid": "paris@example.org", "password": "pencil", "password-verify": "pencil"}
    assert note(await boss.runs("add_user", **made)) == ["paris@example.org was added."]
    assert await boss.refused("add-user", **made) == "conflict"
    listed = fields(await boss.runs("get_registered_users_list", max_items="25"))
    assert listed["registereduserjids"] == [
        f"{name}@example.org" for name in ("escalus", "paris", "romeo")
    ]

    await boss.runs("announce", announcement="Rebellious subjects!")
    heard = await asyncio.wait_for(romeo.headlines.get(), PATIENCE)
    assert heard == "Rebellious subjects!"

    await boss.runs("edit_blacklist", blacklistjids=["mantua.lit", "padua.lit"])
    assert note(await boss.runs("edit_blacklist", blacklistjids=["padua.lit"])) == [
        "On the blacklist now: 1."
    ]
    await boss.runs("set_motd", motd="For blood of ours, shed blood of Montague.")
    heard = await asyncio.wait_for(romeo.headlines.get(), PATIENCE)
    assert heard == "For blood of ours, shed blood of Montague."
    stats = fields(await boss.runs("user_stats", accountjid="romeo@example.org"))
    assert stats["onlineresources"] == ["orchard"]

    assert note(await boss.runs("disable_user", accountjids=["romeo@example.org"])) == [
        "1 disabled."
    ]
    await asyncio.wait_for(romeo.gone, PATIENCE)
    assert fields(await boss.runs("get_disabled_users_num"))["disabledusersnum"] == "1"
    for person in (boss, romeo):
        await person.leaves()


@pytest.fixture(params=["sqlite", "postgresql"])
def store(request, tmp_path):
    """URL of an empty database."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path}/verona.db"
    return empty_database()


def test_slixmpp_administers_the_server(store):
    """§4.1, §4.3, §4.10, §4.11, §4.13-§4.15, §4.18, §4.23, §5."""
    with serve("example.org", store=store) as server:
        asyncio.run(administers(server))
        assert server.failures.take() == []
