"""A local account while it is loaded: its sessions, and what features keep of it in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from twisted.internet.defer import DeferredLock
from zope.interface import implementer

from imsuite.core.interfaces import IAccount
from imsuite.xmpp.address import JID

if TYPE_CHECKING:
    from imsuite.core.host import Host
    from imsuite.core.session import Session

T = TypeVar("T")


@implementer(IAccount)
class Account:
    """An account of a host.

    jid: its bare JID; sessions: bound resources by resourcepart; kept: what each feature that
    is ILoaded keeps, by the feature's place in the host's list; temporary: it ends with its
    last session and nothing of it is stored (XEP-0175); gone: it was removed.
    """

    __slots__ = ("_turn", "bare", "gone", "host", "jid", "kept", "sessions", "temporary")

    def __init__(self, host: Host, jid: JID, kept: list[Any], temporary: bool = False) -> None:
        self.host = host
        self.jid = jid
        self.bare = jid.bare
        self.kept = kept
        self.sessions: dict[str, Session] = {}
        self.temporary = temporary
        self.gone = False
        self._turn: DeferredLock | None = None

    def __repr__(self) -> str:
        return f"<Account {self.bare}, {len(self.sessions)} sessions>"

    @property
    def turn(self) -> DeferredLock:
        """The lock of read-modify-write on this account: `async with account.turn`."""
        if self._turn is None:
            self._turn = DeferredLock()
        return self._turn

    @property
    def available(self) -> Iterator[Session]:
        """The sessions that sent available presence."""
        return (session for session in self.sessions.values() if session.presence is not None)


class Kept(Generic[T]):
    """Where one feature finds what it keeps of a loaded account: `kept.of(account)`."""

    __slots__ = ("place",)

    def __init__(self, place: int) -> None:
        self.place = place

    def of(self, account: Account) -> T:
        """Return what is kept of the account."""
        kept: T = account.kept[self.place]
        return kept

    def put(self, account: Account, value: T) -> None:
        """Replace what is kept of the account."""
        account.kept[self.place] = value
