"""The seams between floors, and between features."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import Any

import attrs
from zope.interface import Attribute, Interface


@attrs.frozen
class Table:
    """A table and how it came to its present form.

    name: of the table; steps: SQL statements, each run once, in order, never changed after
    they were shipped; owner: the column that holds the bare JID of the account a row belongs
    to (its rows go when the account goes), or None if rows belong to no account.
    """

    name: str
    steps: tuple[str, ...]
    owner: str | None = "account"


class IStore(Interface):
    """The database. SQL is the common subset of SQLite and PostgreSQL, `?` for values."""

    ids = Attribute("gives ids to messages (core.record.Ids)")
    horizon = Attribute("least id of a message that is not durable yet, or None")

    def append(record: Any) -> None:
        """Commit what a message causes to be written, in its turn, then let it go out."""

    def settled() -> Awaitable[None]:
        """Wait until everything appended so far is durable or was refused."""

    def query(sql: str, *args: object) -> Awaitable[list[tuple[Any, ...]]]:
        """Return the rows of a SELECT."""

    def execute(sql: str, *args: object) -> Awaitable[int]:
        """Run one statement; return the number of rows it changed, once it is committed."""

    def transaction(function: Callable[..., Any], *args: object) -> Awaitable[Any]:
        """Run function(cursor, *args), which may block and write, in one transaction."""

    def read(function: Callable[..., Any], *args: object) -> Awaitable[Any]:
        """Run function(cursor, *args), which may block and only reads."""

    def migrate(tables: tuple[Table, ...]) -> Awaitable[None]:
        """Bring the tables up to date."""

    def close() -> Awaitable[None]:
        """Finish what was begun and close."""


class ILoaded(Interface):
    """A feature that keeps something of each loaded account in memory (see `core.account`)."""

    def load(cursor: Any, account: str) -> Any:
        """Return what is kept of the account of that bare JID; runs in a thread of the store."""


class ISessionState(Interface):
    """A feature that keeps something of each session which survives a restart (XEP-0198)."""

    def freeze(session: Any) -> Any:
        """Return what is kept of the session as a JSON value, or None for nothing."""

    def thaw(session: Any, value: Any) -> None:
        """Take back what `freeze` returned, for a session that was restored."""


class IRoster(Interface):
    """Who is in an account's contact list, and with which subscription (RFC 6121 §2)."""

    def item(account: Any, contact: str) -> Any:
        """Return the RosterItem for a bare JID, or None. Does not wait."""

    def items(account: Any) -> Iterable[Any]:
        """Return all RosterItems. Does not wait."""

    def state(account: Any, contact: str) -> Any:
        """Return the State of a bare JID, which may have asked without being in the roster."""

    def subscribers(account: Any) -> tuple[str, ...]:
        """Return the bare JIDs that receive the account's presence ("from" or "both")."""

    def subscriptions(account: Any) -> tuple[str, ...]:
        """Return the bare JIDs whose presence the account receives ("to" or "both")."""


class IPresence(Interface):
    """Who is online, and who is told (RFC 6121 §4)."""

    def show(account: Any, contact: str) -> None:
        """Send the presence of every available session of the account to a bare JID."""

    def refresh(session: Any) -> Awaitable[None]:
        """Tell a session the presence of its contacts as it is, also who is not there."""

    def hide(account: Any, contact: str) -> None:
        """Send unavailable presence of every available session to a bare JID."""


class IBlocking(Interface):
    """What an account does not want to hear from or talk to (XEP-0191)."""

    def blocks(account: Any, jid: Any) -> bool:
        """Tell whether the account blocks that JID. Does not wait."""


class IDisco(Interface):
    """What this domain says about itself in service discovery (XEP-0030)."""

    def info(at: Any) -> Any:
        """Return a new disco#info <query/> without node, of that kind of address (an At)."""


class IDiscoExtension(Interface):
    """A feature that says more about an address than names of features (XEP-0030, XEP-0128)."""

    def identities(at: Any) -> Iterable[tuple[str, str, str | None]]:
        """Return category, type and name of further identities of that kind of address."""

    def forms(at: Any) -> Iterable[Any]:
        """Return data forms of wokkel that describe that kind of address."""


class IDiscoNodes(Interface):
    """A feature with nodes in service discovery. Both may answer with an awaitable."""

    def node_info(passing: Any, at: Any, node: str) -> Any:
        """Return a disco#info <query/> for a node, or None if the node is another's."""

    def node_items(passing: Any, at: Any, node: str) -> Any:
        """Return (jid, node, name) of each item of a node, or None if the node is another's.

        node: "" for the address itself.
        """


class ICaps(Interface):
    """What the clients of local accounts support (XEP-0115, XEP-0390)."""

    def features(session: Any) -> frozenset[str] | None:
        """Return the verified disco features of a client, None while unknown. Does not wait."""

    def claimed(session: Any, claim: Any) -> None:
        """Note which caps a client claims (a rules.caps.Claim), and find out what they mean."""


