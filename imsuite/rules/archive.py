"""XEP-0313, XEP-0441, XEP-0431, XEP-0424: what can be said of archives without opening one.

The specifications leave some choices to the server. Taken here:

- in the preferences what is said of a full JID goes before what is said of its bare JID, and
  never before always; messages to oneself count as if one were in one's own roster;
- a query with several filters returns what passes all of them, ids included;
- a search finds messages that have every word; a word in a script without spaces between words
  is found as a part of the text;
- retracted is the newest message of that id and author.
"""

from __future__ import annotations

import enum
import re
from collections.abc import Collection
from hashlib import blake2b
from html import unescape
from unicodedata import normalize

import attrs
from twisted.words.xish.domish import Element

from imsuite.rules.payloads import ENCRYPTED, ENCRYPTION, PAYLOADS
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import (
    Stanza,
    child,
    children,
    quoted,
    text_of,
    to_bytes,
    with_attributes,
)
from imsuite.xmpp.times import format_datetime, parse_datetime

NS_MAM = "urn:xmpp:mam:2"
NS_FULLTEXT = "urn:xmpp:fulltext:0"
NS_OCCUPANT = "urn:xmpp:occupant-id:0"
NS_RETRACT = "urn:xmpp:message-retract:1"
FULLTEXT = f"{{{NS_FULLTEXT}}}fulltext"  # XEP-0431 §3.1
FIELDS = ("with", "start", "end", "before-id", "after-id", "ids", "include-groupchat")
LONGEST_SEARCH = 1000  # characters
MOST_WORDS = 32  # in one search
LONGEST_TEXT = 20_000  # characters of a message that are searched

MOST_SPANS = 64
NEWEST = (1 << 63) - 1  # no message has a greater id
_RETRACT = f"{NS_RETRACT}}}retract"
_RETRACTED = f"{NS_RETRACT}}}retracted"
_BODY = f"{NS.CLIENT}}}body"


class Flag(enum.IntFlag):
    """What an archive notes of a message."""

    SENT = 1  # by the owner
    GROUPCHAT = 2
    QUIET = 4  # not told to who enters a room: a subject, reactions, a retraction
    RETRACTED = 8  # a tombstone stands in its place


# queries


@attrs.frozen
class Query:
    """What is asked of an archive (XEP-0313 §4.1), besides the page of it.

    peer: "with", bare or full; start, end: µs since 1970 UTC, both included; after, before: public
    ids, not included; ids: public ids, or None for all; groupchat: False to leave them out; words:
    of XEP-0431, each in the form of `searchable`, or None where nothing is searched; id: "queryid";
    flipped: the newest result is sent first (§4.3.4); nick: of who spoke, in the archive of a room.
    """

    peer: JID | None = None
    start: int | None = None
    end: int | None = None
    after: str | None = None
    before: str | None = None
    ids: tuple[str, ...] | None = None
    groupchat: bool = True
    words: tuple[str, ...] | None = None
    id: str | None = None
    flipped: bool = False
    nick: str | None = None

    @property
    def everything(self) -> bool:
        """Nothing is left out of the time that it is about."""
        filtered = (self.peer, self.ids, self.words, self.nick)
        return self.groupchat and all(each is None for each in filtered)

    def of_room(self, room: str, asker: JID, sees: bool) -> Query:
        """Return what is asked of the archive of a room (§4.1.1, §6.1.2).

        sees: the asker may know who its occupants are. Raises StanzaError forbidden where only that
        would tell the answer.
        """
        peer = self.peer
        if peer is None:
            return self
        if peer.bare == room:  # all that is in it comes from there
            return attrs.evolve(self, peer=None, nick=peer.resource or None)
        if not sees and peer.bare != asker.bare:
            raise StanzaError("forbidden", text="whose nicknames are whose is not for you to know")
        return attrs.evolve(self, peer=peer.to_bare())


def parse_query(element: Element, searches: bool = True) -> Query:
    """Return what a <query/> asks for.

    searches: the server can search texts. Raises StanzaError: bad-request for a form or a date that
    is none, jid-malformed, and feature-not-implemented for what is not known (§4.1.5).
    """
    if element.hasAttribute("node"):
        raise StanzaError("feature-not-implemented", text="an account's archive has no nodes")
    id = element.getAttribute("queryid")
    flipped = child(element, NS_MAM, "flip-page") is not None
    if child(element, NS.DATA, "x") is None:
        return Query(id=id, flipped=flipped)
    form = forms.submitted(element, NS_MAM)
    if form is None:
        raise StanzaError("bad-request", text="the data form is cancelled")
    known = (*FIELDS, FULLTEXT) if searches else FIELDS
    if not {*form.fields, "FORM_TYPE"}.issubset((*known, "FORM_TYPE")):
        raise StanzaError("feature-not-implemented", text="a field that is not known")
    start, end = forms.text(form, "start"), forms.text(form, "end")
    search = forms.text(form, FULLTEXT)
    return Query(
        peer=forms.jid(form, "with"),
        start=None if start is None else parse_datetime(start),
        end=None if end is None else parse_datetime(end),
        after=forms.text(form, "after-id"),
        before=forms.text(form, "before-id"),
        ids=_ids(forms.texts(form, "ids")),
        groupchat=forms.boolean(form, "include-groupchat", True) is not False,
        words=parse_search(search) if search and search.strip() else None,
        id=id,
        flipped=flipped,
    )


