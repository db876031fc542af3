"""XEP-0442: what is asked of the archive of a node, as values.

The archive of a node is its items, one result each, in the order of publication. The id of a
result is the moment of publication, which no two items of a node share: an item that is published
once more under its name (XEP-0060 §7.1.2) is another result, and takes the place of the first.
"""

from __future__ import annotations

import re

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

import attrs
from twisted.words.xish.domish import Element
from wokkel.data_form import Form

from imsuite.rules.archive import NS_MAM
from imsuite.xmpp import forms, rsm
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import child
from imsuite.xmpp.times import parse_datetime

FIELDS = ("start", "end", "before-id", "after-id", "ids")
LATEST = 1 << 62  # no item was published later, µs since 1970 UTC
_uid = re.compile(r"[0-9a-f]{1,15}").fullmatch


@attrs.frozen
class Wanted:
    """What is asked of the archive of a node.

    page: of the result; start, end: µs since 1970 UTC, both included; after, before: moments of
    items that are not included; page_after, page_before: the same, by which the page is found;
    ids: moments of items, None for all; id: "queryid"; flipped: the newest is sent first.
    """

    page: rsm.Page
    start: int = 0
    end: int = LATEST
    after: int | None = None
    before: int | None = None
    page_after: int | None = None
    page_before: int | None = None
    ids: tuple[int, ...] | None = None
    id: str | None = None
    flipped: bool = False

    @property
    def named(self) -> list[int]:
        """The moments of the items that must be there."""
        ends = (self.after, self.before, self.page_after, self.page_before)
        return [each for each in ends if each is not None]

    def bounds(self) -> tuple[int, int]:
        """Return moments between which all results are, neither included."""
        low, high = self.start - 1, self.end + 1
        if self.after is not None:
            low = max(low, self.after)
        if self.before is not None:
            high = min(high, self.before)
        return low, high


@attrs.frozen
class Past:
    """A page of the archive of a node.

    items: moment of publication and the notification of each, the oldest first; complete: nothing
    is beyond it in the direction of paging; index: of the first in the whole result; count: of it.
    """

    items: tuple[tuple[int, bytes], ...]
    complete: bool
    index: int | None = None
    count: int | None = None


def uid(stamp: int) -> str:
    """Return the id of a result. stamp: µs since 1970 UTC."""
    return f"{stamp:x}"


def _stamp(text: str | None) -> int | None:
    """Return the moment that an id stands for. Raises StanzaError for what is none of ours."""
    if text is None:
        return None
    if not _uid(text):
        raise StanzaError("item-not-found", text="there is no such result")
    return int(text, 16)


def read(element: Element, most: int) -> Wanted:
    """Return what a <query/> asks for. most: results on a page.

    Raises StanzaError: bad-request for a form or a date that is none, item-not-found for ids that
    are none, feature-not-implemented for fields that are not known (XEP-0313 §4.1.5).
    """
    page = rsm.wanted(element, most) or rsm.Page(most)
    wanted = Wanted(
        page,
        page_after=_stamp(page.after),
        page_before=_stamp(page.before),
        id=element.getAttribute("queryid"),
        flipped=child(element, NS_MAM, "flip-page") is not None,
    )
    if child(element, NS.DATA, "x") is None:
        return wanted
    form = forms.submitted(element, NS_MAM)
    if form is None:
        raise StanzaError("bad-request", text="the data form is cancelled")
    if not {*form.fields, "FORM_TYPE"}.issubset((*FIELDS, "FORM_TYPE")):
        raise StanzaError("feature-not-implemented", text="a field that is not known")
    start, end = forms.text(form, "start"), forms.text(form, "end")
    ids = tuple(dict.fromkeys(forms.texts(form, "ids") or ()))
    if len(ids) > most:
        raise StanzaError("policy-violation", text=f"ask for {most} results at most")
    return attrs.evolve(
        wanted,
        start=0 if start is None else parse_datetime(start),
        end=LATEST if end is None else parse_datetime(end),
        after=_stamp(forms.text(form, "after-id")),
        before=_stamp(forms.text(form, "before-id")),
        ids=tuple(stamp for each in ids if (stamp := _stamp(each)) is not None) or None,
    )


def offered() -> Form:
    """Return the form that shows which fields a query may have (XEP-0313 §4.1.5)."""
    fields = [forms.field("text-single", name) for name in FIELDS if name != "ids"]
    return forms.make("form", NS_MAM, [*fields, forms.field("list-multi", "ids")])
