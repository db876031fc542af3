"""What becomes of a stanza that a session never got (RFC 6120 §10, XEP-0198 §5)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from imsuite.core import hooks
from imsuite.core.hooks import Passing
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, quoted
from imsuite.xmpp.times import format_datetime

if TYPE_CHECKING:
    from imsuite.core.outbox import Place
    from imsuite.core.session import Session

_REQUESTS = ("get", "set")
_GONE = "recipient-unavailable"


def lost(session: Session, place: Place) -> None:
    """Let a stanza that a session will never get find another way, or tell its sender."""
    stanza, host = place.stanza, session.account.host
    sender = stanza.attrs.get("from")
    if sender is None or sender == session.account.bare:
        return  # a copy, or something of the archive: it is elsewhere too
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
        passing.stanza = _delayed(stanza, record.id, host.domain)
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
    """Let a message go its other way; in the same transaction it waits for the session no more."""
    if passing.record is not None and session.tracker is not None:
        for statement, values in session.tracker.released(place):
            passing.record.write(statement, *values)
    passing.complete()


def _delayed(stanza: Stanza, id: int, domain: str) -> Stanza:
    """Return a message that no archive has with the time when it came (XEP-0203)."""
    if stanza.has(NS.DELAY, "delay"):
        return stanza
    delay = b"<delay xmlns='%s' from=%s stamp='%s'/>" % (
        NS.DELAY.encode(),
        quoted(domain),
        format_datetime(id).encode(),
    )
    return stanza.plus(delay, f"{NS.DELAY}}}delay")


def _answerable(session: Session, stanza: Stanza) -> Stanza:
    """Return the stanza with the address it reached, from where its error comes."""
    return stanza if stanza.attrs.get("to") else stanza.amended({"to": session.full})
