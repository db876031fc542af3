"""XEP-0431: the words of messages, and how they are found.

An index that the database keeps (FTS5 of SQLite, tsvector of PostgreSQL) has the readable text of
each archived message once, with a word for each account that may have it, so that a search looks
only at what that account's words and the words searched have in common. It is brought up to date
behind the messages: while the writer has nothing else to do, and when somebody searches.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, ClassVar

import attrs
from twisted.internet.interfaces import IDelayedCall
from twisted.logger import Logger

from imsuite.core.host import Host
from imsuite.features.xep0313_archive.storage import Source
from imsuite.rules.archive import readable, searchable, token
from imsuite.xmpp.address import normalised, parse
from imsuite.xmpp.stanza import Stanza

PAUSE = 2.0  # seconds between a message and the indexing, and between two looks at a busy writer
CHUNK = 100  # messages indexed in one transaction
MOST_AT_SEARCH = 5000  # messages that a search waits for
TABLE = "archive_text"
LATE = 60_000_000  # µs after which no message comes any more that got its id before


@attrs.frozen
class Index:
    """How one kind of database is told to keep and to search texts.

    make: statements, all of them harmless where it is made already; known: the condition that the
    message m is indexed; add: values are id, owners and text; drop: value is the id.
    """

    make: tuple[str, ...]
    known: str
    add: str
    drop: str
    key: str


SQLITE = Index(
    make=(
        "CREATE VIRTUAL TABLE IF NOT EXISTS archive_text USING fts5"
        "(owners, body, columnsize = 0, tokenize = 'unicode61 remove_diacritics 2')",
    ),
    known="EXISTS (SELECT 1 FROM archive_text t WHERE t.rowid = m.id)",
    add="INSERT INTO archive_text (rowid, owners, body) VALUES (?, ?, ?)",
    drop="DELETE FROM archive_text WHERE rowid = ?",
    key="t.rowid",
)
POSTGRESQL = Index(
    make=(
        "CREATE TABLE IF NOT EXISTS archive_text (id BIGINT PRIMARY KEY, words tsvector NOT NULL)",
        "CREATE INDEX IF NOT EXISTS archive_text_words ON archive_text USING gin (words)",
    ),
    known="EXISTS (SELECT 1 FROM archive_text t WHERE t.id = m.id)",
    add=(
        "INSERT INTO archive_text (id, words)"
        " VALUES (?, to_tsvector('simple', ?) || to_tsvector('simple', ?))"
    ),
    drop="DELETE FROM archive_text WHERE id = ?",
    key="t.id",
)


def wanted(index: Index, owner: str, words: Iterable[str]) -> tuple[Source, tuple[Any, ...]]:
    """Return where the results of a search come from, and the values of its condition.

    words: in the form of rules.archive.searchable; each is found as it is written, as a phrase:
    nothing in it means anything to the database.
    """
    tables = "archive_text t CROSS JOIN archive a"
    if index is SQLITE:
        phrases = " AND ".join(f'"{word.replace(chr(34), "")}"' for word in words)
        match = f'(owners : "{token(owner)}") AND (body : ({phrases}))'
        return Source(tables, index.key, "t.archive_text MATCH ? AND "), (match,)
    values = (token(owner), *words)
    both = " && ".join(["phraseto_tsquery('simple', ?)"] * len(values))
    return Source(tables, index.key, f"t.words @@ ({both}) AND "), values


@attrs.define
class Search:
    """The index of a host's store; hosts that share a store share the index.

    index: None while nothing can be searched, as where SQLite was built without FTS5; exists: it
    is in the database, whether or not it is used; None while that is not known.
    """

    host: Host
    index: Index | None = None
    exists: bool | None = None
    _call: IDelayedCall | None = None
    _stopped: bool = False
    _busy: bool = False  # a run in the background goes on

    log: ClassVar[Logger] = Logger()

    @property
    def kind(self) -> Index:
        """How the database is told."""
        return SQLITE if self.host.store.dialect.module == "sqlite3" else POSTGRESQL

    async def start(self, used: bool) -> None:
        """Make the index if it is not there, and look for what is not in it.

        used: otherwise only what is removed or retracted is taken out of it.
        """
        store = self.host.store
        self.exists = TABLE in await store.read(store.dialect.tables)
        if not used:
            return
        try:
            await store.transaction(_make, self.kind)
        except Exception as why:
            self.log.warn(
                "{host}: archives cannot be searched: {why}", host=self.host.domain, why=str(why)
            )
            return
        self.index, self.exists = self.kind, True
        self.stir()

    def stop(self) -> None:
        """Index no more."""
        self._stopped = True
        if self._call is not None:
            self._call.cancel()
            self._call = None

    def stir(self) -> None:
        """Know that there is something new to index."""
        if self._call is None and not self._busy and not self._stopped and self.index is not None:
            self._call = self.host.clock.callLater(PAUSE, self._look)

    def _look(self) -> None:
        self._call = None
        self._busy = True
        self.host.spawn(self._run())

    async def _run(self) -> None:
        """Index while nothing else is to be written; a busy writer is asked for little."""
        store, after = self.host.store, 0
        done = False
        try:
            while not done and not self._stopped:
                after, done = await self._index(after)
                if store.waiting or not store.settled().called:
                    break
        finally:
            self._busy = False
        if not done:
            self.stir()

    async def catch_up(self) -> bool:
        """Index what is not indexed yet; return whether that is all of it now."""
        after, done = 0, False
        for _ in range(MOST_AT_SEARCH // CHUNK):
            after, done = await self._index(after)
            if done:
                break
        return done

    async def _index(self, after: int) -> tuple[int, bool]:
        horizon = int(self.host.clock.seconds() * 1_000_000) - LATE
        found: tuple[int, bool] = await self.host.store.transaction(
            index_some, self.index, after, horizon
        )
        return found

    def forget(self, cursor: Any, ids: Iterable[int]) -> None:
        """Take messages out of the index, in a transaction."""
        exists = self.exists
        if exists is None:  # nothing runs: a command works on the database of a stopped server
            exists = TABLE in self.host.store.dialect.tables(cursor)
        if exists:
            cursor.executemany(self.kind.drop, [(id,) for id in ids])


def _make(cursor: Any, index: Index) -> None:
    for sql in index.make:
        cursor.execute(sql)


def index_some(cursor: Any, index: Index, after: int, horizon: int) -> tuple[int, bool]:
    """Index a chunk of messages; return behind which one to go on, and whether that was the last.

    after: where an earlier call of the same run ended, else 0; horizon: every message with a
    smaller id has been written by now.
    """
    cursor.execute("SELECT last FROM archive_indexed WHERE one = 1")
    last: int = cursor.fetchone()[0]
    cursor.execute(
        f"SELECT m.id, m.raw FROM message m WHERE m.id > ? AND NOT {index.known}"  # noqa: S608
        " ORDER BY m.id LIMIT ?",
        (max(last, after), CHUNK),
    )
    rows = cursor.fetchall()
    for id, raw in rows:
        try:
            stanza = Stanza.parse(bytes(raw))
        except ValueError:  # what is none has no words, and the others have theirs
            continue
        text = readable(stanza)
        if text and (owners := _owners(cursor, id, stanza)):
            cursor.execute(index.add, (id, " ".join(map(token, owners)), searchable(text)))
    done = len(rows) < CHUNK
    # what was indexed late is found by its absence, until nothing can be late any more
    new = horizon if done else min(horizon, rows[-1][0])
    if new > last and (rows or _any_behind(cursor, last)):
        cursor.execute("UPDATE archive_indexed SET last = ? WHERE one = 1", (new,))
    return rows[-1][0] if rows else after, done


def _any_behind(cursor: Any, last: int) -> bool:
    cursor.execute("SELECT 1 FROM message WHERE id > ? ORDER BY id LIMIT 1", (last,))
    return cursor.fetchone() is not None


def _owners(cursor: Any, id: int, stanza: Stanza) -> list[str]:
    """Return whose archives have a message."""
    sides = {
        parse(side).bare for side in map(normalised, (stanza.sender, stanza.to)) if side is not None
    }
    found = []
    for owner in sorted(sides):
        cursor.execute("SELECT 1 FROM archive WHERE owner = ? AND id = ?", (owner, id))
        if cursor.fetchone() is not None:
            found.append(owner)
    return found
