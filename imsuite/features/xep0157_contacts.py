"""XEP-0157: Contact Addresses for XMPP Services."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import attrs
from zope.interface import implementer

from imsuite.core.feature import At, Feature
from imsuite.core.interfaces import IDiscoExtension
from imsuite.core.options import each, matches, option, unique
from imsuite.xmpp import forms

NS_SERVERINFO = "http://jabber.org/network/serverinfo"
uri = each(matches(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+", "an address with its scheme, as mailto:…"))


def _addresses(purpose: str, example: str | None = None) -> tuple[str, ...]:
    shown = None if example is None else (example,)
    return option((), f"Addresses {purpose}, as URIs.", uri, unique, example=shown)


@attrs.frozen
class Options:
    """[features.contacts]

    Nothing is published that the operator did not write down: who administers a server need not
    be known to whoever asks (§5).
    """

    abuse: tuple[str, ...] = _addresses("for reports of abuse", "mailto:abuse@example.org")
    admin: tuple[str, ...] = _addresses("of the administrators", "xmpp:admin@example.org")
    feedback: tuple[str, ...] = _addresses("for feedback of users")
    sales: tuple[str, ...] = _addresses("for sales and marketing")
    security: tuple[str, ...] = _addresses("for security concerns")
    status: tuple[str, ...] = _addresses("that show whether the service works")
    support: tuple[str, ...] = _addresses("for support of users")


@implementer(IDiscoExtension)
class Contacts(Feature):
    """Publish the addresses of those who run the service."""

    spec = "XEP-0157 1.1.1"
    options: Options

    def identities(self, at: At) -> Iterable[tuple[str, str, str | None]]:
        """Return nothing: contacts are no identity."""
        return ()

    def forms(self, at: At) -> Iterable[Any]:
        """§3: the form of the domain, if there is anything to say."""
        if at is not At.HOST:
            return
        named = attrs.asdict(self.options)
        fields = [
            forms.field("list-multi", f"{kind}-addresses", addresses)
            for kind, addresses in named.items()
            if addresses
        ]
        if fields:
            yield forms.make("result", NS_SERVERINFO, fields)
