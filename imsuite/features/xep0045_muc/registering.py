"""Registering with a room: membership, and a nickname of one's own (XEP-0045 §7.10)."""

from __future__ import annotations

from twisted.words.xish.domish import Element

from imsuite.core.feature import At, answers
from imsuite.core.hooks import Passing
from imsuite.features.xep0045_muc.affiliating import affiliate
from imsuite.features.xep0045_muc.facet import Facet
from imsuite.features.xep0045_muc.room import Entry, Room
from imsuite.rules.affiliations import Affiliation
from imsuite.rules.room import check_nick
from imsuite.xmpp import forms
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, result

NS_REGISTER = "jabber:iq:register"
FORM_TYPE = "http://jabber.org/protocol/muc#register"
_NICK = "muc#register_roomnick"


def registers(room: Room) -> bool:
    """Tell whether somebody who is nothing to a room may register with it.

    Where only members may enter, becoming one is not for everybody to decide.
    """
    return not (room.config.members_only or room.locked)


class Registering(Facet):
    """Let people become members by themselves, where the room lets them."""

    @answers("get", NS_REGISTER, "query", At.ROOM)
    def requirements(self, request: Passing) -> Stanza:
        """§7.10: what must be said, or what was."""
        room: Room = request.room
        entry = self._entry(request, room)
        query = Element((NS_REGISTER, "query"))
        if entry is not None and entry.nick:
            query.addElement("registered")
            query.addElement("username", content=entry.nick)
        else:
            nickname = forms.field("text-single", _NICK, label="Nickname", required=True)
            form = forms.make("form", FORM_TYPE, [nickname], room.config.name or room.jid.local)
            query.addElement("instructions", content="Choose the nickname that will be yours here.")
            query.addChild(forms.to_element(form))
        return result(request.stanza, query)

    @answers("set", NS_REGISTER, "query", At.ROOM)
    async def register(self, request: Passing) -> Stanza:
        """§7.10: become a member with a reserved nickname, change that, or give both up."""
        room: Room = request.room
        sender = request.sender
        query = request.stanza.payload
        assert query is not None
        async with room.turn:
            if room.gone:
                raise StanzaError("item-not-found")
            entry = self._entry(request, room)
            if child(query, NS_REGISTER, "remove") is not None:
                await self._unregister(room, sender.bare, entry)
                return result(request.stanza)
            nick = self._wanted(query)
            for holder in (room.reserved_for(nick), getattr(room.find(nick), "bare", None)):
                if holder not in (None, sender.bare):
                    raise StanzaError("conflict", text="the nickname belongs to somebody else")
            if entry is None or entry.affiliation is Affiliation.NONE:
                changed = Entry(Affiliation.MEMBER, nick, "registered")
            else:
                changed = Entry(entry.affiliation, nick, entry.reason)
            await affiliate(self.rooms, room, {sender.bare: changed}, by=sender.full)
        return result(request.stanza)

    def _entry(self, request: Passing, room: Room) -> Entry | None:
        """Return what somebody is to the room. Raises StanzaError for who may not register."""
        account = request.account
        if account is not None and account.temporary:
            raise StanzaError("not-allowed", text="only accounts that last are registered")
        affiliation = room.affiliation(request.sender.bare)
        if affiliation is Affiliation.OUTCAST:
            raise StanzaError("not-allowed")
        if affiliation is Affiliation.NONE and not registers(room):
            raise StanzaError("not-allowed", text="members are chosen by the admins of this room")
        return room.entries.get(request.sender.bare)

    def _wanted(self, query: Element) -> str:
        """Return the nickname that a form asks for. Raises StanzaError."""
        form = forms.submitted(query, FORM_TYPE)
        if form is None:
            raise StanzaError("bad-request", text="there is no form")
        given = forms.text(form, _NICK)
        if not given:
            raise StanzaError("bad-request", text="there is no nickname")
        return check_nick(given, self.options.longest_nick)

    async def _unregister(self, room: Room, bare: str, entry: Entry | None) -> None:
        """XEP-0077 §3.2: who is a member and no more than that is none any longer."""
        if entry is None or not (entry.nick or entry.affiliation is Affiliation.MEMBER):
            raise StanzaError("registration-required", type="auth")
        after = entry.affiliation
        if after is Affiliation.MEMBER:
            after = Affiliation.NONE
        await affiliate(self.rooms, room, {bare: Entry(after)}, by=bare)
