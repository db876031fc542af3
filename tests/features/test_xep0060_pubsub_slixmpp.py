"""XEP-0060 with a client that nobody here wrote: slixmpp and its plugin, over TLS."""

import asyncio
from xml.etree import ElementTree

import pytest
import slixmpp
from slixmpp.exceptions import IqError

from imsuite.testing.server import serve

PATIENCE = 10  # seconds
NODE = "princely_musings"
SERVICE = "pubsub.example.org"
ATOM = "{http://www.w3.org/2005/Atom}"
EVENTS = ("publish", "retract", "purge", "delete", "config", "subscription")


def entry(title):
    """Return a payload."""
    made = ElementTree.Element(f"{ATOM}entry")
    ElementTree.SubElement(made, f"{ATOM}title").text = title
    return made


class Person:
    """A client. heard: kinds of events and the messages."""

    def __init__(self, server, account):
        client = self.client = slixmpp.ClientXMPP(f"{account.jid}/x", account.password)
        client.register_plugin("xep_0060")
        client.register_plugin("xep_0059")
        client.ca_certs = server.ca_file
        self.pubsub = client.plugin["xep_0060"]
        self.heard = asyncio.Queue()
        self._online = asyncio.get_running_loop().create_future()
        client.add_event_handler("session_start", self._start)
        for kind in EVENTS:
            client.add_event_handler(
                f"pubsub_{kind}", lambda message, kind=kind: self.heard.put_nowait((kind, message))
            )
        client.connect(server.host, server.port)

    async def _start(self, _event):
        self.client.send_presence()
        self._online.set_result(None)

    async def online(self):
        await asyncio.wait_for(self._online, PATIENCE)
        return self

    async def hears(self, kind):
        """Return the next event, which is of that kind."""
        found, message = await asyncio.wait_for(self.heard.get(), PATIENCE)
        assert found == kind, message
        return message["pubsub_event"]


def run(conversation):
    """Run a conversation between romeo and juliet."""

    async def main(server, accounts):
        people = [Person(server, account) for account in accounts]
        try:
            for person in people:
                await person.online()
            await conversation(*people)
        finally:
            for person in people:
                await person.client.disconnect()

    with serve() as server:
        asyncio.run(main(server, [server.account(name) for name in ("romeo", "juliet")]))


def test_life_of_a_node():
    """§5, §6, §7, §8: create, configure, subscribe, publish, receive, retract, purge, delete."""

    async def conversation(romeo, juliet):
        await romeo.pubsub.create_node(SERVICE, NODE)
        config = (await romeo.pubsub.get_node_config(SERVICE, NODE))["pubsub_owner"]["configure"]
        form = config["form"]
        assert form["values"]["pubsub#access_model"] == "open"
        form["type"] = "submit"
        answers = form["values"]
        answers["pubsub#title"] = "Musings"
        answers["pubsub#notify_config"] = True
        form["values"] = answers
        await romeo.pubsub.set_node_config(SERVICE, NODE, form)
        again = (await romeo.pubsub.get_node_config(SERVICE, NODE))["pubsub_owner"]["configure"]
        assert again["form"]["values"]["pubsub#title"] == "Musings"

        nodes = await juliet.pubsub.get_nodes(SERVICE)
        assert (SERVICE, NODE, "Musings") in nodes["disco_items"]["items"]
        made = await juliet.pubsub.subscribe(SERVICE, NODE)
        assert made["pubsub"]["subscription"]["subscription"] == "subscribed"
        mine = await juliet.pubsub.get_subscriptions(SERVICE)
        assert [each["node"] for each in mine["pubsub"]["subscriptions"]] == [NODE]

        answer = await romeo.pubsub.publish(SERVICE, NODE, id="one", payload=entry("Soliloquy"))
        assert answer["pubsub"]["publish"]["item"]["id"] == "one"
        items = (await juliet.hears("publish"))["items"]
        assert items["node"] == NODE
        assert items["item"]["payload"].findtext(f"{ATOM}title") == "Soliloquy"
        await romeo.pubsub.publish(SERVICE, NODE, payload=entry("Alone"))
        await juliet.hears("publish")
        got = await juliet.pubsub.get_items(SERVICE, NODE)
        titles = [i["payload"].findtext(f"{ATOM}title") for i in got["pubsub"]["items"]]
        assert titles == ["Soliloquy", "Alone"]

        await romeo.pubsub.retract(SERVICE, NODE, "one", notify=True)
        assert (await juliet.hears("retract"))["items"]["retract"]["id"] == "one"
        await romeo.pubsub.purge(SERVICE, NODE)
        await juliet.hears("purge")
        await romeo.pubsub.delete_node(SERVICE, NODE)
        await juliet.hears("delete")
        with pytest.raises(IqError) as caught:
            await juliet.pubsub.get_items(SERVICE, NODE)
        assert caught.value.condition == "item-not-found"

    run(conversation)


def test_people_of_a_node():
    """§8.8, §8.9: affiliations, and what they let do."""

    async def conversation(romeo, juliet):
        await romeo.pubsub.create_node(SERVICE, NODE)
        with pytest.raises(IqError) as caught:
            await juliet.pubsub.publish(SERVICE, NODE, payload=entry("no"))
        assert caught.value.condition == "forbidden"
        hers = juliet.client.boundjid.bare
        await romeo.pubsub.modify_affiliations(SERVICE, NODE, [(hers, "publisher")])
        await juliet.pubsub.publish(SERVICE, NODE, payload=entry("yes"))
        await juliet.pubsub.subscribe(SERVICE, NODE)
        assert (await juliet.hears("publish"))["items"]["node"] == NODE
        await juliet.pubsub.unsubscribe(SERVICE, NODE)
        await juliet.pubsub.publish(SERVICE, NODE, payload=entry("unheard"))
        assert juliet.heard.empty()

    run(conversation)
