"""A server that ends by a command."""

import pytest
from twisted.internet.task import Clock

from imsuite.app.leaving import AGAIN, SOON, Leaving


class Ending:
    """As much of a server as can end."""

    def __init__(self):
        self.reactor = Clock()
        self.stopped = 0

    def stopService(self):
        self.stopped += 1


@pytest.fixture
def server():
    return Ending()


def test_a_part_of_another_program_stops_alone(server):
    Leaving(server).begin(0, False)
    server.reactor.advance(SOON)
    assert server.stopped == 1


def test_a_program_ends_as_a_whole(server):
    ended = []
    leaving = Leaving(server)
    leaving.end = ended.append
    leaving.begin(3, True)
    server.reactor.advance(3)
    assert (ended, server.stopped, leaving.due) == ([True], 0, False)


def test_a_server_that_stops_by_itself_does_not_stop_twice(server):
    leaving = Leaving(server)
    leaving.startService()
    leaving.begin(3, False)
    leaving.stopService()
    assert not server.reactor.getDelayedCalls()


@pytest.mark.parametrize(("word", "status"), [("stop", 0), ("restart", AGAIN)])
def test_the_exit_status_tells_the_supervisor(launch, config, ctl, word, status):
    """systemd: Restart=on-failure starts it again only where that was wanted."""
    file = config()
    process = launch(file).started()
    done = ctl(file, word, "--text", "Good night!")
    assert (done.exit_code, done.output) == (0, f"the server will {word}\n")
    assert process.ended() == status
    assert any(f"will {word} in" in line for line in process.lines)
    assert not any("Traceback" in line for line in process.lines)
