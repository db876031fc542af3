"""What may happen on a stream before a resource is bound (RFC 6120 §4, §5, §6, §7)."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping

from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StreamError


class Phase(enum.Flag):
    """How far a stream has come."""

    NONE = 0
    SECURE = enum.auto()  # TLS is on
    AUTHENTICATED = enum.auto()  # SASL succeeded
    BOUND = enum.auto()  # there is a session


def may_offer(needs: Phase, forbids: Phase, phase: Phase) -> bool:
    """Tell whether a stream feature may be offered, or taken up, in a phase (RFC 6120 §4.3.2)."""
    have, needed = phase._value_, needs._value_  # numbers: Flag's own operators are slow
    return have & needed == needed and not have & forbids._value_


def check_header(
    ns: str, attrs: Mapping[str, str], content: str, domain: str | None, domains: Collection[str]
) -> None:
    """Check the header of the initiating entity (RFC 6120 §4.7, §4.8, §4.9.3).

    ns: content namespace it declared; content: the one this port takes; domain: its "to",
    normalised, or None where it is absent or no domain; domains: those that are served.
    Raises StreamError.
    """
    if ns != content:
        raise StreamError("invalid-namespace")
    if "to" not in attrs:
        if len(domains) != 1:
            raise StreamError("improper-addressing")
    elif domain is None or domain not in domains:
        raise StreamError("host-unknown")
    check_version(attrs.get("version"))


def check_version(version: str | None) -> None:
    """Check the version of a header: 1.0 or a later minor version (RFC 6120 §4.7.5)."""
    major, _, minor = (version or "0.9").partition(".")
    if not (major.isdecimal() and minor.isdecimal() and len(version or "") < 16):
        raise StreamError("unsupported-version")
    if int(major) != 1:
        raise StreamError("unsupported-version")


def misplaced(ns: str, phase: Phase) -> StreamError:
    """Return the stream error for an element that may not come in a phase (RFC 6120 §4.9.3).

    Stanzas before a resource is bound are not-authorized (§4.9.3.12).
    """
    if ns == NS.CLIENT and Phase.BOUND not in phase:
        return StreamError("not-authorized")
    return StreamError("unsupported-stanza-type")
