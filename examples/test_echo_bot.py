"""A bot, tested against a real server: `pytest examples/test_echo_bot.py`."""

import asyncio

import slixmpp

from examples.echo_bot import EchoBot


def test_the_bot_repeats_what_it_is_told(imsuite_server):
    """What romeo says to the bot comes back."""
    accounts = [imsuite_server.account(name) for name in ("bot", "romeo")]

    async def talk():
        bot, romeo = (
            kind(account.jid, account.password)
            for kind, account in zip((EchoBot, slixmpp.ClientXMPP), accounts, strict=True)
        )
        for client in (bot, romeo):
            client.ca_certs = imsuite_server.ca_file
            client.connect(imsuite_server.host, imsuite_server.port)
            await client.wait_until("session_start", timeout=10)
        romeo.send_message(bot.boundjid.full, "But, soft!", mtype="chat")
        answer = await romeo.wait_until("message", timeout=10)
        await asyncio.gather(romeo.disconnect(), bot.disconnect())
        return answer["body"]

    assert asyncio.run(talk()) == "But, soft!"
