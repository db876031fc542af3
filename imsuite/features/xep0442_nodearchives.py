"""XEP-0442: Pubsub Message Archive Management."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import cached_property
from typing import Any

import attrs
from twisted.internet.task import deferLater
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.feature import At, Feature, answers
from imsuite.core.hooks import Passing
from imsuite.core.options import ge, le, option
from imsuite.core.service_interfaces import INodeArchives, INodes, IPep
from imsuite.rules.archive import NS_MAM
from imsuite.rules.node_archive import Past, Wanted, offered, read, uid
from imsuite.rules.traffic import FORWARD
from imsuite.xmpp import forms, rsm
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, quoted, result
from imsuite.xmpp.times import format_datetime

_PATIENCE = 0.1  # seconds between two looks at a client that reads slowly
_ROOT = b"<message"
_RESULT = f"{NS_MAM}}}result"
_HEAD = (
    f"<message from=%s to=%s><result xmlns='{NS_MAM}'%s id='%s'><forwarded xmlns='{FORWARD}'>"
    f"<delay xmlns='{NS.DELAY}' stamp='%s'/><message xmlns='{NS.CLIENT}'"
).encode()
_TAIL = b"</forwarded></result></message>"


@attrs.frozen
class Options:
    """[features.nodearchives]"""

    page: int = option(
        250, "Most items in one page of results, whatever is asked for.", ge(1), le(5000), live=True
    )


@implementer(INodeArchives)
class NodeArchives(Feature):
    """Give what was published to nodes that keep items, in that order, page by page.

    The archive of a node is its items: what was retracted, purged or has expired is in it no more.
    Who may read the items may read the archive, and nobody else. At accounts these requests come
    by way of the archive feature, which has those without a node.
    """

    spec = "XEP-0442 0.2.0"
    advertises = {At.PUBSUB: (NS_MAM, f"{NS_MAM}#extended")}
    requires = (INodes,)
    options: Options

    @cached_property
    def _nodes(self) -> Any:  # what provides INodes
        return self.host.find_feature(INodes)

    # the service

    @answers("set", NS_MAM, "query", At.PUBSUB)
    @answers("get", NS_MAM, "query", At.PUBSUB)
    @answers("get", NS_MAM, "metadata", At.PUBSUB)
    async def of_service(self, request: Passing) -> Stanza:
        """§2"""
        return await self._answer(request, self._nodes.service)

    # accounts

    async def of_account(self, request: Passing) -> Stanza:
        """§2, for the nodes of an account (XEP-0163). Raises StanzaError.

        Strangers do not learn which accounts and nodes there are.
        """
        pep, account, sender = self.host.find_feature(IPep), request.account, request.sender
        if pep is None:
            raise StanzaError("feature-not-implemented", text="accounts have no nodes here")
        site = pep.site(account)
        known = sender.bare == account.bare or self.host.trusts(account, sender)
        if not known and not await self._nodes.concerns(site, _node(request), sender):
            raise StanzaError("forbidden")
        return await self._answer(request, site)

    # both

    async def _answer(self, request: Passing, site: Any) -> Stanza:
        element, stanza = request.stanza.payload, request.stanza
        assert element is not None
        if element.name == "metadata":
            return await self._metadata(request, site)
        if stanza.type == "get":
            query = Element((NS_MAM, "query"))
            if _node(request):
                query["node"] = _node(request)
            query.addChild(forms.to_element(offered()))
            return result(stanza, query)
        wanted = read(element, self.options.page)
        await self._room(request)
        past: Past = await self._nodes.past(site, _node(request), request.sender, wanted)
        send = self.host.send if request.session is None else request.session.send
        for message in _results(past, wanted, site.jid, request.sender.full):
            send(message)
        return result(stanza, _fin(past))

    async def _room(self, request: Passing) -> None:
        """Wait until a client has read what it asked for before."""
        session = request.session
        while session is not None and session.stream is not None and session.stream.congested:
            await deferLater(self.host.clock, _PATIENCE, lambda: None)

    async def _metadata(self, request: Passing, site: Any) -> Stanza:
        """XEP-0313 §5"""
        stamps: Iterable[int] = await self._nodes.ends(site, _node(request), request.sender)
        element = Element((NS_MAM, "metadata"))
        element["node"] = _node(request)
        for name, stamp in zip(("start", "end"), stamps, strict=False):
            end = element.addElement(name)
            end["id"], end["timestamp"] = uid(stamp), format_datetime(stamp)
        return result(request.stanza, element)


def _node(request: Passing) -> str:
    """Return the node that a request names, "" for none."""
    payload = request.stanza.payload
    assert payload is not None
    return str(payload.getAttribute("node", ""))


def _results(past: Past, wanted: Wanted, service: str, asker: str) -> Iterator[Stanza]:
    """Yield the results in the order in which they are sent (XEP-0313 §4.2, §4.3.4)."""
    sender, to = quoted(service), quoted(asker)
    id = b"" if wanted.id is None else b" queryid=" + quoted(wanted.id)
    attributes = {"from": service, "to": asker}
    for stamp, raw in reversed(past.items) if wanted.flipped else past.items:
        assert raw.startswith(_ROOT)
        moment = format_datetime(stamp).encode()
        head = _HEAD % (sender, to, id, uid(stamp).encode(), moment)
        whole = head + raw[len(_ROOT) :] + _TAIL
        yield Stanza("message", NS.CLIENT, attributes, (_RESULT,), whole)


def _fin(past: Past) -> Element:
    """Return what says which page it was (XEP-0313 §4.3.1)."""
    fin = Element((NS_MAM, "fin"))
    if past.complete:
        fin["complete"] = "true"
    ends = [uid(stamp) for stamp, _ in past.items]
    first, last = (ends[0], ends[-1]) if ends else (None, None)
    fin.addChild(rsm.answer(first, last, past.index, past.count))
    return fin
