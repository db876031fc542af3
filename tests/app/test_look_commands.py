"""user, roster, counts and online."""

import pytest

from imsuite.app.command import CommandError
from imsuite.app.look_commands import counts, online, roster, user
from imsuite.store.users import NoSuchAccount
from imsuite.testing.memory import MemoryServer, befriend, now


def told(command, server, **given):
    return now(command.run(server.service, given))


def test_an_account_is_described(server, romeo, juliet):
    befriend(romeo, juliet)
    known = dict(told(user, server, jid="juliet@example.org").rows)
    assert known["account"] == "juliet@example.org"
    assert (known["administrator"], known["disabled"], known["contacts"]) == (False, False, 1)
    assert (known["addresses"], known["resources"]) == (["192.0.2.1"], ["balcony"])
    assert known["last login"] == "2026-01-01T00:00:00Z"


def test_what_is_not_there_is_not_described(server):
    for command in (user, roster):
        with pytest.raises(NoSuchAccount):
            told(command, server, jid="nobody@example.org")


def test_a_roster_is_listed(server, romeo, juliet):
    befriend(romeo, juliet)
    romeo.says("<presence type='subscribe' to='nurse@example.org'/>")
    assert told(roster, server, jid="romeo@example.org").rows == [
        ("juliet@example.org", "", "both", None, []),
        ("nurse@example.org", "", "none", "subscribe", []),
    ]


def test_without_rosters_there_is_none():
    server = MemoryServer(features=["bind"])
    server.account("romeo@example.org")
    with pytest.raises(CommandError, match="feature roster is off"):
        told(roster, server, jid="romeo@example.org")
    known = dict(told(user, server, jid="romeo@example.org").rows)
    assert "contacts" not in known
    assert "last login" not in known
    server.stop()


def test_accounts_are_counted(server, romeo):
    server.account("paris@example.org")
    romeo.says("<presence><show>xa</show></presence>")
    assert told(counts, server).rows == [
        ("example.org", "registered", 2),
        ("example.org", "disabled", 0),
        ("example.org", "online", 1),
        ("example.org", "active", 0),
        ("example.org", "idle", 1),
    ]


def test_who_is_online_is_listed_in_pages(server, romeo, juliet):
    server.login("juliet@example.org/chamber")
    first = told(online, server, limit=1)
    assert (first.rows, first.after) == ([("juliet@example.org", True, 2)], "juliet@example.org")
    rest = told(online, server, limit=1, after=first.after)
    assert (rest.rows, rest.after) == ([("romeo@example.org", True, 1)], "")
    assert told(online, server, only="idle").rows == []
