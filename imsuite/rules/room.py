"""XEP-0045 §7, §8, §10: nicknames, who may do what in a room, status codes, and history."""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from functools import lru_cache

import attrs
from precis_i18n import get_profile

from imsuite.rules.affiliations import Affiliation, Role
from imsuite.rules.room_config import Config
from imsuite.xmpp.address import InvalidAddress, resourcepart
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.times import SECOND, parse_datetime

LONGEST_NICK = 1023  # characters; a resourcepart has no more (RFC 7622 §3.1)
_FOREVER = 2**31 - 1  # the greatest xs:int; more seconds than any history has
_BLANKS = frozenset(" \u2800")  # U+2800 has no dots and no PRECIS rule against it

_integer = re.compile(r"[+-]?[0-9]{1,18}").fullmatch
_NICKNAME = get_profile("NicknameCaseMapped")


def check_nick(text: str, longest: int = LONGEST_NICK) -> str:
    """Return a nickname as the resourcepart of an occupant's JID (§17.1).

    longest: characters. Raises InvalidAddress for one that is empty or invisible, StanzaError
    not-acceptable for one that is too long here.
    """
    nick = resourcepart(text)
    if _BLANKS.issuperset(nick):
        raise InvalidAddress("the nickname is invisible")
    if len(nick) > longest:
        raise StanzaError("not-acceptable", text="the nickname is too long")
    compared(nick)
    return nick


@lru_cache(4096)
def compared(nick: str) -> str:
    """Return what two nicknames have in common that must not be in a room together (§7.2.8).

    That is the profile for nicknames of RFC 8266 §2.1: case, width and compatibility forms, and
    spaces at the ends or in a row, make no difference. Raises InvalidAddress.
    """
    if nick.isascii() and nick.isprintable() and nick.strip():
        return " ".join(nick.lower().split())
    try:
        key: str = _NICKNAME.enforce(nick)
    except UnicodeError:
        raise InvalidAddress("the nickname holds what is not allowed there") from None
    return key


def may_enter(
    config: Config, affiliation: Affiliation, password: str | None, occupants: int, spare: int = 20
) -> StanzaError | None:
    """Return why somebody may not enter, None who may (§7.2.5-§7.2.7, §7.2.9, §7.2.15).

    password: as given; occupants: already there; spare: places that admins and owners have
    beyond the most that the room takes. Owners need no password: it is theirs to set.
    """
    if affiliation is Affiliation.OUTCAST:
        return StanzaError("forbidden", text="banned from the room")
    if config.members_only and affiliation < Affiliation.MEMBER:
        return StanzaError("registration-required", text="only members may enter")
    if (
        config.password_protected
        and not hmac.compare_digest((password or "").encode(), config.secret.encode())
        and affiliation is not Affiliation.OWNER
    ):
        return StanzaError("not-authorized", text="the room has a password")
    room = config.max_users + (spare if affiliation >= Affiliation.ADMIN else 0)
    if config.max_users and occupants >= room:
        return StanzaError("service-unavailable", "wait", "the room is full")
    return None


def may_speak(role: Role) -> StanzaError | None:
    """Return why one may not send a message to all, None who may (§7.4, §17.2).

    A visitor has no voice, in an unmoderated room one from whom it was taken.
    """
    if role is Role.NONE:
        return StanzaError("not-acceptable", text="only occupants send messages to the room")
    if role is Role.VISITOR:
        return StanzaError("forbidden", text="visitors have no voice")
    return None


def may_change_subject(config: Config, role: Role) -> StanzaError | None:
    """Return why one may not change the subject, None who may (§8.1)."""
    if role is Role.NONE:
        return StanzaError("not-acceptable", text="only occupants change the subject")
    if role is Role.MODERATOR or (config.change_subject and role is Role.PARTICIPANT):
        return None
    return StanzaError("forbidden", text="the subject is not yours to change")


_MAY_SEND = {
    "anyone": Role.VISITOR,
    "participants": Role.PARTICIPANT,
    "moderators": Role.MODERATOR,
}


def may_send_privately(config: Config, role: Role, to: Role) -> StanzaError | None:
    """Return why one may not send a private message, None who may (§7.5).

    to: role of the recipient. Everyone may write to moderators unless nobody may at all, so
    that who has no voice can ask.
    """
    if role is Role.NONE:
        return StanzaError("not-acceptable", text="only occupants send private messages")
    least = _MAY_SEND.get(config.allow_pm)
    if least is None or (role < least and to is not Role.MODERATOR):
        return StanzaError("forbidden", text="no private messages from you in this room")
    return None


