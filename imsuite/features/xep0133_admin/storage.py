"""What is stored for administration: texts, lists, and when accounts logged in."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import attrs

from imsuite.core.interfaces import Table

TABLES = (
    Table(
        "admin_text",
        (
            """CREATE TABLE admin_text (
                host TEXT NOT NULL,
                name TEXT NOT NULL,     -- motd, welcome, or since: when logins began to be noted
                text TEXT NOT NULL,
                stamp BIGINT NOT NULL,  -- when it was set, µs since 1970 UTC
                PRIMARY KEY (host, name))""",
        ),
        owner=None,
    ),
    Table(
        "admin_list",
        (
            """CREATE TABLE admin_list (
                host TEXT NOT NULL,
                name TEXT NOT NULL,       -- blacklist or whitelist
                jid TEXT NOT NULL,
                direction TEXT NOT NULL,  -- both, in or out
                PRIMARY KEY (host, name, jid))""",
        ),
        owner=None,
    ),
    Table(
        "admin_login",
        (
            """CREATE TABLE admin_login (
                account TEXT NOT NULL PRIMARY KEY,  -- bare JID
                last BIGINT NOT NULL,               -- login, µs since 1970 UTC
                logins BIGINT NOT NULL,             -- how many
                since BIGINT NOT NULL,              -- the first of these, µs since 1970 UTC
                motd BIGINT NOT NULL)               -- stamp of the last one that was seen""",
        ),
    ),
)


@attrs.define(eq=False)
class Seen:
    """What is known of how an account was used; fields as those of the table.

    fresh: it logged in for the first time, and was not welcomed yet.
    """

    last: int = 0
    logins: int = 0
    since: int = 0
    motd: int = 0
    fresh: bool = False

    def row(self) -> tuple[int, int, int, int]:
        """Return what is stored of it."""
        return self.last, self.logins, self.since, self.motd


def load_seen(cursor: Any, account: str) -> Seen:
    """Return what is known of an account."""
    cursor.execute(
        "SELECT last, logins, since, motd FROM admin_login WHERE account = ?", (account,)
    )
    row = cursor.fetchone()
    return Seen() if row is None else Seen(*row)


def save_seen(cursor: Any, rows: Iterable[tuple[str, int, int, int, int]]) -> None:
    """Write down what is known of accounts: bare JID, last, logins, since, motd."""
    cursor.executemany(
        "INSERT INTO admin_login (account, last, logins, since, motd) VALUES (?, ?, ?, ?, ?)"
        " ON CONFLICT (account) DO UPDATE SET last = excluded.last, logins = excluded.logins,"
        " since = excluded.since, motd = excluded.motd",
        list(rows),
    )


def load_texts(cursor: Any, host: str) -> dict[str, tuple[str, int]]:
    """Return text and stamp by name."""
    cursor.execute("SELECT name, text, stamp FROM admin_text WHERE host = ?", (host,))
    return {name: (text, stamp) for name, text, stamp in cursor.fetchall()}


def save_text(cursor: Any, host: str, name: str, text: str, stamp: int) -> None:
    """Write a text down, or forget it where it is empty and has no stamp."""
    cursor.execute("DELETE FROM admin_text WHERE host = ? AND name = ?", (host, name))
    if stamp:
        cursor.execute(
            "INSERT INTO admin_text (host, name, text, stamp) VALUES (?, ?, ?, ?)",
            (host, name, text, stamp),
        )


def load_lists(cursor: Any, host: str) -> dict[str, dict[str, str]]:
    """Return direction by JID, by the name of the list."""
    found: dict[str, dict[str, str]] = {"blacklist": {}, "whitelist": {}}
    cursor.execute("SELECT name, jid, direction FROM admin_list WHERE host = ?", (host,))
    for name, jid, direction in cursor.fetchall():
        found[name][jid] = direction
    return found


def save_list(cursor: Any, host: str, name: str, changes: Mapping[str, str]) -> None:
    """Change a list; a direction of "" takes a JID off."""
    cursor.executemany(
        "DELETE FROM admin_list WHERE host = ? AND name = ? AND jid = ?",
        [(host, name, jid) for jid in changes],
    )
    cursor.executemany(
        "INSERT INTO admin_list (host, name, jid, direction) VALUES (?, ?, ?, ?)",
        [(host, name, jid, direction) for jid, direction in changes.items() if direction],
    )
