"""The loads, in the order they are run: those that share sessions stand together."""

from benchmarks.loads.chat import ClosedChat, SteadyChat
from benchmarks.loads.idle import IdleLoad
from benchmarks.loads.load import Load
from benchmarks.loads.logins import LoginLoad
from benchmarks.loads.presence import PresenceLoad

SESSIONS = 200  # in pairs, for every chat load
CONTACTS = 100
IN_FLIGHT = 20  # in a flood, per session
ACCOUNTS = 600  # what the idle load needs at most, with its base
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


LOADS: dict[str, Load] = {
    load.name: load
    for load in (
        IdleLoad("idle", "idle sessions, plain", False),
        IdleLoad("idle-tls", "idle sessions, TLS", True),
        *transport_loads(False),
        *transport_loads(True),
    )
}
