"""Nodes of the publish-subscribe service, and what clients ask of them as owners (XEP-0060 §8)."""

from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import Stanza, child, children
from tests.eventing import CONFIG, ERRORS, EVENT, OWNER, PUBSUB, asks, form

SERVICE = "pubsub.example.org"
NODE = "princely_musings"
SHIM = "http://jabber.org/protocol/shim"
AUTHORIZATION = "http://jabber.org/protocol/pubsub#subscribe_authorization"
SUBSCRIBE_OPTIONS = "http://jabber.org/protocol/pubsub#subscribe_options"


def owns(client, inner, type="set", id="own"):
    """Let a client ask something as an owner; return the answer."""
    return asks(client, inner, type, to=SERVICE, ns=OWNER, id=id)


def wants(client, inner, type="set", id="sub"):
    """Let a client ask something as anybody may; return the answer."""
    return asks(client, inner, type, to=SERVICE, ns=PUBSUB, id=id)


def done(answer):
    """Assert that an answer is a result, and return it."""
    assert read(answer).attributes["type"] == "result", answer
    return answer


def read(answer):
    """Return an answer as an element."""
    return Stanza.parse(answer.encode()).element


def refusal(answer):
    """Return type, condition and application-specific condition of an error."""
    element = read(answer)
    assert element.attributes["type"] == "error", answer
    error = child(element, NS.CLIENT, "error")
    conditions = [each.name for each in error.elements() if each.uri == NS.STANZAS]
    special = [each for each in error.elements() if each.uri == ERRORS]
    if not special:
        return error["type"], conditions[0]
    (said,) = special
    if said.hasAttribute("feature"):
        return error["type"], conditions[0], said.name, said["feature"]
    return error["type"], conditions[0], said.name


def creates(client, node=NODE, **config):
    """Let a client make a node."""
    more = f"<configure>{form(CONFIG, config)}</configure>" if config else ""
    done(wants(client, f"<create node='{node}'/>{more}", id="create"))
    client.forget()


def configures(client, node=NODE, **config):
    """Let a client configure a node; return the answer."""
    return owns(client, f"<configure node='{node}'>{form(CONFIG, config)}</configure>")


def subscribes(client, node=NODE, jid=None, **options):
    """Let a client subscribe; return state and SubID."""
    jid = jid or client.jid.bare
    more = f"<options>{form(SUBSCRIBE_OPTIONS, options)}</options>" if options else ""
    about = f" node='{node}'" if node else ""
    answer = read(done(wants(client, f"<subscribe{about} jid='{jid}'/>{more}")))
    entry = child(child(answer, PUBSUB, "pubsub"), PUBSUB, "subscription")
    client.forget()
    return entry["subscription"], entry["subid"]


def publishes(client, node=NODE, item="i", payload="<x xmlns='urn:x'/>"):
    """Let a client publish an item."""
    inner = f"<publish node='{node}'><item id='{item}'>{payload}</item></publish>"
    done(wants(client, inner, id="publish"))


def shown(client, node=NODE):
    """Return what an owner sees of the configuration: values by names without `pubsub#`."""
    answer = read(done(owns(client, f"<configure node='{node}'/>", "get")))
    configure = child(child(answer, OWNER, "pubsub"), OWNER, "configure")
    return fields(child(configure, NS.DATA, "x"))


def fields(form):
    """Return the values of a form's fields, one by itself, by names without `pubsub#`."""
    found = {}
    for field in children(form, NS.DATA, "field"):
        values = ["".join(map(str, v.children)) for v in children(field, NS.DATA, "value")]
        found[field["var"].removeprefix("pubsub#")] = values[0] if len(values) == 1 else values
    return found


def listed(client, what, node=NODE):
    """Return the subscriptions or affiliations that an owner sees: pairs of address and state."""
    answer = read(done(owns(client, f"<{what} node='{node}'/>", "get")))
    return entries(child(answer, OWNER, "pubsub"), what)


def entries(pubsub, what):
    """Return the pairs of address and state in a list."""
    one = what.removesuffix("s")
    found = children(child(pubsub, pubsub.uri, what), pubsub.uri, one)
    return [(each["jid"], each[one]) for each in found]


def affiliates(client, node=NODE, **people):
    """Let an owner change affiliations, by name of the account; return the answer."""
    inner = "".join(
        f"<affiliation jid='{name}@example.org' affiliation='{word.replace('_', '-')}'/>"
        for name, word in people.items()
    )
    return owns(client, f"<affiliations node='{node}'>{inner}</affiliations>")


def heard(client):
    """Return the events a client got since it was told to forget: names, and what is in them."""
    found = []
    for stanza in client.stanzas:
        event = stanza.child(EVENT, "event") if stanza.kind == "message" else None
        if event is not None:
            found.append(next(iter(event.elements())))
    return found


def states(client):
    """Return the states of subscriptions that a client was told: node and state."""
    return [(each["node"], each["subscription"]) for each in heard(client) if _is_state(each)]


def _is_state(event):
    return event.name == "subscription"


def names(client):
    """Return the names of the events that a client heard of, in order."""
    return [each.name for each in heard(client)]


def headers(client, name):
    """Return the values of a SHIM header in what a client got last."""
    found = client.stanzas[-1].child(SHIM, "headers")
    if found is None:
        return []
    return ["".join(h.children) for h in children(found, SHIM, "header") if h["name"] == name]
