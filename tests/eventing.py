"""Clients that say which nodes they want to hear of (XEP-0163), and what they hear."""

from imsuite.rules.caps import ver1
from imsuite.xmpp.build import build
from imsuite.xmpp.stanza import child, children
from tests.helpers import fitting, values

CAPS = "http://jabber.org/protocol/caps"
EVENT = "http://jabber.org/protocol/pubsub#event"
INFO = "http://jabber.org/protocol/disco#info"
PUBSUB = "http://jabber.org/protocol/pubsub"
OWNER = "http://jabber.org/protocol/pubsub#owner"
ERRORS = "http://jabber.org/protocol/pubsub#errors"
OPTIONS = "http://jabber.org/protocol/pubsub#publish-options"
CONFIG = "http://jabber.org/protocol/pubsub#node_config"
TUNE = "http://jabber.org/protocol/tune"
MOOD = "http://jabber.org/protocol/mood"
_QUERY = f"<iq type='get' id='{{id}}' from='{{host}}'><query xmlns='{INFO}'/></iq>"
_IDENTITY = "<identity category='client' type='pc'/>"


def features(*nodes):
    """Return what a client answers to disco#info that wants to hear of some nodes."""
    return _IDENTITY + "".join(f"<feature var='{node}+notify'/>" for node in (*nodes, "urn:x"))


def presence(*nodes, more=""):
    """Return the presence of such a client."""
    query = build(f"<query xmlns='{INFO}'>{features(*nodes)}</query>".encode(), INFO)
    return (
        f"<presence>{more}<c xmlns='{CAPS}' hash='sha-1' node='urn:a-client' "
        f"ver='{ver1(query)}'/></presence>"
    )


def questions(client):
    """Return what the server wants to know of a client's capabilities."""
    return fitting(client.received, _QUERY)


def proves(client, *nodes):
    """Answer the server's question about a client's capabilities, if it asks; tell if it did."""
    asked = questions(client)
    for query in asked:
        asked_by = values(query, _QUERY)
        client.says(
            f"<iq type='result' to='{asked_by['host']}' id='{asked_by['id']}'>"
            f"<query xmlns='{INFO}'>{features(*nodes)}</query></iq>"
        )
    return bool(asked)


def comes(client, *nodes, more=""):
    """Let a client send presence that says what it wants to hear of, and prove that."""
    client.says(presence(*nodes, more=more))
    proves(client, *nodes)


def publish(node, payload="<tune xmlns='http://jabber.org/protocol/tune'/>", **more):
    """Return a request to publish. more: item, the id of the item; options, name → value; id; to"""
    item, to = more.get("item"), more.get("to")
    options = ""
    if "options" in more:
        options = f"<publish-options>{form(OPTIONS, more['options'])}</publish-options>"
    id = "" if item is None else f" id='{item}'"
    to = "" if to is None else f" to='{to}'"
    return (
        f"<iq type='set' id='{more.get('id', 'pub')}'{to}><pubsub xmlns='{PUBSUB}'>"
        f"<publish node='{node}'><item{id}>{payload}</item></publish>{options}</pubsub></iq>"
    )


def form(type, values):
    """Return a form that is submitted; names of fields without `pubsub#`."""
    fields = "".join(
        f"<field var='pubsub#{name}'>"
        + "".join(f"<value>{v}</value>" for v in ((value,) if isinstance(value, str) else value))
        + "</field>"
        for name, value in values.items()
    )
    return (
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{type}</value></field>{fields}</x>"
    )


def asks(client, inner, type="get", to=None, ns=PUBSUB, id="q"):
    """Let a client ask something of a service; return the answer."""
    to = "" if to is None else f" to='{to}'"
    client.says(f"<iq type='{type}' id='{id}'{to}><pubsub xmlns='{ns}'>{inner}</pubsub></iq>")
    return [s for s in client.received if f"id='{id}'" in s.partition(">")[0]][-1]


def items(client, node, to=None, id="items"):
    """Let a client fetch the items of a node; return the answer."""
    return asks(client, f"<items node='{node}'/>", to=to, id=id)


def configure(client, node, id="conf", **values):
    """Let an account configure a node of its own; return the answer."""
    inner = f"<configure node='{node}'>{form(CONFIG, values)}</configure>"
    return asks(client, inner, "set", ns=OWNER, id=id)


def events(client, node=None):
    """Return the events that a client received, of one node or all."""
    found = []
    for stanza in client.stanzas:
        event = stanza.child(EVENT, "event") if stanza.kind == "message" else None
        if event is None:
            continue
        about = next(iter(event.elements()))
        if node is None or about.getAttribute("node") == node:
            found.append(stanza)
    return found


def ids(client, node):
    """Return the ids of items of a node that a client heard of, in order."""
    found = []
    for stanza in events(client, node):
        items = child(stanza.child(EVENT, "event"), EVENT, "items")
        if items is not None:
            found += [item.getAttribute("id") for item in children(items, EVENT, "item")]
    return found


def hear(client, *nodes):
    """Let a client say what it wants to hear of, and forget what that caused."""
    comes(client, *nodes)
    client.forget()


def publishes(client, *given, **more):
    """Let a client publish; what it receives for it is its result, maybe among events."""
    more.setdefault("id", "pub")
    client.says(publish(*given, **more))
    *_, answer = fitting(client.received, f"<iq id='{more['id']}'/>")
    return answer
