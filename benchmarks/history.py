"""An archive nobody had to talk for: the same messages for every server, from one seed."""

import itertools
import random
from collections.abc import Iterator
from functools import cache

from benchmarks.messages import DIGITS
from benchmarks.servers.server import Archived

VOCABULARY = 20_000  # words; how often each is used falls as 1 / (rank + FLAT)
FLAT = 10
WORDS = (4, 24)  # in a body, least and most
PEERS = 50  # the owner talks to
GAP = 1_000_000  # microseconds between two messages
SYLLABLES = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "or")]
SEED = 0x313


@cache
def vocabulary() -> tuple[str, ...]:
    """Return words, the frequent ones first; each is written with the same letters every time."""
    chance = random.Random(SEED)
    words: dict[str, None] = {}
    while len(words) < VOCABULARY:
        words["".join(chance.choices(SYLLABLES, k=chance.choice((2, 3, 4))))] = None
    return tuple(words)


def bodies(seed: int = SEED) -> Iterator[str]:
    """Return texts without end."""
    chance = random.Random(seed)
    words = vocabulary()
    weights = [*itertools.accumulate(1 / (rank + FLAT) for rank in range(VOCABULARY))]
    while True:
        drawn = iter(chance.choices(words, cum_weights=weights, k=WORDS[1] * 1000))
        for _ in range(1000):
            yield " ".join(itertools.islice(drawn, chance.randint(*WORDS)))


def history(owner: str, domain: str, count: int, start: int) -> Iterator[Archived]:
    """Return the messages of an account's archive, one a second.

    start: time of the first, microseconds since 1970 UTC.
    """
    me = f"{owner}@{domain}/phone"
    for number, body in enumerate(itertools.islice(bodies(), count)):
        peer = f"friend{number % PEERS}@{domain}/laptop"
        sent = number % 3 == 0
        sender, to = (me, peer) if sent else (peer, me)
        yield Archived(
            owner=owner,
            peer=peer,
            sent=sent,
            when=start + number * GAP,
            stanza=(
                f"<message from='{sender}' to='{to}' type='chat' id='{number:0{DIGITS}}'"
                f" xml:lang='en'><body>{body}</body>"
                "<request xmlns='urn:xmpp:receipts'/></message>"
            ).encode(),
            body=body,
        )
