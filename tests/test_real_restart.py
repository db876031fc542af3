"""XEP-0198 §5: a client that nobody here wrote goes on where it was, whatever the server did.

slixmpp over TLS at `twistd -n imsuite`, which is killed or stopped and started again.
"""

import signal

import pytest

from tests.people import Slixmpp
from tests.served import served

HOSTS = '[hosts."localhost"]\n'
PASSWORD = "wherefore-art-thou"
ROMEO, JULIET = "romeo@localhost/orchard", "juliet@localhost/balcony"


class Resuming(Slixmpp):
    """slixmpp with stream management, which connects again whenever its link is lost."""

    def __init__(self, *given):
        super().__init__(*given, plugins=("xep_0198",))
        self._closing = False

    async def _connect(self):
        await super()._connect()
        client = self.client
        for event in ("sm_enabled", "session_resumed"):
            client.add_event_handler(event, lambda _, event=event: self.ears.tell(event))
        client.add_event_handler("disconnected", lambda _: self._again())

    def _again(self):
        if not self._closing:
            self.client.connect(self.server.host, self.server.port)

    async def _end(self):
        self._closing = True
        await super()._end()
        self.client._run_out_filters = None  # which it would cancel when the loop is gone

    def _distrust(self, why):
        """It tries again by itself: the server may not be there yet."""


@pytest.fixture
def server(tmp_path):
    with served(tmp_path, HOSTS) as server:
        names = f"romeo@localhost {PASSWORD}\njuliet@localhost {PASSWORD}\n"
        server.ctl("adduser", "--from", "-", given=names)
        yield server


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGTERM])
def test_slixmpp_resumes_its_session_after_a_restart(server, ending):
    """Nothing is lost, nothing comes twice, and friends see no leave."""
    romeo, juliet = (Resuming(server, jid, PASSWORD) for jid in (ROMEO, JULIET))
    try:
        for each in (romeo, juliet):
            each.log_in()
            each.ears.wait(("sm_enabled",))
        romeo.befriend(juliet.bare)
        romeo.sees(juliet.bare, True)
        juliet.sees(romeo.bare, True)
        romeo.say(juliet.bare, "before")
        juliet.hears(romeo.bare, "before")
        server.restart(ending)
        for each in (romeo, juliet):
            each.ears.wait(("session_resumed",))
        romeo.say(juliet.bare, "after")
        juliet.hears(romeo.bare, "after")
        juliet.say(romeo.bare, "yes")
        romeo.hears(juliet.bare, "yes")
        assert [message["body"] for message in juliet.messages] == ["before", "after"]
        assert [message["body"] for message in romeo.messages] == ["yes"]
        assert not romeo.ears.heard("sees", juliet.bare, False)
        assert not juliet.ears.heard("sees", romeo.bare, False)
    finally:
        romeo.close()
        juliet.close()