def _ids(values: tuple[str, ...] | None) -> tuple[str, ...] | None:
    return tuple(dict.fromkeys(values)) if values else None


def bounds(
    query: Query, after: Collection[int] = (), before: Collection[int] = ()
) -> tuple[int, int]:
    """Return the least and the greatest id that a result may have.

    after, before: ids of messages that all results come after or before.
    """
    least = max((0, query.start or 0, *(id + 1 for id in after)))
    end = NEWEST if query.end is None else query.end
    return least, min((NEWEST, end, *(id - 1 for id in before)))


@attrs.frozen
class Spans:
    """Which messages a client has been given: pairs of least and greatest ids, in order."""

    pairs: tuple[tuple[int, int], ...] = ()

    def __contains__(self, id: int) -> bool:
        return any(least <= id <= greatest for least, greatest in self.pairs)

    def plus(self, least: int, greatest: int) -> Spans:
        """Return these and one more; of very many the oldest are forgotten."""
        apart = []
        for pair in self.pairs:
            if pair[1] < least - 1 or pair[0] > greatest + 1:
                apart.append(pair)
            else:
                least, greatest = min(least, pair[0]), max(greatest, pair[1])
        return Spans(tuple(sorted((*apart, (least, greatest))))[-MOST_SPANS:])


# preferences


class Standard(enum.StrEnum):
    """What is done with those whom no list names (XEP-0441 §2.1.1)."""

    ALWAYS = "always"
    NEVER = "never"
    ROSTER = "roster"


@attrs.frozen
class Preferences:
    """With whom an account wants its messages archived (XEP-0441 §2.1).

    always, never: bare and full JIDs, prepared.
    """

    standard: Standard = Standard.ALWAYS
    always: frozenset[str] = frozenset()
    never: frozenset[str] = frozenset()

    def lists(self, peer: JID) -> bool | None:
        """Tell what the lists say of somebody (§2.3); None if they do not name them."""
        for name in dict.fromkeys((peer.full, peer.bare)):
            if name in self.never:
                return False
            if name in self.always:
                return True
        return None


def parse_preferences(element: Element, longest: int) -> Preferences:
    """Return what a <prefs/> says. longest: most addresses in both lists.

    Raises StanzaError: bad-request, jid-malformed, resource-constraint.
    """
    try:
        standard = Standard(element.getAttribute("default", ""))
    except ValueError:
        raise StanzaError("bad-request", text="default is always, never or roster") from None
    found = Preferences(standard, _listed(element, "always"), _listed(element, "never"))
    if len(found.always) + len(found.never) > longest:
        raise StanzaError("resource-constraint", text="the lists are too long")
    return found


def _listed(element: Element, name: str) -> frozenset[str]:
    found = child(element, NS_MAM, name)
    if found is None:
        return frozenset()
    return frozenset(parse(text_of(jid)).full for jid in children(found, NS_MAM, "jid"))


def preferences_element(preferences: Preferences) -> Element:
    """Return preferences as <prefs/>, with both lists (§2.1)."""
    element = Element((NS_MAM, "prefs"))
    element["default"] = preferences.standard.value
    for name, jids in (("always", preferences.always), ("never", preferences.never)):
        listed = element.addElement(name)
        for jid in sorted(jids):
            listed.addElement("jid", content=jid)
    return element


# texts

_ACCENTS = re.compile("[\u0300-\u036f]")
_UNSPACED = re.compile(  # scripts without spaces between words: Thai to Khmer, kana, Han
    "[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U0003ffff]"
)
_OTR = "?OTR"  # XEP-0364 §2.3: begins a body that is encrypted


def readable(stanza: Stanza) -> str:
    """Return what a person may search in a message: its bodies, unless they stand in for something
    else, such as what is encrypted (XEP-0428 §2).
    """
    if _BODY not in stanza.children or sealed(stanza):
        return ""
    if any(payload.stands_in for name in stanza.children if (payload := PAYLOADS.get(name))):
        return ""
    bodies = (text_of(body) for body in children(stanza.element, NS.CLIENT, "body"))
    return "\n".join(text for text in bodies if not text.startswith(_OTR))[:LONGEST_TEXT]


