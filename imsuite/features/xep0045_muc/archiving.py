"""The archive of a room, for those who may read it (XEP-0313 §6.1.2)."""

from __future__ import annotations

from imsuite.core.feature import At, answers, on
from imsuite.core.hooks import ROOM_MESSAGE, Passing, Stage
from imsuite.features.xep0045_muc.facet import Facet
from imsuite.features.xep0045_muc.room import Room
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.rules.room import sees_jids
from imsuite.rules.traffic import classify
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza

NS_MAM = "urn:xmpp:mam:2"


class Archiving(Facet):
    """What is said in a room is written down, and given to those who may know it."""

    @on(ROOM_MESSAGE, Stage.RECORD)
    def keep(self, passing: Passing) -> Stanza | None:
        """§6.1.2: what is said to all is archived by the room, once.

        In a room without an archive it is kept for a while where somebody inside may resume a
        session, who would get it then.
        """
        room: Room = passing.room
        lasting = room.config.logged
        if self.archive is None or not (lasting or room.resumable):
            return None
        if not classify(passing.stanza).room_archive:
            return None
        record = passing.keep()
        kept: Stanza = self.archive.hold(
            room.bare, record, passing.stanza, passing.sender, lasting=lasting
        )
        return kept

    @answers("set", NS_MAM, "query", At.ROOM)
    @answers("get", NS_MAM, "query", At.ROOM)
    @answers("get", NS_MAM, "metadata", At.ROOM)
    async def read(self, request: Passing) -> Stanza:
        """§6.1.2, §8.1: access is what it is when somebody asks."""
        room: Room = request.room
        if self.archive is None or not room.config.logged:
            raise StanzaError("service-unavailable")
        affiliation = room.affiliation(request.sender.bare)
        if affiliation is Affiliation.OUTCAST:
            raise StanzaError("forbidden")
        inside = request.occupant is not None
        config = room.config
        if not inside and affiliation < Affiliation.MEMBER:
            if config.members_only or config.password_protected or room.locked:
                raise StanzaError("forbidden")
            if request.account is not None and request.account.temporary:
                raise StanzaError("forbidden")
        role = request.occupant.role if inside else Role.NONE
        sees = affiliation >= Affiliation.ADMIN or sees_jids(config, role)
        answer: Stanza = await self.archive.answer(request, room.bare, sees=sees)
        return answer
