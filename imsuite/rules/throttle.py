"""A token bucket: how much may come in, and how long to wait for more.

RFC 6120 §13.12 leaves the limit on traffic to the server. The bucket holds up to `burst` tokens
and gains `rate` of them a second; it is filled when somebody looks, so that it needs no timer.
"""

from __future__ import annotations

import math


class Bucket:
    """A token bucket, full at first.

    rate: tokens a second; burst: the most it holds; level: tokens at the moment `at`, negative
    while there is a debt. What a token is (an octet, a stanza, a failed password) is for the
    owner to say. Moments are seconds of any clock that does not jump back.
    """

    __slots__ = ("at", "burst", "level", "rate")

    def __init__(self, rate: float, burst: float, now: float = 0.0) -> None:
        if not (0 < rate < math.inf and 0 < burst < math.inf):
            raise ValueError("rate and burst must be positive")
        self.rate = rate
        self.burst = burst
        self.level = burst
        self.at = now

    def take(self, now: float, amount: float = 1.0) -> float:
        """Take tokens, on credit if need be. Return the seconds until the debt is paid, or 0.

        For what has already come in and only what follows can be held back: bytes that were
        read, with the pause in reading that they call for.
        """
        level = self.level
        if now > self.at:
            level += (now - self.at) * self.rate
            if level > self.burst:
                level = self.burst
            self.at = now
        level -= amount
        self.level = level
        return 0.0 if level >= 0.0 else -level / self.rate
