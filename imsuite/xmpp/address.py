"""Addresses (RFC 7622): localpart@domainpart/resourcepart, prepared once and then compared.

Who looks up an address uses the prepared strings, `jid.full` and `jid.bare`, as keys.

The profiles come from precis-i18n and know the characters of the interpreter's Unicode version;
a character that is newer than that is refused as unassigned (RFC 8264 §9.10).
"""

from __future__ import annotations

import re
from collections.abc import Callable
from ipaddress import AddressValueError, IPv6Address

import attrs
import idna
from precis_i18n import get_profile
from twisted.words.protocols.jabber.jid import JID as TwistedJID

from imsuite.xmpp.errors import StanzaError

LONGEST_PART = 1023  # octets (RFC 7622 §3.1)
LONGEST_DOMAIN = 253  # octets in the form of the DNS (RFC 1035 §2.3.4)
REMEMBERED = 65536  # addresses
LONGEST_REMEMBERED = 128  # characters; a longer address is prepared each time it comes

_USERNAME = get_profile("UsernameCaseMapped")
_OPAQUE = get_profile("OpaqueString")

# RFC 7622 §3.3.1: what a localpart must not hold although UsernameCaseMapped lets it pass
_EXCLUDED = frozenset("\"&'/:<>@")

# Addresses of ASCII characters that are in their prepared form already. A label with hyphens
# in its third and fourth place may be an A-label, which is IDNA's to judge.
_LABEL = r"(?!..--)[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?"
_PREPARED_LOCAL = r"[a-z0-9!#$%()*+,\-.;=?\[\\\]^_`{|}~]+"
_PREPARED_DOMAIN = rf"{_LABEL}(?:\.{_LABEL})*"
_PREPARED_RESOURCE = r"[!-~](?:[ -~]*[!-~])?"
_prepared = re.compile(
    rf"(?:({_PREPARED_LOCAL})@)?({_PREPARED_DOMAIN})(?:/({_PREPARED_RESOURCE}))?"
).fullmatch


class InvalidAddress(StanzaError):
    """The text is not an address. Answered with jid-malformed (RFC 6120 §8.3.3.8)."""

    def __init__(self, why: str) -> None:
        super().__init__("jid-malformed", text=why)

    def __str__(self) -> str:
        return self.text or ""


@attrs.frozen(eq=False, repr=False, weakref_slot=False)
class JID:
    """An address in its prepared form; `parse` makes it.

    local, resource: "" where the part is absent; bare: without the resource; full: with it,
    if there is one. Two addresses are equal when their full strings are.
    """

    local: str
    domain: str
    resource: str
    bare: str
    full: str

    def __eq__(self, other: object) -> bool:
        if other.__class__ is JID:
            return self.full == other.full
        return NotImplemented

    def __hash__(self) -> int:
        return hash(self.full)

    def __str__(self) -> str:
        return self.full

    def __repr__(self) -> str:
        return f"JID({self.full!r})"

    def with_resource(self, resource: str) -> JID:
        """Return this address with another resourcepart. Raises InvalidAddress."""
        return parse(f"{self.bare}/{resource}")

    def to_bare(self) -> JID:
        """Return this address without its resourcepart."""
        if not self.resource:
            return self
        return JID(self.local, self.domain, "", self.bare, self.bare)


# Two generations, so that the cache forgets what is no longer asked for and no more than that.
_young: dict[str, JID] = {}
_old: dict[str, JID] = {}


def parse(text: str) -> JID:
    """Return the address that a text spells (RFC 7622 §3). Raises InvalidAddress."""
    jid = _young.get(text)
    return jid if jid is not None else _remember(text)


def _remember(text: str) -> JID:
    global _old, _young
    jid = _old.get(text)
    if jid is None:
        jid = _parse(text)
    if len(text) <= LONGEST_REMEMBERED:
        if len(_young) >= REMEMBERED // 2:
            _old, _young = _young, {}
        _young[text] = jid
    return jid


def _parse(text: str) -> JID:
    match = _prepared(text) if len(text) <= LONGEST_PART else None
    if match is not None:
        local, domain, resource = match.groups("")
        if len(domain) <= LONGEST_DOMAIN:
            bare = text[: -1 - len(resource)] if resource else text
            return JID(local, domain, resource, bare, text)
    return _parse_any(text)


def _parse_any(text: str) -> JID:
    """Return the address, taking it to be in no particular form."""
    # RFC 7622 §3.1: first the resourcepart is cut off, at the first "/", because it may hold "@"
    bare, slash, resource = text.partition("/")
    local, at, domain = bare.rpartition("@") if bare.count("@") < 2 else ("", "", bare)
    return _joined(
        localpart(local) if at else "",
        domainpart(domain),
        resourcepart(resource) if slash else "",
    )


