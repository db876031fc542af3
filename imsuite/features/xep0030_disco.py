"""XEP-0030: Service Discovery, with the extension forms of XEP-0128."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from inspect import isawaitable
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

import attrs
from twisted.words.xish.domish import Element
from wokkel.disco import DiscoFeature, DiscoIdentity, DiscoInfo, DiscoItem, DiscoItems
from zope.interface import implementer

from imsuite.core.feature import At, Feature, answers
from imsuite.core.hooks import Passing
from imsuite.core.interfaces import IDisco, IDiscoExtension, IDiscoNodes
from imsuite.core.options import Check, WrongValue, each, nonempty, option, unique
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import InvalidAddress, parse, wokkel_jid
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, result

Item = tuple[str, str, str | None]  # jid, node, name


def _address(text: str) -> str:
    try:
        return parse(text).full
    except InvalidAddress as why:
        raise WrongValue(f"must be an address ({why})") from None


@attrs.frozen
class Options:
    """[features.disco]"""

    name: str = option("imsuite", "Name that the server gives itself.", nonempty)
    items: tuple[str, ...] = option(
        (),
        "Addresses that are listed among the services of the domain, besides its own.",
        each(Check(_address)),
        unique,
        example=("conference.example.com",),
    )


@implementer(IDisco)
class Disco(Feature):
    """Tell what the domain and its accounts are, and what they can do."""

    spec = "XEP-0030 2.5.0"
    advertises = {At.ANY: (NS.DISCO_INFO, NS.DISCO_ITEMS)}
    options: Options

    @cached_property
    def _extensions(self) -> list[Any]:  # what provides IDiscoExtension
        return [f for f in self.host.features.values() if IDiscoExtension.providedBy(f)]

    @cached_property
    def _nodes(self) -> list[Any]:  # what provides IDiscoNodes
        return [f for f in self.host.features.values() if IDiscoNodes.providedBy(f)]

    # the domain

    @answers("get", NS.DISCO_INFO, "query", At.HOST)
    async def host_info(self, passing: Passing) -> Stanza:
        """§3.1"""
        return await self._info_of(passing, At.HOST)

    @answers("get", NS.DISCO_ITEMS, "query", At.HOST)
    async def host_items(self, passing: Passing) -> Stanza:
        """§4.1"""
        return await self._items_of(passing, At.HOST)

    # accounts

    @answers("get", NS.DISCO_INFO, "query", At.SELF)
    async def own_info(self, passing: Passing) -> Stanza:
        """§3.1: what the server does for its own user."""
        return await self._info_of(passing, At.SELF)

    @answers("get", NS.DISCO_ITEMS, "query", At.SELF)
    async def own_items(self, passing: Passing) -> Stanza:
        """§4.1"""
        return await self._items_of(passing, At.SELF)

    @answers("get", NS.DISCO_INFO, "query", At.ACCOUNT)
    async def account_info(self, passing: Passing) -> Stanza:
        """§8: nothing for those who may not know whether the account exists."""
        if not self.host.trusts(passing.account, passing.sender):
            raise StanzaError("service-unavailable")
        return await self._info_of(passing, At.ACCOUNT)

    @answers("get", NS.DISCO_ITEMS, "query", At.ACCOUNT)
    async def account_items(self, passing: Passing) -> Stanza:
        """§8: an empty list for those who may not know whether the account exists."""
        if not self.host.trusts(passing.account, passing.sender):
            return self.nobodys_items(passing)
        return await self._items_of(passing, At.ACCOUNT)

    @answers("get", NS.DISCO_INFO, "query", At.NOBODY)
    def nobodys_info(self, passing: Passing) -> Stanza:
        """§8"""
        raise StanzaError("service-unavailable")

    @answers("get", NS.DISCO_ITEMS, "query", At.NOBODY)
    def nobodys_items(self, passing: Passing) -> Stanza:
        """§8: whether or not a node is asked for."""
        return _answer(passing, DiscoItems().toElement())

    # inside

    def info(self, at: At) -> Element:
        """Return a new disco#info <query/> of that kind of address."""
        return self._info(at, temporary=False)

    def _info(self, at: At, temporary: bool) -> Element:
        made = DiscoInfo()
        if at is At.HOST:
            made.append(DiscoIdentity("server", "im", self.options.name))
        else:
            made.append(DiscoIdentity("account", "anonymous" if temporary else "registered"))
        for extension in self._extensions:
            for category, type, name in extension.identities(at):
                made.append(DiscoIdentity(category, type, name))
        for name in self.host.advertised(at):
            made.append(DiscoFeature(name))
        for extension in self._extensions:
            for form in extension.forms(at):
                made.append(form)
        query: Element = made.toElement()
        return query

    async def _info_of(self, passing: Passing, at: At) -> Stanza:
        """Return the answer to a disco#info query that may be answered. Raises StanzaError."""
        node = _node(passing)
        if not node:
            temporary = at is not At.HOST and passing.account.temporary
            return _answer(passing, self._info(at, temporary))
        for feature in self._nodes:
            query = feature.node_info(passing, at, node)
            if isawaitable(query):
                query = await query
            if query is not None:
                return _answer(passing, query)
        raise StanzaError("item-not-found")

    async def _items_of(self, passing: Passing, at: At) -> Stanza:
        """Return the answer to a disco#items query that may be answered. Raises StanzaError."""
        node = _node(passing)
        found = [] if node else list(self._items(passing, at))
        known = not node
        for feature in self._nodes:
            more = feature.node_items(passing, at, node)
            if isawaitable(more):
                more = await more
            if more is not None:
                known = True
                found += more
        if not known:
            raise StanzaError("item-not-found")
        return _answer(passing, _items_element(dict.fromkeys(found)))

    def _items(self, passing: Passing, at: At) -> Iterator[Item]:
        if at is At.HOST:
            for jid in (*sorted(self._services()), *self.options.items):
                yield jid, "", None
        else:
            for session in passing.account.available:
                yield session.full, "", None

    def _services(self) -> Iterator[str]:
        """Yield the domains of this server that are below this one, or below none of its hosts."""
        hosts = self.host.router.hosts
        for domain in self.host.router.services:
            above = [host for host in hosts if domain.endswith(f".{host}")]
            if not above or max(above, key=len) == self.host.domain:
                yield domain


def _node(passing: Passing) -> str:
    payload = passing.stanza.payload
    assert payload is not None
    node: str = payload.getAttribute("node", "")
    return node


def _answer(passing: Passing, query: Element) -> Stanza:
    """Return the result; it repeats the node that was asked for (§3.2)."""
    if node := _node(passing):
        query["node"] = node
    return result(passing.stanza, query)


def _items_element(items: Iterable[Item]) -> Element:
    made = DiscoItems()
    for jid, node, name in items:
        made.append(DiscoItem(wokkel_jid(parse(jid)), node, name))
    query: Element = made.toElement()
    return query
