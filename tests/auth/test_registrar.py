"""Accounts are changed while their owners are online."""

import pytest

from imsuite.store.users import NoSuchAccount
from imsuite.testing.memory import MemoryServer, now
from imsuite.xmpp.errors import StreamError


@pytest.fixture
def registrar(server):
    return server.host.registrar


@pytest.fixture
def waiting(server, juliet):
    """A session of juliet's that waits to be resumed."""
    client = server.login("juliet@example.org/garden")
    client.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    client.vanishes()
    assert "juliet@example.org/garden" in server.router.sessions
    return client


def test_sessions_end_with_the_password(server, registrar, juliet, waiting):
    """RFC 6120 §4.9.3.16: also one that could have been resumed."""
    now(registrar.set_password("juliet", "eraser"))
    assert juliet.gone
    assert server.router.sessions == {}


def test_one_session_is_spared(server, registrar, juliet, waiting):
    now(registrar.set_password("juliet", "eraser", juliet.jid.full))
    assert list(server.router.sessions) == [juliet.jid.full]
    assert not juliet.gone


def test_sessions_end_with_the_account_disabled(server, registrar, juliet, waiting):
    now(registrar.set_disabled("juliet", True))
    assert juliet.gone
    assert server.router.sessions == {}
    now(registrar.set_disabled("juliet", False))
    assert not now(server.host.users.find("juliet")).disabled


def test_who_is_not_loaded_has_no_sessions(server, registrar):
    server.account("paris@example.org")
    now(registrar.set_disabled("paris", True))
    assert now(server.host.users.find("paris")).disabled


def test_who_is_not_there_is_not_disabled(registrar):
    with pytest.raises(NoSuchAccount):
        now(registrar.set_disabled("nobody", True))


def test_accounts_of_the_same_name_are_apart():
    """Another domain's has nothing to do with it."""
    server = MemoryServer(domains=("example.org", "example.net"))
    client = server.login("juliet@example.net/balcony")
    server.login("juliet@example.org/balcony")
    now(server.host.registrar.end_sessions("juliet", StreamError("reset")))
    assert not client.gone
    server.stop()
