"""XEP-0060: requests in the namespace of subscribers and publishers, taken apart."""

from __future__ import annotations

import secrets
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

from twisted.words.xish.domish import Element
from wokkel.data_form import Form

from imsuite.core.hooks import Passing
from imsuite.features.xep0060_pubsub.nodes import Nodes
from imsuite.features.xep0060_pubsub.publishing import Publisher
from imsuite.features.xep0060_pubsub.retrieving import Retrieving
from imsuite.features.xep0060_pubsub.subscribing import Subscribing, is_anonymous, reply
from imsuite.rules.node_errors import refusal, unsupported
from imsuite.rules.nodes import (
    COLLECTION,
    LEAF,
    NODE_CONFIG,
    NS_OWNER,
    NS_PUBSUB,
    PUBLISH_OPTIONS,
    NodeConfig,
    read,
)
from imsuite.xmpp import forms
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, child, children, quoted, result

_BOOLEANS = {"1": True, "true": True, "0": False, "false": False}


class Requesting:
    """Answers the requests that come to a site."""

    def __init__(
        self, nodes: Nodes, publisher: Publisher, subscribing: Subscribing, retrieving: Retrieving
    ) -> None:
        self._nodes = nodes
        self._publisher = publisher
        self._subscribing = subscribing
        self._retrieving = retrieving

    async def answer(self, passing: Passing, site: Any) -> Stanza | None:
        """Answer an IQ with a <pubsub/>; None if the answer is on its way. Raises StanzaError."""
        pubsub = passing.stanza.payload
        assert pubsub is not None
        if pubsub.uri == NS_OWNER:
            answer: Stanza = await self._nodes.owner.answer(passing, site)
            return answer
        asked = next((each for each in pubsub.elements() if each.uri == NS_PUBSUB), None)
        if asked is None:
            raise StanzaError("bad-request", text="nothing is asked for")
        match passing.stanza.type, asked.name:
            case "get", "items":
                return await self._retrieving.retrieve(passing, site, pubsub, asked)
            case "get", "subscriptions":
                return await self._subscribing.subscriptions(passing, site, asked)
            case "get", "affiliations":
                return await self._subscribing.affiliations(passing, site, asked)
            case ("get", "options" | "default") | ("set", "options"):
                return await self._options(passing, site, asked)
            case "set", "publish":
                return await self._publish(passing, site, pubsub, asked)
            case "set", "retract":
                return await self._retract(passing, site, asked)
            case "set", "create":
                return await self._create(passing, site, pubsub, asked)
            case "set", "subscribe":
                if next(pubsub.elements()) is not asked:
                    raise StanzaError("bad-request", text="<subscribe/> comes first")
                await self._subscribing.subscribe(passing, site, pubsub)
                return None
            case "set", "unsubscribe":
                return await self._subscribing.unsubscribe(passing, site, asked)
        raise StanzaError("bad-request", text=f"<{asked.name}/> is no such request")

    async def _options(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        """§6.3, §6.4"""
        answer: Stanza = await self._nodes.options.answer(passing, site, asked)
        return answer

    # §7.1

    async def _publish(
        self, passing: Passing, site: Any, pubsub: Element, asked: Element
    ) -> Stanza:
        name = asked.getAttribute("node", "")
        given = [(each.getAttribute("id"), _payload(each)) for each in _items(asked)]
        options = _options(pubsub)
        ids = await self._publisher.publish(site, name, given, passing.sender, options)
        inner = b"".join(b"<item id=%s/>" % quoted(id) for id in ids)
        return reply(passing, b"<publish node=%s>%s</publish>" % (quoted(name), inner))

    # §7.2

    async def _retract(self, passing: Passing, site: Any, asked: Element) -> Stanza:
        notify = asked.getAttribute("notify", "false")
        if notify not in _BOOLEANS:
            raise StanzaError("bad-request", text="notify is neither true nor false")
        ids = [each.getAttribute("id") for each in _items(asked)]
        if not all(ids):
            raise refusal("item-required")
        name = asked.getAttribute("node", "")
        await self._publisher.retract(site, name, ids, passing.sender, _BOOLEANS[notify])
        return result(passing.stanza)

    # §8.1

    async def _create(self, passing: Passing, site: Any, pubsub: Element, asked: Element) -> Stanza:
        by = passing.sender
        if is_anonymous(passing) or not site.may_create(by):
            raise StanzaError("forbidden")
        form = _configuration(pubsub, asked)
        name: str = asked.getAttribute("node", "") or secrets.token_hex(16)
        async with self._nodes.turn(site.jid, name):
            if await self._nodes.load(site, name) is not None:
                raise StanzaError("conflict")
            config = await self._config(site, name, form)
            node = await self._publisher.create(site, name, config, by)
            if self._nodes.collections is not None:
                await self._nodes.collections.told(site, node)
        return reply(passing, b"<create node=%s/>" % quoted(name))

    async def _config(self, site: Any, name: str, form: Form | None) -> NodeConfig:
        """Return the configuration that a node is made with (§8.1.3)."""
        type = None if form is None else forms.text(form, "pubsub#node_type")
        if type == COLLECTION and site.account is not None:
            raise unsupported("collections")
        base = await self._publisher.defaults(site, name, type if type == COLLECTION else LEAF)
        return base if form is None else read(form, base, site.limits, site.models)


def _items(asked: Element) -> list[Element]:
    """Return the items of a request. Raises StanzaError for anything else in there."""
    items = children(asked, NS_PUBSUB, "item")
    if len(items) != len(list(asked.elements())):
        raise StanzaError("bad-request", text="there is something that is no item")
    return items


def _payload(item: Element) -> Element | None:
    """Return what is in an item. Raises StanzaError invalid-payload (§7.1.3.5)."""
    found = list(item.elements())
    if len(found) > 1:
        raise refusal("invalid-payload")
    return found[0] if found else None


def _options(pubsub: Element) -> Form | None:
    """Return the publish-options of a request (§7.1.5). Raises StanzaError."""
    found = child(pubsub, NS_PUBSUB, "publish-options")
    if found is None:
        return None
    form = forms.submitted(found, PUBLISH_OPTIONS)
    if form is None or form.formNamespace is None:
        raise StanzaError("bad-request", text="these are no publish-options")
    return form


def _configuration(pubsub: Element, asked: Element) -> Form | None:
    """Return the form that comes with <create/> (§8.1.3). Raises StanzaError bad-request."""
    several = list(pubsub.elements())
    found = [each for each in several if (each.uri, each.name) == (NS_PUBSUB, "configure")]
    if not found:
        return None
    behind = several.index(found[0]) > several.index(asked)
    if len(found) > 1 or not behind or found[0].hasAttribute("node"):
        raise StanzaError("bad-request", text="<configure/> follows <create/>, without a node")
    if not list(found[0].elements()):
        return None
    form = forms.submitted(found[0], NODE_CONFIG)
    if form is None:
        raise StanzaError("bad-request", text="the node is not wanted")
    return form
