"""SQLite: one file, one process, one writer and a few readers in WAL mode."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import cast
from urllib.parse import unquote

from twisted.logger import Logger

from imsuite.store.dialect import (
    Connection,
    Cursor,
    StoreConflict,
    StoreError,
    StoreFull,
    StoreUnavailable,
)

OLDEST = (3, 35, 0)  # RETURNING, and DROP COLUMN in steps
COPIES = 3  # how many copies made before an update are kept
BUSY = 5000  # ms to wait for a program that reads the file, such as a backup
WAL_BYTES = 64 * 2**20  # what the write-ahead log may keep on disk after a burst
WAL_PAGES = 4000  # in the write-ahead log before they are brought into the file; 16 MB
WRITER_CACHE = 16_000  # KiB of pages in memory; archives are written all over the file
STATEMENTS = 512  # compiled statements kept by each connection
IN_MEMORY = ("sqlite:///:memory:", "sqlite://:memory:", "sqlite::memory:")
PREFIX = "sqlite://"

# SQLITE_… results that say something about the machine; any other is a mistake in a query
UNAVAILABLE = {
    sqlite3.SQLITE_PERM: "may not be used by this user",
    sqlite3.SQLITE_BUSY: "is kept locked by another program",
    sqlite3.SQLITE_LOCKED: "is kept locked by another program",
    sqlite3.SQLITE_NOMEM: "needs more memory than there is",
    sqlite3.SQLITE_READONLY: "may not be written",
    sqlite3.SQLITE_INTERRUPT: "was interrupted",
    sqlite3.SQLITE_IOERR: "cannot be read or written",
    sqlite3.SQLITE_CORRUPT: "is damaged",
    sqlite3.SQLITE_CANTOPEN: "cannot be opened",
    sqlite3.SQLITE_PROTOCOL: "is kept locked by another program",
    sqlite3.SQLITE_NOTADB: "is not an SQLite database, or is damaged",
}


# serial: a number given to a row is never given again, even after the row is gone
# key: a number that is the row's place; clustered: the rows lie in the order of the primary key
WORDS = {
    "serial": "INTEGER PRIMARY KEY AUTOINCREMENT",
    "blob": "BLOB",
    "key": "INTEGER PRIMARY KEY",
    "clustered": "WITHOUT ROWID",
}


class Sqlite:
    """A database in an SQLite file, or in memory (`path` is None)."""

    log = Logger()
    module = "sqlite3"
    near = True
    returns = False
    words: Mapping[str, str] = WORDS

    def __init__(self, path: str | None, readers: int = 2) -> None:
        self.path = None if path is None else os.path.realpath(path)
        self.name = "the database in memory" if self.path is None else self.path
        self.shared = self.path is not None
        self.readers = readers if self.shared else 0
        self._lock: int | None = None  # file descriptor

    @classmethod
    def from_url(cls, url: str, readers: int = 2) -> Sqlite:
        """Return the database at sqlite:///path or sqlite:///:memory:. Raises StoreError."""
        if url in IN_MEMORY:
            return cls(None)
        path = unquote(url.removeprefix(PREFIX))
        if not url.startswith(PREFIX) or not path or path.endswith("/") or "\0" in path:
            raise StoreError(f"{url!r} does not name an SQLite file; write sqlite:///path/to/file")
        if "?" in url or "#" in url:
            raise StoreError(f"{url}: a store of this kind takes no parameters")
        return cls(path, readers)

    def open(self) -> None:
        """Lock the file, make it if it is not there, and see whether it can be read.

        Raises StoreError if another process has it, or if it is unusable.
        """
        if sqlite3.sqlite_version_info < OLDEST:
            raise StoreError(f"SQLite {sqlite3.sqlite_version} is too old; imsuite needs 3.35")
        if self.path is None:
            return
        with self._disk_errors():
            if not os.path.isdir(os.path.dirname(self.path)):
                os.mkdir(os.path.dirname(self.path), 0o700)
            self._take_lock(f"{self.path}.lock")
            try:
                # SQLite gives its side files the mode of this one: passwords are in there
                os.close(os.open(self.path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600))
                mode = os.stat(self.path).st_mode
            except BaseException:
                self.close()
                raise
        if mode & 0o007:
            self.log.warn("{path} can be used by every user of this machine", path=self.path)

    def _take_lock(self, path: str) -> None:
        lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.ftruncate(lock, 0)
            os.pwrite(lock, b"%d\n" % os.getpid(), 0)
        except BlockingIOError:
            holder = os.pread(lock, 20, 0).decode("ascii", "replace").strip() or "unknown"
            os.close(lock)
            raise StoreError(
                f"{self.path} is in use: another imsuite (process {holder}) runs on it"
            ) from None
        except BaseException:
            os.close(lock)
            raise
        self._lock = lock

    @contextmanager
    def _disk_errors(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            kind = StoreFull if error.errno in (28, 122) else StoreUnavailable  # ENOSPC, EDQUOT
            where = error.filename or self.path
            raise kind(f"{where}: {os.strerror(error.errno or 0)}") from error
        except sqlite3.Error as error:
            raise self.error(error, writing=True) from error

    def connect(self, writing: bool) -> sqlite3.Connection:
        """Return a new connection; one that does not write refuses to."""
        with self._disk_errors():
            connection = sqlite3.connect(
                self.path or ":memory:",
                timeout=BUSY / 1000,
                isolation_level=None,
                check_same_thread=False,
                cached_statements=STATEMENTS,
            )
            try:
                self._prepare(connection, writing)
            except BaseException:
                connection.close()
                raise
        return connection

    def _prepare(self, connection: sqlite3.Connection, writing: bool) -> None:
        execute = connection.execute
        execute("PRAGMA trusted_schema = OFF")
        execute("SELECT count(*) FROM sqlite_master").fetchone()
        if not writing:
            execute("PRAGMA query_only = ON")
            return
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA temp_store = MEMORY")
        if self.path is not None:
            (mode,) = execute("PRAGMA journal_mode = WAL").fetchone()
            if mode != "wal":
                raise StoreUnavailable(f"{self.path}: its file system cannot hold a shared log")
            execute("PRAGMA synchronous = FULL")
            execute(f"PRAGMA journal_size_limit = {WAL_BYTES}")
            execute(f"PRAGMA wal_autocheckpoint = {WAL_PAGES}")
            execute(f"PRAGMA cache_size = {-WRITER_CACHE}")

    def begin(self, connection: Connection, writing: bool) -> None:
        """Begin; a writer takes the write lock at once, so that it never has to start again."""
        _own(connection).execute("BEGIN IMMEDIATE" if writing else "BEGIN")

    def end(self, connection: Connection, commit: bool) -> None:
        """Commit or roll back; SQLite may have rolled back by itself, as when a disk is full."""
        if commit:
            _own(connection).execute("COMMIT")
        elif _own(connection).in_transaction:
            _own(connection).execute("ROLLBACK")

    def begin_steps(self, connection: Connection) -> None:
        """Begin with foreign keys off, or a step that rebuilds a table would empty others."""
        _own(connection).execute("PRAGMA foreign_keys = OFF")
        self.begin(connection, writing=True)

    def end_steps(self, connection: Connection, commit: bool) -> None:
        """Commit or roll back, and put foreign keys on again."""
        execute = _own(connection).execute
        try:
            broken = execute("PRAGMA foreign_key_check").fetchone() if commit else None
            if broken:
                raise StoreError(f"{self.name}: rows of table {broken[0]} refer to nothing")
            self.end(connection, commit)
        finally:
            self.end(connection, commit=False)
            execute("PRAGMA foreign_keys = ON")

    def tables(self, cursor: Cursor) -> set[str]:
        """Return the names of the tables, without SQLite's own."""
        rows = cursor.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
        return {name for (name,) in rows if not name.startswith("sqlite_")}

    def changes(self, connection: Connection) -> int:
        """Return how many rows this connection has changed."""
        return _own(connection).total_changes

    def put_aside(self, connection: Connection, version: str, now: float) -> str | None:
        """Copy the file to NAME.before-VERSION-TIME beside it, and remove the oldest copies."""
        if self.path is None:
            return None
        stamp = datetime.fromtimestamp(now, UTC).strftime("%Y%m%dT%H%M%SZ")
        copy = f"{self.path}.before-{re.sub(r'[^0-9A-Za-z.+]', '_', version)}-{stamp}"
        partial = f"{copy}.partial"
        with self._disk_errors():
            try:
                flags = os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW
                os.close(os.open(partial, flags, 0o600))
                target = sqlite3.connect(partial, isolation_level=None)
                try:
                    _own(connection).backup(target)
                finally:
                    target.close()
                with open(partial, "rb") as file:
                    os.fsync(file.fileno())
                os.replace(partial, copy)
            except BaseException:
                with suppress(OSError):
                    os.unlink(partial)
                raise
            for old in self.copies()[:-COPIES]:
                old.unlink()
        self.log.info("{path} was copied to {copy} before its update", path=self.path, copy=copy)
        return copy

    def copies(self) -> list[Path]:
        """Return the copies that were put aside, oldest first."""
        if self.path is None:
            return []
        path = Path(self.path)
        name = re.compile(re.escape(path.name) + r"\.before-[0-9A-Za-z.+_]+-(\d{8}T\d{6}Z)")
        found = [(name.fullmatch(each.name), each) for each in path.parent.iterdir()]
        dated = [(match[1], each) for match, each in found if match]
        return [each for _, each in sorted(dated)]

    def holder(self, connection: Connection) -> str | None:
        """Return the process that holds the lock file."""
        try:
            lock = os.open(f"{self.path}.lock", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return f"process {os.pread(lock, 20, 0).decode('ascii', 'replace').strip()}"
        finally:
            os.close(lock)
        return None

    def damage(self, connection: Connection) -> str | None:
        """Return the first thing that SQLite finds to be wrong."""
        (found,) = _own(connection).execute("PRAGMA quick_check(1)").fetchone()
        return None if found == "ok" else found

    def finish(self, connection: Connection) -> None:
        """Let SQLite renew what it knows of the sizes of tables."""
        with suppress(sqlite3.Error):
            _own(connection).execute("PRAGMA analysis_limit = 400")
            _own(connection).execute("PRAGMA optimize")

    def error(self, error: Exception, writing: bool) -> Exception:
        """Return what an exception of sqlite3 means to whoever asked."""
        if not isinstance(error, sqlite3.Error):
            return error
        # absent from what the module raises for its own reasons, such as a closed connection
        code: int = getattr(error, "sqlite_errorcode", sqlite3.SQLITE_ERROR)
        basic = code & 0xFF
        if basic == sqlite3.SQLITE_CONSTRAINT:
            return StoreConflict(f"{self.name}: {error}")
        if basic == sqlite3.SQLITE_FULL:
            return StoreFull(f"{self.name}: there is no room left on the disk")
        if code == sqlite3.SQLITE_READONLY and not writing:
            return error  # a query that writes
        if basic in UNAVAILABLE:
            return StoreUnavailable(f"{self.name} {UNAVAILABLE[basic]} ({error})")
        return error

    def close(self) -> None:
        """Give the lock back. The lock file stays: removing it could let two servers in."""
        if self._lock is not None:
            os.ftruncate(self._lock, 0)
            os.close(self._lock)
            self._lock = None


def _own(connection: Connection) -> sqlite3.Connection:
    """Return the connection as what `connect` made it."""
    return cast(sqlite3.Connection, connection)