class IArchive(Interface):
    """What accounts and rooms keep of their conversations (XEP-0313)."""

    def archives(account: Any, peer: Any) -> bool:
        """Tell whether an account keeps what it exchanges with a JID. Does not wait."""

    def asked(session: Any, id: int | None = None) -> bool:
        """Tell whether a session got the message of that id from its archive. Does not wait.

        Without an id: whether it was given anything by a query that left nothing out.
        """

    def days(account: str) -> Awaitable[int | None]:
        """Return what `set_days` said of a bare JID."""

    def set_days(account: str, days: int | None) -> Awaitable[None]:
        """Keep the messages of a bare JID for so many days, 0 for ever, None as the others'."""

    # rooms; owner: bare JID. Whoever calls these says who may, the archive does not ask.

    def features() -> Iterable[str]:
        """Return what disco shows of a room whose messages are archived."""

    def hold(owner: str, record: Any, stanza: Any, peer: Any, lasting: bool = True) -> Any:
        """Write a message down in a record; return it as a Stanza with its id (XEP-0359).

        stanza: from the occupant, without `to`; peer: JID of who really spoke; lasting: else it
        stays for a day, for sessions that are resumed (XEP-0198), and no query finds it.
        """

    def answer(request: Any, owner: str, sees: bool = False) -> Awaitable[Any]:
        """Send what a query, or a request for form or metadata, asks for; return the answer.

        sees: the asker may know who the occupants are. Raises StanzaError.
        """

    def recent(owner: str, most: int, since: int = 0) -> Awaitable[list[tuple[int, int, bytes]]]:
        """Return id, salt and raw of the last messages that new occupants hear, oldest first.

        since: µs since 1970 UTC.
        """

    def find(owner: str, uid: str) -> Awaitable[Any]:
        """Return the message of a stanza-id, None if there is none.

        With id, salt, peer (bare JID of who spoke), nick, raw, and whether it is `retracted`.
        """

    def bury(record: Any, found: Any, by: str, inner: bytes = b"") -> None:
        """Put a tombstone in the place of what `find` returned (XEP-0424 §4).

        record: of what retracts it; by: id attribute of that; inner: elements for the tombstone.
        """

    def abandon(owner: str) -> Awaitable[None]:
        """Remove an archive; from now on nothing of it is found, also after a crash."""


class IPush(Interface):
    """What tells the services of apps that something came (XEP-0357)."""

    def tell(accounts: Iterable[str], stanza: Any, id: int) -> None:
        """Notify devices of local accounts (bare JIDs) of a message that does not go to these.

        id: of the message, once for each device. Not where the client is there, or blocks.
        """


class ICarbons(Interface):
    """Which clients get copies of what other clients of their account get (XEP-0280)."""

    def enabled(session: Any) -> bool:
        """Tell whether a session gets copies. Does not wait."""


class ICsi(Interface):
    """Which clients say that nobody looks at them (XEP-0352)."""

    def inactive(session: Any) -> bool:
        """Tell whether the client of a session is inactive. Does not wait."""


class IOffline(Interface):
    """What keeps messages for those who are not there (XEP-0160)."""

    def is_behind(passing: Any) -> bool:
        """Tell whether older messages wait for the only session that a message could go to.

        It is then kept behind them instead of being delivered. Does not wait.
        """


class IIdle(Interface):
    """A feature that ends streams of which the other side is gone."""

    idle = Attribute("seconds without a byte after which a stream is checked; 0: never")


class ICommandDesk(Interface):
    """The administration commands of the server, as a host shows them (`host.commands`)."""

    def actor(host: Any, jid: Any, own: bool = False) -> Any:
        """Return the rules.administration.Actor that a JID is; own: for its account alone."""

    def all() -> Iterable[Any]:
        """Return all commands; each says who may give it."""

    def command(name: str) -> Any:
        """Return a command by its name."""

    def run(actor: Any, name: str, given: Any) -> Awaitable[Any]:
        """Give a command; return its result, with `rows` and `after`. Raises ImsuiteError."""


class ICommands(Interface):
    """A feature that offers ad-hoc commands (XEP-0050)."""

    def commands(passing: Any, at: Any) -> Iterable[Any]:
        """Return the rules.adhoc.AdHoc of the address that a request is for. Does not wait.

        All of them; each says itself who may run it.
        """


class IAdministration(Interface):
    """What the administrators of a domain decided for everybody there (XEP-0133)."""

    def announce(text: str) -> Awaitable[int]:
        """Send a headline to every client that is online; return to how many."""

    def standing(name: str) -> str:
        """Return the text called "motd" or "welcome", "" for none. Does not wait."""

    def set_standing(name: str, text: str, again: bool = True) -> Awaitable[None]:
        """Change such a text, "" for none; again: who had the last one gets this one, too."""

    def listed(name: str) -> Any:
        """Return who is on the "blacklist" or "whitelist": "both", "in" or "out" by JID."""

    def set_listed(name: str, changes: Any) -> Awaitable[None]:
        """Change such a list; changes: like those of `listed`, with "" for who leaves it."""

    def refuses(jid: Any, outgoing: bool) -> bool:
        """Tell whether nothing may come from a JID, or go to it. Does not wait."""

    def logins(account: str) -> Awaitable[tuple[int, int, int]]:
        """Return when a bare JID logged in last, how often, and since when that is counted.

        Times in µs since 1970 UTC; all 0 if it never did.
        """

    def active(account: Any) -> bool:
        """Tell whether somebody uses a loaded account just now. Does not wait."""


class IAccount(Interface):
    """A local account: the avatar of twisted.cred."""

    jid = Attribute("its bare JID")
    sessions = Attribute("bound resources, by resourcepart")
