"""Checks of what arrived: every stanza once, in order, unaltered, and nothing else."""

import re
from functools import cache
from xml.etree import ElementTree

import attrs

from benchmarks.messages import DIGITS, Numbered

ATTRIBUTE = re.compile(rb"([\w:.-]+)\s*=\s*(?:'([^']*)'|\"([^\"]*)\")")
NUMBER = re.compile(rb"#(\d{%d})\b" % DIGITS)


@attrs.frozen
class Faults:
    """What went wrong between a sender and a recipient."""

    lost: int = 0
    duplicated: int = 0
    reordered: int = 0
    altered: int = 0
    unexpected: int = 0  # bytes or stanzas nobody sent
    unkept: int = 0  # rows an archive lacks, or has too many
    unacknowledged: int = 0  # stanzas the server's h does not count, or counts twice
    example: str = ""  # the first one, for the report

    def __add__(self, other: "Faults") -> "Faults":
        return Faults(
            lost=self.lost + other.lost,
            duplicated=self.duplicated + other.duplicated,
            reordered=self.reordered + other.reordered,
            altered=self.altered + other.altered,
            unexpected=self.unexpected + other.unexpected,
            unkept=self.unkept + other.unkept,
            unacknowledged=self.unacknowledged + other.unacknowledged,
            example=self.example or other.example,
        )

    def __bool__(self) -> bool:
        return any(count for count in attrs.astuple(self)[:-1])

    def __str__(self) -> str:
        counts = attrs.asdict(self)
        del counts["example"]
        return ", ".join(f"{count} {word}" for word, count in counts.items() if count) or "none"


@cache
def stanza_pattern(name: str) -> re.Pattern[bytes]:
    """Return the pattern of a whole stanza of that name: attributes, content."""
    return re.compile(rb"<%b\b([^>]*)(?<!/)>(.*?)</%b\s*>" % ((name.encode(),) * 2), re.DOTALL)


def meaning(inside: bytes) -> list[str]:
    """Return the children as XML means them, their order left out.

    A server may write a stanza anew: ejabberd puts what it does not know before the body.
    """
    root = ElementTree.fromstring(b"<x xmlns='jabber:client'>" + inside + b"</x>")
    text = [root.text or "", *(child.tail or "" for child in root)]
    return sorted(map(canonical, root)) + [part for part in text if part.strip()]


def canonical(element: ElementTree.Element) -> str:
    """Return an element in canonical form, without the text that follows it."""
    element.tail = None
    return ElementTree.canonicalize(ElementTree.tostring(element, encoding="unicode"))


def right_head(attributes: bytes, sent: Numbered, number: int, sender: str) -> bool:
    """Say whether the attributes are those that were sent, with the sender's address.

    The server adds from, and may add to and xml:lang.
    """
    found = {name: one or two for name, one, two in ATTRIBUTE.findall(attributes)}
    if found.get(b"from") != sender.encode() or found.get(b"id") != b"%b%012d" % (
        sent.id_start,
        number,
    ):
        return False
    if sent.to is not None and found.get(b"to") != sent.to.encode():
        return False
    return found.get(b"type") == (None if sent.kind is None else sent.kind.encode())


