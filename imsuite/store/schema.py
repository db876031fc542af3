"""Brings the tables of a database up to date, step by step, or refuses to.

Two tables of its own say what was done: `imsuite_meta` holds the number of this scheme,
`imsuite_steps` the digest of each step that was run. A table that no feature asks for any more
stays as it is.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from hashlib import sha256

import attrs

from imsuite.core.interfaces import Table
from imsuite.store.dialect import Connection, Cursor, Dialect, StoreConflict, StoreError

FORMAT = 1  # of the two tables below; a database with a higher one is not touched

META = (
    """CREATE TABLE imsuite_meta (
        word TEXT PRIMARY KEY,
        value TEXT NOT NULL)""",
    """CREATE TABLE imsuite_steps (
        name TEXT NOT NULL,       -- of the table the step belongs to
        step INTEGER NOT NULL,    -- from 0
        digest TEXT NOT NULL,     -- SHA-256 of the step, hexadecimal
        applied BIGINT NOT NULL,  -- µs since 1970 UTC
        version TEXT NOT NULL,    -- of imsuite, which ran it
        PRIMARY KEY (name, step))""",
)


class SchemaError(StoreError):
    """The database was made by another version of imsuite, or is none of imsuite's."""


@attrs.frozen
class Step:
    """A step that was not run yet."""

    table: str
    number: int  # from 0
    sql: str


def digest(step: str) -> str:
    """Return what is remembered of a step that was run."""
    return sha256(step.encode()).hexdigest()


def spell(step: str, words: Mapping[str, str]) -> str:
    """Return a step in the words of one database: `{serial}`, `{blob}`, …."""
    for word, meaning in words.items():
        step = step.replace(f"{{{word}}}", meaning)
    return step


def gather(tables: Iterable[Table]) -> dict[str, Table]:
    """Return the tables by name. Raises SchemaError if two differ that have the same name."""
    found: dict[str, Table] = {}
    for table in tables:
        if found.setdefault(table.name, table) != table:
            raise SchemaError(f"two features want a table called {table.name}")
    return found


def applied(cursor: Cursor, dialect: Dialect) -> dict[str, list[str]] | None:
    """Return table → digests of the steps that were run; None if the database is empty.

    Raises SchemaError if it is not a database of imsuite, or of a newer one.
    """
    present = dialect.tables(cursor)
    if not present:
        return None
    if not {"imsuite_meta", "imsuite_steps"} <= present:
        raise SchemaError(f"{dialect.name} is not a database of imsuite: it holds other tables")
    row = cursor.execute("SELECT value FROM imsuite_meta WHERE word = 'format'").fetchone()
    if row is None or not row[0].isdecimal() or int(row[0]) > FORMAT:
        raise SchemaError(_newer(dialect, f"format {row[0] if row else 'unknown'}"))
    steps: dict[str, list[str]] = {}
    rows = cursor.execute("SELECT name, digest FROM imsuite_steps ORDER BY name, step")
    for name, done in rows.fetchall():
        steps.setdefault(name, []).append(done)
    return steps


def missing(
    tables: Mapping[str, Table], done: Mapping[str, list[str]], dialect: Dialect
) -> list[Step]:
    """Return the steps that are to be run, in order.

    Raises SchemaError if a table is newer than this version knows, or a shipped step differs.
    """
    steps: list[Step] = []
    for table in tables.values():
        before = done.get(table.name, [])
        if len(before) > len(table.steps):
            raise SchemaError(_newer(dialect, f"table {table.name}, step {len(before)}"))
        for number, sql in enumerate(table.steps):
            if number >= len(before):
                steps.append(Step(table.name, number, sql))
            elif before[number] != digest(sql):
                raise SchemaError(
                    f"{dialect.name}: step {number + 1} of table {table.name} is not the one that "
                    "this version of imsuite has; another version or a changed copy made it"
                )
    return steps


def _newer(dialect: Dialect, what: str) -> str:
    return f"{dialect.name} was made by a newer version of imsuite ({what}); use that version"


def migrate(
    connection: Connection, dialect: Dialect, tables: Iterable[Table], now: float, version: str
) -> int:
    """Bring the tables up to date in one transaction; return how many steps were run.

    now: seconds since 1970 UTC; version: of imsuite. A database with anything in it is copied
    first. Raises SchemaError as above, and StoreError with the table and number of a step that
    failed; then nothing is changed.
    """
    cursor = connection.cursor()
    wanted = gather(tables)
    done = applied(cursor, dialect)
    steps = missing(wanted, done or {}, dialect)
    if done is not None and not steps:
        return 0
    if done:
        dialect.put_aside(connection, version, now)
    dialect.begin_steps(connection)
    try:
        if done is None:
            for sql in META:
                cursor.execute(sql)
            cursor.execute("INSERT INTO imsuite_meta VALUES ('format', ?)", (str(FORMAT),))
        for step in steps:
            _run(cursor, dialect, step, round(now * 1_000_000), version)
    except BaseException:
        dialect.end_steps(connection, commit=False)
        raise
    dialect.end_steps(connection, commit=True)
    return len(steps)


def _run(cursor: Cursor, dialect: Dialect, step: Step, applied: int, version: str) -> None:
    try:
        cursor.execute(spell(step.sql, dialect.words))
    except Exception as error:
        known = dialect.error(error, writing=True)
        if isinstance(known, StoreError) and not isinstance(known, StoreConflict):
            raise known from error
        why = str(error).partition("\n")[0]
        raise StoreError(
            f"{dialect.name}: step {step.number + 1} of table {step.table} failed: {why}"
        ) from error
    cursor.execute(
        "INSERT INTO imsuite_steps VALUES (?, ?, ?, ?, ?)",
        (step.table, step.number, digest(step.sql), applied, version),
    )
