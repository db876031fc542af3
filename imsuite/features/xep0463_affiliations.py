"""XEP-0463: MUC Affiliations Versioning."""

from __future__ import annotations

from typing import Any

from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import ROOM_JOINING, Passing, Stage
from imsuite.core.service_interfaces import IRooms
from imsuite.rules.affiliation_versions import NS_MAV, Known, answer, mav, read_token
from imsuite.rules.affiliations import Affiliation, initial_role
from imsuite.rules.room import may_retrieve
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, error, make, quoted

NS_MUC = "http://jabber.org/protocol/muc"
NS_USER = f"{NS_MUC}#user"
_X = f"{NS_USER}}}x"


class Affiliations(Feature):
    """Tell who enters a room what changed in its lists since the last time."""

    spec = "XEP-0463 0.2.0"
    advertises = {At.ROOM: (NS_MAV,)}
    requires = (IRooms,)

    @on(ROOM_JOINING, Stage.COPY, kind="presence", child=(NS_MUC, "x"))
    def tell(self, passing: Passing) -> None:
        """§4.1, §4.2.1: who asks hears it before any presence, and the version with its own."""
        x = passing.stanza.child(NS_MUC, "x")
        asked = None if x is None else child(x, NS_MAV, "mav")
        if asked is None:
            return
        room, sender = passing.room, passing.sender
        affiliation = room.affiliation(sender.bare)
        inside = [occupant.role for occupant in room.of_account(sender.bare)]
        role = max((*inside, initial_role(affiliation, room.config.moderated)))

        def visible(wanted: Affiliation) -> bool:
            return may_retrieve(room.config, wanted, role, affiliation) is None

        if not visible(Affiliation.MEMBER):
            request = make(
                "message", {"from": sender.full, "to": room.bare, "id": passing.stanza.id}
            )
            self._send(passing, error(request, StanzaError("forbidden"), by=room.bare))
            return
        given = asked.getAttribute("since")
        since = None if given is None else read_token(room.secret, given)
        for part in answer(known(room), since, visible):
            inner = mav(room.secret, part.since, part.until) + b"".join(
                b"<item jid=%s affiliation='%s'/>" % (quoted(jid), what.value.encode())
                for jid, what in part.items
            )
            whole = b"<x xmlns='%s'>%s</x>" % (NS_USER.encode(), inner)
            self._send(passing, make("message", {"from": room.bare, "to": sender.full}, whole, _X))
        greetings = room.extra.setdefault("entering", {})
        greetings[sender.full] = mav(room.secret, None, room.version)

    def _send(self, passing: Passing, stanza: Stanza) -> None:
        """Send to who enters, ahead of what the room will send."""
        if passing.session is not None:
            passing.session.send(stanza)
        else:
            self.host.send(stanza)


def known(room: Any) -> dict[str, Known]:
    """Return the affiliations of a room with their versions, also those that ended."""
    ended = {jid: Known(Affiliation.NONE, version) for jid, version in room.former.items()}
    return ended | {
        jid: Known(entry.affiliation, entry.version) for jid, entry in room.entries.items()
    }
