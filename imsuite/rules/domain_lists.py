"""XEP-0133 §4.11, §4.12: with whom a domain does not communicate, and with whom alone."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping

import attrs

from imsuite.xmpp.address import JID

BOTH, IN, OUT = "both", "in", "out"


@attrs.frozen
class Lists:
    """The lists of a domain for one direction. allowed: empty where everybody is."""

    refused: frozenset[str] = frozenset()
    allowed: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.refused or self.allowed)

    @classmethod
    def of(
        cls, blacklist: Mapping[str, str], whitelist: Mapping[str, str], direction: str
    ) -> Lists:
        """Return the lists for a direction (IN or OUT), given the direction of each address."""
        return cls(
            frozenset(jid for jid, way in blacklist.items() if way in (BOTH, direction)),
            frozenset(jid for jid, way in whitelist.items() if way in (BOTH, direction)),
        )

    def refuse(self, jid: JID, own: Callable[[str], bool]) -> bool:
        """Tell whether nothing goes to or comes from an address.

        own: tells whether that is a domain of the host itself, which needs no permission.
        """
        if matches(self.refused, jid):
            return True
        return bool(self.allowed) and not own(jid.domain) and not matches(self.allowed, jid)


def matches(listed: Collection[str], jid: JID) -> bool:
    """Tell whether a list has an address, in the order of XEP-0016 §2.1.

    Full JID, bare JID, resource of the domain, domain.
    """
    return (
        jid.full in listed
        or jid.bare in listed
        or (bool(jid.resource) and f"{jid.domain}/{jid.resource}" in listed)
        or jid.domain in listed
    )
