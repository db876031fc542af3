"""XEP-0045 §5: roles, affiliations, and who may change whose."""

from __future__ import annotations

import enum
from collections.abc import Iterable, Mapping

import attrs

from imsuite.xmpp.address import JID
from imsuite.xmpp.errors import StanzaError


class _Ranked(enum.Enum):
    """Values in the order of their definition, the least powerful first."""

    _rank: int

    def __init__(self, _: str) -> None:
        self._rank = len(type(self).__members__)

    def __lt__(self, other: object) -> bool:
        return self._rank < other._rank if isinstance(other, type(self)) else NotImplemented

    def __le__(self, other: object) -> bool:
        return self._rank <= other._rank if isinstance(other, type(self)) else NotImplemented

    def __gt__(self, other: object) -> bool:
        return self._rank > other._rank if isinstance(other, type(self)) else NotImplemented

    def __ge__(self, other: object) -> bool:
        return self._rank >= other._rank if isinstance(other, type(self)) else NotImplemented


class Role(_Ranked):
    """What an occupant may do during a visit (§5.1)."""

    NONE = "none"
    VISITOR = "visitor"
    PARTICIPANT = "participant"
    MODERATOR = "moderator"


class Affiliation(_Ranked):
    """What a bare JID is to a room, whether present or not (§5.2)."""

    OUTCAST = "outcast"
    NONE = "none"
    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


class Grant(enum.Enum):
    """A cell of a privilege table."""

    NO = "No"
    YES = "Yes"
    DEFAULT_NO = "No*"  # the configuration of the room may give it
    DEFAULT_YES = "Yes*"  # the configuration of the room may take it


_NO, _YES, _NO_, _YES_ = Grant.NO, Grant.YES, Grant.DEFAULT_NO, Grant.DEFAULT_YES

# §5.1.1: columns are None, Visitor, Participant, Moderator
_ROLE_TABLE = {
    "Present in Room": (_NO, _YES, _YES, _YES),
    "Receive Messages": (_NO, _YES, _YES, _YES),
    "Receive Occupant Presence": (_NO, _YES, _YES, _YES),
    "Broadcast Presence to All Occupants": (_NO, _YES_, _YES, _YES),
    "Change Availability Status": (_NO, _YES_, _YES, _YES),
    "Change Room Nickname": (_NO, _YES_, _YES, _YES),
    "Send Private Messages": (_NO, _YES_, _YES, _YES),
    "Invite Other Users": (_NO, _YES_, _YES_, _YES),
    "Send Messages to All": (_NO, _NO, _YES, _YES),
    "Modify Subject": (_NO, _NO_, _YES_, _YES),
    "Kick Participants and Visitors": (_NO, _NO, _NO, _YES),
    "Grant Voice": (_NO, _NO, _NO, _YES),
    "Revoke Voice": (_NO, _NO, _NO, _YES),
}

# §5.2.1: columns are Outcast, None, Member, Admin, Owner
_AFFILIATION_TABLE = {
    "Enter Open Room": (_NO, _YES, _YES, _YES, _YES),
    "Register with Open Room": (_NO, _YES, _NO, _NO, _NO),
    "Retrieve Member List": (_NO, _NO, _YES_, _YES, _YES),
    "Enter Members-Only Room": (_NO, _NO, _YES, _YES, _YES),
    "Ban Members and Unaffiliated Users": (_NO, _NO, _NO, _YES, _YES),
    "Edit Member List": (_NO, _NO, _NO, _YES, _YES),
    "Assign and Remove Moderator Role": (_NO, _NO, _NO, _YES, _YES),
    "Edit Admin List": (_NO, _NO, _NO, _NO, _YES),
    "Edit Owner List": (_NO, _NO, _NO, _NO, _YES),
    "Change Room Configuration": (_NO, _NO, _NO, _NO, _YES),
    "Destroy Room": (_NO, _NO, _NO, _NO, _YES),
}

ROLE_PRIVILEGES = {name: dict(zip(Role, row, strict=True)) for name, row in _ROLE_TABLE.items()}
AFFILIATION_PRIVILEGES = {
    name: dict(zip(Affiliation, row, strict=True)) for name, row in _AFFILIATION_TABLE.items()
}

# §5.1.2: the role with which one enters, (in an unmoderated room, in a moderated room)
INITIAL_ROLES = {
    Affiliation.OUTCAST: (Role.NONE, Role.NONE),
    Affiliation.NONE: (Role.PARTICIPANT, Role.VISITOR),
    Affiliation.MEMBER: (Role.PARTICIPANT, Role.PARTICIPANT),
    Affiliation.ADMIN: (Role.MODERATOR, Role.MODERATOR),
    Affiliation.OWNER: (Role.MODERATOR, Role.MODERATOR),
}


