"""Reads etc/imsuite.toml, and tells of every mistake in it the line and what was meant (§9)."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from types import NoneType, UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import attrs

from imsuite.app.config import Config, ConfigError, HostOptions, ServerOptions, ServiceOptions
from imsuite.app.toml_lines import Path, lines
from imsuite.core.options import WrongValue, checked, nearest
from imsuite.xmpp.address import InvalidAddress, domainpart

LONGEST_SHOWN = 40  # characters of a wrong value that are repeated to the operator

TYPES = {bool: "true or false", int: "a whole number", float: "a number", str: "a text"}
_MISSING = object()


def load(
    path: str, features: Mapping[str, type[Any]], tables: Mapping[str, type[Any]] | None = None
) -> Config:
    """Return the configuration in a file.

    features: word → options class of every feature that is installed; tables: name → options
    class of further tables such as [streams]. Raises ConfigError with all mistakes, one a line.
    """
    try:
        with open(path, "rb") as file:
            content = file.read()
    except OSError as error:
        raise ConfigError(f"{path}: {error.strerror}") from error
    return parse(content, path, features, tables)


def parse(
    content: bytes,
    name: str,
    features: Mapping[str, type[Any]],
    tables: Mapping[str, type[Any]] | None = None,
) -> Config:
    """Return the configuration in the content of a file of that name, as `load` does."""
    try:
        text = content.decode().replace("\r\n", "\n")
        document = tomllib.loads(text)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise ConfigError(f"{name}:{line}: is not UTF-8") from None
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(_syntax(name, text, str(error))) from None
    reader = _Reader(name, lines(text), features, tables or {})
    config = reader.config(document)
    if reader.problems or config is None:
        raise ConfigError(*(problem for _, problem in sorted(reader.problems)))
    return config


def _syntax(name: str, text: str, error: str) -> str:
    match = re.search(r" \(at line (\d+), column (\d+)\)$", error)
    if match is None:  # "at end of document"
        return f"{name}:{text.count(chr(10), 0, -1) + 1}: {error}"
    what = error[: match.start()]
    if re.search(r"^[ \t]*features[ \t]*=[ \t]*\[", text, re.MULTILINE):
        what += '; the list of features is called "use"'
    return f"{name}:{match[1]}: {what} (column {match[2]})"


class _Reader:
    """Turns a document into options, and collects what is wrong with it."""

    def __init__(
        self,
        name: str,
        at: Mapping[Path, int],
        features: Mapping[str, type[Any]],
        tables: Mapping[str, type[Any]],
    ) -> None:
        self.name = name
        self.at = at
        self.features = features
        self.tables = tables
        self.problems: list[tuple[int, str]] = []  # line, and all that is said

    def problem(self, path: Path, what: str, about: str | None = None) -> None:
        """Note that something is wrong at a path; about: its name, if it is not the last key."""
        known = (path[:end] for end in range(len(path), 0, -1) if path[:end] in self.at)
        line = self.at.get(next(known, ()), 1)
        self.problems.append((line, f"{self.name}:{line}: {about or _name(path)}: {what}"))

    def config(self, document: dict[str, Any]) -> Config | None:
        """Read all."""
        known = ("server", "hosts", "services", "features", *self.tables)
        for name, value in document.items():
            if name not in known:
                kind = "table" if isinstance(value, dict) else "option outside a table"
                about = header((name,)) if isinstance(value, dict) else name
                self.problem((name,), f"no such {kind}{nearest(name, known)}", about)
        server = self.options(ServerOptions, document.get("server", {}), ("server",))
        tables = {
            name: self.options(cls, document.get(name, {}), (name,))
            for name, cls in self.tables.items()
        }
        everywhere = self.feature_options(document.get("features", {}), ("features",), {})
        of_features: dict[str, Any] = {}
        hosts: dict[str, Any] = {}
        for key, domain, value in self.domains(document, "hosts"):
            own = dict(value)
            here = own.pop("features", {})
            path: Path = ("hosts", key)
            of_features[domain] = self.feature_options(here, (*path, "features"), everywhere)
            hosts[domain] = self.options(HostOptions, own, path)
            self.switches(hosts[domain], own, (*path, "use"))
        services: dict[str, Any] = {}
        for key, domain, value in self.domains(document, "services"):
            if domain in hosts:
                self.problem(("services", key), "this domain is a host already")
            services[domain] = self.options(ServiceOptions, value, ("services", key))
        if self.problems:
            return None
        if not hosts:
            of_features["localhost"] = everywhere
        return Config.make(server, hosts, services, of_features, tables, self.name)

    def domains(
        self, document: Mapping[str, Any], table: str
    ) -> Iterable[tuple[str, str, dict[str, Any]]]:
        """Yield key, domain and table of each host or service whose domain is one."""
        seen: dict[str, str] = {}
        for key, value in self.table(document.get(table, {}), (table,)).items():
            try:
                domain = domainpart(key)
            except InvalidAddress as error:
                self.problem((table, key), f"is not a domain ({error})")
                continue
            if domain in seen:
                self.problem((table, key), f'is the same domain as "{seen[domain]}"')
            seen[domain] = key
            yield key, domain, self.table(value, (table, key))

    def table(self, value: Any, path: Path) -> dict[str, Any]:
        """Return a value that must be a table, or an empty one instead of it."""
        if isinstance(value, dict):
            return value
        what = f"must be a table, not {_shown(value)}"
        if path[-1] == "features":
            what += '; the list of features is called "use"'
        self.problem(path, what)
        return {}

    def feature_options(self, value: Any, path: Path, base: Mapping[str, Any]) -> Mapping[str, Any]:
        """Read the tables of features; base: the options that hold where this is silent."""
        tables = self.table(value, path)
        for word in tables.keys() - self.features.keys():
            about = header((*path, word))
            self.problem((*path, word), f"no such feature{nearest(word, self.features)}", about)
        return {
            word: self.options(cls, tables.get(word, {}), (*path, word), base.get(word))
            for word, cls in self.features.items()
        }

    def switches(self, host: HostOptions | None, given: Mapping[str, Any], path: Path) -> None:
        """Check the names of features to use."""
        for place, word in enumerate(host.use if host and "use" in given else ()):
            name = word.removeprefix("-")
            if word != "default" and name not in self.features:
                near = nearest(name, (*self.features, "default"))
                self.problem((*path, place), f'no such feature as "{name}"{near}')

    def options(self, cls: type[Any], value: Any, path: Path, base: Any = None) -> Any:
        """Return an instance of an options class, or None after noting what is wrong.

        base: an instance with the values of options that are not in the table.
        """
        shorthand = getattr(cls, "shorthand", None)
        if shorthand is not None and isinstance(value, str):
            value = {shorthand: value}
        before = len(self.problems)
        given = self.table(value, path)
        if len(self.problems) > before:
            return None
        fields = attrs.fields_dict(cls)
        hints = get_type_hints(cls)
        for key in given.keys() - fields.keys():
            known = (*fields, "features") if cls is HostOptions else fields
            self.problem((*path, key), f"no such option{nearest(key, known)}")
        values = {} if base is None else {name: getattr(base, name) for name in fields}
        for name, field in fields.items():
            where = (*path, name)
            if name in given:
                values[name] = self.option(field, hints[name], given[name], where)
            elif field.default is attrs.NOTHING and base is None:
                self.problem(where, "is missing")
        return cls(**values) if len(self.problems) == before else None

    def option(self, field: attrs.Attribute[Any], kind: Any, value: Any, path: Path) -> Any:
        """Return the value of one option, or None after noting what is wrong with it."""
        secret = bool(field.metadata.get("secret"))
        before = len(self.problems)
        fitting = self.fit(kind, value, path, (lambda _: "this") if secret else _shown)
        if len(self.problems) > before:
            return None
        try:
            return checked(fitting, field.metadata.get("checks", ()))
        except WrongValue as error:
            at = path if error.place is None else (*path, error.place)
            wrong = value if error.place is None else value[error.place]
            told = "" if secret or isinstance(wrong, list | dict) else f"{_shown(wrong)} "
            self.problem(at, f"{told}{error}")
            return None

    def fit(self, kind: Any, value: Any, path: Path, shown: Callable[[Any], str]) -> Any:
        """Return a value as the type of its option has it, or note that it does not fit."""
        origin, inner = get_origin(kind), get_args(kind)
        if origin in (Union, UnionType):
            (kind,) = (each for each in inner if each is not NoneType)
            return self.fit(kind, value, path, shown)
        if kind is Any:
            return value
        if origin is tuple:
            if isinstance(value, list):
                return tuple(
                    self.fit(inner[0], item, (*path, place), shown)
                    for place, item in enumerate(value)
                )
        elif attrs.has(kind):
            return self.options(kind, value, path)
        elif origin is not None:
            if isinstance(value, dict):
                return {
                    key: self.fit(inner[1], item, (*path, key), shown)
                    for key, item in value.items()
                }
        elif kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        elif isinstance(value, kind) and (kind is bool or not isinstance(value, bool)):
            return value
        self.problem(path, f"must be {type_in_words(kind)}, not {shown(value)}")
        return None


def type_in_words(kind: Any) -> str:
    """Return what an option of this type must be, as "a whole number" or "a list of texts"."""
    origin, inner = get_origin(kind), get_args(kind)
    if origin in (Union, UnionType):
        return type_in_words(next(each for each in inner if each is not NoneType))
    if origin is tuple:
        item = "anything" if inner[0] is Any else type_in_words(inner[0])
        return f"a list, each item {item}"
    if hasattr(kind, "shorthand"):
        return "a text or a table"
    return TYPES.get(kind, "a table")


def _shown(value: Any) -> str:
    """Return a value as it may have been written, on one line and not too long."""
    if isinstance(value, dict):
        return "a table"
    if isinstance(value, list):
        return "a list"
    if isinstance(value, bool):
        return str(value).lower()
    if not isinstance(value, str):
        return str(value)
    cut = value if len(value) <= LONGEST_SHOWN else value[:LONGEST_SHOWN] + "…"
    return '"' + "".join(c if c.isprintable() else repr(c)[1:-1] for c in cut) + '"'


def key(part: str | int, quoted: bool = False) -> str:
    """Return one part of a key, in quotes only where TOML needs them or if asked for."""
    bare = not quoted and re.fullmatch(r"[A-Za-z0-9_-]+", str(part))
    return str(part) if bare else _shown(str(part))


def header(path: Path) -> str:
    """Return the header of a table: [hosts."example.org".features.blocking]."""
    domains = path[0] in ("hosts", "services")
    return f"[{'.'.join(key(part, domains and place == 1) for place, part in enumerate(path))}]"


def _name(path: Path) -> str:
    """Return the name of an option behind that of its table, or the name of a table."""
    depth = 1
    if path[0] in ("hosts", "services"):
        depth = 4 if path[2:3] == ("features",) else 2
    elif path[0] == "features":
        depth = 2
    if len(path) <= min(depth, 2):
        return header(path)
    depth = min(depth, len(path) - 1)
    # options inside an option, as those of one checker among several, have its name in front
    name = "".join(
        f".{key(part)}" if isinstance(part, str) else f"[{part + 1}]" for part in path[depth:]
    )
    return f"{header(path[:depth])} {name.removeprefix('.')}"
