"""The commands that were begun and wait for their next stage (XEP-0050 §3.3)."""

from __future__ import annotations

import hmac
import secrets
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import attrs
from twisted.internet.interfaces import IReactorTime

from imsuite.rules.adhoc import Page, refused
from imsuite.xmpp.errors import StanzaError

TOKEN = 12  # octets of an id that nobody can guess
PROOF = 24  # hex digits that say that an id is ours
BACK = 20  # pages that one can go back

Where = tuple[str, str]  # address and node of a command


@attrs.define(eq=False)
class Running:
    """A command that somebody has begun.

    asker: full JID; pages: that were shown, the last one waits; filled: what was filled in at each,
    None where nothing was yet; until: when it is given up, seconds of the clock; busy: its next
    stage is being worked out.
    """

    asker: str
    until: float
    pages: list[Page] = attrs.field(factory=list)
    filled: list[Mapping[str, tuple[str, ...]] | None] = attrs.field(factory=list)
    busy: bool = False

    def add(self, page: Page) -> None:
        """Show a page next; those long before it cannot be gone back to."""
        self.pages.append(page)
        self.filled.append(None)
        del self.pages[:-BACK], self.filled[:-BACK]


class Stages:
    """What was begun, the longest unused first.

    lifetime: seconds; most, most_each: how many there may be, and of one account.

    An id proves whose and what it was, so that one that is over is told from one that never was,
    and nothing has to be remembered for it.
    """

    def __init__(self, clock: IReactorTime, lifetime: int, most: int, most_each: int) -> None:
        self._clock = clock
        self._lifetime = lifetime
        self._most = most
        self._most_each = most_each
        self._key = secrets.token_bytes(32)
        self._running: OrderedDict[str, Running] = OrderedDict()

    def __len__(self) -> int:
        return len(self._running)

    def new_id(self, asker: str, where: Where) -> str:
        """Return an id for a command that somebody begins."""
        token = secrets.token_hex(TOKEN)
        return token + self._proof(asker, where, token)

    def _proof(self, asker: str, where: Where, token: str) -> str:
        text = "\0".join((asker, *where, token)).encode()
        return hmac.digest(self._key, text, "sha256").hex()[:PROOF]

    def find(self, asker: str, where: Where, id: str) -> Running:
        """Return what has that id. Raises StanzaError (§4.4)."""
        token = id[: 2 * TOKEN]
        proof = self._proof(asker, where, token)
        if not hmac.compare_digest(proof.encode(), id[2 * TOKEN :].encode("utf-8", "replace")):
            raise refused("bad-sessionid")
        self._drop_old()
        running = self._running.get(id)
        if running is None:
            raise refused("session-expired")
        if running.busy:
            raise StanzaError("unexpected-request", text="the stage before is not finished")
        return running

    def keep(self, asker: str, id: str, running: Running | None) -> Running:
        """Remember a command for its next stage; return it.

        running: None for one that begins. Others make room. Raises StanzaError if there is none.
        """
        self._drop_old()
        if running is None:
            bare = _bare(asker)
            own = [key for key, each in self._running.items() if _bare(each.asker) == bare]
            for key in own[: max(0, len(own) + 1 - self._most_each)]:
                del self._running[key]
            if len(self._running) >= self._most:
                raise StanzaError("resource-constraint", text="too many commands were begun")
            running = Running(asker, 0.0)
        running.until = self._clock.seconds() + self._lifetime
        self._running[id] = running
        self._running.move_to_end(id)
        return running

    @contextmanager
    def at_work(self, running: Running) -> Iterator[None]:
        """Let nobody go on with a command meanwhile."""
        running.busy = True
        try:
            yield
        finally:
            running.busy = False

    def end(self, id: str) -> None:
        """Forget a command that is over."""
        self._running.pop(id, None)

    def forget(self, asker: str) -> None:
        """Forget what somebody has begun who is gone."""
        for key in [key for key, each in self._running.items() if each.asker == asker]:
            del self._running[key]

    def _drop_old(self) -> None:
        now = self._clock.seconds()
        while self._running:
            id, oldest = next(iter(self._running.items()))
            if oldest.until > now:
                break
            del self._running[id]


def _bare(asker: str) -> str:
    return asker.partition("/")[0]
