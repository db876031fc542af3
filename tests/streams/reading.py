"""What the tests of the stream parser share: a header, a stanza, and ways to feed them."""

from imsuite.streams.parser import Header, Reader
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.stanza import Stanza

HEAD = (
    b"<?xml version='1.0'?><stream:stream xmlns='jabber:client' to='example.org'"
    b" xmlns:stream='http://etherx.jabber.org/streams' version='1.0' xml:lang='en'>"
)
MESSAGE = b"<message to='romeo@example.net' type='chat'><body>Art thou?</body></message>"
END_TAG = b"</stream:stream>"


def opened(limits=None, head=HEAD):
    reader = Reader()
    (header,) = reader.feed(head)
    assert isinstance(header, Header)
    reader.limits = limits or reader.limits
    return reader


def read(data, limits=None, head=HEAD):
    """What comes after the header when data come whole; checked to be the same byte by byte."""
    whole = opened(limits, head).feed(data)
    reader = opened(limits, head)
    singly = [event for i in range(len(data)) for event in reader.feed(data[i : i + 1])]
    assert plain(singly) == plain(whole)
    return whole


def plain(events):
    found = []
    for event in events:
        if isinstance(event, Stanza):
            found.append((event.kind, event.ns, event.attrs, event.children, event.raw))
        elif isinstance(event, StreamError):
            found.append(event.condition)
        else:
            found.append(event)
    return found


def raws(events):
    assert all(isinstance(event, Stanza) for event in events), events
    return [event.raw for event in events]


def condition(data, limits=None, head=HEAD):
    *_, last = read(data, limits, head)
    assert isinstance(last, StreamError), last
    return last.condition


def header_condition(data):
    (event,) = Reader().feed(data)
    assert isinstance(event, StreamError)
    reader = Reader()
    singly = [event for i in range(len(data)) for event in reader.feed(data[i : i + 1])]
    assert plain(singly) == [event.condition]
    return event.condition
