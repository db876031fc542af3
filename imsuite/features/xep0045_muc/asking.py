"""Messages to a room that are not for all: invitations and voice (XEP-0045 §7.8.2, §7.13, §8.6)."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from typing import Any

from twisted.words.xish.domish import Element

from imsuite.core.fanout import Fan
from imsuite.core.feature import At, takes
from imsuite.core.hooks import Passing
from imsuite.features.xep0045_muc.affiliating import affiliate, set_role
from imsuite.features.xep0045_muc.facet import Facet
from imsuite.features.xep0045_muc.room import Entry, Occupant, Room
from imsuite.features.xep0045_muc.telling import NS_USER, finish
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.rules.room import may_invite
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import InvalidAddress, parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, child, children, escaped, make, quoted, text_of, to_bytes

NS_REQUEST = "http://jabber.org/protocol/muc#request"
_X = f"{NS_USER}}}x"
_MOST = 20  # invitations in one message


class Asking(Facet):
    """Mediated invitations, and requests for voice."""

    @takes("message", None, "normal", "chat", "headline", at=At.ROOM)
    def ask(self, passing: Passing) -> Awaitable[None] | None:
        """Take a message to a room that is not of type groupchat."""
        stanza, room = passing.stanza, passing.room
        x = stanza.child(NS_USER, "x")
        if x is not None:
            invitations = children(x, NS_USER, "invite")
            if invitations:
                return self._invite(room, passing, invitations)
            declined = child(x, NS_USER, "decline")
            if declined is not None:
                self._decline(room, passing, declined)
                return None
        if stanza.has(NS.DATA, "x"):
            return self._voice(room, passing)
        if passing.occupant is None:
            raise StanzaError("not-acceptable", by=room.bare)
        raise StanzaError("bad-request", text="of type groupchat it would go to all", by=room.bare)

    # §7.8.2

    async def _invite(self, room: Room, passing: Passing, invitations: list[Element]) -> None:
        sender, occupant = passing.sender, passing.occupant
        role = Role.NONE if occupant is None else occupant.role
        affiliation = room.affiliation(sender.bare)
        why = may_invite(room.config, role, affiliation)
        if why is None and affiliation is Affiliation.OUTCAST:
            why = StanzaError("forbidden")
        if why is None and len(invitations) > _MOST:
            why = StanzaError("policy-violation", text="too many invitations at once")
        if why is not None:
            why.by = room.bare
            raise why
        invited = []
        for invitation in invitations:
            try:
                invited.append((parse(invitation.getAttribute("to", "")), invitation))
            except InvalidAddress:
                raise StanzaError("jid-malformed", by=room.bare) from None
        for jid, _ in invited:
            await self._check_is_there(room, jid.domain, jid.local)
        if room.config.members_only:
            await self._admit(room, passing, [jid.bare for jid, _ in invited])
        # who it is that invites is known to whoever sees the occupants' real JIDs anyway
        by = sender.full if occupant is None or not room.config.semi_anonymous else occupant.jid
        for jid, invitation in invited:
            self.host.send(_invitation(room, by, jid.full, invitation, passing.stanza))

    async def _check_is_there(self, room: Room, domain: str, local: str) -> None:
        """Raise StanzaError where an account of this server is invited that does not exist."""
        host = self.host.router.hosts.get(domain)
        if host is not None and (not local or await host.account(local) is None):
            raise StanzaError("item-not-found", by=room.bare)

    async def _admit(self, room: Room, passing: Passing, invited: list[str]) -> None:
        """Make members of those who are invited into a room that only members may enter."""
        async with room.turn:
            if room.gone:
                raise StanzaError("item-not-found", by=room.bare)
            new = {
                bare: Entry(Affiliation.MEMBER, reason="invited")
                for bare in invited
                if room.affiliation(bare) is Affiliation.NONE
            }
            if any(room.affiliation(bare) is Affiliation.OUTCAST for bare in invited):
                raise StanzaError("not-allowed", text="who is banned is not invited", by=room.bare)
            if new:
                await affiliate(self.rooms, room, new, by=passing.sender.full)

    def _decline(self, room: Room, passing: Passing, declined: Element) -> None:
        """Tell who invited that the invitation is declined."""
        try:
            to = parse(declined.getAttribute("to", ""))
        except InvalidAddress:
            raise StanzaError("jid-malformed", by=room.bare) from None
        if room.affiliation(passing.sender.bare) is Affiliation.OUTCAST:
            raise StanzaError("forbidden", by=room.bare)
        inner = _reason(declined)
        x = b"<x xmlns='%s'><decline from=%s>%s</decline></x>"
        raw = x % (NS_USER.encode(), quoted(passing.sender.bare), inner)
        stanza = make("message", {"from": room.bare, "id": passing.stanza.id}, raw, _X)
        if to.bare == room.bare:
            inviter = room.find(to.resource)
            if inviter is None:
                raise StanzaError("item-not-found", by=room.bare)
            self._send(room, stanza, inviter)
            return
        # only to who is in, or this room would carry messages of anyone to anyone
        if not (room.of_account(to.bare) or room.affiliation(to.bare) >= Affiliation.MEMBER):
            if room.config.semi_anonymous:
                raise Dropped  # who asks for an answer does not learn who is in
            raise StanzaError("item-not-found", by=room.bare)
        self.host.send(stanza.amended({"to": to.full}))

    # §7.13, §8.6

    def _voice(self, room: Room, passing: Passing) -> Awaitable[None] | None:
        occupant = passing.occupant
        if occupant is None:
            raise StanzaError("not-acceptable", by=room.bare)
        form = forms.submitted(passing.stanza.element, NS_REQUEST)
        if form is None or form.formNamespace != NS_REQUEST:
            raise StanzaError("bad-request", text="there is no form of voice", by=room.bare)
        role = forms.text(form, "muc#role", Role.PARTICIPANT.value)
        if role != Role.PARTICIPANT.value:
            raise StanzaError("not-acceptable", text="only voice is asked for so", by=room.bare)
        if "muc#request_allow" in form.fields:
            if occupant.role is not Role.MODERATOR:
                raise StanzaError("forbidden", by=room.bare)
            if forms.boolean(form, "muc#request_allow", False):
                return self._grant(room, occupant, form, passing.sender.full)
            return None
        if occupant.role is not Role.VISITOR:
            return None  # there is nothing to ask for
        question = _question(room, occupant, passing.sender.full)
        for other in list(room.occupants.values()):
            if other.role is Role.MODERATOR:
                self._send(room, question, other)
        return None

    async def _grant(self, room: Room, moderator: Occupant, form: Any, by: str) -> None:
        nick = forms.text(form, "muc#roomnick", "") or ""
        jid = forms.jid(form, "muc#jid")
        occupant = room.find(nick) if nick else None
        if occupant is None and jid is not None:
            occupant = room.by_client.get(jid.full)
        if occupant is None or (jid is not None and jid.bare != occupant.bare):
            raise StanzaError("item-not-found", by=room.bare)
        if occupant.role is Role.VISITOR:
            set_role(self.rooms, room, occupant, Role.PARTICIPANT, moderator.nick, "", by)

    def _send(self, room: Room, stanza: Stanza, to: Occupant) -> None:
        fan = Fan(self.host, stanza)
        for client in list(to.clients.values()):
            fan.send(client.jid, client.written)
        finish(room, fan)


def _invitation(room: Room, by: str, to: str, invitation: Element, came: Stanza) -> Stanza:
    """Return an invitation as the room sends it (§7.8.2)."""
    inner = b"<invite from=%s>%s</invite>" % (quoted(by), _reason(invitation))
    if room.config.password_protected:
        inner += b"<password>%s</password>" % escaped(room.config.secret)
    x = b"<x xmlns='%s'>%s</x>" % (NS_USER.encode(), inner)
    return make("message", {"from": room.bare, "to": to, "id": came.id}, x, _X)


def _question(room: Room, occupant: Occupant, jid: str) -> Stanza:
    """Return what asks moderators whether somebody may speak (§8.6)."""
    fields = [
        forms.field(
            "list-single",
            "muc#role",
            Role.PARTICIPANT.value,
            "Requested role",
            options={Role.PARTICIPANT.value: "Participant"},
        ),
        forms.field("jid-single", "muc#jid", jid, "Who asks"),
        forms.field("text-single", "muc#roomnick", occupant.nick, "Nickname"),
        forms.field("boolean", "muc#request_allow", False, "Let this occupant speak?"),
    ]
    text = "Somebody without a voice in this room asks for one."
    form = forms.make("form", NS_REQUEST, fields, "Request for voice", [text])
    raw = to_bytes(forms.to_element(form))
    return make("message", {"from": room.bare}, raw, f"{NS.DATA}}}x")


def _reason(element: Element) -> bytes:
    """Return the reason and what is said of a talk that goes on, of an invitation or a refusal."""
    return b"".join(_kept(element))


def _kept(element: Element) -> Iterator[bytes]:
    reason = child(element, NS_USER, "reason")
    if reason is not None and text_of(reason):
        yield b"<reason>%s</reason>" % escaped(text_of(reason))
    continued = child(element, NS_USER, "continue")
    if continued is not None:
        thread = continued.getAttribute("thread")
        named = b"" if thread is None else b" thread=%s" % quoted(thread)
        yield b"<continue%s/>" % named
