"""What a running server does with a changed configuration (SIGHUP, `imsuitectl reload`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

import attrs
from twisted.logger import Logger, LogLevel, LogLevelFilterPredicate

from imsuite.app.config import Config
from imsuite.app.reload import Change, changes, in_effect
from imsuite.streams.certificates import Certificate
from imsuite.xmpp.times import format_datetime

if TYPE_CHECKING:
    from imsuite.app.server import Server

AT_ONCE = "in effect"
LATER = "needs a restart"

log = Logger()


@attrs.frozen
class Renewed:
    """A certificate that differs from the one before, whether or not its file has moved."""

    domain: str
    certificate: Certificate

    def __str__(self) -> str:
        expires = format_datetime(int(self.certificate.expires) * 1_000_000)
        file = self.certificate.file
        return f"the certificate of {self.domain} was read from {file}; it expires {expires}"


@attrs.frozen
class Outcome:
    """One difference and what became of it. effect: AT_ONCE or LATER."""

    what: Change | Renewed
    effect: str


def reload(server: Server, config: Config) -> list[Outcome]:
    """Let a server go on with another configuration; return what is different, and log it.

    Only certificates and options marked live take effect. Raises ImsuiteError, with clear lines,
    when something is wrong; then nothing has changed.
    """
    live, waiting = changes(server.config, config)
    effective = in_effect(server.config, config)
    certificates = server.read_certificates(effective)
    renewed = server.use_certificates(certificates)
    server.config = effective
    _apply(server, effective)
    outcomes = [Outcome(Renewed(domain, certificates[domain]), AT_ONCE) for domain in renewed]
    outcomes += [Outcome(change, AT_ONCE) for change in live]
    outcomes += [Outcome(change, LATER) for change in waiting]
    for outcome in outcomes:
        say = log.info if outcome.effect == AT_ONCE else log.warn
        say("{effect}: {what}", effect=outcome.effect, what=str(outcome.what))
    if not outcomes:
        log.info("reloaded; nothing is different")
    return outcomes


def _apply(server: Server, config: Config) -> None:
    """Give the live options to whoever keeps a copy."""
    set_level(server.levels, config)
    server.admission.max_connections = config.server.max_connections
    server.admission.max_per_address = config.server.max_connections_per_address
    if server.clients is not None:
        server.clients.configure(config.tables.get("streams", server.clients.options))
    for domain, host in server.hosts.items():
        host.computed.clear()
        host.users.named = frozenset(config.hosts[domain].admins)
        for word, options in config.feature_options.get(domain, {}).items():
            if word in host.features:
                host.features[word].options = options


def set_level(levels: LogLevelFilterPredicate | None, config: Config) -> None:
    """Let the log have what is at or above the level of the configuration."""
    if levels is not None:
        levels.setLogLevelForNamespace("", LogLevel.levelWithName(config.server.log_level))
