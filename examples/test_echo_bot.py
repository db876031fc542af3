"""A slixmpp bot, tested against a real server: `pytest examples/test_echo_bot.py`."""

import asyncio

import slixmpp


class EchoBot(slixmpp.ClientXMPP):
    """Answers every message with the same words."""

    def __init__(self, jid, password):
        super().__init__(jid, password)
        self.add_event_handler("session_start", lambda event: self.send_presence())
        self.add_event_handler("message", lambda message: message.reply(message["body"]).send())


async def connected(client, server):
    """Connect a client, with the certificate verified, and wait until it is logged in."""
    client.ca_certs = server.ca_file
    client.connect(server.host, server.port)
    await client.wait_until("session_start", timeout=10)


def test_the_bot_repeats_what_it_is_told(imsuite_server):
    """What romeo says to the bot comes back."""

    async def talk():
        bot = EchoBot(*account("bot"))
        romeo = slixmpp.ClientXMPP(*account("romeo"))
        await connected(bot, imsuite_server)
        await connected(romeo, imsuite_server)
        romeo.send_message(bot.boundjid.full, "But, soft!", mtype="chat")
        answer = await romeo.wait_until("message", timeout=10)
        await romeo.disconnect()
        await bot.disconnect()
        return answer["body"]

    def account(name):
        made = imsuite_server.account(name)
        return made.jid, made.password

    assert asyncio.run(talk()) == "But, soft!"
