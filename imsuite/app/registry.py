"""Which features there are: every module of `imsuite.features`, and those of other packages."""

from __future__ import annotations

import pkgutil
from collections.abc import Iterable, Mapping
from functools import cache
from importlib import import_module
from importlib.metadata import entry_points

from imsuite.core.feature import Feature
from imsuite.core.options import nearest
from imsuite.xmpp.errors import ImsuiteError

GROUP = "imsuite.features"  # entry points of other packages: word = "package.module"


class NoSuchFeature(ImsuiteError):
    """A feature was named that nobody provides."""


@cache
def all_features() -> dict[str, type[Feature]]:
    """Return every feature that is installed, by config word, in order of their numbers."""
    package = import_module("imsuite.features")
    names = sorted(
        f"imsuite.features.{found.name}" for found in pkgutil.iter_modules(package.__path__)
    )
    names += sorted(point.value for point in entry_points(group=GROUP))
    found: dict[str, type[Feature]] = {}
    for name in names:
        module = import_module(name)
        for value in vars(module).values():
            if _is_feature_of(value, name):
                found[value.word()] = value
    return found


def _is_feature_of(value: object, module: str) -> bool:
    return (
        isinstance(value, type)
        and issubclass(value, Feature)
        and bool(value.spec)
        and value.__module__ == module
    )


def chosen(words: Iterable[str]) -> list[type[Feature]]:
    """Return the features that a list of words switches on.

    "default" stands for all that are on by default; "-word" switches one off again, and with it
    those of "default" that need what it gives. Raises NoSuchFeature.
    """
    known = all_features()
    on: dict[str, bool] = {}
    named = set()
    for word in words:
        if word == "default":
            on.update({name: True for name, cls in known.items() if cls.default})
            continue
        name = word.removeprefix("-")
        if name not in known:
            raise NoSuchFeature(f'there is no feature "{name}"{nearest(name, known)}')
        on[name] = not word.startswith("-")
        named.add(name)
    found = {name: cls for name, cls in known.items() if on.get(name)}
    while needy := [n for n, cls in found.items() if n not in named and _misses(cls, found)]:
        for name in needy:
            del found[name]
    return list(found.values())


def _misses(cls: type[Feature], others: Mapping[str, type[Feature]]) -> bool:
    """Tell whether a feature needs something that none of these gives."""
    return any(
        not any(wanted.implementedBy(other) for other in others.values()) for wanted in cls.requires
    )
