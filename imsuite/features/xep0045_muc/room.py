"""A room while it is loaded: who is in it, who may be, and what was said last (XEP-0045 §4, §5)."""

from __future__ import annotations

import hmac
from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import attrs
from twisted.internet.defer import DeferredLock

from imsuite.core.service_interfaces import IPresenceLogs
from imsuite.rules.affiliations import Affiliation, Role
from imsuite.rules.presence_log import PresenceLog
from imsuite.rules.room import compared, sees_jids
from imsuite.rules.room_config import Config
from imsuite.xmpp.address import JID
from imsuite.xmpp.stanza import Stanza, quoted

if TYPE_CHECKING:
    from imsuite.core.fanout import Fan
    from imsuite.core.host import Host
    from imsuite.core.record import Record
    from imsuite.core.session import Session

HISTORY_BYTES = 1_000_000  # of what was said last that is kept for those who enter


class Client:
    """A full JID that is in a room.

    presence: what it sent last; written: the address as bytes; resumable: what it is sent has to
    outlive the server (XEP-0198).
    """

    __slots__ = ("jid", "presence", "resumable", "written")

    def __init__(self, jid: str, presence: Stanza, session: Session | None) -> None:
        self.jid = jid
        self.presence = presence
        tracker = None if session is None else session.tracker
        self.resumable = tracker is not None and tracker.durable
        self.written = quoted(jid)


class Occupant:
    """Somebody in a room, with one client or several of the same account (§7.2.8).

    jid: occupant JID; bare: real bare JID; clients: by full JID, the one that spoke of itself
    last at the end; cards: its presence as others get it who know who it is and who do not, while
    nothing about it changes (`changed`).
    """

    __slots__ = ("bare", "cards", "clients", "id", "jid", "nick", "role", "room")

    def __init__(self, room: Room, nick: str, bare: str, role: Role) -> None:
        self.room = room
        self.nick = nick
        self.bare = bare
        self.role = role
        self.jid = f"{room.bare}/{nick}"
        self.id = room.occupant_id(bare)
        self.clients: dict[str, Client] = {}
        self.cards: dict[bool, Fan] = {}

    def changed(self) -> None:
        """Know that others see it differently now."""
        self.cards.clear()

    def __repr__(self) -> str:
        return f"<Occupant {self.jid}>"

    @property
    def affiliation(self) -> Affiliation:
        """What the account is to the room."""
        return self.room.affiliation(self.bare)

    @property
    def main(self) -> Client:
        """The client whose presence stands for the occupant."""
        return next(reversed(self.clients.values()))

    @property
    def knows_all(self) -> bool:
        """Whether it sees who the others are (§4.2)."""
        return sees_jids(self.room.config, self.role)


@attrs.frozen
class Entry:
    """What a room keeps about an account or a domain that is affiliated with it.

    nick: reserved nickname, "" for none (§7.10); reason: why it is so; version: when it was made
    so, as ids of messages are given (XEP-0463).
    """

    affiliation: Affiliation
    nick: str = ""
    reason: str = ""
    version: int = 0


@attrs.define(eq=False)
class Said:
    """A message to the room. record: while it is not durable, what has to become so."""

    id: int
    stanza: Stanza
    by: str  # full JID of the author
    record: Record | None = None


