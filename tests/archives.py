"""What tests of archives say and look for often."""

import re

from imsuite.testing.memory import now

MAM = "urn:xmpp:mam:2"
FULLTEXT = "{urn:xmpp:fulltext:0}fulltext"
_result = re.compile(r"<result xmlns='urn:xmpp:mam:2'[^>]* id='([0-9a-f]{32})'")
_body = re.compile(r"<body>([^<]*)</body>")
_uid = re.compile(r"<(first|last)[^>]*>([^<]*)</")


def form(fields):
    """Return a query form. fields: name → value or values."""
    text = ""
    for name, values in fields.items():
        values = [values] if isinstance(values, str) else values
        inner = "".join(f"<value>{value}</value>" for value in values)
        text += f"<field var='{name}'>{inner}</field>"
    return (
        "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{MAM}</value></field>{text}</x>"
    )


def rsm(inner):
    """Return a <set/> of XEP-0059."""
    return f"<set xmlns='http://jabber.org/protocol/rsm'>{inner}</set>"


class Answer:
    """What came back of a query.

    results: raw, in the order in which they came; ids, bodies: of them; fin: the last stanza.
    """

    def __init__(self, stanzas):
        *self.results, self.fin = stanzas
        self.ids = [_result.search(each)[1] for each in self.results]
        self.bodies = [found[1] if (found := _body.search(each)) else None for each in self.results]
        self.complete = "complete='true'" in self.fin
        self.error = "type='error'" in self.fin
        self.first, self.last = (
            dict(_uid.findall(self.fin)).get(name) for name in ("first", "last")
        )


def ask(client, page="", inner="", to="", **fields):
    """Let a client query its archive. page: what is in <set/>; fields: with `_` for `-`."""
    named = {name.rstrip("_").replace("_", "-"): value for name, value in fields.items()}
    return ask_for(client, named, page, inner, to)


def ask_for(client, fields, page="", inner="", to=""):
    """The same, with names of fields as they are."""
    text = (form(fields) if fields else "") + (rsm(page) if page else "") + inner
    client.forget()
    return Answer(
        client.says(
            f"<iq type='set' id='q'{to}><query xmlns='{MAM}' queryid='f27'>{text}</query></iq>"
        )
    )


def fill(client, to, texts):
    """Let a client send messages with these bodies."""
    for text in texts:
        client.says(f"<message to='{to}' type='chat'><body>{text}</body></message>")


def rows(host, table, columns="*"):
    """Return the rows of a table."""
    return now(host.store.query(f"SELECT {columns} FROM {table}"))
