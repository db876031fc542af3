"""What owners of a room ask for, and what of it others see."""

from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import child, children, text_of
from tests.covens import COVEN

NS_OWNER = "http://jabber.org/protocol/muc#owner"
NS_USER = "http://jabber.org/protocol/muc#user"
FORM_TYPE = "http://jabber.org/protocol/muc#roomconfig"
ROMEO, JULIET, NURSE = "romeo@example.org", "juliet@example.org", "nurse@example.org"
INSTANT = "<x xmlns='jabber:x:data' type='submit'/>"
CANCEL = "<x xmlns='jabber:x:data' type='cancel'/>"


def ask(client, inner="", type="set", room=COVEN):
    """Let a client send an IQ; return the answer as a Stanza."""
    before = len(client.stanzas)
    client.says(
        f"<iq type='{type}' id='q' to='{room}'><query xmlns='{NS_OWNER}'>{inner}</query></iq>"
    )
    (answer,) = (each for each in client.stanzas[before:] if each.kind == "iq")
    return answer


def asked(client, inner="", type="set", room=COVEN):
    """Return the condition with which a request is answered, None for success."""
    answer = ask(client, inner, type, room)
    if answer.type == "result":
        return None
    error = answer.child(NS.CLIENT, "error")
    return next(node.name for node in error.elements() if node.name != "text")


def filled(**fields):
    """Return a submitted form; fields: values by the ends of their names."""
    found = f"<field var='FORM_TYPE'><value>{FORM_TYPE}</value></field>"
    for name, values in fields.items():
        var = "muc#maxhistoryfetch" if name == "maxhistoryfetch" else f"muc#roomconfig_{name}"
        inner = "".join(
            f"<value>{value}</value>"
            for value in ((values,) if isinstance(values, str) else values)
        )
        found += f"<field var='{var}'>{inner}</field>"
    return f"<x xmlns='jabber:x:data' type='submit'>{found}</x>"


def configures(client, **fields):
    """Return the condition with which a submitted form is answered, None for success."""
    return asked(client, filled(**fields))


def shown(client):
    """Return the values of the form that a client is shown, by var."""
    answer = ask(client, type="get")
    assert answer.type == "result"
    x = child(answer.payload, NS.DATA, "x")
    assert x["type"] == "form"
    return {
        field["var"]: [text_of(value) for value in children(field, NS.DATA, "value")]
        for field in children(x, NS.DATA, "field")
    }


def presence(client):
    """Return the presence that a client received: (nick, type, role, affiliation, codes)."""
    found = []
    for stanza in client.stanzas:
        if stanza.kind == "presence" and stanza.sender.startswith(COVEN):
            x = stanza.child(NS_USER, "x")
            item = child(x, NS_USER, "item")
            codes = [int(status["code"]) for status in children(x, NS_USER, "status")]
            nick = stanza.sender.partition("/")[2]
            found.append((nick, stanza.type, item["role"], item["affiliation"], codes))
    client.forget()
    return found


def codes(client):
    """Return the status codes of messages of the room that a client received; forget them."""
    found = []
    for stanza in client.stanzas:
        if stanza.kind == "message" and stanza.sender == COVEN and stanza.type == "groupchat":
            x = stanza.child(NS_USER, "x")
            if x is not None:
                assert [node.name for node in x.elements()] == ["status"]
                found.append(int(child(x, NS_USER, "status")["code"]))
    client.forget()
    return found


def send(client, inner):
    """Let a client send a request that is not answered at once."""
    client.says(
        f"<iq type='set' id='q' to='{COVEN}'><query xmlns='{NS_OWNER}'>{inner}</query></iq>"
    )
