"""Accounts while they are loaded."""

from twisted.internet.defer import Deferred
from zope.interface import implementer

from imsuite.core.feature import Feature
from imsuite.core.interfaces import ILoaded
from imsuite.testing.memory import now
from tests.core.conftest import login


@implementer(ILoaded)
class Counting(Feature):
    """Keeps a number of each account."""

    __module__ = "tests.xep0001_counting"
    spec = "XEP-0001"

    def __init__(self, host, options):
        super().__init__(host, options)
        self.loaded = []
        self.kept = host.keep(self)

    def load(self, cursor, account):
        self.loaded.append(account)
        return len(self.loaded)


def test_what_features_keep_is_loaded_with_the_account(make):
    server = make(Counting)
    server.account("romeo@example.org")
    counting = server.host.features["counting"]
    account = now(server.host.account("romeo"))
    assert counting.loaded == ["romeo@example.org"]
    assert counting.kept.of(account) == 1
    counting.kept.put(account, 7)
    assert counting.kept.of(now(server.host.account("romeo"))) == 7
    assert counting.loaded == ["romeo@example.org"]


def test_changes_to_an_account_take_turns(make):
    """Architecture §6: a read-modify-write is done in the account's turn."""
    server = make()
    server.account("romeo@example.org")
    account = now(server.host.account("romeo"))
    order = []
    gate = Deferred()

    async def change(number, wait):
        async with account.turn:
            order.append(f"{number} begins")
            if wait is not None:
                await wait
            order.append(f"{number} ends")

    first = Deferred.fromCoroutine(change(1, gate))
    second = Deferred.fromCoroutine(change(2, None))
    gate.callback(None)
    now(first)
    now(second)
    assert order == ["1 begins", "1 ends", "2 begins", "2 ends"]


def test_available_sessions_are_those_with_presence(make):
    server = make()
    orchard = login(server, "romeo@example.org/orchard")
    login(server, "romeo@example.org/garden")
    account = orchard.session.account
    assert set(account.sessions) == {"orchard", "garden"}
    assert list(account.available) == []
    orchard.session.presence = object()
    assert list(account.available) == [orchard.session]
