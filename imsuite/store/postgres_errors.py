"""What errors of PostgreSQL and of libpq mean, in one line and without the values of rows."""

from __future__ import annotations

import psycopg

from imsuite.store.dialect import StoreConflict, StoreError, StoreFull, StoreUnavailable

# SQLSTATEs, or how they begin, that say something about the server; others are mistakes in SQL
UNAVAILABLE = {
    "08": "cannot be reached",
    "25006": "may only be read; is it a standby?",
    "40": "was changed by another program meanwhile",
    "42501": "may not be used so by this user",
    "53": "has not enough memory, connections or room",
    "55P03": "is kept locked by another program",
    "57": "was interrupted",
    "58": "cannot be read or written",
    "XX001": "is damaged",
    "XX002": "is damaged",
}
FULL = "53100"
READ_ONLY = "25006"
TOO_LONG = "54"  # such as a row of an index


def meaning(error: Exception, writing: bool, name: str) -> Exception:
    """Return the StoreError that an exception means, or the exception: a mistake in a query.

    writing: whoever asked may write; name: of the database.
    """
    if not isinstance(error, psycopg.Error):
        return error
    code = error.sqlstate or ""
    text = error.diag.message_primary or type(error).__name__
    if isinstance(error, psycopg.IntegrityError):
        return StoreConflict(f"{name}: {text}")
    if code == FULL:
        return StoreFull(f"{name}: there is no room left on the disk")
    if code == READ_ONLY and not writing:
        return error
    if isinstance(error, psycopg.DataError) or code.startswith(TOO_LONG):
        return StoreError(f"{name} cannot hold a value ({type(error).__name__})")
    for start, words in UNAVAILABLE.items():
        if code.startswith(start):
            return StoreUnavailable(f"{name} {words} ({text})")
    if not code and isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
        return StoreUnavailable(f"{name} cannot be reached ({reason(error)})")
    return error


def reason(error: psycopg.Error) -> str:
    """Return what libpq says of a failure, in one line."""
    line = (str(error).splitlines() or [type(error).__name__])[0]
    return line.rpartition(" failed: ")[2].removeprefix("FATAL:").strip()
