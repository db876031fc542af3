"""What moderators and admins of a room ask for, and what of it others see."""

from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import child, children, text_of
from tests.covens import COVEN

NS_ADMIN = "http://jabber.org/protocol/muc#admin"
NS_USER = "http://jabber.org/protocol/muc#user"
ROMEO, JULIET, NURSE = "romeo@example.org", "juliet@example.org", "nurse@example.org"


def ask(client, items, type="set", room=COVEN):
    """Let a client send an IQ; return the answer as a Stanza, and forget nothing else."""
    before = len(client.stanzas)
    client.says(
        f"<iq type='{type}' id='q' to='{room}'><query xmlns='{NS_ADMIN}'>{items}</query></iq>"
    )
    (answer,) = (each for each in client.stanzas[before:] if each.kind == "iq")
    return answer


def condition(answer):
    """Return type and condition of an error, None for a result."""
    if answer.type == "result":
        return None
    error = answer.child(NS.CLIENT, "error")
    return next(node.name for node in error.elements() if node.name != "text")


def asked(client, items, type="set"):
    """Return the condition with which a request is answered, None for success."""
    return condition(ask(client, items, type))


def listed(client, item):
    """Return the attributes of the items of a list, in no order, with their reasons."""
    answer = ask(client, item, "get")
    assert answer.type == "result"
    found = []
    for node in children(answer.payload, NS_ADMIN, "item"):
        reason = child(node, NS_ADMIN, "reason")
        more = {} if reason is None else {"reason": text_of(reason)}
        found.append({**node.attributes, **more})
    return sorted(found, key=lambda each: each["jid"])


def presence(client):
    """Return the presence that a client received: (nick, type, item, codes); forget it."""
    found = []
    for stanza in client.stanzas:
        if stanza.kind == "presence" and stanza.sender.startswith(COVEN):
            x = stanza.child(NS_USER, "x")
            item = child(x, NS_USER, "item")
            told = dict(item.attributes)
            for name in ("reason", "actor"):
                node = child(item, NS_USER, name)
                if node is not None:
                    told[name] = text_of(node) or node.getAttribute("nick")
            codes = [int(status["code"]) for status in children(x, NS_USER, "status")]
            found.append((stanza.sender.partition("/")[2], stanza.type, told, codes))
    client.forget()
    return found


def messages(client):
    """Return the muc#user elements of messages from the room; forget them."""
    found = [
        stanza.child(NS_USER, "x")
        for stanza in client.stanzas
        if stanza.kind == "message" and stanza.sender == COVEN and stanza.has(NS_USER, "x")
    ]
    client.forget()
    return found


def out(nick, affiliation="none", codes=(), **more):
    """Return presence of who leaves."""
    return nick, "unavailable", {"affiliation": affiliation, "role": "none", **more}, list(codes)


def send(client, items):
    """Let a client send a request that is not answered at once."""
    client.says(
        f"<iq type='set' id='q' to='{COVEN}'><query xmlns='{NS_ADMIN}'>{items}</query></iq>"
    )
