"""How many wrong passwords are put up with (XEP-0205; RFC 6120 §13.12, RFC 4422 §6).

Three levels rise with each failure and sink with time:

| level    | of                            | stops                                            |
|----------|-------------------------------|--------------------------------------------------|
| pair     | one account from one address  | guessing at one account                          |
| address  | all accounts from one address | one guess at each of many accounts               |
| account  | one account from everywhere   | many addresses that guess at one account         |

From the middle of a level on an attempt has to wait before it is looked at, longer and longer;
at the top it is refused unseen, so that what happens then counts for nothing and the level
sinks: the rate of guesses is what sinks in that time.

What keeps the innocent in:

- An account that has logged in from an address is *known* there. Known pairs look at their own
  level only: no stranger elsewhere, and no neighbour behind the same NAT, can shut them out.
- A known pair is never refused for its level, only made to wait: somebody's old telephone, or a
  neighbour, that tries a wrong password without end cannot lock the owner out of home. At most
  `waiting` attempts of a pair wait at once, which bounds the guesses.
- One client that fails for ever soon counts a fifth for its address, which forgets faster than
  that; the top of an address rises with each account known there.
- A success counts against nothing: a whole office that comes back after a restart gets in.

An address is an IPv4 address or an IPv6 /64. Unknown accounts are treated like any other. All
tables are bounded; what was touched longest ago is forgotten first. Nothing survives a restart.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from functools import lru_cache
from ipaddress import IPv6Address, ip_address

import attrs

from imsuite.core.options import ge, option
from imsuite.xmpp.errors import ImsuiteError

Pair = tuple[str, str]  # address block, localpart

REPEATED = 3  # failures of a pair; what comes after them is rather a broken client
REPEATED_WEIGHT = 0.2  # of such a failure in the level of the address


class TooManyFailures(ImsuiteError):
    """The attempt must not be looked at; which: "pair", "address", "account" or "anonymous"."""

    def __init__(self, which: str) -> None:
        super().__init__(which)
        self.which = which


@attrs.frozen
class LimitOptions:
    """How much is put up with. After each "pace" one failure, or login, is forgotten."""

    pair: int = option(10, "Failures for one account from one address.", ge(2))
    pair_pace: int = option(60, "Seconds per failure, pair.", ge(1))
    address: int = option(50, "Failures for all accounts from one address.", ge(2))
    address_pace: int = option(30, "Seconds per failure, address.", ge(1))
    address_extra: int = option(5, "Further ones for each account known at the address.", ge(0))
    account: int = option(50, "Failures for one account, where it is not known.", ge(2))
    account_pace: int = option(60, "Seconds per failure, account.", ge(1))
    anonymous: int = option(20, "Anonymous logins from one address at once.", ge(1))
    anonymous_pace: int = option(10, "Seconds per anonymous login after that.", ge(1))
    slowest: int = option(10, "Seconds an attempt waits when its level is at the top.", ge(0))
    waiting: int = option(2, "Attempts of a known pair that may wait at once.", ge(1))
    known_for: int = option(30 * 86400, "Seconds a pair stays known after a login.", ge(0))
    known_addresses: int = option(16, "Addresses at which one account can be known.", ge(1))
    entries: int = option(50_000, "Entries kept in each table.", ge(1))


@attrs.define
class Levels:
    """Numbers that sink by one every `pace` seconds; bounded, least recently raised go first."""

    pace: float
    entries: int
    _kept: OrderedDict[object, tuple[float, float]] = attrs.field(factory=OrderedDict, init=False)

    def get(self, key: object, now: float) -> float:
        """Return the level now; 0.0 if nothing is known."""
        level, at = self._kept.get(key, (0.0, now))
        return max(0.0, level - (now - at) / self.pace)

    def add(self, key: object, now: float, amount: float = 1.0) -> None:
        """Raise a level, or lower it, not below 0."""
        level = max(0.0, self.get(key, now) + amount)
        if not level:
            self._kept.pop(key, None)
            return
        self._kept[key] = (level, now)
        self._kept.move_to_end(key)
        if len(self._kept) > self.entries:
            self._kept.popitem(last=False)

    def clear(self, key: object) -> None:
        """Forget a level."""
        self._kept.pop(key, None)

    def __len__(self) -> int:
        return len(self._kept)


@attrs.define
class Known:
    """Which accounts have logged in from which addresses, and when last."""

    options: LimitOptions
    _accounts: OrderedDict[str, OrderedDict[str, float]] = attrs.field(
        factory=OrderedDict, init=False
    )
    _numbers: dict[str, int] = attrs.field(factory=dict, init=False)  # block → accounts

    def has(self, block: str, account: str, now: float) -> bool:
        """Tell whether that account is known there; forget it if it was too long ago."""
        blocks = self._accounts.get(account)
        if blocks is None or block not in blocks:
            return False
        if now - blocks[block] <= self.options.known_for:
            return True
        self._drop(account, blocks, block)
        return False

    def number(self, block: str) -> int:
        """Return how many accounts are known at an address."""
        return self._numbers.get(block, 0)

    def add(self, block: str, account: str, now: float) -> None:
        """Remember a success."""
        blocks = self._accounts.setdefault(account, OrderedDict())
        self._accounts.move_to_end(account)
        if block not in blocks:
            self._numbers[block] = self.number(block) + 1
        blocks[block] = now
        blocks.move_to_end(block)
        if len(blocks) > self.options.known_addresses:
            self._drop(account, blocks, next(iter(blocks)))
        if len(self._accounts) > self.options.entries:
            oldest = next(iter(self._accounts))
            for gone in tuple(self._accounts[oldest]):
                self._drop(oldest, self._accounts[oldest], gone)

    def forget(self, account: str) -> None:
        """Forget an account: its password changed, or it is gone."""
        blocks = self._accounts.get(account, OrderedDict())
        for block in tuple(blocks):
            self._drop(account, blocks, block)

    def _drop(self, account: str, blocks: OrderedDict[str, float], block: str) -> None:
        del blocks[block]
        if not blocks:
            del self._accounts[account]
        self._numbers[block] -= 1
        if not self._numbers[block]:
            del self._numbers[block]


@attrs.define(eq=False)
class Attempt:
    """One password that may be looked at, after `delay` seconds.

    Exactly one of its methods must be called in the end; a second call does nothing.
    """

    delay: float  # seconds
    _limits: FailureLimits
    _pair: Pair
    _known: bool
    _open: bool = attrs.field(default=True, init=False)

    def succeeded(self) -> None:
        """The password was right."""
        self._close(failed=False)
        self._limits._remember(self._pair)

    def failed(self) -> None:
        """It was wrong, or the account does not exist."""
        self._close(failed=True)

    def dropped(self) -> None:
        """Nobody looked at it in the end."""
        self._close(failed=False)

    def _close(self, *, failed: bool) -> None:
        if self._open:
            self._open = False
            self._limits._settle(self._pair, self._known, self.delay > 0.0, failed=failed)


class FailureLimits:
    """The limits of one host. seconds: a clock that does not jump, such as reactor.seconds."""

    def __init__(self, seconds: Callable[[], float], options: LimitOptions | None = None) -> None:
        self._seconds = seconds
        self.options = options = LimitOptions() if options is None else options
        self.known = Known(options)
        self._pairs = Levels(options.pair_pace, options.entries)
        self._addresses = Levels(options.address_pace, options.entries)
        self._accounts = Levels(options.account_pace, options.entries)
        self._anonymous = Levels(options.anonymous_pace, options.entries)
        # attempts that are being waited for or looked at; as many as there are, no more
        self._open_pairs: dict[object, int] = {}
        self._open_accounts: dict[object, int] = {}
        self._slowed: dict[object, int] = {}  # by address, those that wait

    def admit(self, address: str, account: str) -> Attempt:
        """Return leave to look at one password.

        address: of the client, as text without port; account: localpart, or the name as it
        came if it is none. Raises TooManyFailures.
        """
        now, options = self._seconds(), self.options
        pair = (block(address), account)
        level = self._pairs.get(pair, now) + self._open_pairs.get(pair, 0)
        known = self.known.has(*pair, now)
        if known:
            delay = self._delay(level, options.pair)
            if delay and self._open_pairs.get(pair, 0) >= options.waiting:
                raise TooManyFailures("pair")
        else:
            everywhere = self._accounts.get(account, now) + self._open_accounts.get(account, 0)
            top = options.address + options.address_extra * self.known.number(pair[0])
            here = self._addresses.get(pair[0], now) + self._slowed.get(pair[0], 0)
            for which, height, limit in (
                ("pair", level, options.pair),
                ("address", here, top),
                ("account", everywhere, options.account),
            ):
                if height >= limit:
                    raise TooManyFailures(which)
            delay = max(
                self._delay(level, options.pair),
                self._delay(here, top),
                self._delay(everywhere, options.account),
            )
            _count(self._open_accounts, account, 1)
            if delay:
                _count(self._slowed, pair[0], 1)
        _count(self._open_pairs, pair, 1)
        return Attempt(delay, self, pair, known)

    def admit_anonymous(self, address: str) -> None:
        """Count one anonymous login. Raises TooManyFailures."""
        now, key = self._seconds(), block(address)
        if self._anonymous.get(key, now) >= self.options.anonymous:
            raise TooManyFailures("anonymous")
        self._anonymous.add(key, now)

    def forget(self, account: str) -> None:
        """Let no address be known for an account any more, after its password was changed."""
        self.known.forget(account)

    def _delay(self, level: float, top: float) -> float:
        """Return seconds: 0 up to the middle, `slowest` at the top and above."""
        share = (level - top / 2) / (top / 2)
        return self.options.slowest * min(max(share, 0.0), 1.0)

    def _settle(self, pair: Pair, known: bool, slowed: bool, *, failed: bool) -> None:
        now = self._seconds()
        before = self._pairs.get(pair, now)
        _count(self._open_pairs, pair, -1)
        # a known pair may not climb so high that it has to wait for hours afterwards
        if failed and before < self.options.pair:
            self._pairs.add(pair, now)
        if known:
            return
        _count(self._open_accounts, pair[1], -1)
        if slowed:
            _count(self._slowed, pair[0], -1)
        if failed:
            self._addresses.add(pair[0], now, 1.0 if before < REPEATED else REPEATED_WEIGHT)
            self._accounts.add(pair[1], now)

    def _remember(self, pair: Pair) -> None:
        self._pairs.clear(pair)
        self.known.add(*pair, self._seconds())


@lru_cache(maxsize=4096)
def block(address: str) -> str:
    """Return what counts as one address: IPv4 whole, IPv6 by /64; other text as it is."""
    try:
        parsed = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(parsed, IPv6Address):
        if parsed.ipv4_mapped is not None:
            return str(parsed.ipv4_mapped)
        return f"{IPv6Address(int(parsed) >> 64 << 64)}/64"
    return str(parsed)


def _count(numbers: dict[object, int], key: object, by: int) -> None:
    number = numbers.get(key, 0) + by
    if number > 0:
        numbers[key] = number
    else:
        numbers.pop(key, None)
