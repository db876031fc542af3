"""Reading an archive (XEP-0313, XEP-0059)."""

from __future__ import annotations

from xml.etree.ElementTree import Element

import attrs

from benchmarks.torture.stream import NS_CLIENT, Wrong, shown, tag

NS_MAM = "urn:xmpp:mam:2"
NS_RSM = "http://jabber.org/protocol/rsm"
NS_FORWARD = "urn:xmpp:forward:0"
BODY = tag(NS_CLIENT, "body")
FORWARDED = f"{tag('urn:xmpp:forward:0', 'forwarded')}/{tag(NS_CLIENT, 'message')}"


def key_of(message: Element) -> tuple[str, int] | None:
    """Return who said a message, and its number; None if it is none of ours."""
    words = (message.findtext(BODY) or "").split(" ", 2)
    if len(words) < 3 or "/" not in words[0] or not words[1].isdigit():
        return None
    return words[0], int(words[1])


def query(id: str, after: str | None, most: int, of: str = "") -> str:
    """Return a request for a page. of: whose archive it is, the account's own if empty."""
    then = f"<after>{after}</after>" if after else ""
    to = f" to='{of}'" if of else ""
    return (
        f"<iq type='set' id='{id}'{to}><query xmlns='{NS_MAM}' queryid='{id}'>"
        f"<set xmlns='{NS_RSM}'><max>{most}</max>{then}</set></query></iq>"
    )


@attrs.frozen
class Entry:
    """One message of an archive."""

    id: str
    key: tuple[str, int] | None  # device and number
    sender: str  # full JID
    to: str  # bare JID
    message: Element


@attrs.frozen
class Page:
    """A part of an archive."""

    entries: list[Entry]
    last: str | None  # id of the last entry
    complete: bool


@attrs.define
class Pages:
    """The pages that one client is being sent."""

    _open: dict[str, list[Entry]] = attrs.field(factory=dict)

    def begin(self, id: str) -> None:
        """Expect a page."""
        self._open[id] = []

    def take(self, message: Element) -> bool:
        """Take a message if it belongs to a page; tell whether it does."""
        result = message.find(tag(NS_MAM, "result"))
        if result is None:
            return False
        inner = result.find(FORWARDED)
        id = result.get("id")
        if inner is None or id is None:
            raise Wrong(f"a result without what it is about: {shown(message)}")
        entries = self._open.get(result.get("queryid", ""))
        if entries is not None:
            to = inner.get("to", "").partition("/")[0]
            entries.append(Entry(id, key_of(inner), inner.get("from", ""), to, inner))
        return True

    def end(self, id: str, answer: Element) -> Page:
        """Return the page that is complete with this answer."""
        entries = self._open.pop(id)
        fin = answer.find(tag(NS_MAM, "fin"))
        if fin is None:
            raise Wrong(f"no page came: {shown(answer)}")
        last = fin.findtext(f"{tag(NS_RSM, 'set')}/{tag(NS_RSM, 'last')}")
        if last != (entries[-1].id if entries else None):
            raise Wrong(f"the page says that it ends with {last}, and does not")
        return Page(entries, last, fin.get("complete") in ("true", "1"))
