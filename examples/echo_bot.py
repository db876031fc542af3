"""A slixmpp bot that answers every message with the same words."""

import slixmpp


class EchoBot(slixmpp.ClientXMPP):
    """The bot. Its test is test_echo_bot.py."""

    def __init__(self, jid: str, password: str) -> None:
        super().__init__(jid, password)
        self.add_event_handler("session_start", lambda event: self.send_presence())
        self.add_event_handler("message", lambda message: message.reply(message["body"]).send())