class Removal(enum.Enum):
    """Why an occupant is not in the room any more; the value is what presence says (§15.6.2)."""

    LEFT = ()
    BANNED = (301,)
    KICKED = (307,)
    MEMBERSHIP_LOST = (321,)
    MEMBERS_ONLY = (322,)
    SHUTDOWN = (332,)
    TECHNICAL = (333,)  # without 307: nobody did this to the occupant (§11.1)
    NEVER_IN = (307, 333)  # presence from who is not in the room (§7.2.16)

    def codes(self, own: bool) -> tuple[int, ...]:
        """Return the status codes of unavailable presence. own: it goes to who left (§7.14)."""
        return (110, *self.value) if own else self.value


def role(text: str | None) -> Role:
    """Return the role of that name. Raises StanzaError bad-request."""
    try:
        return Role(text or "")
    except ValueError:
        raise StanzaError("bad-request", text="no such role") from None


def affiliation(text: str | None) -> Affiliation:
    """Return the affiliation of that name. Raises StanzaError bad-request."""
    try:
        return Affiliation(text or "")
    except ValueError:
        raise StanzaError("bad-request", text="no such affiliation") from None


def affiliation_of(known: Mapping[str, Affiliation], jid: JID) -> Affiliation:
    """Return what an address is to a room (§9.2).

    known: by bare JID, or domain. A domain that is an outcast makes outcasts of all its users
    who have no affiliation of their own; any other affiliation of a domain is its own only.
    """
    found = known.get(jid.bare)
    if found is not None:
        return found
    if known.get(jid.domain) is Affiliation.OUTCAST:
        return Affiliation.OUTCAST
    return Affiliation.NONE


def initial_role(affiliation: Affiliation, moderated: bool) -> Role:
    """Return the role with which one enters (§5.1.2); none for an outcast, who may not."""
    return INITIAL_ROLES[affiliation][moderated]


def role_after(new: Affiliation, old: Affiliation, role: Role, moderated: bool) -> Role:
    """Return the role of an occupant whose affiliation changed from old to new (§5.1.3).

    An affiliation gives at least its initial role. The role that came with an affiliation goes
    with it: moderation of an admin or owner, and in a moderated room the voice of a member.
    """
    initial = initial_role(new, moderated)
    if role is Role.NONE or new is Affiliation.OUTCAST:
        return Role.NONE
    if old >= Affiliation.ADMIN:
        return initial
    if new < old and role is not Role.MODERATOR:
        return min(role, initial)
    return max(role, initial)


def role_after_moderation(role: Role, moderated: bool) -> Role:
    """Return the role of an occupant after a room became moderated, or is so no longer.

    Nobody loses voice by it; who waited for voice has it when the room is not moderated any
    more, as the rest of the room does.
    """
    return Role.PARTICIPANT if role is Role.VISITOR and not moderated else role


def removal(new: Affiliation, members_only: bool) -> Removal | None:
    """Return how an occupant leaves whose affiliation became new, None who stays (§9.1, §9.4)."""
    if new is Affiliation.OUTCAST:
        return Removal.BANNED
    if new is Affiliation.NONE and members_only:
        return Removal.MEMBERSHIP_LOST
    return None


def removal_by_configuration(
    affiliation: Affiliation, was_members_only: bool, members_only: bool
) -> Removal | None:
    """Return how an occupant leaves after a change of configuration, None who stays (§10.2)."""
    if members_only and not was_members_only and affiliation < Affiliation.MEMBER:
        return Removal.MEMBERS_ONLY
    return None


def may_change_role(
    actor_role: Role,
    actor_affiliation: Affiliation,
    target_role: Role,
    target_affiliation: Affiliation,
    new_role: Role,
    same_person: bool = False,
) -> StanzaError | None:
    """Return why a role may not be changed, None if it may (§8.2-§8.5, §9.6-§9.8).

    actor_role: none for who is not in the room; admins and owners may do from outside what
    they may as moderators. same_person: the bare JIDs are equal. Oneself may be kicked (§8.2).

    - forbidden: who is no moderator, or for the role of moderator no admin;
    - item-not-found: the target is not in the room;
    - not-allowed: the target is above the actor.
    """
    admin = actor_affiliation >= Affiliation.ADMIN
    if actor_role is not Role.MODERATOR and not admin:
        return StanzaError("forbidden", text="only moderators do that")
    if new_role is Role.MODERATOR and not admin:
        return StanzaError("forbidden", text="only admins do that")
    if target_role is Role.NONE:
        return StanzaError("item-not-found", text="nobody of that name is in the room")
    if new_role is Role.NONE:
        return _may_kick(actor_affiliation, target_role, target_affiliation, same_person)
    if new_role < target_role:
        return _may_lower(actor_affiliation, target_role, target_affiliation, new_role)
    return None


