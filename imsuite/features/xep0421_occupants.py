"""XEP-0421: Occupant identifiers for semi-anonymous MUCs."""

from __future__ import annotations

from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import ROOM_MESSAGE, ROOM_PRESENCE, ROOM_PRIVATE, Passing, Stage
from imsuite.core.service_interfaces import IRooms
from imsuite.xmpp.stanza import Stanza, quoted

NS_OCCUPANT = "urn:xmpp:occupant-id:0"
_NAME = f"{NS_OCCUPANT}}}occupant-id"
_ELEMENT = f"<occupant-id xmlns='{NS_OCCUPANT}' id=%s/>".encode()


class OccupantIds(Feature):
    """Let occupants be told apart by something that they cannot change and that names nobody."""

    spec = "XEP-0421 1.0.1"
    advertises = {At.ROOM: (NS_OCCUPANT,)}
    requires = (IRooms,)

    @on(ROOM_MESSAGE, Stage.AMEND)
    @on(ROOM_PRESENCE, Stage.AMEND)
    @on(ROOM_PRIVATE, Stage.AMEND)
    def sign(self, passing: Passing) -> Stanza:
        """§3.2, §3.3: the same account has the same in one room, and another in another."""
        stanza = passing.stanza
        changed = stanza.plus(_ELEMENT % quoted(passing.occupant.id), _NAME)
        changed.worth = stanza.worth
        return changed
