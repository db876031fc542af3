"""The stanzas of the loads: bytes with a running number in their id and in their text."""

from xml.sax.saxutils import quoteattr

import attrs

DIGITS = 12  # of the number
SIZE = 322  # bytes of a chat message
TEXT = (
    "The lark is up &amp; singing, the caf\N{LATIN SMALL LETTER E WITH ACUTE} opens at nine; "
    "bring the letters, the map and a warm coat for the long way home over the hills."
).encode()


@attrs.frozen
class Numbered:
    """A kind of stanza; writing it fills in the number, twice."""

    name: str  # message or presence
    to: str | None  # None: no such attribute
    kind: str | None  # the attribute type
    id_start: bytes  # of the id; the number follows
    inside_start: bytes  # of the content; the number follows
    inside_end: bytes
    head: bytes = attrs.field(init=False)
    between: bytes = attrs.field(init=False)
    tail: bytes = attrs.field(init=False)

    def __attrs_post_init__(self) -> None:
        to = "" if self.to is None else f" to={quoteattr(self.to)}"
        kind = "" if self.kind is None else f" type='{self.kind}'"
        head = f"<{self.name}{to} id='".encode() + self.id_start
        between = f"'{kind}>".encode() + self.inside_start
        object.__setattr__(self, "head", head)
        object.__setattr__(self, "between", between)
        object.__setattr__(self, "tail", self.inside_end + f"</{self.name}>".encode())

    def write(self, first: int, count: int) -> bytes:
        """Return count stanzas, numbered from first."""
        if count == 1:
            return b"%b%012d%b%012d%b" % (self.head, first, self.between, first, self.tail)
        return b"".join(
            [
                b"%b%012d%b%012d%b" % (self.head, number, self.between, number, self.tail)
                for number in range(first, first + count)
            ]
        )

    def inside(self, number: int) -> bytes:
        """Return the content as it was sent."""
        return b"%b%012d%b" % (self.inside_start, number, self.inside_end)


def chat_message(to: str, tag: str) -> Numbered:
    """Return a chat message as clients send them: body, chat state, receipt request; SIZE bytes.

    tag: eight characters that tell this run of a load from the one before.
    """
    return filled_up(to, "chat", tag, b"<request xmlns='urn:xmpp:receipts'/>")


def room_message(room: str, tag: str) -> Numbered:
    """Return a message to a room: body, chat state, a wish for markers; SIZE bytes.

    tag: eight characters, others for each speaker.
    """
    return filled_up(room, "groupchat", tag, b"<markable xmlns='urn:xmpp:chat-markers:0'/>")


def filled_up(to: str, kind: str, tag: str, last: bytes) -> Numbered:
    """Return a message with so much text that it has SIZE bytes; last: its last child."""
    end = b"</body><active xmlns='http://jabber.org/protocol/chatstates'/>" + last

    def message(text: bytes) -> Numbered:
        return Numbered(
            name="message",
            to=to,
            kind=kind,
            id_start=f"{tag}-7e94-4f06-9c1b-".encode(),
            inside_start=b"<body>" + text + b" #",
            inside_end=end,
        )

    room = SIZE - len(message(b"").write(0, 1))
    return message((TEXT * 2)[:room])


def flip(tag: str) -> Numbered:
    """Return the presence of somebody who goes away and comes back, with a status text."""
    return Numbered(
        name="presence",
        to=None,
        kind=None,
        id_start=f"{tag}-".encode(),
        inside_start=b"<show>away</show><status>walking the dog &amp; back soon #",
        inside_end=b"</status><priority>5</priority>",
    )
