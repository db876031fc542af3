"""What becomes of a stanza that a session never got (RFC 6120 §10, XEP-0198 §5)."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from imsuite.core import hooks
from imsuite.core.hooks import Passing
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, delayed

if TYPE_CHECKING:
    from imsuite.core.outbox import Place, Tracker
    from imsuite.core.session import Session

_MAM_RESULT = "urn:xmpp:mam:2}result"
_REQUESTS = ("get", "set")
_GONE = "recipient-unavailable"
_PAUSE = 1.0  # seconds until a store that was full is tried again


def lost(session: Session, place: Place) -> None:
    """Let a stanza that a session will never get find another way, or tell its sender."""
    stanza, host = place.stanza, session.account.host
    sender = stanza.attrs.get("from")
    if sender is None or sender == session.account.bare:
        return  # a copy, or something of the archive: it is elsewhere too
    if session.account.gone and (place.body is not None or place.record is not None):
        return  # its sender was told that it is kept, and it went with the account
    if _MAM_RESULT in stanza.children:
        return  # of the archive of a room: whoever wants it asks again
    if stanza.kind == "message":
        host.spawn(_elsewhere(session, place, sender))
    elif stanza.kind == "iq" and stanza.attrs.get("type") in _REQUESTS:
        host.refuse(_answerable(session, stanza), StanzaError(_GONE))


async def _elsewhere(session: Session, place: Place, sender: str) -> None:
    account, stanza = session.account, place.stanza
    host = account.host
    passing = Passing(stanza, account, parse(sender), None, session)
    body, record = place.body, place.record
    if body is None and record is not None and record.stanza is not None:
        passing.stanza = delayed(stanza, host.domain, record.id)
    if record is not None and record.stanza is not None:
        passing.came = record.id
    if body is not None:
        passing.came = body.id
        passing.keep().has(account.bare, body)
        passing.keep().note("XEP-0198 §5: its session ended before the client had it", session.full)
        passing.keep().stanza = None  # the archive has it: if no more can be written, nobody errs
    try:
        if account.temporary:
            raise StanzaError(_GONE)
        later = host.switch(hooks.UNACKED).run(passing)
        if later is not None:
            await later
        if passing.record is None:
            raise StanzaError(_GONE)  # nobody could keep it
        _hand_over(session, place, passing)
    except Dropped:
        if passing.record is not None and passing.record.places:
            _hand_over(session, place, passing)  # others get it
    except Exception as why:
        host.refuse(_answerable(session, stanza), why)


def _hand_over(session: Session, place: Place, passing: Passing) -> None:
    """Let a message go its other way; in the same transaction it waits for the session no more.

    What nobody hears of if it fails, for an archive has it, is tried until there is room again.
    """
    record, tracker = passing.record, session.tracker
    if record is not None and tracker is not None:
        for statement, values in tracker.released(place):
            record.write(statement, *values)
        if record.stanza is None:
            tracker.leaving += 1
            record.after(partial(_gone, tracker))
            record.refused = partial(_try_later, session, place, tracker)
    passing.complete()


def _gone(tracker: Tracker) -> None:
    tracker.leaving -= 1


def _try_later(session: Session, place: Place, tracker: Tracker, why: Exception) -> None:
    def again() -> None:
        lost(session, place)
        tracker.leaving -= 1

    if getattr(why, "condition", None) == "resource-constraint":
        session.account.host.clock.callLater(_PAUSE, again)
    else:
        tracker.leaving -= 1


def _answerable(session: Session, stanza: Stanza) -> Stanza:
    """Return the stanza with the address it reached, from where its error comes."""
    return stanza if stanza.attrs.get("to") else stanza.amended({"to": session.full})
