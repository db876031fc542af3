"""XEP-0054: vcard-temp."""

from __future__ import annotations

import attrs

from imsuite.core.feature import At, Feature, answers
from imsuite.core.hooks import Passing
from imsuite.core.interfaces import Table
from imsuite.core.options import ge, option
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, result, to_bytes

NS_VCARD = "vcard-temp"


@attrs.frozen
class Options:
    """[features.vcard]"""

    largest: int = option(131_072, "Largest vCard, with its photo, bytes.", ge(1024))


class VCard(Feature):
    """Keep the card of each account and show it to everybody."""

    spec = "XEP-0054 1.3.0"
    advertises = {At.ANY: (NS_VCARD,)}
    options: Options
    tables = (
        Table(
            "vcard",
            (
                """CREATE TABLE vcard (
                    account TEXT NOT NULL PRIMARY KEY,  -- bare JID
                    vcard {blob} NOT NULL)              -- the whole element""",
            ),
        ),
    )

    @answers("get", NS_VCARD, "vCard", At.SELF)
    async def get(self, request: Passing) -> Stanza:
        """§3.1"""
        vcard = await self._find(request.account.bare)
        if vcard is None:
            raise StanzaError("item-not-found")
        return _answer(request.stanza, vcard)

    @answers("get", NS_VCARD, "vCard", At.ACCOUNT)
    async def get_of_other(self, request: Passing) -> Stanza:
        """§3.3: no card and no account look alike, so that nobody can look for accounts."""
        vcard = await self._find(request.account.bare)
        if vcard is None:
            raise StanzaError("service-unavailable")
        return _answer(request.stanza, vcard)

    @answers("set", NS_VCARD, "vCard", At.SELF)
    async def set(self, request: Passing) -> Stanza:
        """§3.2: the whole card; an empty one takes it away."""
        account, vcard = request.account, request.stanza.payload
        assert vcard is not None
        if account.temporary:
            raise StanzaError("not-allowed", text="nothing is kept of this account")
        if next(vcard.elements(), None) is None:
            await self.host.store.execute("DELETE FROM vcard WHERE account = ?", account.bare)
            return result(request.stanza)
        raw = to_bytes(vcard)
        if len(raw) > self.options.largest:
            text = f"the vCard is larger than {self.options.largest} bytes"
            raise StanzaError("policy-violation", text=text)
        await self.host.store.execute(
            "INSERT INTO vcard (account, vcard) VALUES (?, ?)"
            " ON CONFLICT (account) DO UPDATE SET vcard = excluded.vcard",
            account.bare,
            raw,
        )
        return result(request.stanza)

    @answers("set", NS_VCARD, "vCard", At.ACCOUNT | At.NOBODY | At.HOST)
    def set_of_other(self, request: Passing) -> Stanza:
        """§3.2: nobody writes another's card."""
        raise StanzaError("forbidden")

    async def _find(self, account: str) -> bytes | None:
        rows = await self.host.store.query("SELECT vcard FROM vcard WHERE account = ?", account)
        return bytes(rows[0][0]) if rows else None


def _answer(request: Stanza, vcard: bytes) -> Stanza:
    return result(request).plus(vcard, f"{NS_VCARD}}}vCard")