def may_invite(config: Config, role: Role, affiliation: Affiliation) -> StanzaError | None:
    """Return why one may not invite through the room, None who may (§7.8.2, §9.5).

    Into a members-only room admins invite, and members if the room lets them; into others every
    occupant does.
    """
    if config.members_only:
        least = Affiliation.MEMBER if config.allow_invites else Affiliation.ADMIN
        if affiliation < least:
            return StanzaError("forbidden", text="invitations are not yours to send")
    elif role is Role.NONE and affiliation < Affiliation.ADMIN:
        return StanzaError("not-acceptable", text="only occupants invite")
    return None


def may_retrieve(
    config: Config, wanted: Affiliation, role: Role, affiliation: Affiliation
) -> StanzaError | None:
    """Return why one may not have the list of an affiliation, None who may (§9.5, §10.5, §10.8).

    Admins have all lists but that of owners and admins in a semi-anonymous room, which owners
    have. Where JIDs are no secret, members, and occupants whose role is in
    `get_member_list`, have the lists of members, admins and owners, not that of outcasts.
    """
    least = Affiliation.ADMIN
    if wanted >= Affiliation.ADMIN and config.semi_anonymous:
        least = Affiliation.OWNER
    if affiliation >= least:
        return None
    open_list = wanted >= Affiliation.MEMBER and not config.semi_anonymous
    asked_by = Role.PARTICIPANT if affiliation is Affiliation.MEMBER else Role.NONE
    if open_list and max(role, asked_by) in config.get_member_list:
        return None
    return StanzaError("forbidden", text="the list is not yours to see")


def sees_jids(config: Config, role: Role) -> bool:
    """Return whether who has the role sees the real JIDs of occupants (§7.2.3, §7.2.4)."""
    return role is Role.MODERATOR or not config.semi_anonymous


def shows_presence(config: Config, role: Role) -> bool:
    """Return whether occupants of the role are shown to others (§7.2.2, §5.1.1).

    role: the last one that an occupant had, for one who leaves. Occupants always see themselves.
    """
    return role in config.presence_broadcast


def entering_codes(config: Config, made: bool = False, renamed: bool = False) -> tuple[int, ...]:
    """Return the status codes of the self-presence that ends a join (§7.2.2-§7.2.12, §10.1.1).

    made: the room is new; renamed: the nickname is another than that asked for.
    """
    return tuple(
        code
        for code, true in (
            (100, not config.semi_anonymous),
            (110, True),
            (170, config.logged),
            (201, made),
            (210, renamed),
        )
        if true
    )


def config_codes(before: Config, after: Config) -> tuple[int, ...]:
    """Return the status codes that tell of a change of configuration (§10.3)."""
    codes = []
    changed = set(before.differences(after))
    if before.logged != after.logged:
        codes.append(170 if after.logged else 171)
        changed.discard("muc#roomconfig_enablelogging")
    if before.semi_anonymous != after.semi_anonymous:
        codes.append(173 if after.semi_anonymous else 172)
        changed.discard("muc#roomconfig_whois")
    if changed:
        codes.append(104)
    return tuple(codes)


@attrs.frozen
class HistoryWanted:
    """How much history a client asks for (§7.2.14); None for no bound."""

    chars: int | None = None  # characters of whole stanzas
    stanzas: int | None = None
    seconds: int | None = None  # before now
    since: int | None = None  # microseconds since 1970 UTC


def read_history(given: Mapping[str, str]) -> HistoryWanted:
    """Return what the attributes of a <history/> element ask for (§7.2.14).

    A number below zero counts as zero. Raises StanzaError bad-request for what is no number and
    no date.
    """
    since = given.get("since")
    return HistoryWanted(
        _number(given.get("maxchars")),
        _number(given.get("maxstanzas")),
        _number(given.get("seconds")),
        None if since is None else parse_datetime(since),
    )


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    found = _integer(text.strip())
    if found is None:
        raise StanzaError("bad-request", text="a limit of the history is not a whole number")
    return max(0, min(int(found[0]), _FOREVER))


def history_bounds(wanted: HistoryWanted, now: int) -> tuple[int, int]:
    """Return how many messages at most, and since when (microseconds), one may want to have."""
    count = _FOREVER if wanted.stanzas is None else wanted.stanzas
    if wanted.chars == 0:
        count = 0
    since = 0 if wanted.since is None else wanted.since
    if wanted.seconds is not None:
        since = max(since, now - wanted.seconds * SECOND)
    return count, since


def select_history(kept: Sequence[tuple[int, int]], wanted: HistoryWanted, now: int) -> slice:
    """Return which part of what is kept a client gets: whole stanzas, the latest (§7.2.14).

    kept: moment (microseconds) and length (characters of the stanza) of each message, in order.
    """
    count, since = history_bounds(wanted, now)
    left = wanted.chars
    first = end = len(kept)
    while first > 0 and end - first < count:
        moment, length = kept[first - 1]
        if moment < since:
            break
        if left is not None:
            left -= length
            if left < 0:
                break
        first -= 1
    return slice(first, end)
