"""XEP-0060 §8.6, §8.7: the forms by which owners approve subscriptions."""

from __future__ import annotations

from collections.abc import Iterable

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

import attrs
from twisted.words.xish.domish import Element
from wokkel.data_form import Form

from imsuite.rules.nodes import NS_PUBSUB
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import child

NS_AUTHORIZATION = f"{NS_PUBSUB}#subscribe_authorization"
GET_PENDING = f"{NS_PUBSUB}#get-pending"
_NODE, _SUBID, _ALLOW = "pubsub#node", "pubsub#subid", "pubsub#allow"
_SUBSCRIBER = "pubsub#subscriber_jid"


@attrs.frozen
class Approval:
    """What an owner decided. jid: as it is in the request; subid: None if it was left out."""

    node: str
    jid: str
    subid: str | None
    allow: bool


def to_request(node: str, jid: str, subid: str) -> Element:
    """Return the form that asks an owner to approve a subscription."""
    return forms.to_element(
        forms.make(
            "form",
            NS_AUTHORIZATION,
            [
                forms.field("hidden", _SUBID, subid),
                forms.field("text-single", _NODE, node, "Node ID"),
                forms.field("jid-single", _SUBSCRIBER, jid, "Subscriber Address"),
                forms.field("boolean", _ALLOW, False, "Allow this JID to subscribe to this node?"),
            ],
            "Subscription request",
            ["Choose whether the subscriber may have what is published on the node."],
        )
    )


def in_words(node: str, jid: str) -> str:
    """Return a text for owners whose client does not show forms."""
    return f"{jid} wants to subscribe to the node {node}."


def is_approval(message: Element) -> bool:
    """Tell whether a message holds an answer to such a form."""
    element = child(message, NS.DATA, "x")
    if element is None or element.getAttribute("type") not in ("submit", "cancel"):
        return False
    try:
        return bool(forms.read(element).formNamespace == NS_AUTHORIZATION)
    except StanzaError:
        return False


def from_answer(message: Element) -> Approval | None:
    """Return what an owner decided, None if it put that off.

    Raises StanzaError bad-request for an answer that leaves open what it is about.
    """
    form = forms.submitted(message, NS_AUTHORIZATION)
    if form is None:
        return None
    node = forms.text(form, _NODE)
    jid = forms.jid(form, _SUBSCRIBER)
    allow = forms.boolean(form, _ALLOW)
    if node is None or jid is None or allow is None:
        raise StanzaError("bad-request", text="it is not said what is allowed to whom")
    return Approval(node, jid.full, forms.text(form, _SUBID) or None, allow)


def to_choice(nodes: Iterable[str]) -> Form:
    """Return the form in which an owner chooses a node with requests that are pending (§8.7.2)."""
    field = forms.field("list-single", _NODE, None, "Node", dict.fromkeys(nodes), required=True)
    return forms.make("form", NS_AUTHORIZATION, [field], "Pending subscription requests")


def from_choice(form: Form) -> str:
    """Return the node that an owner chose (§8.7.4). Raises StanzaError bad-request."""
    node = forms.text(form, _NODE)
    if not node:
        raise StanzaError("bad-request", text="no node was chosen")
    return node
