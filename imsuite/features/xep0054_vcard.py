"""XEP-0054: vcard-temp."""

from __future__ import annotations

from typing import Any

import attrs
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, answers
from imsuite.core.hooks import PHOTO_CHANGED, Passing, PhotoChange
from imsuite.core.host import Host
from imsuite.core.interfaces import ILoaded, Table
from imsuite.core.keeping import IVCards
from imsuite.core.options import ge, option
from imsuite.rules.avatars import NS_VCARD, Image, photo_of, with_photo
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, result, to_bytes


@attrs.frozen
class Options:
    """[features.vcard]"""

    largest: int = option(131_072, "Largest vCard, with its photo, bytes.", ge(1024))


@implementer(ILoaded, IVCards)
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
                # SHA-1 of the photo, '' without one, NULL in rows from before this step. A card
                # that was taken away is an empty row: there is no photo any more.
                "ALTER TABLE vcard ADD COLUMN photo TEXT",
            ),
        ),
    )

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._hashes: Kept[str | None] = host.keep(self)

    def load(self, cursor: Any, account: str) -> str | None:
        """Return the SHA-1 of the photo of an account."""
        if cursor is None:
            return None
        cursor.execute(
            "SELECT photo, CASE WHEN photo IS NULL THEN vcard END FROM vcard WHERE account = ?",
            (account,),
        )
        row = cursor.fetchone()
        return None if row is None else _hash_in(*row)

    def photo_hash(self, account: Account) -> str | None:
        """Return the SHA-1 of the photo, "" for none any more, None for no card ever."""
        return self._hashes.of(account)

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
        photo = photo_of(vcard)
        raw = b"" if next(vcard.elements(), None) is None else to_bytes(vcard)
        self._check(raw)
        await self.host.store.transaction(_write, account.bare, raw, _id(photo))
        await self._changed(account, photo, request.sender.full)
        return result(request.stanza)

    @answers("set", NS_VCARD, "vCard", At.ACCOUNT | At.NOBODY | At.HOST)
    def set_of_other(self, request: Passing) -> Stanza:
        """§3.2: nobody writes another's card."""
        raise StanzaError("forbidden")

    async def set_photo(
        self, account: Account, image: Image | None, only: str | None = None
    ) -> bool:
        """Put a photo into the card, or take it away; see IVCards."""
        if account.temporary:
            return False

        def replace(cursor: Any) -> bool:
            cursor.execute("SELECT photo, vcard FROM vcard WHERE account = ?", (account.bare,))
            hash, raw = cursor.fetchone() or ("", b"")
            now = _hash_in(hash, raw)
            if now == _id(image) or only not in (None, now):
                return False
            card = with_photo(build(bytes(raw), NS_VCARD) if raw else None, image)
            fresh = b"" if card is None else to_bytes(card)
            self._check(fresh)
            _write(cursor, account.bare, fresh, _id(image))
            return True

        done: bool = await self.host.store.transaction(replace)
        if done:
            await self._changed(account, image, account.bare)
        return done

    def _check(self, raw: bytes) -> None:
        if len(raw) > self.options.largest:
            text = f"the vCard is larger than {self.options.largest} bytes"
            raise StanzaError("policy-violation", text=text)

    async def _changed(self, account: Account, photo: Image | None, by: str) -> None:
        before = self._hashes.of(account)
        if (before or "") == _id(photo):
            return
        self._hashes.put(account, _id(photo))
        await self.host.switch(PHOTO_CHANGED).tell(PhotoChange(account, before, photo, by))

    async def _find(self, account: str) -> bytes | None:
        rows = await self.host.store.query("SELECT vcard FROM vcard WHERE account = ?", account)
        return bytes(rows[0][0]) or None if rows else None


def _answer(request: Stanza, vcard: bytes) -> Stanza:
    return result(request).plus(vcard, f"{NS_VCARD}}}vCard")


def _id(photo: Image | None) -> str:
    return "" if photo is None else photo.id


def _hash_in(hash: str | None, vcard: Any) -> str:
    """Return the SHA-1 of the photo in a row. vcard: bytes of the card where hash is None."""
    return _id(photo_of(build(bytes(vcard), NS_VCARD))) if hash is None else hash


def _write(cursor: Any, account: str, raw: bytes, photo: str) -> None:
    if not raw:
        cursor.execute("UPDATE vcard SET vcard = ?, photo = '' WHERE account = ?", (raw, account))
        return
    cursor.execute(
        "INSERT INTO vcard (account, vcard, photo) VALUES (?, ?, ?) ON CONFLICT (account)"
        " DO UPDATE SET vcard = excluded.vcard, photo = excluded.photo",
        (account, raw, photo),
    )
