"""Who may give which administration command: the one decision behind every way to give one."""

from __future__ import annotations

import enum
from collections.abc import Iterable

import attrs

from imsuite.xmpp.address import JID


class Who(enum.Enum):
    """Who may give a command; the operator may give every one."""

    OPERATOR = "the operator, on the machine of the server"
    SERVER = "who administers every domain of the server"
    ADMIN = "the administrators of the domain that it concerns"
    OWNER = "these, and everybody for their own account"


@attrs.frozen
class Actor:
    """Somebody who gives commands.

    name: for the log, and the full JID of whoever has one; account: bare JID, "" for the operator;
    domains: those that it administers, as far as it may do so from where it gives the command;
    everything: it administers every domain of the server; operator: it is on the machine.
    """

    name: str
    account: str = ""
    domains: frozenset[str] = frozenset()
    everything: bool = False
    operator: bool = False


OPERATOR = Actor("imsuitectl", operator=True)


def permits(who: Who, actor: Actor, concerned: Iterable[JID] = ()) -> bool:
    """Tell whether somebody may give a command of that kind.

    concerned: the addresses it is about; without any: whether there may be one that it is about.
    """
    if actor.operator:
        return True
    match who:
        case Who.OPERATOR:
            return False
        case Who.SERVER:
            return actor.everything
    allowed = bool(actor.domains) or (who is Who.OWNER and bool(actor.account))
    return allowed and all(_reaches(who, actor, jid) for jid in concerned)


def _reaches(who: Who, actor: Actor, jid: JID) -> bool:
    if jid.domain in actor.domains:
        return True
    return who is Who.OWNER and bool(jid.local) and jid.bare == actor.account