def sealed(stanza: Stanza) -> bool:
    """Tell whether a message has an encrypted payload (XEP-0380)."""
    return any(
        PAYLOADS.get(name) in (ENCRYPTED, ENCRYPTION)
        or (name.startswith("urn:xmpp:omemo:") and name.endswith("}encrypted"))
        for name in stanza.children
    )


def searchable(text: str) -> str:
    """Return a text as it is compared: without case and accents, and with what may be searched
    alone standing alone.
    """
    if text.isascii():
        return text.lower()
    plain = _ACCENTS.sub("", normalize("NFKD", text)).casefold()
    # marks that are no accents belong to their letters again
    return _UNSPACED.sub(lambda match: f" {match[0]} ", normalize("NFC", plain))


def parse_search(text: str) -> tuple[str, ...]:
    """Return the words of a search; () if there is nothing in it that a text could have.

    Raises StanzaError bad-request if there is too much.
    """
    if len(text) > LONGEST_SEARCH:
        raise StanzaError("bad-request", text="the search is too long")
    words = dict.fromkeys(
        " ".join(searchable(word).split())
        for word in text.replace('"', " ").split()
        if any(letter.isalnum() for letter in word)
    )
    if len(words) > MOST_WORDS:
        raise StanzaError("bad-request", text="the search has too many words")
    return tuple(words)


def token(owner: str) -> str:
    """Return the word by which a search finds what an account may have. owner: bare JID."""
    return f"o{blake2b(owner.encode(), digest_size=16).hexdigest()}"


# retraction

_START = re.compile(rb"<message(?:[^'\">]|'[^']*'|\"[^\"]*\")*")
_ID = re.compile(rb"\sid\s*=\s*(?:'([^']*)'|\"([^\"]*)\")")


def retracts(stanza: Stanza) -> str | None:
    """Return the id of the message that a message retracts, or None (XEP-0424 §3, §5.1).

    In a room that is the room's business.
    """
    if _RETRACT not in stanza.children or stanza.type in ("groupchat", "error"):
        return None
    found = stanza.child(NS_RETRACT, "retract")
    id = None if found is None else found.getAttribute("id")
    # §4: the tombstone names the retraction by its id, so there must be one
    return id if id and stanza.id else None


def may_have_id(raw: bytes, id: str) -> bool:
    """Tell whether a stanza looks as if it had an id, without opening it."""
    if id.encode() not in raw and b"&" not in raw:
        return False
    start = _START.match(raw)
    found = () if start is None else _ID.findall(start[0])
    return any(id == unescape((one or other).decode()) for one, other in found)


def is_retracted_by(raw: bytes, id: str, author: str) -> bool:
    """Tell whether an archived message is one that its author may retract by this id (§5).

    author: bare JID, or the full JID of an occupant of a room.
    """
    if not may_have_id(raw, id):  # most are not opened
        return False
    stanza = Stanza.parse(raw)
    if stanza.id != id or _RETRACT in stanza.children or _RETRACTED in stanza.children:
        return False
    sender = parse(stanza.sender or "")
    # §5: what says nothing to a person is not retracted
    return author in (sender.bare, sender.full) and (_BODY in stanza.children or sealed(stanza))


def tombstone(raw: bytes, retraction: str, moment: int, inner: bytes = b"") -> bytes:
    """Return what takes the place of a retracted message (§4).

    retraction: id of the message that retracted it; moment: when, µs since 1970 UTC; inner: whole
    elements that say more, such as who moderates (XEP-0425 §4).
    """
    stanza = Stanza.parse(raw)
    kept = ("type", "from", "to", "id")
    start = with_attributes(b"<message/>", {name: stanza.attrs.get(name) for name in kept})
    author = stanza.child(NS_OCCUPANT, "occupant-id") if stanza.type == "groupchat" else None
    return b"%s>%s<retracted xmlns=%s id=%s stamp=%s%s</message>" % (
        start.removesuffix(b"/>"),
        b"" if author is None else to_bytes(author),  # XEP-0425 §4: whose it was
        quoted(NS_RETRACT),
        quoted(retraction),
        quoted(format_datetime(moment)),
        b">%s</retracted>" % inner if inner else b"/>",
    )


def replayed(stanza: Stanza) -> bool:
    """Tell whether who enters a room is told of a message of its past (XEP-0045 §7.2.13)."""
    if _RETRACT in stanza.children or _RETRACTED in stanza.children:
        return False
    return _BODY in stanza.children or sealed(stanza)
