"""What authentication asks of others: accounts, and what a client can prove."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from twisted.cred.checkers import ICredentialsChecker
from twisted.cred.credentials import ICredentials
from zope.interface import Attribute, Interface


class IAccounts(Interface):
    """The accounts of one host, as far as logging in needs them."""

    def verifiers(localpart: str) -> Awaitable[str | None]:
        """Return what `auth.secrets` made for that account, as text; None: no such account.

        localpart: normalised. Must take the same time either way, as far as it can.
        """


class IScramCredentials(ICredentials):
    """A client that has answered a SCRAM challenge (RFC 5802)."""

    username: str = Attribute("The localpart, normalised.")

    def proved() -> bool:
        """Tell whether it knows the password of the verifier the challenge was made with."""


class IScramChecker(ICredentialsChecker):
    """A checker that can also make SCRAM challenges."""

    def verifier(username: str, name: str) -> Awaitable[Any]:
        """Return (`rules.scram.Verifier`, whether the account is known).

        username: normalised, or as it came if it cannot be; name: of the hash, "SHA-256".
        The verifier of an unknown account is invented, and always the same.
        """
