"""The control socket: who may use it, and what it answers to whom does not behave."""

import json
import os
import socket

import pytest
from twisted.logger import capturedLogs

from imsuite.app.command import CommandError
from imsuite.app.config import Config, ServerOptions
from imsuite.app.control import (
    LONGEST,
    LONGEST_PATH,
    ControlError,
    Place,
    answered,
    may_talk,
    peer_user,
)
from imsuite.app.reaching import reach
from imsuite.app.server import make_server
from imsuite.testing.memory import now
from imsuite.testing.server import _call, _thread, serve


@pytest.fixture(scope="module")
def server():
    with serve("example.org") as server:
        yield server


@pytest.fixture
def path(server):
    return f"{server.service.config.directory}/control"


@pytest.fixture
def link(path):
    with socket.socket(socket.AF_UNIX) as link:
        link.settimeout(10)
        link.connect(path)
        yield link


def ask(link, data):
    link.sendall(data)
    return json.loads(link.makefile("rb").readline())


def started(directory):
    """A server of its own on a directory, in the thread of the servers."""
    options = ServerOptions(
        listen=("c2s:127.0.0.1:0",), data=str(directory), store="sqlite:///:memory:"
    )
    service = make_server(Config.make(options), reactor=_thread.reactor)
    _call(service.startService)
    return service


def test_only_its_owner_may_use_it(path):
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700


def test_the_peer_is_known():
    """unix(7): SO_PEERCRED."""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        assert peer_user(ours) == os.geteuid()


@pytest.mark.parametrize(
    ("peer", "own", "may"),
    [(1000, 1000, True), (0, 1000, True), (1001, 1000, False), (1000, 0, False), (None, 5, True)],
)
def test_its_owner_and_root_may_talk_to_it(peer, own, may):
    """None: a system that does not tell, where the modes have to do."""
    assert may_talk(peer, own) is may


def test_an_answer_is_one_line(link):
    answer = ask(link, b'{"command": "users", "arguments": {"domain": "example.org"}}\n')
    assert answer["columns"] == ["account", "admin", "disabled", "created", "sessions"]
    assert (answer["rows"], answer["after"]) == ([], "")
    assert ask(link, b'{"command": "features"}\n')["rows"]


@pytest.mark.parametrize(
    ("request_", "error"),
    [
        (b"\xff\n", "the request is not JSON"),
        (b"[" * 100_000 + b"\n", "the request is not JSON"),
        (b"[]\n", "a request is an object with command and arguments"),
        (b'{"command": 1}\n', "a request is an object with command and arguments"),
        (b'{"command": "usersx"}\n', "there is no command 'usersx'; did you mean \"users\"?"),
        (b'{"command": "users", "arguments": {"x": 1}}\n', "there is no argument x"),
        (b'{"command": "users", "arguments": {"\\ud800": 1}}\n', "there is no argument \ud800"),
        (b'{"command": "users", "arguments": {"limit": true}}\n', "limit must be a whole number"),
        (b'{"command": "users", "arguments": {"limit": 0}}\n', "limit must be at least 1"),
        (b'{"command": "passwd", "arguments": {"jid": "a@b"}}\n', "password is missing"),
        (b'{"command": "addusers", "arguments": {"accounts": ["a"]}}\n', "accounts must be a list"),
    ],
)
def test_what_is_no_command_is_refused(link, request_, error):
    assert ask(link, request_) == {"error": error, "usage": True}


def test_a_request_has_a_longest_size(link):
    answer = ask(link, b"x" * (LONGEST + 1))
    assert answer["error"] == f"a request may have {LONGEST} bytes"
    try:
        assert link.recv(100) == b""
    except ConnectionResetError:
        pass  # it did not read all of it


def test_one_request_at_a_time(link):
    """A password is being hashed when the second one comes."""
    first = {"jid": "slow@example.org", "password": "x"}
    request = json.dumps({"command": "adduser", "arguments": first}).encode() + b"\n"
    answers = []
    link.sendall(request + request)
    for line in link.makefile("rb"):
        answers.append(json.loads(line))
    assert answers[0]["error"] == "one request at a time"


def test_results_come_in_pages(server, link):
    names = [f"page{number}" for number in range(5)]
    for name in names:
        server.account(name)
    found, after = [], "page@example.org"
    while after:
        arguments = {"limit": 2, "after": after}
        answer = ask(
            link, json.dumps({"command": "users", "arguments": arguments}).encode() + b"\n"
        )
        found += [row[0] for row in answer["rows"]]
        assert len(answer["rows"]) <= 2
        after = answer["after"]
    assert [name.partition("@")[0] for name in found if name.startswith("page")] == names


def test_a_fault_of_ours_tells_no_details():
    """The log has them: here, that None is no server."""
    with capturedLogs() as events:
        answer = now(answered(None, b'{"command": "features"}\n'))
    assert answer == {
        "error": "internal error; the server's log has the details",
        "usage": False,
    }
    assert [event["log_level"].name for event in events] == ["critical"]


def test_a_socket_that_nobody_listens_at_is_removed(server, tmp_path):
    tmp_path.chmod(0o700)
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(tmp_path / "control"))
    service = started(tmp_path)
    _call(service.stopService)
    assert not (tmp_path / "control").exists()


def test_a_second_server_leaves_the_socket_alone(server, path):
    with pytest.raises(ControlError, match="another imsuite answers there"):
        started(server.service.config.directory)
    assert os.path.exists(path)


def test_the_path_may_be_longer_than_sockets_allow(server, tmp_path, ctl, config):
    """Linux: through the directory's descriptor; sun_path has 108 bytes."""
    directory = tmp_path / ("d" * LONGEST_PATH)
    service = started(directory)
    try:
        with reach(service.config) as reached:
            assert reached.running
            assert reached.call("users", {}).rows == []
    finally:
        _call(service.stopService)
    assert not (directory / "control").exists()


def test_elsewhere_a_path_that_is_too_long_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr("os.path.isdir", lambda path: False)
    with pytest.raises(ControlError, match=r"longer than the 10\d bytes"):
        Place.of(str(tmp_path / ("d" * LONGEST_PATH)))


def test_a_server_that_may_not_be_reached_is_told(tmp_path, monkeypatch):
    def refuse(self, path):
        raise PermissionError(13, "Permission denied")

    config = Config.make(ServerOptions(data=str(tmp_path)))
    monkeypatch.setattr("imsuite.app.reaching.socket.socket.connect", refuse, raising=False)
    told = "Permission denied; only its user and root may"
    with pytest.raises(CommandError, match=told), reach(config):
        pass
