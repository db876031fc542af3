"""XEP-0436: which presence in a room changed since a client was there last."""

from __future__ import annotations

import re

_WORD = re.compile(r"([0-9a-f]{1,32})-([0-9]{1,18})")


class PresenceLog:
    """The order of changes in a room, as far as it is remembered.

    epoch: hexadecimal digits that no other log has; most: how many who went are remembered.
    """

    __slots__ = ("_absent", "_begun", "_changes", "_epoch", "_most", "_now")

    def __init__(self, epoch: str, most: int) -> None:
        self._epoch = epoch
        self._most = most
        self._now = 0
        self._begun = 0  # the last change before what is remembered
        self._changes: dict[str, tuple[int, bool]] = {}  # by nickname, the latest at the end
        self._absent = 0

    def note(self, nick: str, present: bool) -> None:
        """Know that somebody came, is seen differently, or went."""
        self._now += 1
        before = self._changes.pop(nick, None)
        self._absent += (not present) - (before is not None and not before[1])
        self._changes[nick] = self._now, present
        if self._absent > self._most:
            oldest = next(nick for nick, (_, there) in self._changes.items() if not there)
            self._begun = max(self._begun, self._changes.pop(oldest)[0])
            self._absent -= 1

    @property
    def word(self) -> str:
        """What a client says when it comes back, to hear only of later changes."""
        return f"{self._epoch}-{self._now}"

    def since(self, word: str) -> dict[str, bool] | None:
        """Return who changed since, and whether they are there now; None if that is not known."""
        match = _WORD.fullmatch(word)
        if match is None or match[1] != self._epoch:
            return None
        then = int(match[2])
        if not self._begun <= then <= self._now:
            return None
        return {nick: present for nick, (at, present) in self._changes.items() if at > then}
