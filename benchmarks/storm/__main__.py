"""Lets storms blow: `python -m benchmarks.storm --seconds 600 --seed 1`.

Each storm is one server in memory and clients that do random things; every other one has a store
that answers late. In some of them links break, the server is killed, and the disk is full
(`keeping`); in some a crowd hammers two rooms (`crowd`), which are destroyed and made anew (`mob`);
in some people publish to nodes and hear of it (`nodes`).
What must hold is checked after each step. Then clients log in and out and messages are sent, and
the server must not grow by it. A failure prints the seed and what happened before; the same seed
makes the same storm.
"""

from __future__ import annotations

import argparse
import sys
import time
from typing import Any

from benchmarks.storm import crowd, keeping, mob, nodes
from benchmarks.storm.growth import measure
from benchmarks.storm.node_words import FULL
from benchmarks.storm.storm import Wrong, run

KINDS: tuple[tuple[Any, dict[str, Any]], ...] = (
    (run, {"late": False, "blocking": True}),
    (run, {"late": True, "blocking": True, "loaded": 1}),
    (keeping.run, {"late": False}),
    (keeping.run, {"late": True}),
    (run, {"late": False, "blocking": False}),
    (run, {"late": True, "blocking": False, "loaded": 1}),
    (keeping.run, {"late": True, "full": keeping.FULL}),
    (crowd.run, {"late": False, "people": 100}),
    (crowd.run, {"late": True, "people": 30}),
    (mob.run, {"people": 16}),
    (nodes.run, {"late": True}),
    (nodes.run, {"late": True, "full": FULL, "few": 1}),
)
MOST_OBJECTS = 2000  # that may be left behind
MOST_BYTES = 2**20


def main() -> int:
    """Run from the command line; return 1 if anything was wrong."""
    words = argparse.ArgumentParser(
        prog="python -m benchmarks.storm", description="Lets storms blow at a server in memory."
    )
    words.add_argument("--seconds", type=float, default=60, help="how long new storms begin")
    words.add_argument("--seed", type=int, default=1, help="of the first storm")
    words.add_argument("--steps", type=int, default=1000, help="of each storm")
    words.add_argument("--storms", type=int, help="at most so many")
    words.add_argument("--logins", type=int, default=20_000, help="to measure growth; 0: not")
    words.add_argument("--messages", type=int, default=200_000, help="likewise")
    given = words.parse_args()
    wrong = 0
    end = time.monotonic() + given.seconds
    seed = given.seed
    while time.monotonic() < end and (given.storms is None or seed - given.seed < given.storms):
        blow, kind = KINDS[seed % len(KINDS)]
        try:
            tally = blow(seed, given.steps, **kind)
            print(f"seed {seed} {blow.__module__} {kind}: {tally.line()}", flush=True)
        except Wrong as why:
            wrong += 1
            print(why, file=sys.stderr, flush=True)
        seed += 1
    if given.logins or given.messages:
        growth = measure(given.logins, given.messages)
        print(growth.line())
        wrong += growth.objects > MOST_OBJECTS or growth.bytes > MOST_BYTES
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
