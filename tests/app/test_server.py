"""The server as a service: what its options reach, and what a failed start leaves behind."""

import socket
import time

import pytest

from imsuite.app.config import Config, ServerOptions
from imsuite.app.server import make_server, option_classes
from imsuite.auth.iauth import IScramCredentials
from imsuite.auth.limits import LimitOptions
from imsuite.auth.secrets import PasswordOptions
from imsuite.store.dialect import StoreError
from imsuite.streams.listeners import ListenError
from imsuite.testing.server import _call, _thread


def made(directory, listen="c2s:127.0.0.1:0", **tables):
    """A server that did not start yet, in the thread of the servers."""
    options = ServerOptions(listen=(listen,), data=str(directory))
    _call(lambda: None)  # the thread is there
    return make_server(Config.make(options, tables=tables), reactor=_thread.reactor)


def started(directory):
    """Return a server that started, or None while its database is in use."""
    service = made(directory)
    try:
        _call(service.startService)
    except StoreError:
        return None
    return service


def test_tables_of_the_configuration():
    assert set(option_classes()[1]) == {"streams", "logins", "passwords"}


def test_one_number_of_iterations_is_for_new_passwords_and_for_unknown_names(tmp_path):
    """RFC 5802 §9: or a challenge would tell which accounts there are."""
    passwords, logins = PasswordOptions(iterations=5000), LimitOptions(pair=3)
    service = made(tmp_path, passwords=passwords, logins=logins)
    _call(service.startService)
    host = service.hosts["localhost"]
    checker = host.authenticator.portal.checkers[IScramCredentials]
    assert (host.registrar.iterations, checker.iterations) == (5000, 5000)
    assert host.authenticator.limits.options is logins
    _call(service.stopService)


def test_a_start_that_fails_gives_everything_back(tmp_path):
    """The port is the last thing to be had; the store closes when its threads have ended."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        service = made(tmp_path, f"c2s:127.0.0.1:{taken.getsockname()[1]}")
        with pytest.raises(ListenError):
            _call(service.startService)
    deadline = time.monotonic() + 30
    while not (again := started(tmp_path)):
        assert time.monotonic() < deadline
    _call(again.stopService)
    assert not (tmp_path / "control").exists()
