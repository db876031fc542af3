"""The rows of sessions that can be resumed, and how a session comes back from them."""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import attrs

from imsuite.core.interfaces import ISessionState, Table
from imsuite.core.outbox import Place, Row
from imsuite.core.record import Body, Insert, public_id
from imsuite.core.session import Session
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.stanza import Stanza, quoted
from imsuite.xmpp.times import format_datetime

if TYPE_CHECKING:
    from imsuite.core.host import Host

TABLES = (
    Table(
        "session",
        (
            """CREATE TABLE session (
        number {key},             -- when it began, as ids of messages are given
        host TEXT NOT NULL,       -- its domain
        account TEXT NOT NULL,    -- bare JID
        resource TEXT NOT NULL,
        secret TEXT NOT NULL,     -- the part of its id that cannot be guessed
        seconds INTEGER NOT NULL, -- how long it may be without a link
        taken BIGINT NOT NULL,    -- stanzas of the client that are handled and durable
        acked BIGINT NOT NULL,    -- stanzas to the client that it acknowledged, or more by now
        sent BIGINT NOT NULL,     -- stanzas to the client; -1 unless the server stopped in order
        ended BIGINT NOT NULL,    -- µs since 1970 UTC, 0 while it can be resumed
        state TEXT NOT NULL)      -- JSON: what else is known of it""",
            "CREATE INDEX session_account ON session (account)",
        ),
    ),
    Table(
        "pending",
        (
            """CREATE TABLE pending (
        session BIGINT NOT NULL,
        number BIGINT NOT NULL,  -- which stanza to that client it is
        id BIGINT NOT NULL,      -- of the message, 0 if there is no such row
        raw {blob},              -- the stanza, where the message alone does not tell it
        PRIMARY KEY (session, number)) {clustered}""",
        ),
        owner=None,
    ),
)

PENDING = Insert("pending", ("session", "number", "id", "raw"))
SESSION = Insert(
    "session",
    (
        "number",
        "host",
        "account",
        "resource",
        "secret",
        "seconds",
        "taken",
        "acked",
        "sent",
        "ended",
        "state",
    ),
)
COUNT = "UPDATE session SET taken = ? WHERE number = ?"
STATE = "UPDATE session SET state = ? WHERE number = ?"
ACKED = "UPDATE session SET acked = ? WHERE number = ?"
STOPPED = "UPDATE session SET acked = ?, sent = ?, taken = ?, state = ? WHERE number = ?"
STARTED = "UPDATE session SET sent = -1 WHERE host = ?"
ENDED = "UPDATE session SET ended = ?, taken = ?, state = '' WHERE number = ?"
REMOVE = "DELETE FROM session WHERE number = ?"
REMOVE_OLD = "DELETE FROM session WHERE ended > 0 AND ended < ?"
FORGET_ORPHANS = (
    "DELETE FROM pending WHERE NOT EXISTS"
    " (SELECT 1 FROM session s WHERE s.number = pending.session AND s.ended = 0)"
)
FORGET = "DELETE FROM pending WHERE session = ? AND number <= ?"
FORGET_ONE = "DELETE FROM pending WHERE session = ? AND number = ?"
FORGET_ALL = "DELETE FROM pending WHERE session = ?"
ALL = (
    "SELECT number, account, resource, secret, seconds, taken, acked, sent, ended, state "
    "FROM session WHERE host = ? ORDER BY number"
)
WAITING = (
    "SELECT p.session, p.number, p.id, p.raw, m.salt, m.raw FROM pending p "
    "JOIN session s ON s.number = p.session LEFT JOIN message m ON m.id = p.id "
    "WHERE s.host = ? ORDER BY p.session, p.number"
)

_SID = "urn:xmpp:sid:0"


@attrs.frozen
class Stored:
    """A session as it was stored."""

    number: int
    account: str
    resource: str
    secret: str
    seconds: int
    taken: int
    acked: int
    sent: int
    ended: int
    state: str


def count(key: int, taken: int) -> Row:
    """Return the row of how many stanzas of a client are handled."""
    return COUNT, (taken, key)


def pending(key: int, place: Place) -> Row:
    """Return the row of a message that goes to a session; the body is not stored twice."""
    if (source := place.source) is not None:  # one of many that a room sends
        return PENDING, (key, place.number, source.id, None)
    body, stanza = place.body, place.stanza
    copy = stanza.attrs.get("from") == place.session.account.bare  # a carbon and the like
    if body is None or copy:
        return PENDING, (key, place.number, 0 if body is None else body.id, stanza.raw)
    return PENDING, (key, place.number, body.id, None)


def rebuilt(
    session: Session, number: int, id: int, raw: bytes | None, salt: int | None, body: bytes | None
) -> Place | None:
    """Return what a row of `pending` stands for, or None if its message is gone."""
    kept = None if body is None or salt is None else Body(id, salt, bytes(body))
    source = None
    if raw is not None:
        stanza = Stanza.parse(bytes(raw))
    elif kept is not None:
        stanza = Stanza.parse(kept.raw)
        by = session.account.bare
        if stanza.type == "groupchat":
            source, kept = kept, None  # the account's archive does not have it
            by = parse(stanza.attrs["from"]).bare
            stanza = stanza.amended({"to": session.full})
        inner = b"<stanza-id xmlns='urn:xmpp:sid:0' by=%s id='%s'/>" % (
            quoted(by),
            public_id(id, salt or 0).encode(),
        )
        inner += b"<delay xmlns='%s' from=%s stamp='%s'/>" % (
            NS.DELAY.encode(),
            quoted(session.account.host.domain),
            format_datetime(id).encode(),
        )
        stanza = stanza.plus(inner, f"{_SID}}}stanza-id", f"{NS.DELAY}}}delay")
    else:
        return None
    place = Place(session, stanza)
    place.number = number
    place.restored(kept, source)
    return place


def freeze(host: Host, session: Session, brief: bool = False) -> str:
    """Return what is known of a session, as JSON; brief: without what may be much."""
    presence = session.presence
    kept = {}
    for word, feature in host.features.items():
        if ISessionState.providedBy(feature):
            value = feature.freeze(session)
            if value is not None:
                kept[word] = value
    return json.dumps(
        {
            "presence": None if presence is None else presence.raw.decode(),
            "presence_since": session.presence_since,
            "priority": session.priority,
            "since": session.since,
            "born": session.born,
            "lang": session.lang,
            "interested": session.interested,
            "directed": [] if brief else sorted(session.directed or ()),
            "features": kept,
        }
    )


def thaw(host: Host, session: Session, state: str) -> None:
    """Put back what `freeze` returned."""
    value: dict[str, Any] = json.loads(state)
    if value["presence"] is not None:
        session.presence = Stanza.parse(value["presence"].encode())
    session.presence_since = value["presence_since"]
    session.priority = value["priority"]
    session.since = value["since"]
    session.born = value.get("born", int(session.since * 1_000_000))
    session.interested = value["interested"]
    session.directed = set(value["directed"]) or None
    for word, kept in value["features"].items():
        feature = host.features.get(word)
        if feature is not None and ISessionState.providedBy(feature):
            feature.thaw(session, kept)


def by_session(found: Iterable[tuple[Any, ...]]) -> dict[int, list[tuple[Any, ...]]]:
    """Return the rows of WAITING by session."""
    grouped: dict[int, list[tuple[Any, ...]]] = {}
    for row in found:
        grouped.setdefault(row[0], []).append(row)
    return grouped
