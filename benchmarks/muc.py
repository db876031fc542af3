"""Rooms as a client uses them (XEP-0045): made, configured, joined and left."""

import re
from collections.abc import Iterable
from xml.etree import ElementTree
from xml.sax.saxutils import quoteattr

import attrs

from benchmarks.dialogue import Refused, Session
from benchmarks.loop import Loop, Stalled

SERVICE = "conference"  # before the domain, on every server
NS_OWNER = "http://jabber.org/protocol/muc#owner"
NS_USER = "http://jabber.org/protocol/muc#user"
NS_FORM = "jabber:x:data"
JOIN = "<x xmlns='http://jabber.org/protocol/muc'/>"
WITHOUT_HISTORY = "<x xmlns='http://jabber.org/protocol/muc'><history maxstanzas='0'/></x>"
SUBJECT = b"<subject"  # §7.2.15: the last thing of a join
GONE = re.compile(rb"<presence\b(?=[^>]*\btype=['\"]unavailable['\"]).*?</presence\s*>", re.DOTALL)
SELF = re.compile(rb"<status\b[^>]*\bcode=['\"]110['\"]")
WRONG = re.compile(rb"<(?:presence|message)\b[^>]*\btype=['\"]error['\"].*", re.DOTALL)
ENOUGH = 120.0  # seconds for everybody to come, and to go
FIELD = f"{{{NS_FORM}}}field"
FORM = "http://jabber.org/protocol/muc#roomconfig"

# whether messages are archived, as one server or another calls it
ARCHIVING = (
    "muc#roomconfig_enablearchiving",
    "muc#roomconfig_enablelogging",
    "muc#roomconfig_mam",
    "mam",
)
BROADCAST = "muc#roomconfig_presencebroadcast"
ROLES = ("moderator", "participant", "visitor")


@attrs.define(eq=False)
class Occupant:
    """A session on its way into a room, and out of it."""

    loop: Loop
    session: Session
    room: str  # bare JID
    nick: str
    history: bool = True  # asks for what a room sends unless it is told otherwise
    chunks: list[bytes] = attrs.field(factory=list)  # since it began to come or to go
    began: float = 0.0
    joined: float = 0.0  # 0: it is not in
    carry: bytes = b""

    @property
    def jid(self) -> str:
        """Its address in the room."""
        return f"{self.room}/{self.nick}"

    @property
    def received(self) -> bytes:
        """All that came since it began."""
        return b"".join(self.chunks)

    def join(self) -> None:
        """Ask to be let in."""
        self.chunks, self.carry, self.joined = [], b"", 0.0
        self.session.link.receive = self.receive
        self.began = self.loop.now
        x = JOIN if self.history else WITHOUT_HISTORY
        self.session.link.send(f"<presence to={quoteattr(self.jid)}>{x}</presence>".encode())

    def receive(self, chunk: bytes) -> None:
        """Keep what came, and note when the subject did."""
        self.chunks.append(chunk)
        seen = self.carry + chunk
        self.carry = seen[1 - len(SUBJECT) :]
        if not self.joined and SUBJECT in seen:
            self.joined = self.loop.now

    def leave(self) -> None:
        """Say that it goes."""
        self.chunks, self.joined = [], 0.0
        self.session.link.receive = self.chunks.append
        self.session.link.send(f"<presence to={quoteattr(self.jid)} type='unavailable'/>".encode())

    @property
    def left(self) -> bool:
        """Whether the room has said so (§7.14)."""
        return any(SELF.search(gone) for gone in GONE.findall(self.received))


def come(loop: Loop, occupants: Iterable[Occupant]) -> None:
    """Let all of them in at the same time; raises Refused, Stalled."""
    coming = [*occupants]
    for occupant in coming:
        occupant.join()
    try:
        loop.run(lambda: all(one.joined for one in coming), ENOUGH, f"{len(coming)} joins")
    except Stalled as error:
        outside = next(one for one in coming if not one.joined)
        found = WRONG.search(outside.received)
        raise Refused(f"{outside.jid}: {found[0][:500]!r}" if found else str(error)) from error


def go(loop: Loop, occupants: Iterable[Occupant]) -> None:
    """Let all of them out; raises Stalled."""
    going = [*occupants]
    for occupant in going:
        occupant.leave()
    waiting = going[::-1]

    def done() -> bool:
        while waiting and waiting[-1].left:
            waiting.pop()
        return not waiting

    loop.run(done, ENOUGH, f"{len(going)} to leave a room")


def answer(loop: Loop, session: Session, request: str, id: str) -> ElementTree.Element:
    """Send an IQ and return its result; raises Refused, Stalled."""
    chunks: list[bytes] = []
    session.link.receive = chunks.append
    session.link.send(request.encode())
    found = re.compile(
        rb"<iq\b(?=[^>]*\bid=['\"]%b['\"])[^>]*?(?:/>|(?<!/)>.*?</iq\s*>)" % id.encode(), re.DOTALL
    )
    loop.run(lambda: found.search(b"".join(chunks)) is not None, ENOUGH, f"the answer to {id}")
    match = found.search(b"".join(chunks))
    assert match is not None
    root = ElementTree.fromstring(b"<x xmlns='jabber:client'>" + match[0] + b"</x>")
    if root[0].get("type") != "result":
        raise Refused(f"{request} was answered with {match[0]!r}")
    return root[0]


def configure(loop: Loop, owner: Occupant, archived: bool, broadcast: bool) -> None:
    """Fill in the form of a room (§10.2); raises Refused, Stalled.

    archived: its messages are kept; broadcast: occupants are told of all others, not only of
    moderators. What a server does not offer is left as it is.
    """
    to = quoteattr(owner.room)
    asked = answer(
        loop,
        owner.session,
        f"<iq type='get' id='form' to={to}><query xmlns='{NS_OWNER}'/></iq>",
        "form",
    )
    wanted: dict[str, tuple[str, ...]] = dict.fromkeys(ARCHIVING, (str(int(archived)),))
    wanted[BROADCAST] = ROLES if broadcast else ROLES[:1]
    offered = {field.get("var") for field in asked.iter(FIELD)}
    form = "".join(
        f"<field var='{name}'>{''.join(f'<value>{value}</value>' for value in values)}</field>"
        for name, values in (("FORM_TYPE", (FORM,)), *wanted.items())
        if name in offered
    )
    answer(
        loop,
        owner.session,
        f"<iq type='set' id='filled' to={to}><query xmlns='{NS_OWNER}'>"
        f"<x xmlns='{NS_FORM}' type='submit'>{form}</x></query></iq>",
        "filled",
    )


def opened(
    loop: Loop, room: str, sessions: Iterable[Session], archived: bool, broadcast: bool
) -> list[Occupant]:
    """Return the occupants of a new room; the first made and configured it, and owns it.

    Nothing is on its way when they are in: whoever follows may count from here.
    """
    occupants = [
        Occupant(loop, session, room, f"nick-{session.account.name}", history=False)
        for session in sessions
    ]
    come(loop, occupants[:1])
    configure(loop, occupants[0], archived, broadcast)
    come(loop, occupants[1:])
    return occupants