class Room:
    """A room.

    jid: its bare JID; config; entries: affiliations by bare JID or domain; former: versions by
    which others ceased to have any (`put` and `drop` change both); occupants: by the `compared` of
    their nicknames; by_client: by full JID; said: the last messages that occupants hear when they
    enter; weight: octets of those; resumable: how many clients are; subject: the message that set
    it, None while there is none; secret: makes occupant ids; made: when, as ids of messages are
    given; locked: nobody but its maker may enter until it is configured (§10.1.2); fresh: nothing
    of it is stored yet; gone: it was destroyed, or is being; holds: how many stanzas it is busy
    with; turn: lock of what is decided and then written, such as affiliations; log: of changes of
    presence, where such a thing is kept; extra: what other features keep of it while it is loaded,
    by their words.
    """

    __slots__ = (
        "_entries",
        "_former",
        "_reserved",
        "_version",
        "bare",
        "by_client",
        "config",
        "entries",
        "extra",
        "former",
        "fresh",
        "gone",
        "holds",
        "host",
        "jid",
        "locked",
        "log",
        "made",
        "occupants",
        "resumable",
        "said",
        "secret",
        "subject",
        "subject_id",
        "turn",
        "weight",
        "written",
    )

    def __init__(self, host: Host, jid: JID, config: Config, secret: str, made: int) -> None:
        self.host = host
        self.jid = jid
        self.bare = jid.bare
        self.written = quoted(jid.bare)
        self.config = config
        self.secret = secret
        self.made = made
        self.locked = False
        self.resumable = 0
        self.fresh = False
        self.gone = False
        self.holds = 0
        self._entries: dict[str, Entry] = {}
        self._former: dict[str, int] = {}
        self._reserved: dict[str, str] = {}  # addresses by the `compared` of their nicknames
        self._version: int | None = 0  # None until somebody asks
        self.entries: Mapping[str, Entry] = MappingProxyType(self._entries)
        self.former: Mapping[str, int] = MappingProxyType(self._former)
        self.occupants: dict[str, Occupant] = {}
        self.by_client: dict[str, Occupant] = {}
        self.said: deque[Said] = deque()
        self.weight = 0
        self.subject: Stanza | None = None
        self.subject_id = 0
        self.turn = DeferredLock()
        logs = host.find_feature(IPresenceLogs)
        self.log: PresenceLog | None = None if logs is None else logs.begin()
        self.extra: dict[str, Any] = {}

    def __repr__(self) -> str:
        return f"<Room {self.bare}, {len(self.occupants)} occupants>"

    # affiliations (§5.2)

    def put(self, jid: str, entry: Entry) -> None:
        """Keep an entry of an address, in the place of the one there was."""
        self._release(jid)
        self._entries[jid] = entry
        if entry.nick:
            self._reserved[compared(entry.nick)] = jid
        self._rise(entry.version)

    def drop(self, jid: str, version: int | None = None) -> None:
        """Keep nothing of an address but the version by which it ceased to be affiliated.

        version: None if it is not to be remembered.
        """
        self._release(jid)
        if version is not None:
            self._former[jid] = version
            self._rise(version)

    def fill(self, entries: Mapping[str, Entry], former: Mapping[str, int]) -> None:
        """Know the affiliations that were stored."""
        for jid, entry in entries.items():
            self.put(jid, entry)
        for jid, version in former.items():
            self.drop(jid, version)

    def _release(self, jid: str) -> None:
        """Know nothing of an address any more."""
        former, entry = self._former.pop(jid, None), self._entries.pop(jid, None)
        if entry is not None and entry.nick:
            nick = compared(entry.nick)
            if self._reserved.get(nick) == jid:
                del self._reserved[nick]
        if self._version in (former, None if entry is None else entry.version):
            self._version = None  # it may have been the newest

    def _rise(self, version: int) -> None:
        if self._version is not None and version > self._version:
            self._version = version

    def affiliation(self, bare: str) -> Affiliation:
        """Return what an account is to the room; a ban of its domain is one of it, too (§9.2)."""
        entry = self._entries.get(bare)
        if entry is not None and entry.affiliation is not Affiliation.NONE:
            return entry.affiliation
        domain = self._entries.get(bare.rpartition("@")[2])
        banned = domain is not None and domain.affiliation is Affiliation.OUTCAST
        return Affiliation.OUTCAST if banned else Affiliation.NONE

    def affiliated(self, *wanted: Affiliation) -> Iterator[tuple[str, Entry]]:
        """Yield the addresses of these affiliations and what is kept of them."""
        for jid, entry in self._entries.items():
            if entry.affiliation in wanted:
                yield jid, entry

    @property
    def version(self) -> int:
        """The version of the lists: when an affiliation changed last (XEP-0463)."""
        if self._version is None:
            versions = [entry.version for entry in self._entries.values()]
            self._version = max((*versions, *self._former.values()), default=0)
        return self._version

    @property
    def owners(self) -> int:
        """How many owners there are."""
        return sum(1 for _ in self.affiliated(Affiliation.OWNER))

    def occupant_id(self, bare: str) -> str:
        """Return what identifies an account in this room without telling who it is (XEP-0421)."""
        return hmac.new(self.secret.encode(), bare.encode(), "sha256").hexdigest()

    # occupants

    def find(self, nick: str) -> Occupant | None:
        """Return who has a nickname, in whatever case."""
        return self.occupants.get(compared(nick))

    def of_account(self, bare: str) -> list[Occupant]:
        """Return the occupants that an account has."""
        return [occupant for occupant in self.occupants.values() if occupant.bare == bare]

    def reserved_for(self, nick: str) -> str | None:
        """Return the bare JID a nickname is reserved for, if it is (§7.10)."""
        return self._reserved.get(compared(nick))

    def add(self, occupant: Occupant) -> None:
        """Let somebody in."""
        self.occupants[compared(occupant.nick)] = occupant
        for jid in occupant.clients:
            self.by_client[jid] = occupant

    def add_client(self, occupant: Occupant, client: Client) -> None:
        """Let one more client of an occupant in, or the same one anew; it comes last."""
        before = occupant.clients.pop(client.jid, None)
        self.resumable += client.resumable - (before is not None and before.resumable)
        occupant.clients[client.jid] = client
        occupant.changed()
        self.by_client[client.jid] = occupant

    def remove_client(self, occupant: Occupant, jid: str) -> None:
        """Take a client out; the occupant goes with the last one."""
        client = occupant.clients.pop(jid, None)
        self.resumable -= client is not None and client.resumable
        occupant.changed()
        self.by_client.pop(jid, None)
        if not occupant.clients and self.occupants.get(compared(occupant.nick)) is occupant:
            del self.occupants[compared(occupant.nick)]

    def rename(self, occupant: Occupant, nick: str) -> None:
        """Give an occupant another nickname."""
        del self.occupants[compared(occupant.nick)]
        occupant.nick = nick
        occupant.jid = f"{self.bare}/{nick}"
        occupant.changed()
        self.occupants[compared(nick)] = occupant

    def clients(self) -> Iterable[tuple[Occupant, Client]]:
        """Yield every client with its occupant."""
        for occupant in list(self.occupants.values()):
            for client in list(occupant.clients.values()):
                yield occupant, client

    # what was said

    def remember(self, said: Said, most: int) -> None:
        """Keep a message for those who enter later."""
        self.said.append(said)
        self.weight += len(said.stanza.raw)
        self.trim(most)

    def trim(self, most: int) -> None:
        """Keep the last messages only: so many, and no more than HISTORY_BYTES of them."""
        while len(self.said) > most or self.weight > HISTORY_BYTES:
            self.weight -= len(self.said.popleft().stanza.raw)

    def forget(self, id: int) -> None:
        """Keep a message no longer."""
        for said in self.said:
            if said.id == id:
                self.said.remove(said)
                self.weight -= len(said.stanza.raw)
                return
