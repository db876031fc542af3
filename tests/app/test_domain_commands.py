"""announce, motd, welcome, blacklist, whitelist, stop and restart, as imsuitectl gives them."""

import json

import pytest

from imsuite.app.command import CommandError, NotAllowed, WrongArguments
from imsuite.app.domain_commands import announce, blacklist, motd, restart, stop, whitelist
from imsuite.testing.memory import MemoryServer, now
from imsuite.testing.server import serve


@pytest.fixture
def service(server):
    """The server as commands see it."""
    return server.service


def test_texts_and_lists_from_the_command_line(config, ctl):
    with serve("example.org") as server:
        file = config(data=server.service.config.directory, rest='[hosts."example.org"]')

        def rows(*words, stdin=""):
            result = ctl(file, "--json", *words, stdin=stdin)
            assert result.exit_code == 0, result.output
            return [list(row.values()) for row in json.loads(result.stdout)]

        assert rows("announce", "hello") == [["example.org", 0]]
        assert rows("announce", stdin="hello\n") == [["example.org", 0]]
        assert rows("motd", "-", stdin="Tea\nis at five.\n") == [
            ["example.org", "Tea\nis at five."]
        ]
        assert rows("motd") == [["example.org", "Tea\nis at five."]]
        assert rows("motd", "--delete") == [["example.org", None]]
        assert rows("welcome", "Be welcome.") == [["example.org", "Be welcome."]]
        assert rows(
            "blacklist", "--add", "verona.lit", "--add", "a@b.lit", "--direction", "in"
        ) == [
            ["example.org", "a@b.lit", "in"],
            ["example.org", "verona.lit", "in"],
        ]
        assert rows("blacklist", "--remove", "a@b.lit") == [["example.org", "verona.lit", "in"]]
        assert rows("whitelist") == []
        assert rows("counts")[0] == ["example.org", "registered", 0]
        assert rows("online") == []
        nothing = ctl(file, "announce")
        assert (nothing.exit_code, nothing.output) == (
            2,
            "imsuitectl: there is nothing to announce\n",
        )


def test_it_needs_a_server_that_runs(config, ctl):
    result = ctl(config(rest='[hosts."example.org"]'), "motd")
    assert result.exit_code == 1
    assert "no server runs" in result.output


def test_a_text_is_not_given_and_deleted(service):
    with pytest.raises(WrongArguments):
        now(motd.run(service, {"text": "Tea", "delete": True}))


@pytest.mark.parametrize("text", ["", "a\x00b", "\ud800", "x" * 10_001])
def test_a_text_can_be_said(service, text):
    """XML 1.0 §2.2"""
    with pytest.raises(WrongArguments):
        now(announce.run(service, {"text": text}))


def test_a_domain_does_not_refuse_itself(service):
    with pytest.raises(CommandError, match="without itself"):
        now(blacklist.run(service, {"add": ["example.org"]}))
    with pytest.raises(CommandError, match="no address"):
        now(whitelist.run(service, {"add": ["@"]}))


def test_a_list_has_an_end(service):
    """What grows has a limit."""
    many = [f"host{n}.lit" for n in range(10_001)]
    with pytest.raises(CommandError, match="room for 10000"):
        now(blacklist.run(service, {"add": many}))


def test_without_the_feature_there_is_nothing_to_say():
    server = MemoryServer(features=["default", "-admin"])
    with pytest.raises(CommandError, match="feature admin is off"):
        now(motd.run(server.service, {}))
    server.stop()


def test_the_server_stops_when_it_is_told_to(server, service):
    """After the answer, or the delay; a part of another program ends alone."""
    ended = []
    service.leaving.end = ended.append
    assert now(stop.run(service, {"delay": 5})).rows == [("stop", 5)]
    assert service.leaving.due
    service.leaving.cancel()
    server.advance(10)
    assert ended == []
    now(restart.run(service, {}))
    server.advance(1)
    assert ended == [True]


def test_a_part_of_another_program_is_not_started_again(service):
    with pytest.raises(NotAllowed):
        now(restart.run(service, {}))
