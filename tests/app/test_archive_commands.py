"""imsuitectl retention: how long the messages of one account are kept."""

import pytest

from imsuite.app.command import CommandError, WrongArguments
from imsuite.app.commands import find
from imsuite.testing.memory import MemoryServer, now


class Asked:
    """What the command needs of a server, with one in memory behind it."""

    running = True

    def __init__(self, memory):
        self.hosts = {host.domain: host for host in memory.hosts}


def retention(server, jid, days=""):
    """Return what the command says of the account."""
    result = now(find("retention").run(Asked(server), {"jid": jid, "days": days}))
    ((account, found),) = result.rows
    assert account == "romeo@example.org"
    return found


def test_it_is_told_and_said(server, romeo):
    """Of an account of which nothing is said it is the domain that says it."""
    assert retention(server, "romeo@example.org") == "standard"
    assert retention(server, "Romeo@example.org", "30") == 30
    assert retention(server, "romeo@example.org") == 30
    assert retention(server, "romeo@example.org", "0") == 0
    assert retention(server, "romeo@example.org", "standard") == "standard"


@pytest.mark.parametrize(
    ("jid", "days", "error"),
    [
        ("romeo@example.org", "many", WrongArguments),
        ("romeo@example.org", "-1", WrongArguments),
        ("romeo@example.org", "99999", CommandError),
        ("nobody@example.org", "3", CommandError),
        ("romeo@example.com", "3", CommandError),
        ("example.org", "3", CommandError),
    ],
)
def test_what_is_refused(server, romeo, jid, days, error):
    with pytest.raises(error):
        retention(server, jid, days)
    assert retention(server, "romeo@example.org") == "standard"


def test_without_archives():
    server = MemoryServer(features=["default", "-archive"])
    server.account("romeo@example.org")
    with pytest.raises(CommandError, match="archive is off"):
        retention(server, "romeo@example.org", "3")
    server.stop()