def normalised(text: str | None) -> str | None:
    """Return an address in its prepared form, or None where it is none."""
    try:
        return None if text is None else parse(text).full
    except InvalidAddress:
        return None


def make(local: str, domain: str, resource: str = "") -> JID:
    """Return the address of these parts, "" for an absent one. Raises InvalidAddress."""
    return _joined(
        localpart(local) if local else "",
        domainpart(domain),
        resourcepart(resource) if resource else "",
    )


def _joined(local: str, domain: str, resource: str) -> JID:
    bare = f"{local}@{domain}" if local else domain
    return JID(local, domain, resource, bare, f"{bare}/{resource}" if resource else bare)


def localpart(text: str) -> str:
    """Return a localpart in its prepared form (RFC 7622 §3.3). Raises InvalidAddress.

    Escapes of XEP-0106 stay as they are (§4.3 there: addresses are compared escaped).
    """
    prepared = _enforce(_USERNAME.enforce, text, "localpart")
    if not _EXCLUDED.isdisjoint(prepared):
        raise InvalidAddress("the localpart holds a character that is not allowed")
    return prepared


def resourcepart(text: str) -> str:
    """Return a resourcepart in its prepared form (RFC 7622 §3.4). Raises InvalidAddress.

    Spaces at its ends are refused, as in example 18 of §3.5.
    """
    prepared = _enforce(_OPAQUE.enforce, text, "resourcepart")
    if prepared[0] == " " or prepared[-1] == " ":
        raise InvalidAddress("the resourcepart begins or ends with a space")
    return prepared


def domainpart(text: str) -> str:
    """Return a domainpart in its prepared form (RFC 7622 §3.2). Raises InvalidAddress.

    An internationalised domain name comes out as U-labels in lower case, an IPv6 address in
    brackets in its shortest form. A dot at the end says nothing and is left out (§3.2).
    """
    if text.startswith("["):
        return _ip_literal(text)
    return _enforce(_domain_name, text, "domainpart")


def _domain_name(text: str) -> str:
    # without std3_rules idna still judges the labels by IDNA2008, which is stricter
    return idna.decode(idna.encode(text, uts46=True).removesuffix(b"."))


def _ip_literal(text: str) -> str:
    if not text.endswith("]") or "%" in text:  # a zone means something on one machine only
        raise InvalidAddress("the domainpart is not an IPv6 address in brackets")
    try:
        return f"[{IPv6Address(text[1:-1]).compressed}]"
    except AddressValueError:
        raise InvalidAddress("the domainpart is not an IPv6 address in brackets") from None


def _enforce(profile: Callable[[str], str], text: str, part: str) -> str:
    """Return the text as a profile prepares it, of a length that §3.1 allows."""
    if not text:
        raise InvalidAddress(f"the {part} is empty")
    # no profile takes a character for less than an octet; a long text is not worth the work
    if len(text) > LONGEST_PART:
        raise InvalidAddress(f"the {part} is too long")
    try:
        prepared = profile(text)
        octets = len(prepared.encode())
    except UnicodeError:  # of precis-i18n and of idna, and what both make of lone surrogates
        raise InvalidAddress(f"the {part} holds what is not allowed there") from None
    if not octets:
        raise InvalidAddress(f"the {part} is empty")
    if octets > LONGEST_PART:
        raise InvalidAddress(f"the {part} is too long")
    return prepared


class _WokkelJID(TwistedJID):
    """Twisted's address with parts that are prepared already, by us.

    Twisted prepares by stringprep, which knows the characters of 2002 and refuses emoji, and
    keeps every address it met for ever.
    """

    def __init__(self, jid: JID) -> None:
        self._ours = jid
        self.user = jid.local or None
        self.host = jid.domain
        self.resource = jid.resource or None

    def userhostJID(self) -> TwistedJID:
        """Return the bare address, without asking Twisted's cache."""
        return _WokkelJID(self._ours.to_bare())


def wokkel_jid(jid: JID) -> TwistedJID:
    """Return an address for Twisted Words and wokkel, equal to the one they would make."""
    return _WokkelJID(jid)


def from_wokkel(jid: TwistedJID) -> JID:
    """Return the address that Twisted Words or wokkel hold. Raises InvalidAddress."""
    return jid._ours if isinstance(jid, _WokkelJID) else parse(str(jid))
