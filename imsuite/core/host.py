"""A host: one domain with its features and its accounts."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure
from zope.interface import providedBy
from zope.interface.interface import InterfaceClass

from imsuite.core import hooks
from imsuite.core.account import Account, Kept
from imsuite.core.departures import Departures
from imsuite.core.feature import Answers, At, Feature, Negotiates, On, StreamFeature, Takes
from imsuite.core.hooks import Handler, Hook, Passing, Step, Switch
from imsuite.core.interfaces import IRoster
from imsuite.core.requests import Requests, send
from imsuite.rules.stream import Phase, may_offer
from imsuite.xmpp.address import JID, parse
from imsuite.xmpp.errors import Dropped, ImsuiteError, StanzaError, StreamError
from imsuite.xmpp.stanza import Stanza, error

if TYPE_CHECKING:
    from imsuite.core.router import Router
    from imsuite.core.session import Session

_OFFLINE = 2048  # accounts that stay loaded without a session
_NO_ACCOUNT = At.HOST | At.NOBODY
_UNANSWERED = frozenset(("error", "result"))
_TO_SESSIONS = frozenset((None, "unavailable", "error"))  # presence that is for whoever is online
Negotiator = Callable[[Any, Stanza], Any]  # a stream of whichever kind, and the element


class FeatureConflict(ImsuiteError):
    """Two features own the same thing, or one misses what it requires."""


class Host:
    """A domain that this server serves.

    domain: normalised; store: the IStore; clock: IReactorTime; router: of the server; users:
    what knows the accounts; features: by config word; accounts: loaded, by localpart.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(
        self, domain: str, store: Any, users: Any, clock: IReactorTime, router: Router
    ) -> None:
        self.jid = parse(domain)
        self.domain = self.jid.domain
        self.store = store
        self.users = users
        self.clock = clock
        self.router = router
        self.features: dict[str, Feature] = {}
        self.stream_features: list[StreamFeature] = []
        self.negotiations: dict[str, list[tuple[StreamFeature, Negotiator]]] = {}
        self.accounts: dict[str, Account] = {}
        self.requests = Requests(self)
        self.departures = Departures(clock)
        self.trail: Any = None  # what remembers what became of messages: `passed`, `refused`
        self.authenticator: Any = None  # an auth.mechanisms.Authenticator
        self.registrar: Any = None  # an auth.registrar.Registrar
        self.commands: Any = None  # an ICommandDesk
        self.removing: set[str] = set()  # localparts of accounts that are on their way out
        self._resting: OrderedDict[str, Account] = OrderedDict()
        self.computed: dict[str, Any] = {}  # what follows from options alone; empty after reload
        self._outdated: set[str] = set()  # localparts whose loading began too early
        self._loading: dict[str, list[Deferred[Account | None]]] = {}
        self._keepers: list[Any] = []
        self._dispatch: dict[tuple[str, str | None, str | None, At], Handler] = {}
        self._switches: dict[Hook, Switch] = {}
        self.outgoing = self.incoming = self.delivering = Switch()

    def __repr__(self) -> str:
        return f"<Host {self.domain}>"

    # features

    def load_features(self, classes: Iterable[type[Feature]], options: Mapping[str, Any]) -> None:
        """Make the features of this host. options: by config word.

        Raises FeatureConflict.
        """
        for cls in classes:
            word = cls.word()
            chosen = options.get(word)
            self.features[word] = cls(self, cls.options_class()() if chosen is None else chosen)
        steps: dict[Hook, list[Step]] = {}
        for word, feature in self.features.items():
            for wanted in feature.requires:
                if self.find_feature(wanted) is None:
                    raise FeatureConflict(
                        f"{self.domain}: feature {word} needs a feature that provides "
                        f"{wanted.getName()}; switch one on or {word} off"
                    )
            for name, mark in feature.marks():
                method = getattr(feature, name)
                if isinstance(mark, On):
                    step = Step(mark.hook, mark.stage, mark.interest, method, word)
                    steps.setdefault(mark.hook, []).append(step)
                else:
                    self._own(feature, mark, method)
        self._switches = {hook: Switch(steps.get(hook, ())) for hook in hooks.HOOKS}
        self.outgoing = self._switches[hooks.OUTGOING]
        self.incoming = self._switches[hooks.INCOMING]
        self.delivering = self._switches[hooks.DELIVERING]
        self.stream_features.sort(key=lambda feature: feature.rank)

    def _own(self, feature: Feature, mark: Answers | Takes | Negotiates, method: Any) -> None:
        """Enter a method into the dispatch maps."""
        if isinstance(mark, Negotiates):
            name = f"{mark.ns}}}{mark.name}"
            assert isinstance(feature, StreamFeature)
            others = self.negotiations.setdefault(name, [])
            for other, _ in others:
                needs, forbids = feature.needs | other.needs, feature.forbids | other.forbids
                if not needs & forbids:  # there is a phase that lets both
                    raise FeatureConflict(f"{self.domain}: two features negotiate {name}")
            others.append((feature, method))
            if feature not in self.stream_features:
                self.stream_features.append(feature)
            return
        for at in At:
            if at not in mark.at:
                continue
            keys: list[tuple[str, str | None, str | None, At]]
            if isinstance(mark, Answers):
                keys = [("iq", mark.type, f"{mark.ns}}}{mark.name}", at)]
            else:
                keys = [(mark.kind, type, None, at) for type in mark.types]
            for key in keys:
                if key in self._dispatch:
                    raise FeatureConflict(f"{self.domain}: two features answer {key}")
                self._dispatch[key] = method

    def add_stream_feature(self, feature: StreamFeature) -> None:
        """Offer a stream feature that negotiates nothing (such as limits)."""
        if feature not in self.stream_features:
            self.stream_features.append(feature)

    def negotiator(self, name: str, phase: Phase) -> Negotiator | None:
        """Return what takes the element "namespace}name" on a stream in a phase, or None."""
        for feature, method in self.negotiations.get(name, ()):
            if may_offer(feature.needs, feature.forbids, phase):
                return method
        return None

    def find_feature(self, wanted: InterfaceClass) -> Any:
        """Return the feature that provides an interface, or None."""
        for feature in self.features.values():
            if wanted in providedBy(feature):
                return feature
        return None

    def trusts(self, account: Account, jid: JID) -> bool:
        """Tell whether an account lets somebody know that it is there, and when (XEP-0030 §8)."""
        if jid.bare == account.bare:
            return True
        roster = self.find_feature(IRoster)
        item = None if roster is None else roster.item(account, jid.bare)
        return item is not None and bool(item.state.from_)

    def keep(self, feature: Any) -> Kept[Any]:
        """Give an ILoaded feature, while it is being made, its place in each loaded account."""
        self._keepers.append(feature)
        return Kept(len(self._keepers) - 1)

    def switch(self, hook: Hook) -> Switch:
        """Return the handlers of a hook."""
        return self._switches[hook]

    def advertised(self, at: At) -> list[str]:
        """Return the disco features of a kind of address, sorted (XEP-0030)."""
        return sorted({name for f in self.features.values() for name in f.describe(at)})

    # accounts

    async def account(self, local: str) -> Account | None:
        """Return the account of a localpart, loaded; None if there is none."""
        found = self.accounts.get(local)
        if found is not None:
            return found
        if local in self.removing:
            return None
        waiting = self._loading.get(local)
        if waiting is not None:
            later: Deferred[Account | None] = Deferred()
            waiting.append(later)
            return await later
        self._loading[local] = []
        try:
            account = await self._load(local)
        except BaseException:
            for later in self._loading.pop(local):
                self.spawn(self._retry(local, later))
            raise
        for later in self._loading.pop(local):
            later.callback(account)
        return account

    async def _retry(self, local: str, later: Deferred[Account | None]) -> None:
        try:
            later.callback(await self.account(local))
        except Exception:
            later.errback()

    async def _load(self, local: str) -> Account | None:
        jid = parse(f"{local}@{self.domain}")

        def load(cursor: Any) -> list[Any] | None:
            if not self.users.exists_in(cursor, local):
                return None
            return [keeper.load(cursor, jid.bare) for keeper in self._keepers]

        kept = await self.store.read(load)
        if local in self._outdated:  # it was removed meanwhile
            self._outdated.discard(local)
            return await self._load(local)
        if kept is None:
            return None
        account = Account(self, jid, kept)
        self.accounts[local] = account
        self._rest(account)
        return account

    async def own_account(self, local: str, enter: bool) -> Account | None:
        """Return the account of somebody who just logged in; None if it was removed meanwhile.

        enter: a checker of another source vouched for it, so the store may not know it yet and
        gets it.
        """
        account = await self.account(local)
        if account is not None or not enter or local in self.removing:
            return account
        try:
            await self.users.create(local, "", int(self.clock.seconds() * 1_000_000))
        except ImsuiteError as why:
            self.log.debug("{account} is not entered: {why}", account=local, why=str(why))
        return await self.account(local)

    async def current(self, account: Account) -> Account:
        """Return an account as it is loaded now, some time after its owner logged in.

        It may have made room for others and been loaded anew. Raises StreamError if it was
        removed.
        """
        if account.temporary:
            return account
        found = await self.account(account.jid.local)
        if found is None:
            raise StreamError("not-authorized", "the account was removed")
        return found

    def temporary_account(self, local: str) -> Account:
        """Return a new account that ends with its last session (XEP-0175)."""
        jid = parse(f"{local}@{self.domain}")
        account = Account(self, jid, [k.load(None, jid.bare) for k in self._keepers], True)
        self.accounts[local] = account
        return account

    def _rest(self, account: Account) -> None:
        """Keep an account without sessions loaded for a while; the oldest make room."""
        local = account.jid.local
        self._resting[local] = account
        self._resting.move_to_end(local)
        while len(self._resting) > _OFFLINE:
            gone, oldest = self._resting.popitem(last=False)
            if oldest.turn.locked:  # whoever changes it holds on to this object
                self._resting[gone] = oldest
                break
            del self.accounts[gone]

    def forget(self, local: str) -> None:
        """Drop what is loaded of an account that is gone."""
        self._resting.pop(local, None)
        self.accounts.pop(local, None)
        if local in self._loading:
            self._outdated.add(local)

    # sessions

    async def bind(self, session: Session) -> None:
        """Enter a session; whoever held its full JID must be gone by now."""
        account = session.account
        self._resting.pop(account.jid.local, None)
        self.accounts[account.jid.local] = account
        account.sessions[session.resource] = session
        self.router.sessions[session.full] = session
        await self.switch(hooks.BOUND).tell(session)

    async def unbind(self, session: Session) -> None:
        """Take a session out and tell the features."""
        account = session.account
        if self.router.sessions.get(session.full) is not session:
            return
        del self.router.sessions[session.full]
        del account.sessions[session.resource]
        if session.outbox is not None:
            session.outbox.close()
        try:
            await self.switch(hooks.UNBOUND).tell(session)
        finally:
            session.presence = None
            if not account.sessions and self.accounts.get(account.jid.local) is account:
                if account.temporary:
                    self.forget(account.jid.local)
                else:
                    self._rest(account)

    # stanzas

    def leave(self, passing: Passing) -> Awaitable[None] | None:
        """Let a stanza of a local account pass OUTGOING and go on to its address."""
        if self.outgoing.steps:
            later = self.outgoing.run(passing)
            if later is not None:
                return self._leave_later(passing, later)
        return self.router.route(passing)

    async def _leave_later(self, passing: Passing, later: Awaitable[None]) -> None:
        await later
        after = self.router.route(passing)
        if after is not None:
            await after

    def arrive(self, passing: Passing) -> Awaitable[None] | None:
        """Let a stanza for an account pass INCOMING, and deliver it to the session it names."""
        if self.incoming.steps:
            later = self.incoming.run(passing)
            if later is not None:
                return self._arrive_later(passing, later)
        assert passing.target is not None
        return passing.target.deliver(passing)

    async def _arrive_later(self, passing: Passing, later: Awaitable[None]) -> None:
        await later
        assert passing.target is not None
        after = passing.target.deliver(passing)
        if after is not None:
            await after

    def find(self, passing: Passing, jid: JID) -> Awaitable[None] | None:
        """Take a stanza to an address of this host that is not literally a session's."""
        if not jid.local:
            if jid.resource and passing.stanza.kind == "iq":
                raise StanzaError("service-unavailable")
            return self.receive(passing, At.HOST)
        account = self.accounts.get(jid.local)
        if account is None:
            stanza = passing.stanza
            if stanza.kind == "presence" and stanza.attrs.get("type") in _TO_SESSIONS:
                raise Dropped  # nobody there is online, whether or not the account exists
            return self._find_later(passing, jid)
        if account.jid.local in self._resting:
            self._resting.move_to_end(jid.local)
        return self._find_in(account, passing, jid)

    async def _find_later(self, passing: Passing, jid: JID) -> None:
        account = await self.account(jid.local)
        if account is None:
            # RFC 6121 §8.5.1, pitfall 20: the same answer as from an account that hides
            if jid.resource and passing.stanza.kind == "iq":
                raise StanzaError("service-unavailable")
            later = self.receive(passing, At.NOBODY)
        else:
            later = self._find_in(account, passing, jid)
        if later is not None:
            await later

    def _find_in(self, account: Account, passing: Passing, jid: JID) -> Awaitable[None] | None:
        own = passing.session is not None and passing.session.account is account
        passing.account = account
        stanza = passing.stanza
        to_session = stanza.kind != "presence" or stanza.attrs.get("type") in _TO_SESSIONS
        if jid.resource and to_session:
            target = account.sessions.get(jid.resource)
            if target is not None:
                passing.target = target
                return self.arrive(passing)
            return self.receive(passing, At.ABSENT)
        return self.receive(passing, At.SELF if own else At.ACCOUNT)

    def receive(self, passing: Passing, at: At) -> Awaitable[None] | None:
        """Give a stanza that no single session receives to the feature that takes or answers it."""
        if at not in _NO_ACCOUNT and passing.stanza.attrs.get("to") is not None:
            later = self.incoming.run(passing)
            if later is not None:
                return self._receive_later(passing, at, later)
        return self.dispatch(passing, at)

    async def _receive_later(self, passing: Passing, at: At, later: Awaitable[None]) -> None:
        await later
        after = self.dispatch(passing, at)
        if after is not None:
            await after

    def dispatch(self, passing: Passing, at: At) -> Awaitable[None] | None:
        """Give a stanza to whoever takes or answers it, at an address of the host or a service."""
        stanza = passing.stanza
        type = stanza.attrs.get("type")
        if stanza.kind != "iq":
            handler = self._dispatch.get((stanza.kind, type, None, at))
            if handler is None and stanza.kind == "message":
                handler = self._dispatch.get(("message", None, None, at))  # RFC 6121 §5.2.2
            if handler is None:
                if stanza.kind == "presence" or type == "error":
                    raise Dropped
                raise StanzaError("service-unavailable")
            done: Awaitable[None] | None = handler(passing)
            return done
        if type in _UNANSWERED:
            self.requests.settle(stanza, passing.sender)
            return None
        # those of a client were checked; a component's may have any shape (RFC 6120 §8.2.3)
        if len(stanza.children) != 1:
            raise StanzaError("bad-request")
        handler = self._dispatch.get(("iq", type, stanza.children[0], at))
        if handler is None:
            raise StanzaError("service-unavailable")
        answer = handler(passing)
        if answer.__class__ is Stanza:
            self.answer(passing, answer)
            return None
        return self._answer_later(passing, answer)

    async def _answer_later(self, passing: Passing, answer: Awaitable[Stanza | None]) -> None:
        stanza = await answer
        if stanza is not None:
            self.answer(passing, stanza)

    def answer(self, passing: Passing, stanza: Stanza) -> None:
        """Send the answer to a request, to the local session that asked or on its way."""
        (passing.session or self).send(stanza)

    def refuse(self, stanza: Stanza, why: Exception) -> None:
        """Answer a stanza that failed with the error that says so, or with silence."""
        if self.trail is not None and stanza.kind == "message":
            self.trail.refused(stanza, why)
        if isinstance(why, Dropped):
            return
        if not isinstance(why, StanzaError):
            why = self.condition(why)
        if stanza.attrs.get("type") in _UNANSWERED:
            return
        if stanza.kind == "presence" and why.condition == "service-unavailable" and not why.by:
            return
        sender = stanza.attrs.get("from")
        session = self.router.sessions.get(sender) if sender is not None else None
        if session is not None:
            session.send(error(stanza, why, why.by))
        elif sender is not None:
            self.send(error(stanza, why, why.by))

    def condition(self, why: Exception) -> StanzaError:
        """Return the stanza error for whatever went wrong; log what nobody foresaw."""
        name = getattr(why, "condition", None)
        if isinstance(why, ImsuiteError) and isinstance(name, str):
            return StanzaError(name)
        self.log.failure("{host}: a stanza failed", Failure(why), host=self.domain)
        return StanzaError("internal-server-error")

    def send(self, stanza: Stanza, failed: Callable[[StanzaError], object] | None = None) -> None:
        """Send a stanza that this host made; errors concern nobody but who asked by `requests`.

        failed: called with the error if it can not be delivered.
        """
        try:
            later = send(self, stanza, failed)
        except Exception:
            self._log_failure(Failure())
            return
        if later is not None:
            self.spawn(later)

    def spawn(self, work: Coroutine[Any, Any, Any]) -> Deferred[Any]:
        """Run a coroutine that nobody waits for; its failure is logged."""
        done = Deferred.fromCoroutine(work)
        done.addErrback(self._log_failure)
        return done

    def _log_failure(self, failure: Failure) -> None:
        if failure.check(ImsuiteError):
            self.log.error("{host}: {why}", host=self.domain, why=str(failure.value))
        else:
            self.log.failure("{host}: something failed", failure, host=self.domain)
