"""XEP-0470: what somebody attaches to an item, and the summary of it."""

from __future__ import annotations

import re
import string
from collections.abc import Iterable

import attrs
from twisted.words.xish.domish import Element

from imsuite.xmpp.address import InvalidAddress, parse
from imsuite.xmpp.stanza import child, children, text_of

NS_ATTACHMENTS = "urn:xmpp:pubsub-attachments:1"
NS_SUMMARY = "urn:xmpp:pubsub-attachments:summary:1"
_ATTACHMENTS, _SUMMARY = f"{NS_ATTACHMENTS}/", f"{NS_SUMMARY}/"
_PLAIN = frozenset(string.ascii_letters + string.digits + "-._~")  # RFC 3986 §2.3
_IN_ADDRESS = _PLAIN | frozenset("@!$()*,;:+")  # RFC 5122 §2.2
_octets = re.compile("(?:%[0-9A-Fa-f]{2})+")
_LONGEST = 64  # characters of a reaction that is counted
_MOST = 100  # different reactions to one item that are counted


@attrs.frozen
class Target:
    """An item that something can be attached to. service: bare JID; node, item: names."""

    service: str
    node: str
    item: str


def is_attachments(node: str) -> bool:
    """Tell whether a node has a name as attachment nodes have them (§4.1)."""
    return node.startswith(_ATTACHMENTS)


def is_summary(node: str) -> bool:
    """Tell whether a node is a summary node (§4.6)."""
    return node.startswith(_SUMMARY)


def target_of(node: str) -> Target | None:
    """Return the item that an attachment node is for; None if its name names none (§4.1)."""
    if not is_attachments(node):
        return None
    uri = node.removeprefix(_ATTACHMENTS)
    address, found, query = uri.removeprefix("xmpp:").partition("?")
    if not uri.startswith("xmpp:") or not found:
        return None
    values: dict[str, str] = {}
    for pair in query.split(";")[1:]:
        key, _, value = pair.partition("=")
        if key in values:
            return None
        values[key] = _decoded(value)
    name, item = values.get("node", ""), values.get("item", "")
    try:
        service = parse(_decoded(address))
    except InvalidAddress:
        return None
    if service.resource or not name or not item or is_attachments(name) or is_summary(name):
        return None
    return Target(service.full, name, item)


def attachments_of(target: Target) -> str:
    """Return the name of the attachment node of an item (§4.1, XEP-0060 §12.21)."""
    address = _encoded(target.service, _IN_ADDRESS)
    node, item = _encoded(target.node, _PLAIN), _encoded(target.item, _PLAIN)
    return f"{_ATTACHMENTS}xmpp:{address}?;node={node};item={item}"


def _encoded(text: str, plain: frozenset[str]) -> str:
    """Return a text with all but some characters percent-encoded (RFC 3986 §2.1)."""
    return "".join(
        character if (character := chr(octet)) in plain else f"%{octet:02X}"
        for octet in text.encode()
    )


def _decoded(text: str) -> str:
    """Return a text without percent-encoding; what is no UTF-8 becomes U+FFFD."""
    return _octets.sub(
        lambda found: bytes.fromhex(found[0].replace("%", "")).decode("utf-8", "replace"), text
    )


def summary_of(node: str) -> str:
    """Return the name of the summary node of a node (§4.6)."""
    return _SUMMARY + node


def summarised(node: str) -> str:
    """Return the name of the node that a summary node is for."""
    return node.removeprefix(_SUMMARY)


def is_valid(id: str | None, payload: Element | None, by: str) -> bool:
    """Tell whether a bare JID may attach that (§4.5): under its own name, in the right element."""
    if id != by or payload is None:
        return False
    return (payload.uri, payload.name) == (NS_ATTACHMENTS, "attachments")


def summarise(payloads: Iterable[Element | None]) -> Element | None:
    """Return the summary of attachments, one for each JID; None if there is nothing to say.

    §4.7.3: how many noticed the item; §4.8.2: how often each reaction is there, once for each JID.
    """
    noticed, counts = 0, dict[str, int]()
    for payload in payloads:
        if payload is None:
            continue
        if child(payload, NS_ATTACHMENTS, "noticed") is not None:
            noticed += 1
        for reaction in _reactions(payload):
            if reaction in counts or len(counts) < _MOST:
                counts[reaction] = counts.get(reaction, 0) + 1
    if not noticed and not counts:
        return None
    summary = Element((NS_SUMMARY, "summary"))
    if noticed:
        summary.addElement((NS_SUMMARY, "noticed"))["count"] = str(noticed)
    if counts:
        reactions = summary.addElement((NS_SUMMARY, "reactions"))
        for reaction, count in sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])):
            element = reactions.addElement((NS_SUMMARY, "reaction"), content=reaction)
            if count > 1:
                element["count"] = str(count)
    return summary


def _reactions(payload: Element) -> Iterable[str]:
    """Return the different reactions of one JID."""
    found: dict[str, None] = {}
    for reactions in children(payload, NS_ATTACHMENTS, "reactions"):
        for reaction in children(reactions, NS_ATTACHMENTS, "reaction"):
            text = text_of(reaction).strip()
            if 0 < len(text) <= _LONGEST:
                found[text] = None
    return found
