"""Writes etc/imsuite.toml and docs/options.md from the options classes (architecture §9)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from textwrap import wrap
from typing import Any, get_type_hints

import attrs

from imsuite.app.config import HostOptions, ServerOptions, ServiceOptions
from imsuite.app.configuration import key, type_in_words

WIDTH = 90  # of comments

INTRODUCTION = """\
The configuration of imsuite, in TOML. Every option stands here, commented out, with its
default or an example. Durations are seconds and sizes bytes. A mistake in this
file stops the start with its line and what was probably meant.
"""
LIVE = "Changes take effect without a restart."

# table, how a reader of the file writes it, and what stands above it
Section = tuple[str, type[Any], str]


def write_commented(
    features: Mapping[str, type[Any]], tables: Mapping[str, type[Any]] | None = None
) -> str:
    """Return a configuration file in which all options are commented out. Arguments as `load`."""
    blocks = ["\n".join(_comment(INTRODUCTION))]
    for header, cls, text in _sections(features, tables or {}):
        # a service without handlers is a mistake, so its header is behind a # as well
        mark = "#" if cls is ServiceOptions else ""
        blocks.append("\n".join([*_comment(text), f"{mark}{header}"]))
        blocks += [_option(field) for field in _shown_fields(cls)]
    return "\n\n".join(blocks) + "\n"


def options_markdown(
    features: Mapping[str, type[Any]], tables: Mapping[str, type[Any]] | None = None
) -> str:
    """Return the reference of all options. Arguments as `load`."""
    blocks = [
        "# Options",
        "Written by `make docs` from the options classes; do not edit it.",
        "Durations are seconds and sizes bytes. An option marked *live* takes effect without a "
        "restart, when the server receives SIGHUP; any other waits for the next start.",
    ]
    for header, cls, text in _sections(features, tables or {}):
        rows = [f"## `{header}`", *([text] if text else [])]
        table = ["| option | type | default | meaning |", "|---|---|---|---|"]
        table += [_row(cls, field) for field in _shown_fields(cls)]
        blocks += [*rows, "\n".join(table)]
    return "\n\n".join(blocks) + "\n"


def toml(value: Any) -> str:
    """Return a value as TOML writes it, on one line."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(toml, value))}]"
    if isinstance(value, Mapping):
        pairs = ", ".join(f"{key(name)} = {toml(item)}" for name, item in value.items())
        return f"{{ {pairs} }}" if pairs else "{}"
    if attrs.has(type(value)):
        return _nested(value)
    return str(value)


def _nested(value: Any) -> str:
    """Return an instance of an options class, without what has its default."""
    given = {}
    for field in attrs.fields(type(value)):
        mine = getattr(value, field.name)
        if mine != field.default:
            given[field.name] = mine
    if list(given) == [getattr(value, "shorthand", None)]:
        return toml(given[value.shorthand])
    return toml(given)


def _sections(
    features: Mapping[str, type[Any]], tables: Mapping[str, type[Any]]
) -> Iterator[Section]:
    yield "[server]", ServerOptions, ""
    for name, cls in tables.items():
        yield f"[{name}]", cls, ""
    yield '[hosts."localhost"]', HostOptions, "A domain with accounts; as many as you want."
    for word, cls in features.items():
        if attrs.fields(cls):
            host = f'[hosts."example.org".features.{word}]'
            yield f"[features.{word}]", cls, f"For all hosts; {host} is for one."
    service = "A domain without accounts, on which handlers written for wokkel answer."
    yield '[services."echo.localhost"]', ServiceOptions, service


def _shown_fields(cls: type[Any]) -> tuple[attrs.Attribute[Any], ...]:
    return tuple(field for field in attrs.fields(cls) if "doc" in field.metadata)


def _meaning(field: attrs.Attribute[Any], live: str) -> str:
    parts = [field.metadata["doc"], *(check.doc for check in field.metadata["checks"])]
    parts += [live] if field.metadata["live"] else []
    return " ".join(part for part in parts if part)


def _comment(text: str) -> list[str]:
    return [f"# {line}" for line in wrap(text, WIDTH, break_on_hyphens=False)]


def _option(field: attrs.Attribute[Any]) -> str:
    lines = _comment(_meaning(field, LIVE))
    return "\n".join([*lines, f"#{field.name} = {toml(_sample(field))}"])


def _sample(field: attrs.Attribute[Any]) -> Any:
    """Return what the sample file shows: the default, or an example of what has none."""
    if field.default is not None and field.default is not attrs.NOTHING:
        return field.default
    example = field.metadata["example"]
    return "" if example is None else example


def _row(cls: type[Any], field: attrs.Attribute[Any]) -> str:
    default = "–" if field.default in (None, attrs.NOTHING) else f"`{toml(field.default)}`"
    kind = type_in_words(get_type_hints(cls)[field.name])
    cells = (f"`{field.name}`", kind, default, _meaning(field, "*live*"))
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"
