"""The loads, in the order they are run: those that share sessions stand together."""

from benchmarks.loads.chat import ClosedChat, SteadyChat
from benchmarks.loads.idle import IdleLoad
from benchmarks.loads.joins import JoinLoad
from benchmarks.loads.load import Load
from benchmarks.loads.logins import LoginLoad
from benchmarks.loads.memory import MemoryLoad
from benchmarks.loads.nodes import PepLoad, PubsubLoad
from benchmarks.loads.offline import OfflineLoad
from benchmarks.loads.paging import PageLoad, PagingLoad, SearchLoad
from benchmarks.loads.presence import PresenceLoad
from benchmarks.loads.rooms import RoomLoad
from benchmarks.servers.profile import (
    ARCHIVE,
    MANAGEMENT,
    NODE,
    OFFLINE,
    OFFLINE_SQL,
    ROOM,
    ROOM_ARCHIVE,
    SEARCH,
)

SESSIONS = 200  # in pairs, for every chat load
CONTACTS = 100
ABSENT = 100  # accounts that others write to
IN_FLIGHT = 20  # in a flood, per session
ACCOUNTS = 1002  # what the loads with nodes need
ARCHIVE_IN_FLIGHT = 5  # per session: the peers need seconds for what is under way at the end
ARCHIVE_RATE = 100  # messages a second that every server bears
MILLION = 1_000_000
ROOM_SIZES = (100, 300, 1000)
SPEAKERS = 20
COPIES = 20_000  # under way in a room: what bounds the messages of a speaker
JOINED = 300  # occupants who are there when others come
COMERS = 20
SUBSCRIBERS = 1000
ITEMS_IN_FLIGHT = 10
LOGINS_AT_ONCE = 32  # some servers wait 40 ms for Nagle's algorithm: keep them busy all the same
LOGIN_ACCOUNTS = 320


def transport_loads(tls: bool) -> tuple[Load, ...]:
    """Return the loads over plain TCP or over TLS."""
    end = "-tls" if tls else ""
    over = "TLS" if tls else "plain"
    return (
        ClosedChat(f"flood{end}", f"chat, {IN_FLIGHT} in flight, {over}", tls, SESSIONS, IN_FLIGHT),
        ClosedChat(f"one{end}", f"chat, one in flight, {over}", tls, SESSIONS, 1),
        SteadyChat(f"500{end}", f"chat, 500 a second, {over}", tls, SESSIONS, 500),
        SteadyChat(f"1000{end}", f"chat, 1000 a second, {over}", tls, SESSIONS, 1000),
        PresenceLoad(
            f"presence{end}",
            f"presence to {CONTACTS} contacts, {IN_FLIGHT} in flight, {over}",
            tls,
            CONTACTS,
            IN_FLIGHT,
        ),
        PresenceLoad(
            f"presence-one{end}",
            f"presence to {CONTACTS} contacts, one in flight, {over}",
            tls,
            CONTACTS,
            1,
        ),
        LoginLoad(f"login{end}", f"logins, {over}", tls, LOGINS_AT_ONCE, LOGIN_ACCOUNTS),
    )


def archive_loads() -> tuple[Load, ...]:
    """Return chat that both archives keep; what the peers reach sets the sizes."""
    return (
        ClosedChat(
            "archive",
            f"chat with archive, {ARCHIVE_IN_FLIGHT} in flight",
            False,
            SESSIONS,
            ARCHIVE_IN_FLIGHT,
            whole=True,
            profile=ARCHIVE,
        ),
        ClosedChat(
            "archive-one",
            "chat with archive, one in flight",
            False,
            SESSIONS,
            1,
            whole=True,
            profile=ARCHIVE,
        ),
        *(
            SteadyChat(
                f"archive-{rate}",
                f"chat with archive, {rate} a second",
                False,
                SESSIONS,
                rate,
                profile=ARCHIVE,
                only="" if rate == ARCHIVE_RATE else "imsuite",
            )
            for rate in (ARCHIVE_RATE, 1000, 4000)
        ),
    )


def managed_loads() -> tuple[Load, ...]:
    """Return chat with stream management on both sides."""
    return (
        ClosedChat(
            "managed",
            f"chat with XEP-0198, {IN_FLIGHT} in flight",
            False,
            SESSIONS,
            IN_FLIGHT,
            profile=MANAGEMENT,
        ),
        ClosedChat(
            "managed-one",
            "chat with XEP-0198, one in flight",
            False,
            SESSIONS,
            1,
            profile=MANAGEMENT,
        ),
        SteadyChat(
            "managed-500",
            "chat with XEP-0198, 500 a second",
            False,
            SESSIONS,
            500,
            profile=MANAGEMENT,
        ),
    )


