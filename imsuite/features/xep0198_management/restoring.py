"""How sessions outlive the server: what is written when it stops, and read when it starts."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from functools import partial
from itertools import takewhile
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import Deferred

from imsuite.core.interfaces import IPresence
from imsuite.core.outbox import Place
from imsuite.core.record import Record
from imsuite.core.service_interfaces import IRooms
from imsuite.core.session import Session
from imsuite.features.xep0198_management import rows
from imsuite.features.xep0198_management.tracker import LEAP, Tracker
from imsuite.store.dialect import StoreError
from imsuite.store.groups import insert
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StreamError

ROUNDS = 100  # of waiting for what is on its way to a session
AGAIN = 2.0  # seconds after which a write that failed is tried again

if TYPE_CHECKING:
    from imsuite.core.host import Host
    from imsuite.features.xep0198_management import Management


@attrs.frozen
class Stopped:
    """What is to be written of a session when the server stops.

    until: number of the last stanza that is in it; what came later is written by itself.
    """

    key: int
    until: int
    session: tuple[Any, ...]  # values of rows.STOPPED
    pending: list[tuple[Any, ...]]  # values of rows.PENDING


@attrs.frozen
class Ended:
    """What is remembered of a session that ended. since: when it did, µs since 1970 UTC."""

    secret: str
    account: str
    count: int
    since: int


def row(host: Host, tracker: Tracker) -> tuple[Any, ...]:
    """Return the values of rows.SESSION for a session that begins to be resumable."""
    session = tracker.session
    state = rows.freeze(host, session)
    who = (tracker.key, host.domain, session.account.bare, session.resource)
    return (*who, tracker.secret, tracker.seconds, 0, 0, -1, 0, state)


def stopped(host: Host, tracker: Tracker) -> Stopped:
    """Return what is to be written of a session."""
    session = tracker.session
    outbox = session.make_outbox()
    outbox.number()
    state = rows.freeze(host, session)
    # what came at the last moment and is not durable writes its own rows, if it becomes so
    waiting = list(takewhile(lambda place: place.ready, outbox))
    places = [*tracker.unacked, *waiting]
    # what is unknown since a crash stays so until the client has come back
    until = tracker.sent + len(waiting)
    sent = -1 if tracker.gaps else until
    return Stopped(
        tracker.key,
        until,
        (tracker.acked, sent, tracker.taken, state, tracker.key),
        [rows.pending(tracker.key, place)[1] for place in places],
    )


async def calm(host: Host, trackers: Iterable[Tracker]) -> None:
    """Wait until all that comes to sessions is durable, if there is an end of it."""
    sessions = [tracker.session for tracker in trackers]
    for _ in range(ROUNDS):
        await host.store.settled()
        if all(place.ready for session in sessions for place in session.make_outbox()):
            return


def write_stopped(cursor: Any, written: Iterable[Stopped]) -> None:
    """Write it; blocks."""
    for each in written:
        cursor.execute(rows.FORGET, (each.key, each.until))
        cursor.execute(rows.STOPPED, each.session)
        insert(cursor, rows.PENDING, each.pending)


def forget(record: Record, tracker: Tracker) -> None:
    """Write down what the client of a session has acknowledged, if that is not done yet."""
    if tracker.key and tracker.acked > tracker.swept and not tracker.gaps:
        tracker.swept = tracker.acked
        record.write(rows.FORGET, tracker.key, tracker.acked)
        record.write(rows.ACKED, tracker.acked, tracker.key)


async def renumber(feature: Management, tracker: Tracker) -> None:
    """Give what a client lacks after a crash the numbers it is going to count.

    It has no link yet. Raises StreamError if the store can not be used: nothing is different then.
    """
    sent, swept = tracker.sent, tracker.swept
    places = tracker.take_unacked()
    record = feature.record(apart=True)
    record.write(rows.FORGET_ALL, tracker.key)
    for place in places:
        again = Place(tracker.session, place.stanza, record)
        again.restored(place.body, place.source)
        record.places.append(again)
    tracker.sent = tracker.swept = tracker.acked
    done: Deferred[None] = Deferred()
    record.after(partial(done.callback, None))
    record.refused = done.errback
    feature.host.store.append(record)
    try:
        await done
    except Exception as why:
        if tracker.gone:
            for place in places:
                tracker.session.lose(place)
        later = [] if tracker.gone else tracker.take_unacked()
        for number, place in enumerate(later, sent + 1):
            place.number = number
        tracker.sent, tracker.swept = sent + len(later), swept
        if not tracker.gone:
            tracker.restore([*places, *later])
        raise StreamError(feature.host.condition(why).condition) from why


async def restore(feature: Management, ended: dict[int, Ended]) -> list[Tracker]:
    """Return the sessions of a host as they were, bound and without a link.

    ended: filled with those that had ended, by their keys. A row that makes no sense costs one
    session and a line in the log.
    """
    host = feature.host
    found = [rows.Stored(*values) for values in await host.store.query(rows.ALL, host.domain)]
    waiting = rows.by_session(await host.store.query(rows.WAITING, host.domain))
    marked = await tried(host, rows.STARTED, host.domain)
    if not marked:
        host.clock.callLater(AGAIN, _mark, feature)
    newest = {(it.account, it.resource): it.number for it in found if not it.ended}
    restored = []
    for stored in sorted(found, key=lambda stored: stored.ended):
        if stored.ended:
            ended[stored.number] = Ended(stored.secret, stored.account, stored.taken, stored.ended)
            continue
        try:
            tracker = await _restored(feature, stored, waiting.get(stored.number, []), marked)
            if tracker is not None and newest[stored.account, stored.resource] != stored.number:
                await _end(tracker)  # another came after it, and its end could not be written
                tracker = None
        except StoreError:
            raise
        except Exception as why:
            tracker = None
            host.log.error(
                "{account}: a session is not restored: {why!r}", account=stored.account, why=why
            )
        if tracker is None:
            await tried(host, rows.REMOVE, stored.number)
            await tried(host, rows.FORGET_ALL, stored.number)
        else:
            restored.append(tracker)
    return restored


async def tried(host: Host, sql: str, *values: object) -> bool:
    """Write something that can be written later as well; tell whether it was."""
    try:
        await host.store.execute(sql, *values)
    except StoreError as why:
        host.log.warn("{host}: restoring sessions goes on without: {why}", host=host, why=str(why))
        return False
    return True


def _mark(feature: Management) -> None:
    """Note that the server has started, again and again until that is written."""
    if not feature.stops:
        feature.host.spawn(_mark_again(feature))


async def _mark_again(feature: Management) -> None:
    host = feature.host
    if not await tried(host, rows.STARTED, host.domain):
        host.clock.callLater(AGAIN, _mark, feature)


def refresh(host: Host, session: Session) -> None:
    """Tell a client that came back after a crash who is there: of contacts and in rooms."""
    presence = host.find_feature(IPresence)
    if presence is not None and session.presence is not None:
        host.spawn(presence.refresh(session))
    for other in host.router.hosts.values():
        rooms = other.find_feature(IRooms)
        if rooms is not None:
            other.spawn(rooms.refresh(session))


async def _end(tracker: Tracker) -> None:
    """End a session that nobody knows of; what waited for it goes elsewhere."""
    session = tracker.session
    session.presence = session.directed = None
    await session.account.host.unbind(session)
    await session.account.host.store.settled()


async def _restored(
    feature: Management, stored: rows.Stored, waiting: list[tuple[Any, ...]], marked: bool
) -> Tracker | None:
    host = feature.host
    jid = parse(stored.account).with_resource(stored.resource)
    account = await host.account(jid.local)
    if account is None or jid.resource in account.sessions:
        return None
    session = Session(account, jid, None, None)
    tracker = Tracker(feature, session, stored.seconds, -stored.taken)
    tracker.key, tracker.secret = stored.number, stored.secret
    tracker.stored = stored.taken
    tracker.acked = tracker.swept = stored.acked
    places = []
    last = max(stored.acked, stored.sent)
    for _, number, id, raw, salt, body in waiting:
        last = max(last, number)
        with suppress(ValueError):  # what is no stanza
            if (place := rows.rebuilt(session, number, id, raw, salt, body)) is not None:
                places.append(place)
    if gone := len(waiting) - len(places):
        host.log.error("{session}: {gone} stanzas for it are gone", session=jid.full, gone=gone)
    # without one of them the client would count less than the server
    # without the mark a crash would look like an end in order: then nothing is certain
    # a message that came while the server stopped has a row above what was counted then
    tracker.gaps = last > stored.sent or gone > 0 or not marked
    tracker.sent = last + LEAP if tracker.gaps else stored.sent
    tracker.restore(places)
    session.make_outbox().tracker = tracker
    await host.bind(session)
    try:
        rows.thaw(host, session, stored.state)
    except Exception:
        await host.unbind(session)  # what waited for it goes elsewhere
        raise
    return tracker
