"""The whole server as one service: `make_server(config).setServiceParent(application)`."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterable
from functools import partial
from pathlib import Path
from typing import Any

from twisted.cred.checkers import AllowAnonymousAccess
from twisted.internet.defer import gatherResults
from twisted.internet.interfaces import IReactorTime
from twisted.internet.threads import deferToThreadPool
from twisted.logger import LogLevelFilterPredicate
from twisted.python.reflect import namedAny
from twisted.python.threadpool import ThreadPool
from zope.interface import implementer

from imsuite.app.command_desk import CommandDesk
from imsuite.app.config import Config, ConfigError, HostOptions, PythonName
from imsuite.app.configuration import load as load_config
from imsuite.app.control import ControlService
from imsuite.app.leaving import Leaving
from imsuite.app.parts import (
    HostService,
    ListenerService,
    RenewalService,
    StoreService,
    ThreadService,
)
from imsuite.app.registry import NoSuchFeature, all_features, chosen
from imsuite.app.reloading import Outcome, reload
from imsuite.app.shutdown import OrderedService
from imsuite.app.trail import Trail
from imsuite.auth.checkers import StoreChecker
from imsuite.auth.iauth import IAccounts
from imsuite.auth.limits import FailureLimits, LimitOptions
from imsuite.auth.mechanisms import Authenticator
from imsuite.auth.realm import HostRealm, Login, LoginRefused, make_portal
from imsuite.auth.registrar import Registrar
from imsuite.auth.secrets import Hasher, PasswordOptions
from imsuite.core import hooks, services
from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.interfaces import IAccount, Table
from imsuite.core.router import Router
from imsuite.rules.sasl import SaslOptions
from imsuite.store.pool import Store
from imsuite.store.users import TABLES, NoSuchAccount, Users
from imsuite.streams.certificates import Certificate, load, own_certificate
from imsuite.streams.clients import Clients, StreamOptions
from imsuite.streams.hub import Hub
from imsuite.streams.listeners import Admission, Listener
from imsuite.streams.tls import ServerContexts

HASHING_THREADS = 2
SECRET = 32  # octets


class Server(OrderedService):
    """A server. What it is made of is there once it runs.

    router, hosts: by domain; store; hub: its connections; clients: their streams; contexts:
    certificates; ports: (kind, port) of each listener; levels: of the log, where log_level is
    to take effect; listeners: in the order of the configuration; trail: of the last messages;
    leaving: ends it at a time that was announced.
    """

    def __init__(self, config: Config, reactor: Any) -> None:
        super().__init__()
        self.config = config
        self.reactor = reactor
        self.router = Router()
        self.store = Store(config.store, reactor, reactor)
        self.hosts: dict[str, Host] = {}
        self.tables: tuple[Table, ...] = TABLES
        self.contexts: ServerContexts | None = None
        self.certificates: dict[str, Certificate] = {}
        self.clients: Clients | None = None
        self.hub: Hub | None = None
        self.ports: list[tuple[str, int]] = []
        self.admission = Admission()
        self.levels: LogLevelFilterPredicate | None = None
        self.trail = Trail(reactor.seconds, config.server.explained)
        self._control = ControlService(self)
        self.listeners: list[Listener] = []
        self.leaving = Leaving(self)

    def startService(self) -> None:
        """Start everything, or nothing. Raises ImsuiteError, one clear line."""
        self.make_directory()
        self.make_hosts()
        self.store.open(self.tables)
        try:
            self._compose()
            super().startService()
        except BaseException:
            for listener in self.listeners:
                listener.stop()
            self._control.stopService()
            self.store.close()
            raise
        begun = [host.spawn(_begin(host)) for host in self.hosts.values()]
        gatherResults(begun).addCallback(self._begun)
        self.log.info(
            "imsuite serves {hosts} on {ports}; data in {directory} ({why})",
            hosts=", ".join(self.hosts),
            ports=", ".join(f"{kind}:{port}" for kind, port in self.ports),
            directory=self.config.directory,
            why=self.config.directory_why,
        )

    def _begun(self, _: object) -> None:
        for listener in self.listeners:
            listener.accept()

    def reload(self, config: Config | None = None) -> list[Outcome]:
        """Take what may change while the server runs from a configuration, or from its file.

        Without either, only certificates are read again. Returns what is different. Raises
        ImsuiteError when something is wrong; then nothing has changed.
        """
        if config is None and self.config.file is not None:
            config = load_config(self.config.file, *option_classes())
        return reload(self, self.config if config is None else config)

    def make_directory(self) -> None:
        """Make the data directory if it is not there. Raises ConfigError."""
        directory = Path(self.config.directory)
        try:
            directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        except OSError as why:
            raise ConfigError(
                f"{directory}: the data directory can not be made: {why.strerror}"
            ) from why

    def make_hosts(self) -> None:
        """Make the hosts with their features, so that the tables are known."""
        tables = list(TABLES)
        desk = CommandDesk(lambda: self)
        for domain, options in self.config.hosts.items():
            users = Users(self.store, domain, options.admins)
            host = Host(domain, self.store, users, self.reactor, self.router)
            host.commands = desk
            try:
                classes = chosen(options.use)
            except NoSuchFeature as why:
                raise ConfigError(f'[hosts."{domain}"] use: {why}') from None
            host.load_features(classes, self.config.feature_options.get(domain, {}))
            host.trail = self.trail if self.config.server.explained else None
            tables += [table for cls in classes for table in cls.tables]
            self.hosts[domain] = self.router.hosts[domain] = host
        for host in self.hosts.values():
            services.enter(host, self.config.services)
        self.tables = tuple({table.name: table for table in tables}.values())

    def _compose(self) -> None:
        """Make what hosts and listeners need, and line it up in order of starting."""
        config, reactor = self.config, self.reactor
        secret = _kept_secret(Path(config.directory) / "secret")
        threads = ThreadPool(0, HASHING_THREADS, "hashing")
        hasher = Hasher(partial(deferToThreadPool, reactor, threads), HASHING_THREADS)
        self.certificates = self.read_certificates(config)
        self.contexts = ServerContexts(self.certificates, next(iter(config.hosts)))
        self.hub = Hub(reactor)
        streams = config.tables.get("streams") or StreamOptions()
        self.clients = Clients(self.router, self.contexts, reactor, streams)
        StoreService(self.store).setServiceParent(self)
        ThreadService(threads).setServiceParent(self)
        for domain, host in self.hosts.items():
            give_login(
                host,
                config.hosts[domain],
                hasher,
                secret,
                reactor,
                self.tables,
                config.tables.get("logins"),
                config.tables.get("passwords"),
            )
            host.registrar.streams = lambda: self.clients or ()
            HostService(host).setServiceParent(self)
        for domain, service in config.services.items():
            # not at the top: wokkel installs a reactor, and few servers have services
            from imsuite.streams.mount import mount

            handlers = [_made(f'[services."{domain}"]', name) for name in service.handlers]
            host = next(iter(self.hosts.values()))
            mount(self.router, host, domain, handlers).setServiceParent(self)
        self._control.setServiceParent(self)
        self.leaving.setServiceParent(self)
        RenewalService(self).setServiceParent(self)
        self.admission = Admission(
            config.server.max_connections, config.server.max_connections_per_address
        )
        self.listeners = [
            Listener(
                self.hub,
                address.interface,
                address.port,
                self.clients.accept,
                self.contexts if address.kind == "c2s-tls" else None,
                admission=self.admission,
            )
            for address in config.server.addresses
        ]
        ListenerService(self).setServiceParent(self)

    def read_certificates(self, config: Config) -> dict[str, Certificate]:
        """Return the certificate of each domain. Raises CertificateError."""
        now = self.reactor.seconds()
        folder = Path(config.directory) / "certificates"
        found = {}
        for domain, options in config.hosts.items():
            if options.certificate is not None:
                found[domain] = load(domain, options.certificate, options.key, now=now)
            else:
                folder.mkdir(mode=0o700, exist_ok=True)
                names = dict.fromkeys((*config.services, *self.router.services))
                also = tuple(name for name in names if name.endswith(f".{domain}"))
                found[domain] = own_certificate(domain, folder, also=also, now=now)
        return found

    def use_certificates(self, certificates: dict[str, Certificate]) -> list[str]:
        """Use these from now on; return the domains whose certificate is another one."""
        assert self.contexts is not None
        self.contexts.load(certificates, next(iter(certificates)))
        before, self.certificates = self.certificates, certificates
        return [domain for domain, new in certificates.items() if new.chain != before[domain].chain]


def make_server(config: Config | None = None, *, reactor: Any = None) -> Server:
    """Return the server as a service; without a configuration, the one that needs none."""
    if reactor is None:
        # not at the top: importing it installs one, and it may not be the one that is wanted
        from twisted.internet import reactor
    return Server(config or Config.default(), reactor)


def give_login(
    host: Host,
    options: HostOptions,
    hasher: Hasher,
    secret: bytes,
    clock: IReactorTime,
    tables: Iterable[Table],
    limit_options: LimitOptions | None = None,
    passwords: PasswordOptions | None = None,
) -> None:
    """Give a host what logs clients in and what makes accounts.

    secret: of the server, the same after a restart; tables: whose rows go with an account.
    """
    iterations = (passwords or PasswordOptions()).iterations
    sasl = host.features.get("sasl")
    sasl_options = SaslOptions() if sasl is None else sasl.sasl_options  # type: ignore[attr-defined]
    checkers: list[Any] = []
    for name in options.checkers:
        if name.name == "imsuite":
            accounts = _Accounts(host.users)
            checkers.append(StoreChecker(accounts, hasher, secret, iterations, host.domain))
        else:
            checkers.append(_made(f'[hosts."{host.domain}"] checkers', name))
    if sasl_options.anonymous:
        checkers.append(AllowAnonymousAccess())
    elsewhere = any(name.name != "imsuite" for name in options.checkers)
    realm = HostRealm(host.domain, IAccount, partial(_log_in, host, elsewhere))
    limits = FailureLimits(clock.seconds, limit_options)
    host.authenticator = Authenticator(
        host.domain,
        make_portal(realm, checkers),
        IAccount,
        limits,
        clock,
        sasl_options,
    )
    host.registrar = Registrar(host, host.users, hasher, limits, tables, iterations)


def option_classes() -> tuple[dict[str, type[Any]], dict[str, type[Any]]]:
    """Return the options classes of all features, and of the further tables of the file."""
    features = {word: cls.options_class() for word, cls in all_features().items()}
    return features, {
        "streams": StreamOptions,
        "logins": LimitOptions,
        "passwords": PasswordOptions,
    }


@implementer(IAccounts)
class _Accounts:
    """What the checker asks of the store: None where there is no such account."""

    def __init__(self, users: Users) -> None:
        self._users = users

    async def verifiers(self, localpart: str) -> str | None:
        """Return what a password is checked against."""
        try:
            return await self._users.verifiers(localpart) or None
        except NoSuchAccount:
            return None


async def _log_in(host: Host, elsewhere: bool, localpart: str, *, temporary: bool) -> Login:
    """Return the account of somebody who proved who they are, and what ends the log-in.

    elsewhere: a checker of another source may have vouched for an account that is not stored.
    """
    if temporary:
        account = host.temporary_account(localpart)
        return account, partial(_log_out, account)
    try:
        if (await host.users.find(localpart)).disabled:
            raise LoginRefused("account-disabled")
    except NoSuchAccount:
        pass
    own = await host.own_account(localpart, enter=elsewhere)
    if own is None:
        raise LoginRefused("temporary-auth-failure")
    return own, _nothing


def _log_out(account: Account) -> None:
    if not account.sessions:
        account.host.forget(account.jid.local)


async def _begin(host: Host) -> None:
    """Let a host begin to serve."""
    await host.users.load()
    await host.switch(hooks.STARTED).tell(host)


def _nothing() -> None:
    """A stored account needs no leave-taking: its sessions end with their streams."""


def _made(where: str, name: PythonName) -> Any:
    """Return the object that a dotted name in the configuration stands for."""
    try:
        found = namedAny(name.name)
        if isinstance(found, type) or name.arguments or name.options:
            return found(*name.arguments, **name.options)
        return found
    except Exception as why:
        raise ConfigError(f"{where}: {name.name} can not be made: {why}") from why


def _kept_secret(file: Path) -> bytes:
    """Return the server's secret, made once; it invents salts for unknown accounts."""
    try:
        kept = file.read_bytes()
        if len(kept) >= SECRET:
            return kept
    except FileNotFoundError:
        pass
    except OSError as why:
        raise ConfigError(f"{file}: the server's secret can not be read: {why.strerror}") from why
    made = secrets.token_bytes(SECRET)
    try:
        with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as out:
            out.write(made)
    except OSError as why:
        raise ConfigError(f"{file}: the server's secret can not be kept: {why.strerror}") from why
    return made
