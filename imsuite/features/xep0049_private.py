"""XEP-0049: Private XML Storage."""

from __future__ import annotations

from functools import cached_property
from typing import Any

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.account import Account
from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import STARTED, Passing
from imsuite.core.host import Host
from imsuite.core.interfaces import Table
from imsuite.core.keeping import IPrivateKeeper
from imsuite.core.options import ge, option
from imsuite.xmpp.address import parse
from imsuite.xmpp.build import build
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, result, to_bytes

NS_PRIVATE = "jabber:iq:private"
# §2.3: namespaces that are not for storing; what had none of its own is in jabber:iq:private
RESERVED = ("jabber:", "http://jabber.org/", "vcard-temp")

Name = tuple[str, str]  # namespace and name of an element


@attrs.frozen
class Options:
    """[features.private]"""

    most: int = option(200, "Most elements that one account may keep.", ge(1))
    largest: int = option(524_288, "Most bytes that one account may keep.", ge(1024))


class Private(Feature):
    """Keep whatever XML a client wants to find again, by the name of the element."""

    spec = "XEP-0049 1.2"
    advertises = {At.HOST: (NS_PRIVATE,)}
    options: Options
    tables = (
        Table(
            "private",
            (
                """CREATE TABLE private (
                    account TEXT NOT NULL,   -- bare JID
                    ns TEXT NOT NULL,
                    name TEXT NOT NULL,
                    content {blob} NOT NULL, -- every element of that name, one after the other
                    PRIMARY KEY (account, ns, name))""",
            ),
        ),
    )

    @answers("get", NS_PRIVATE, "query", At.SELF)
    async def get(self, request: Passing) -> Stanza:
        """§2.3: what was never stored comes back as it was asked for."""
        wanted = _children(request.stanza)
        if len(wanted) != 1:
            raise StanzaError("bad-request", text="ask for one element")
        _check(wanted[0])
        name = (str(wanted[0].uri), wanted[0].name)
        content = await self._read(request.account, name) or to_bytes(Element(name))
        query = b"<query xmlns='%s'>%s</query>" % (NS_PRIVATE.encode(), content)
        return result(request.stanza).plus(query, f"{NS_PRIVATE}}}query")

    @answers("set", NS_PRIVATE, "query", At.SELF)
    async def set(self, request: Passing) -> Stanza:
        """§2.3: an element without content is forgotten."""
        account, given = request.account, _children(request.stanza)
        if not given:
            raise StanzaError("not-acceptable", text="there is nothing to store")
        if account.temporary:
            raise StanzaError("not-allowed", text="nothing is kept of this account")
        contents: dict[Name, bytes] = {}
        kept: dict[Name, Element] = {}
        for element in given:
            _check(element)
            name = (str(element.uri), element.name)
            content = to_bytes(element) if element.children or element.attributes else b""
            contents[name] = contents.get(name, b"") + content
            if name in self._keepers:
                kept.setdefault(name, Element(name)).children += element.children
        for name, element in kept.items():
            await self._keepers[name].write_private(account, element, request.sender)
            contents[name] = b""
        await self.host.store.transaction(self._write, account.bare, contents)
        return result(request.stanza)

    # what another feature keeps

    @cached_property
    def _keepers(self) -> dict[Name, Any]:  # what provides IPrivateKeeper
        features = self.host.features.values()
        return {each.private: each for each in features if IPrivateKeeper.providedBy(each)}

    @on(STARTED)
    def begin(self, _: Host) -> None:
        """Give what was stored here before another feature kept it to that feature."""
        if self._keepers:
            self.host.spawn(self._hand_over_all())

    async def _hand_over_all(self) -> None:
        for name in self._keepers:
            last = ""
            while rows := await self.host.store.query(
                "SELECT account FROM private WHERE ns = ? AND name = ? AND account > ?"
                " ORDER BY account LIMIT 100",
                *name,
                last,
            ):
                for (bare,) in rows:
                    jid = parse(bare)
                    if jid.domain == self.host.domain:
                        account = await self.host.account(jid.local)
                        if account is not None:
                            await self._read(account, name)
                last = rows[-1][0]

    async def _read(self, account: Account, name: Name) -> bytes:
        """Return the elements of a name, b"" for none; also where another feature keeps them."""
        rows = await self.host.store.query(
            "SELECT content FROM private WHERE account = ? AND ns = ? AND name = ?",
            account.bare,
            *name,
        )
        old = bytes(rows[0][0]) if rows else b""
        keeper = self._keepers.get(name)
        if keeper is None:
            return old
        if old:
            try:
                await keeper.adopt_private(account, _joined(name, old))
            except StanzaError:
                return old  # it stays here; what it would be merged with has no room for it
            await self.host.store.execute(
                "DELETE FROM private WHERE account = ? AND ns = ? AND name = ? AND content = ?",
                account.bare,
                *name,
                old,
            )
        element = await keeper.read_private(account)
        return b"" if element is None else to_bytes(element)

    def _write(self, cursor: Any, account: str, contents: dict[Name, bytes]) -> None:
        for (ns, name), content in contents.items():
            cursor.execute(
                "DELETE FROM private WHERE account = ? AND ns = ? AND name = ?", (account, ns, name)
            )
            if content:
                cursor.execute(
                    "INSERT INTO private (account, ns, name, content) VALUES (?, ?, ?, ?)",
                    (account, ns, name, content),
                )
        cursor.execute(
            "SELECT count(*), coalesce(sum(length(content)), 0) FROM private WHERE account = ?",
            (account,),
        )
        count, size = cursor.fetchone()
        # undoes the transaction; who is over limits that were lowered may still take away
        if any(contents.values()) and (count > self.options.most or size > self.options.largest):
            raise StanzaError("resource-constraint", text="the private storage is full")

    @answers("get", NS_PRIVATE, "query", At.ACCOUNT | At.NOBODY | At.HOST)
    def get_of_other(self, request: Passing) -> Stanza:
        """§2.3: nobody reads what is another's."""
        raise StanzaError("forbidden")

    @answers("set", NS_PRIVATE, "query", At.ACCOUNT | At.NOBODY | At.HOST)
    def set_of_other(self, request: Passing) -> Stanza:
        """§2.3: nobody writes what is another's."""
        raise StanzaError("forbidden")


def _children(request: Stanza) -> list[Element]:
    query = request.payload
    assert query is not None
    return list(query.elements())


def _check(element: Element) -> None:
    """Raise StanzaError not-acceptable for an element that may not be stored."""
    if not element.uri or element.uri.startswith(RESERVED):
        raise StanzaError("not-acceptable", text="that namespace is reserved")


def _joined(name: Name, content: bytes) -> Element:
    """Return one element with what is inside all elements of that name, one after the other."""
    joined = Element(name)
    for element in build(b"<query>%s</query>" % content, NS_PRIVATE).elements():
        joined.children += element.children
    return joined
