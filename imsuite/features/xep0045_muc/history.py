"""What was said before somebody entered, and the subject (XEP-0045 §7.2.14-§7.2.15)."""

from __future__ import annotations

from imsuite.core.fanout import Fan
from imsuite.features.xep0045_muc.room import Client, Room, Said
from imsuite.features.xep0045_muc.telling import finish
from imsuite.rules.room import HistoryWanted, select_history
from imsuite.xmpp.stanza import Stanza, delayed, make


def greet(room: Room, client: Client, wanted: HistoryWanted) -> None:
    """Send somebody who has just entered the past it wants to hear, and the subject always."""
    past = list(room.said)
    if past:
        now = int(room.host.clock.seconds() * 1_000_000)
        kept = [(said.id, len(said.stanza.raw)) for said in past]
        for said in past[select_history(kept, wanted, now)]:
            _send(room, client, late(room, said), said)
    _send(room, client, subject_of(room), None)


def late(room: Room, said: Said) -> Stanza:
    """Return a message as it was said, and when (§7.2.14: by the room)."""
    return delayed(said.stanza, room.bare, said.id)


def subject_of(room: Room) -> Stanza:
    """Return what tells the subject, also where there is none (§7.2.15)."""
    if room.subject is None:
        empty = b"<subject/>"
        attributes = {"from": room.bare, "type": "groupchat"}
        return make("message", attributes, empty, "jabber:client}subject")
    return delayed(room.subject, room.bare, room.subject_id)


def _send(room: Room, client: Client, stanza: Stanza, said: Said | None) -> None:
    record = None if said is None else said.record
    fan = Fan(room.host, stanza, record)
    fan.send(client.jid, client.written)
    finish(room, fan)