def offline_loads() -> tuple[Load, ...]:
    """Return storing and delivering, with each server's own storage and with SQLite."""
    return tuple(
        OfflineLoad(
            f"{profile}-{phase}",
            f"{what} ({where})",
            False,
            ABSENT,
            phase == "drain",
            profile=profile,
        )
        for profile, where in (
            (OFFLINE_SQL, "peers: SQLite"),
            (OFFLINE, "peers: files and Mnesia, not synced"),
        )
        for phase, what in (
            ("store", "messages for absent accounts"),
            ("drain", "stored messages delivered"),
        )
    )


def reading_loads() -> tuple[Load, ...]:
    """Return what reads archives; the peers have no index of words, and no big archive."""
    small, big, paged = range(3)
    return (
        PagingLoad("paging", "an archive read by pages", False, paged, 100_000, profile=ARCHIVE),
        *(
            PageLoad(
                f"page-{rows}",
                f"a page from an archive of {rows}",
                False,
                owner,
                rows,
                profile=SEARCH,
                only="imsuite",
                once=True,
            )
            for owner, rows in ((big, MILLION), (small, 1_000))  # in one database
        ),
        *(
            SearchLoad(
                f"search-{kind}",
                f"search in {MILLION} messages, {what}",
                False,
                big,
                MILLION,
                ranks,
                profile=SEARCH,
                only="imsuite",
                once=True,
            )
            for kind, what, ranks in (
                ("rare", "rare words", [(rank,) for rank in range(15_000, 15_050)]),
                ("common", "common words", [(rank,) for rank in range(100, 150)]),
                ("both", "two common words", [(rank, rank + 7) for rank in range(100, 150)]),
            )
        ),
    )


def room_loads(tls: bool, archived: bool) -> tuple[Load, ...]:
    """Return talk in rooms, and joins, with or without archives of the rooms."""
    end = ("-archive" if archived else "") + ("-tls" if tls else "")
    over = ("archived, " if archived else "") + ("TLS" if tls else "plain")
    profile = ROOM_ARCHIVE if archived else ROOM
    rooms = (
        RoomLoad(
            f"room-{size}{end}",
            f"room of {size}, {SPEAKERS} speakers with {in_flight} in flight, {over}",
            tls,
            size,
            SPEAKERS,
            in_flight,
            profile=profile,
        )
        for size in ROOM_SIZES
        if (in_flight := COPIES // SPEAKERS // size)
    )
    if archived:
        return tuple(rooms)
    return (
        *rooms,
        *(
            JoinLoad(
                f"join-{JOINED}{word}{end}",
                f"joins of a room of {JOINED}, {at_once} at once, {over}",
                tls,
                JOINED,
                at_once,
                profile=profile,
            )
            for word, at_once in (("", COMERS), ("-one", 1))
        ),
    )


def node_loads(tls: bool) -> tuple[Load, ...]:
    """Return notifications of nodes, of the service and of an account."""
    end = "-tls" if tls else ""
    over = "TLS" if tls else "plain"
    return tuple(
        kind(
            f"{name}-{SUBSCRIBERS}{end}",
            f"items told to {SUBSCRIBERS} {whom}, {ITEMS_IN_FLIGHT} in flight, {over}",
            tls,
            SUBSCRIBERS,
            ITEMS_IN_FLIGHT,
            profile=NODE,
            without="prosody" if kind is PepLoad else "",  # minutes for the subscriptions
        )
        for kind, name, whom in (
            (PubsubLoad, "pubsub", "subscribers"),
            (PepLoad, "pep", "contacts (PEP)"),
        )
    )


LOADS: dict[str, Load] = {
    load.name: load
    for load in (
        IdleLoad("idle", "idle sessions, plain", False),
        IdleLoad("idle-tls", "idle sessions, TLS", True),
        *transport_loads(False),
        *transport_loads(True),
        *managed_loads(),
        *archive_loads(),
        *reading_loads(),
        MemoryLoad(
            "memory",
            "memory while a million messages are archived",
            False,
            SESSIONS,
            ARCHIVE_IN_FLIGHT,
            profile=SEARCH,
            only="imsuite",
            named=True,
            once=True,
        ),
        *offline_loads(),
        *room_loads(tls=False, archived=False),
        *room_loads(tls=True, archived=False),
        *room_loads(tls=False, archived=True),
        *node_loads(tls=False),
        *node_loads(tls=True),
    )
}
