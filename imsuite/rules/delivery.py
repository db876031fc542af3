"""RFC 6121 §8.5: what happens to a stanza that reaches the server of its recipient.

The RFC leaves some choices to the server. Taken here:

- a message of type normal or chat to a bare JID goes to all resources of non-negative priority,
  so that each device has the whole conversation (§8.5.2.1.1);
- what cannot be delivered to a full JID is refused, not dropped: a room learns from it that an
  occupant is gone (§8.5.3.2.1);
- a message to an account that does not exist is refused (§8.5.1).
"""

from __future__ import annotations

import enum
from collections.abc import Mapping

import attrs

from imsuite.xmpp.errors import StanzaError


class Address(enum.IntEnum):
    """To whom a stanza is addressed, as far as its delivery is concerned."""

    BARE = 0  # an account with an available resource of non-negative priority (§8.5.2.1)
    BARE_NEGATIVE = 1  # one whose available resources all have a negative priority
    BARE_NOBODY = 2  # one without available resources (§8.5.2.2)
    FULL = 3  # a connected resource (§8.5.3.1)
    FULL_NOBODY = 4  # a resource that is not connected, of an account (§8.5.3.2)
    NO_ACCOUNT = 5  # bare or full JID of an account that does not exist (§8.5.1)
    DOMAIN = 6  # the server itself, with or without a resource (§8.4; RFC 6120 §10.5.1-2)


class Action(enum.IntEnum):
    """What to do with a stanza."""

    THIS = 0  # deliver it to the resource it names, whatever its priority
    NON_NEGATIVE = 1  # deliver it to the available resources of non-negative priority
    AVAILABLE = 2  # deliver it to the available resources
    AS_BARE = 3  # decide as if it were addressed to the bare JID; `to` stays as it is
    STORE = 4  # keep it until a resource comes, or refuse it where nothing can keep it
    SERVER = 5  # the server takes it: answers a request, refuses an unknown one (RFC 6120 §8.4)
    SUBSCRIPTION = 6  # as rules/subscription.py decides (§3)
    PROBE = 7  # answer it as rules/presence.py decides (§4.3.2)
    REFUSE = 8  # answer with an error
    SILENCE = 9  # nothing


@attrs.frozen
class Verdict:
    """What to do with a stanza.

    condition: of the error, with REFUSE; shared: THIS holds only if the recipient shares
    presence with the sender, otherwise the stanza is refused with service-unavailable, as if
    the resource were not there (§8.5.3.1).
    """

    action: Action
    condition: str | None = None
    shared: bool = False


this = Verdict(Action.THIS)
shared = Verdict(Action.THIS, shared=True)
nonneg = Verdict(Action.NON_NEGATIVE)
avail = Verdict(Action.AVAILABLE)
as_bare = Verdict(Action.AS_BARE)
store = Verdict(Action.STORE)
server = Verdict(Action.SERVER)
rules = Verdict(Action.SUBSCRIPTION)
probe = Verdict(Action.PROBE)
refuse = Verdict(Action.REFUSE, "service-unavailable")
silence = Verdict(Action.SILENCE)

# fmt: off

# The columns, in the order of Address:
#
#  BARE     BARE_NEGATIVE  BARE_NOBODY  FULL  FULL_NOBODY  NO_ACCOUNT  DOMAIN

# §8.5.1, §8.5.2.1.1, §8.5.2.2.1, §8.5.3.1, §8.5.3.2.1
MESSAGE: Mapping[str | None, tuple[Verdict, ...]] = {
    "normal":
        (nonneg,   store,    store,    this,    refuse,   refuse,   server),
    "chat":
        (nonneg,   store,    store,    this,    as_bare,  refuse,   server),
    "groupchat":
        (refuse,   refuse,   refuse,   this,    refuse,   refuse,   server),
    "headline":
        (nonneg,   silence,  silence,  this,    refuse,   refuse,   server),
    "error":
        (silence,  silence,  silence,  this,    silence,  silence,  silence),
}

# §8.5.1, §8.5.2.1.2, §8.5.2.2.2, §8.5.3.1, §8.5.3.2.2
PRESENCE: Mapping[str | None, tuple[Verdict, ...]] = {
    None:
        (avail,    avail,    silence,  this,    silence,  silence,  server),
    "unavailable":
        (avail,    avail,    silence,  this,    silence,  silence,  server),
    "subscribe":
        (rules,    rules,    rules,    rules,   rules,    silence,  server),
    "subscribed":
        (rules,    rules,    rules,    rules,   rules,    silence,  server),
    "unsubscribe":
        (rules,    rules,    rules,    rules,   rules,    silence,  server),
    "unsubscribed":
        (rules,    rules,    rules,    rules,   rules,    silence,  server),
    "probe":
        (probe,    probe,    probe,    probe,   probe,    probe,    server),
    "error":
        (avail,    avail,    silence,  this,    silence,  silence,  silence),
}

# §8.5.1, §8.5.2.1.3, §8.5.2.2.3, §8.5.3.1, §8.5.3.2.3
IQ: Mapping[str | None, tuple[Verdict, ...]] = {
    "get":
        (server,   server,   server,   shared,  refuse,   refuse,   server),
    "set":
        (server,   server,   server,   shared,  refuse,   refuse,   server),
    "result":
        (server,   server,   server,   this,    silence,  silence,  server),
    "error":
        (server,   server,   server,   this,    silence,  silence,  server),
}

# fmt: on

# (address, kind, type as it came) -> verdict; the hot path looks here first
VERDICTS: dict[tuple[Address, str, str | None], Verdict] = {
    (address, kind, type): row[address]
    for kind, rows in (
        # §5.2.2: a message without a type is a normal one
        ("message", {**MESSAGE, None: MESSAGE["normal"]}),
        ("presence", PRESENCE),
        ("iq", IQ),
    )
    for type, row in rows.items()
    for address in Address
}


def verdict(address: Address, kind: str, type: str | None) -> Verdict:
    """Return what to do with a stanza.

    kind: "message", "presence" or "iq"; type: the attribute, None where it is absent. A message
    of unknown type is a normal one (§5.2.2); StanzaError bad-request for other unknown types.
    """
    found = VERDICTS.get((address, kind, type))
    if found is None:
        if kind != "message":
            raise StanzaError("bad-request")
        found = VERDICTS[address, "message", "normal"]
    return found