def _may_kick(
    actor: Affiliation, target_role: Role, target: Affiliation, same_person: bool
) -> StanzaError | None:
    if same_person:
        return None
    if target > actor:
        return StanzaError("not-allowed", text="the occupant has a higher affiliation")
    if target_role is Role.MODERATOR and actor < Affiliation.ADMIN:  # §5.1.3
        return StanzaError("not-allowed", text="only admins kick a moderator")
    return None


def _may_lower(
    actor: Affiliation, target_role: Role, target: Affiliation, new_role: Role
) -> StanzaError | None:
    """§8.4, §9.7: nobody takes voice or moderation from admins and owners."""
    if target >= Affiliation.ADMIN:
        return StanzaError("not-allowed", text="admins and owners are always moderators")
    if target_role is Role.MODERATOR:
        if actor < Affiliation.ADMIN:
            return StanzaError("forbidden", text="only admins do that")
        return None
    # UNCLEAR(XEP-0045 §8.4): "at or above the moderator's level" there, "higher" in §8.5. To
    # have no affiliation is no level, or else unaffiliated moderators could do nothing.
    if target >= actor and target is not Affiliation.NONE:
        return StanzaError("not-allowed", text="the occupant's affiliation is not below yours")
    return None


def may_change_affiliation(
    actor: Affiliation,
    target: Affiliation,
    new: Affiliation,
    same_person: bool = False,
    owners_left: int = 1,
) -> StanzaError | None:
    """Return why an affiliation may not be changed, None if it may (§5.2.2, §9, §10.3-§10.8).

    owners_left: owners the room would have afterwards; same_person: actor and target are.

    - forbidden: who is no admin, or for owners and admins no owner;
    - conflict: to ban oneself (§9.1), to leave a room without an owner (§10.4);
    - not-allowed: to ban somebody from whom only an owner may take an affiliation (§9.1).
    """
    if actor < Affiliation.ADMIN:
        return StanzaError("forbidden", text="only admins do that")
    if same_person and new is Affiliation.OUTCAST:
        return StanzaError("conflict", text="nobody bans oneself")
    if actor is not Affiliation.OWNER and max(target, new) >= Affiliation.ADMIN and target != new:
        if new is Affiliation.OUTCAST:
            return StanzaError("not-allowed", text="only an owner bans an admin or owner")
        return StanzaError("forbidden", text="only owners do that")
    if target is Affiliation.OWNER and new is not Affiliation.OWNER and owners_left < 1:
        return StanzaError("conflict", text="a room has at least one owner")
    return None


def may_change_affiliations(
    actor: JID, known: Mapping[str, Affiliation], changes: Mapping[str, Affiliation]
) -> StanzaError | None:
    """Return why a list of changes may not be made, None if all of it may (§9.2).

    known: what the room has, by bare JID; changes: the new ones. Together they count for what
    is left: an owner may make another one and step down in the same list.
    """
    own = affiliation_of(known, actor)
    owners = {jid for jid, each in {**known, **changes}.items() if each is Affiliation.OWNER}
    for jid, new in changes.items():
        old = known.get(jid, Affiliation.NONE)
        wrong = may_change_affiliation(own, old, new, jid == actor.bare, len(owners))
        if wrong is not None:
            return wrong
    return None


@attrs.frozen
class Lists:
    """The full lists of a configuration form (§10.1.3); None where the form had no such list."""

    owners: tuple[str, ...] | None = None  # bare JIDs
    admins: tuple[str, ...] | None = None  # bare JIDs


def changes_by_lists(known: Mapping[str, Affiliation], lists: Lists) -> dict[str, Affiliation]:
    """Return what changes so that owners and admins are those of the lists (§10.2).

    Who is in both lists is an owner. Who is an owner no more becomes an admin, as §10.2 has it,
    and who is an admin no more a member, who would not be shut out of a members-only room.
    """
    changes: dict[str, Affiliation] = {}
    _take(changes, known, lists.admins, Affiliation.ADMIN, Affiliation.MEMBER)
    _take(changes, known, lists.owners, Affiliation.OWNER, Affiliation.ADMIN)
    return {jid: new for jid, new in changes.items() if known.get(jid) is not new}


def _take(
    changes: dict[str, Affiliation],
    known: Mapping[str, Affiliation],
    wanted: Iterable[str] | None,
    level: Affiliation,
    below: Affiliation,
) -> None:
    if wanted is None:
        return
    listed = set(wanted)
    for jid, old in known.items():
        if old is level and jid not in listed and changes.get(jid) is None:
            changes[jid] = below
    for jid in listed:
        if level is Affiliation.OWNER or known.get(jid) is not Affiliation.OWNER:
            changes[jid] = level
