"""What is done with imsuite's own code, of the checkout under test, in a process of its own.

python inside.py fill DATABASE   rows of archives, one JSON list in each line of standard input
python inside.py plan DATABASE   prints the statement that reads a page, and SQLite's plan for it
python inside.py off WORD,WORD   prints the features that must be off when those are: what there is
                                 of them, and what requires one
"""

import itertools
import json
import secrets
import sqlite3
import sys
import time
from collections.abc import Iterable
from typing import Any

from imsuite.app.registry import all_features
from imsuite.core.record import Insert
from imsuite.features.xep0313_archive import search, storage
from imsuite.rules.archive import NEWEST, Flag, Query
from imsuite.store.groups import MESSAGE

SALT = 63  # random bits
TOGETHER = 10_000  # rows in one transaction


def insert(cursor: sqlite3.Cursor, statement: Insert, rows: Iterable[tuple[Any, ...]]) -> None:
    """Add rows to a table."""
    columns = ", ".join(statement.columns)
    marks = ", ".join("?" * len(statement.columns))
    cursor.executemany(f"INSERT INTO {statement.table} ({columns}) VALUES ({marks})", rows)


def fill(database: sqlite3.Connection) -> None:
    """Write bodies, archive rows and the index of words, if there is one; prints what that cost."""
    lines = map(json.loads, sys.stdin)
    count = 0
    while batch := [*itertools.islice(lines, TOGETHER)]:
        count += len(batch)
        with database:
            cursor = database.cursor()
            insert(
                cursor,
                MESSAGE,
                [
                    (when, secrets.randbits(SALT), 1, raw.encode())
                    for _owner, _peer, _resource, _sent, when, raw in batch
                ],
            )
            insert(
                cursor,
                storage.ROW,
                [
                    (owner, when, peer, resource, int(Flag.SENT) if sent else 0)
                    for owner, peer, resource, sent, when, _raw in batch
                ],
            )
    if not database.execute("SELECT 1 FROM sqlite_master WHERE name = 'archive_text'").fetchone():
        return  # the server was told not to search
    with database:  # these messages are older than what it has looked at
        database.execute("UPDATE archive_indexed SET last = 0")
    start = time.process_time()
    after, done = 0, False
    while not done:
        with database:
            horizon = time.time_ns() // 1000
            after, done = search.index_some(database.cursor(), search.SQLITE, after, horizon)
    print(f"{(time.process_time() - start) / count * 1e6:.1f} µs a message to index its words")


def plan(database: sqlite3.Connection) -> None:
    """Print how a page is read: the statement, and one line for each step."""
    text, values = storage.filters(Query())
    statement = storage.select(storage.EVERYTHING, text, False)
    print(statement)
    steps = database.execute(
        f"EXPLAIN QUERY PLAN {statement}", ("somebody@localhost", *values, 0, NEWEST, 1)
    )
    for _id, _parent, _unused, step in steps:
        print("-", step)


def off(words: set[str]) -> None:
    """Print the words of the features that cannot run without some others, and of those."""
    features = all_features()
    before = -1
    while len(words) != before:
        before = len(words)
        running = [feature for word, feature in features.items() if word not in words]
        words = words | {
            feature.word()
            for feature in running
            for wanted in feature.requires
            if not any(wanted.implementedBy(other) for other in running)
        }
    print("\n".join(sorted(words & features.keys())))


def main() -> None:
    """Do what the command line says."""
    _program, word, argument = sys.argv
    if word == "off":
        off(set(argument.split(",")))
        return
    database = sqlite3.connect(argument)
    {"fill": fill, "plan": plan}[word](database)
    database.close()


if __name__ == "__main__":
    main()
