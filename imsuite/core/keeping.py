"""The seams between features that keep the same thing in two forms."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from zope.interface import Attribute, Interface


class IVCards(Interface):
    """The cards of accounts (XEP-0054)."""

    def photo_hash(account: Any) -> str | None:
        """Return the SHA-1 of the photo in the card of an account, in hexadecimal.

        "" if there is none any more or the card has none, None if there never was a card. Does
        not wait.
        """

    def set_photo(account: Any, image: Any, only: str | None = None) -> Awaitable[bool]:
        """Put a rules.avatars.Image into the card of an account; None takes the photo away.

        only: SHA-1 of the photo that must be there now, None for any. Tells whether the photo is
        another one now. Raises StanzaError policy-violation if the card becomes too large.
        """


class IPrivateKeeper(Interface):
    """A feature that keeps some element of the private storage elsewhere (XEP-0049)."""

    private = Attribute("namespace and name of the element")

    def adopt_private(account: Any, element: Any) -> Awaitable[None]:
        """Take over what the private storage has of it from before. Raises StanzaError."""

    def read_private(account: Any) -> Awaitable[Any]:
        """Return the element, or None if there is none."""

    def write_private(account: Any, element: Any, by: Any) -> Awaitable[None]:
        """Keep the element that a full JID wrote; one without content is forgotten."""