@attrs.define
class Reading:
    """What was found while reading a stream of stanzas.

    A form that was compared once, its number blotted out, is not compared again.
    """

    sent: Numbered
    sender: str  # full JID
    numbers: list[int] = attrs.field(factory=list)
    heads: set[bytes] = attrs.field(factory=set)  # attributes found right
    contents: set[bytes] = attrs.field(factory=set)  # contents found right
    faults: Faults = Faults()

    def read(self, received: bytes) -> None:
        """Read all that was received."""
        position = 0
        for stanza in stanza_pattern(self.sent.name).finditer(received):
            self.pass_over(received[position : stanza.start()])
            position = stanza.end()
            self.take(stanza[0], stanza[1], stanza[2])
        self.pass_over(received[position:])

    def pass_over(self, between: bytes) -> None:
        """Look at what stands between two stanzas: white space, or it was not expected."""
        if between and (wrong := between.strip()):
            self.faults += Faults(unexpected=1, example=f"unexpected {wrong[:300]!r}")

    def take(self, stanza: bytes, attributes: bytes, inside: bytes) -> None:
        """Compare a stanza with what was sent under its number."""
        start = len(self.sent.inside_start)
        digits = inside[start : start + DIGITS]
        right = digits.isdigit() and inside == self.sent.inside(int(digits))
        if not right:
            found = NUMBER.search(inside)
            if found is None:
                self.faults += Faults(unexpected=1, example=f"unexpected {stanza[:300]!r}")
                return
            digits = found[1]
            content = inside.replace(digits, b"")
            right = content in self.contents or same(inside, self.sent.inside(int(digits)))
            if right:
                self.contents.add(content)
        number = int(digits)
        head = attributes.replace(digits, b"")
        if head not in self.heads:
            if right_head(attributes, self.sent, number, self.sender):
                self.heads.add(head)
            else:
                right = False
        if not right:
            self.faults += Faults(altered=1, example=f"altered {stanza[:600]!r}")
        self.numbers.append(number)


def check(received: bytes, sent: Numbered, sender: str, count: int) -> Faults:
    """Return the faults of a stream that should be the stanzas 0 to count - 1 and nothing else.

    received: all that came, from the first stanza on.
    sender: the full JID it must come from.
    """
    reading = Reading(sent, sender)
    reading.read(received)
    return reading.faults + order_faults(reading.numbers, count)


def without_ids(received: bytes, owner: str) -> tuple[bytes, int]:
    """Return what was received without the ids of the owner's archive, and how many those were.

    owner: bare JID. ejabberd says each id twice, the second time as drafts of XEP-0313 did.
    """
    by = re.escape(owner.encode())
    end = rb"[^>]*?(?:/>|></(?P=name)\s*>)"
    pattern = (
        rb"<(?P<name>%b)\b(?=[^>]*\bxmlns=['\"]%b['\"])(?=[^>]*\bby=['\"]" + by + rb"['\"])" + end
    )
    received, count = re.subn(pattern % (b"stanza-id", b"urn:xmpp:sid:0"), b"", received)
    return re.sub(pattern % (b"archived", b"urn:xmpp:mam:tmp"), b"", received), count


def without_delays(received: bytes, domain: str) -> tuple[bytes, int]:
    """Return what was received without the delays the server stamped, and how many those were.

    A delay says since when the server has had the message (XEP-0203, XEP-0160 §3).
    """
    pattern = (
        rb"<delay\b(?=[^>]*\bxmlns=['\"]urn:xmpp:delay['\"])(?=[^>]*\bstamp=)"
        rb"(?=[^>]*\bfrom=['\"](?:[^'\"]*@)?" + re.escape(domain.encode()) + rb"['\"])"
        rb"[^>]*?(?:/>|(?<!/)>[^<]*</delay\s*>)"
    )
    return re.subn(pattern, b"", received)


def same(inside: bytes, sent: bytes) -> bool:
    """Say whether two contents mean the same."""
    try:
        return meaning(inside) == meaning(sent)
    except ElementTree.ParseError:
        return False


def order_faults(numbers: list[int], count: int) -> Faults:
    """Return how a list of numbers differs from 0 to count - 1 in their order."""
    if numbers == list(range(count)):
        return Faults()
    different = set(numbers)
    greatest = -1
    reordered = 0
    seen: set[int] = set()
    for number in numbers:
        if number < greatest and number not in seen:
            reordered += 1
        seen.add(number)
        greatest = max(greatest, number)
    return Faults(
        lost=len(set(range(count)) - different),
        duplicated=len(numbers) - len(different),
        reordered=reordered,
        unexpected=len(different - set(range(count))),
    )
