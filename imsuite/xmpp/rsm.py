"""XEP-0059: Result Set Management: which page of a result is wanted, and which one it is."""

from __future__ import annotations

import re
from collections.abc import Sequence

import attrs
from twisted.words.xish.domish import Element

from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import children, text_of

RSM = "http://jabber.org/protocol/rsm"

_integer = re.compile(r"[ \t\r\n]*\+?([0-9]+)[ \t\r\n]*").fullmatch
_DIGITS = 18  # of a number that is taken as it is; longer ones count as the highest


@attrs.frozen
class Page:
    """The page that a request asks for.

    max: items, 0 if only the count is wanted (§2.7); after, before: the UID that the page begins
    behind or ends ahead of (§2.2, §2.3); last: the last page is wanted (§2.5); index: position
    of its first item in the whole result, from 0 (§2.6). At most one of after, before, last and
    index is given; without any it is the first page.
    """

    max: int
    after: str | None = None
    before: str | None = None
    last: bool = False
    index: int | None = None

    @property
    def backwards(self) -> bool:
        """The page is found from its end."""
        return self.last or self.before is not None


def wanted(parent: Element, most: int, default: int | None = None) -> Page | None:
    """Return the page that the <set/> of a request asks for; None if it has no <set/>.

    most: items on a page, higher wishes get that many; default: items where the request names
    no number, by default as many as possible. Raises StanzaError bad-request for what is no
    number, what is there twice, and pages found in more than one way.
    """
    found = children(parent, RSM, "set")
    if not found:
        return None
    if len(found) > 1:
        raise _wrong("more than one <set/>")
    given = {name: _only(found[0], name) for name in ("max", "after", "before", "index")}
    if sum(given[name] is not None for name in ("after", "before", "index")) > 1:
        raise _wrong("<after/>, <before/> and <index/> exclude each other")
    longest = most if default is None else min(default, most)
    if given["max"] is not None:
        longest = min(_number("max", given["max"]), most)
    index = None if given["index"] is None else _number("index", given["index"])
    # §2.2: what is after nothing is the first page
    return Page(
        max=longest,
        after=given["after"] or None,
        before=given["before"] or None,
        last=given["before"] == "",
        index=index,
    )


def _only(parent: Element, name: str) -> str | None:
    found = children(parent, RSM, name)
    if len(found) > 1:
        raise _wrong(f"more than one <{name}/>")
    if not found:
        return None
    if any(found[0].elements()):
        raise _wrong(f"<{name}/> holds elements")
    return text_of(found[0])


def _number(name: str, text: str) -> int:
    match = _integer(text)
    if match is None:
        raise _wrong(f"<{name}/> is no number of items")
    digits = match[1].lstrip("0")
    return int(digits or "0") if len(digits) <= _DIGITS else 10**_DIGITS


def _wrong(why: str) -> StanzaError:
    return StanzaError("bad-request", text=why)


def answer(
    first: str | None = None,
    last: str | None = None,
    index: int | None = None,
    count: int | None = None,
) -> Element:
    """Return the <set/> of an answer (§2.2).

    first, last: UIDs of the first and last item, None for an empty page; index: of the first
    item in the whole result; count: items in the whole result. None: it is not said.
    """
    element = Element((RSM, "set"))
    if first is not None and last is not None:
        begin = element.addElement("first", content=first)
        if index is not None:
            begin["index"] = str(index)
        element.addElement("last", content=last)
    if count is not None:
        element.addElement("count", content=str(count))
    return element


def cut(uids: Sequence[str], page: Page) -> tuple[slice, Element]:
    """Return which part of a result that is in memory is the page, and the <set/> of the answer.

    uids: of all items, in order. Raises StanzaError item-not-found for a UID that is not among
    them (§2.4).
    """
    count = len(uids)
    if page.last:
        begin, end = max(count - page.max, 0), count
    elif page.before is not None:
        end = _position(uids, page.before)
        begin = max(end - page.max, 0)
    else:
        begin = page.index or 0
        if page.after is not None:
            begin = _position(uids, page.after) + 1
        begin = min(begin, count)
        end = min(begin + page.max, count)
    if begin == end:
        return slice(begin, end), answer(count=count)
    return slice(begin, end), answer(uids[begin], uids[end - 1], begin, count)


def _position(uids: Sequence[str], uid: str) -> int:
    try:
        return uids.index(uid)
    except ValueError:
        raise StanzaError("item-not-found", text="there is no such item") from None
