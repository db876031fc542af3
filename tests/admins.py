"""Ad-hoc commands as tests give them, in memory (XEP-0050)."""

import itertools
import re

from tests.helpers import holds, value

COMMANDS = "http://jabber.org/protocol/commands"
ADMIN = "http://jabber.org/protocol/admin"
DATA = "jabber:x:data"
_ids = itertools.count()


def field(var, *values):
    """Return a field of a submission."""
    inner = "".join(f"<value>{each}</value>" for each in values)
    return f"<field var='{var}'>{inner}</field>"


def form(*fields, type="submit", of=None):
    """Return a submission. of: its FORM_TYPE."""
    first = "" if of is None else field("FORM_TYPE", of)
    return f"<x xmlns='{DATA}' type='{type}'>{first}{''.join(fields)}</x>"


def says(client, node, inner="", to="example.org", **attributes):
    """Send a command; return the answer."""
    given = "".join(f" {name}='{text}'" for name, text in attributes.items())
    id = f"c{next(_ids)}"
    where = f" to='{to}'" if to else ""
    answers = client.says(
        f"<iq type='set' id='{id}'{where}>"
        f"<command xmlns='{COMMANDS}' node='{node}'{given}>{inner}</command></iq>"
    )
    (answer,) = [each for each in answers if each.startswith("<iq") and f"id='{id}'" in each]
    return answer


def session(answer):
    """Return the id of the session that an answer begins or goes on with."""
    pattern = f"<iq type='result'><command xmlns='{COMMANDS}' sessionid='{{id}}'/></iq>"
    return value(answer, pattern)


def runs(client, node, *fields, to="example.org", of=None):
    """Run a command with one form; return the last answer."""
    begun = says(client, node, to=to)
    assert holds(
        begun, f"<iq type='result'><command xmlns='{COMMANDS}' status='executing'/></iq>"
    ), begun
    return says(client, node, form(*fields, of=of), to=to, sessionid=session(begun))


def admin(client, word, *fields):
    """Run a command of XEP-0133, with a form where there are fields or it has one."""
    node = f"{ADMIN}#{word}"
    begun = says(client, node)
    if "status='executing'" not in begun:
        return begun
    return says(client, node, form(*fields, of=ADMIN), sessionid=session(begun))


def completed(answer, kind="info"):
    """Tell whether a command is over, with no other kind of note."""
    pattern = f"<iq type='result'><command xmlns='{COMMANDS}' status='completed'/></iq>"
    others = {"info", "warn", "error"} - {kind}
    return holds(answer, pattern) and not any(f"<note type='{each}'" in answer for each in others)


def refusal(answer, condition, app=None, type=None):
    """Tell whether a request was refused so."""
    kind = "" if type is None else f" type='{type}'"
    inner = "" if app is None else f"<{app} xmlns='{COMMANDS}'/>"
    return holds(
        answer,
        f"<iq type='error'><error{kind}>"
        f"<{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>{inner}</error></iq>",
    )


def shown(answer, var):
    """Return the values that an answer shows of a field."""
    for found in re.findall(r"<field [^>]*?(?:/>|>.*?</field>)", answer, re.DOTALL):
        if f"var='{var}'" in found.partition(">")[0]:
            return re.findall(r"<value>(.*?)</value>", found, re.DOTALL)
    return None


def nodes(client, to="example.org"):
    """Return the nodes of the commands that somebody is shown."""
    where = f" to='{to}'" if to else ""
    answers = client.says(
        f"<iq type='get' id='nodes'{where}><query"
        f" xmlns='http://jabber.org/protocol/disco#items' node='{COMMANDS}'/></iq>"
    )
    return re.findall(r"node='([^']*)'", answers[-1].partition(">")[2].partition(">")[2])
