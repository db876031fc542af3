"""What a changed configuration means to a server that runs: live, or after a restart (SIGHUP)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import attrs

from imsuite.app.config import Config
from imsuite.app.configuration import header


def sections(config: Config) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield the path of each table of options, and the options."""
    yield ("server",), config.server
    for name, options in config.tables.items():
        yield (name,), options
    for domain, host in config.hosts.items():
        yield ("hosts", domain), host
        for word, options in config.feature_options.get(domain, {}).items():
            yield ("hosts", domain, "features", word), options
    for domain, service in config.services.items():
        yield ("services", domain), service


@attrs.frozen
class Change:
    """An option, or a whole table, that differs between two configurations."""

    table: tuple[str, ...]
    option: str | None  # None: the table was added or removed
    old: Any
    new: Any
    live: bool = False
    secret: bool = False

    def __str__(self) -> str:
        if self.option is None:
            return f"{header(self.table)} was {'added' if self.old is None else 'removed'}"
        where = f"{header(self.table)} {self.option}"
        return f"{where} has changed" if self.secret else f"{where}: {self.old!r} -> {self.new!r}"


def changes(old: Config, new: Config) -> tuple[tuple[Change, ...], tuple[Change, ...]]:
    """Return what differs: what takes effect at once, and what needs a restart."""
    before, after = dict(sections(old)), dict(sections(new))
    found = [Change(table, None, before[table], None) for table in before.keys() - after.keys()]
    found += [Change(table, None, None, after[table]) for table in after.keys() - before.keys()]
    for table, was in before.items():
        if table not in after:
            continue
        for field in attrs.fields(type(was)):
            values = getattr(was, field.name), getattr(after[table], field.name)
            if values[0] != values[1]:
                marks = field.metadata
                live, secret = bool(marks.get("live")), bool(marks.get("secret"))
                found.append(Change(table, field.name, *values, live, secret))
    found.sort(key=lambda change: change.table)
    live_ones = tuple(change for change in found if change.live)
    return live_ones, tuple(change for change in found if not change.live)


def in_effect(old: Config, new: Config) -> Config:
    """Return what holds after a reload: the old configuration with the live options of the new."""
    after = dict(sections(new))

    def renewed(table: tuple[str, ...], was: Any) -> Any:
        now = after.get(table, was)
        live = [field.name for field in attrs.fields(type(was)) if field.metadata.get("live")]
        return attrs.evolve(was, **{name: getattr(now, name) for name in live})

    mixed = {table: renewed(table, options) for table, options in sections(old)}
    return attrs.evolve(
        old,
        server=mixed["server",],
        hosts={domain: mixed["hosts", domain] for domain in old.hosts},
        services={domain: mixed["services", domain] for domain in old.services},
        tables={name: mixed[name,] for name in old.tables},
        feature_options={
            host: {word: mixed["hosts", host, "features", word] for word in words}
            for host, words in old.feature_options.items()
        },
    )
