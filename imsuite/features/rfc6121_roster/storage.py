"""What is stored of rosters, and how it is read and written."""

from __future__ import annotations

import json
from typing import Any

import attrs

from imsuite.core.interfaces import Table
from imsuite.rules.roster import RosterItem
from imsuite.rules.subscription import Request, State
from imsuite.xmpp.address import parse

REMEMBERED = 200  # removed items of one account that are kept for versioning

TABLES = (
    Table(
        "roster",
        (
            """CREATE TABLE roster (
                account TEXT NOT NULL,     -- bare JID
                contact TEXT NOT NULL,     -- bare JID
                name TEXT NOT NULL,
                groups TEXT NOT NULL,      -- JSON list
                state TEXT NOT NULL,       -- rules.subscription.State
                approved INTEGER NOT NULL, -- 1: pre-approved
                removed INTEGER NOT NULL,  -- 1: no longer in the roster
                version BIGINT NOT NULL,   -- of the last change
                PRIMARY KEY (account, contact))""",
        ),
    ),
    Table(
        "roster_versions",
        (
            """CREATE TABLE roster_versions (
                account TEXT NOT NULL PRIMARY KEY,
                version BIGINT NOT NULL,  -- of the roster now
                oldest BIGINT NOT NULL)   -- since which all changes are known""",
        ),
    ),
    Table(
        "roster_requests",
        (
            """CREATE TABLE roster_requests (
                account TEXT NOT NULL,  -- who is asked
                contact TEXT NOT NULL,  -- who asks
                stanza {blob} NOT NULL,
                PRIMARY KEY (account, contact))""",
        ),
    ),
)


@attrs.define
class Roster:
    """What is kept of a loaded account.

    items: by bare JID of the contact; requests: the raw subscription request of each contact
    that waits for an answer; version: of the roster now; oldest: since which all changes are
    known.
    """

    items: dict[str, RosterItem]
    requests: dict[str, bytes]
    version: int
    oldest: int

    def state(self, contact: str) -> State:
        """Return the state of the subscription to and from a contact."""
        item = self.items.get(contact)
        if item is not None:
            return item.state
        return State.NONE_PENDING_IN if contact in self.requests else State.NONE


def load(cursor: Any, account: str) -> Roster:
    """Return the roster of an account; an empty one where there is no database."""
    if cursor is None:
        return Roster({}, {}, 1, 1)
    cursor.execute(
        "SELECT contact, name, groups, state, approved FROM roster"
        " WHERE account = ? AND removed = 0",
        (account,),
    )
    items = {
        contact: RosterItem(
            parse(contact), name, tuple(json.loads(groups)), State[state], bool(approved)
        )
        for contact, name, groups, state, approved in cursor.fetchall()
    }
    cursor.execute("SELECT contact, stanza FROM roster_requests WHERE account = ?", (account,))
    requests = {contact: bytes(stanza) for contact, stanza in cursor.fetchall()}
    cursor.execute("SELECT version, oldest FROM roster_versions WHERE account = ?", (account,))
    version, oldest = cursor.fetchone() or (1, 1)
    return Roster(items, requests, version, oldest)


def write(
    cursor: Any,
    account: str,
    item: RosterItem | None,
    removed: bool,
    version: int,
    oldest: int,
    contact: str,
    request: Request,
    raw: bytes | None,
) -> int:
    """Write one change of a roster; return since which version all changes are known now."""
    if item is not None:
        cursor.execute(
            "DELETE FROM roster WHERE account = ? AND contact = ?", (account, item.jid.bare)
        )
        cursor.execute(
            "INSERT INTO roster (account, contact, name, groups, state, approved, removed, version)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
            (
                account,
                item.jid.bare,
                "" if removed else item.name,
                json.dumps([] if removed else item.groups),
                State.NONE.name if removed else item.state.name,
                int(item.approved and not removed),
                int(removed),
                version,
            ),
        )
        if removed:
            oldest = max(oldest, _forget_oldest(cursor, account))
        cursor.execute("DELETE FROM roster_versions WHERE account = ?", (account,))
        cursor.execute(
            "INSERT INTO roster_versions (account, version, oldest) VALUES (?, ?, ?)",
            (account, version, oldest),
        )
    if request is not Request.KEEP:
        cursor.execute(
            "DELETE FROM roster_requests WHERE account = ? AND contact = ?", (account, contact)
        )
    if request is Request.STORE and raw is not None:
        cursor.execute(
            "INSERT INTO roster_requests (account, contact, stanza) VALUES (?, ?, ?)",
            (account, contact, raw),
        )
    return oldest


def _forget_oldest(cursor: Any, account: str) -> int:
    """Let go of the removals that are too many; return the version of the last one that went."""
    cursor.execute(
        "SELECT version FROM roster WHERE account = ? AND removed = 1"
        " ORDER BY version DESC LIMIT 1 OFFSET ?",
        (account, REMEMBERED),
    )
    row = cursor.fetchone()
    if row is None:
        return 0
    cursor.execute(
        "DELETE FROM roster WHERE account = ? AND removed = 1 AND version <= ?", (account, row[0])
    )
    return int(row[0])
