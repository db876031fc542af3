"""What test_house.py and house_steps.py know about the tree: files, imports, features, tables."""

from __future__ import annotations

import ast
import importlib
import json
import pkgutil
import re
import tokenize
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "imsuite"
TESTS = ROOT / "tests"
# directories of tests that mirror something else than a directory of imsuite/
MIRRORED = {
    "benchmarks": "benchmarks",
    "benchmarks/loads": "benchmarks/loads",
    "benchmarks/servers": "benchmarks/servers",
    "durability": "benchmarks/torture",
}
SHIPPED = TESTS / "shipped_steps.json"

# docs/architecture.md §1
FLOORS = {
    "xmpp": 0,
    "rules": 1,
    "core": 2,
    "store": 3,
    "streams": 3,
    "auth": 3,
    "web": 3,
    "cluster": 3,
    "features": 4,
    "gateways": 4,
    "app": 5,
    "testing": 5,
}
# the one way between packages of one floor: a server for tests is the server
NEXT_DOOR = {("testing", "app")}
# belongs to no floor: any module may import it, it imports nothing of ours
GROUND = {"imsuite", "imsuite._compat"}

FEATURE_NAME = re.compile(r"(xep|rfc)(\d{4})_([a-z][a-z0-9]*)")
SPEC = re.compile(r"(XEP-|RFC )(\d{4})\b")


class Import(NamedTuple):
    """One name that a file imports."""

    target: str  # dotted; names one of our modules whenever it can
    line: int
    typing_only: bool  # inside `if TYPE_CHECKING:`


def python_files(*places: str) -> list[Path]:
    """Return all Python files of these directories below the root, sorted."""
    return sorted(path for place in places for path in (ROOT / place).rglob("*.py"))


def shown(path: Path) -> str:
    """Return a path as a reader of a failure wants it: from the root, with slashes."""
    return path.relative_to(ROOT).as_posix()


@cache
def modules() -> dict[str, Path]:
    """Return dotted name → file of every module in imsuite/."""
    found = {}
    for path in python_files("imsuite"):
        parts = path.relative_to(ROOT).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(path: Path) -> ast.Module:
    """Return the syntax tree of a file."""
    return ast.parse(path.read_bytes(), str(path))


@cache
def comments(path: Path) -> list[tuple[int, str]]:
    """Return line and text of each comment in a file."""
    with path.open("rb") as file:
        return [
            (token.start[0], token.string)
            for token in tokenize.tokenize(file.readline)
            if token.type == tokenize.COMMENT
        ]


def _is_type_checking(test: ast.expr) -> bool:
    return "TYPE_CHECKING" in (getattr(test, "id", None), getattr(test, "attr", None))


def _import_nodes(
    node: ast.AST, typing_only: bool
) -> Iterator[tuple[ast.Import | ast.ImportFrom, bool]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Import | ast.ImportFrom):
            yield child, typing_only
        elif isinstance(child, ast.If) and _is_type_checking(child.test):
            for part in child.body:
                yield from _import_nodes(ast.Module([part], []), True)
            for part in child.orelse:
                yield from _import_nodes(ast.Module([part], []), typing_only)
        else:
            yield from _import_nodes(child, typing_only)


@cache
def imports(path: Path) -> list[Import]:
    """Return what a file imports, anywhere in it."""
    ours = modules()
    found = []
    for node, typing_only in _import_nodes(tree(path), False):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        else:
            base = "." * node.level + (node.module or "")
            names = [f"{base}.{alias.name}" for alias in node.names]
            # `from imsuite.xmpp import ns` names a module; `from imsuite.xmpp.ns import X` does not
            targets = [name if name in ours else base for name in names]
        found += [Import(target, node.lineno, typing_only) for target in targets]
    return found


def floor(module: str) -> tuple[int, str] | None:
    """Return number and package of the floor a module of ours is on; None on the ground."""
    if module in GROUND:
        return None
    package = module.split(".")[1]
    return FLOORS[package], package


def unit(module: str) -> str:
    """Return the file or the directory that holds one feature or gateway: imsuite.features.x."""
    return ".".join(module.split(".")[:3])


def circle(edges: dict[str, set[str]]) -> list[str]:
    """Return one circle of a graph, first name again at the end, or an empty list."""
    done: set[str] = set()
    path: list[str] = []

    def visit(name: str) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        path.append(name)
        for target in sorted(edges.get(name, ())):
            if found := visit(target):
                return found
        path.pop()
        done.add(name)
        return []

    for name in sorted(edges):
        if found := visit(name):
            return found
    return []


@cache
def feature_files() -> dict[str, Path]:
    """Return name → file (a directory's __init__.py) of each feature in imsuite/features/."""
    found = {}
    for path in sorted((PACKAGE / "features").iterdir()):
        if path.suffix == ".py" and path.stem != "__init__":
            found[path.stem] = path
        elif (path / "__init__.py").is_file():
            found[path.name] = path / "__init__.py"
    return found


@cache
def import_all() -> dict[str, Any]:
    """Return every module of imsuite/, imported."""
    importlib.import_module("imsuite._compat")
    root = importlib.import_module("imsuite")
    found: dict[str, Any] = {"imsuite": root}
    for info in pkgutil.walk_packages(root.__path__, "imsuite."):
        found[info.name] = importlib.import_module(info.name)
    return found


@cache
def features() -> dict[str, Any]:
    """Return word → class of all features, as the server finds them."""
    registry = importlib.import_module("imsuite.app.registry")
    return dict(registry.all_features())


@cache
def tables() -> dict[str, Any]:
    """Return name → Table of every table a feature or a module of ours declares."""
    table_class = importlib.import_module("imsuite.core.interfaces").Table
    schema = importlib.import_module("imsuite.store.schema")
    declared = [table for feature in features().values() for table in feature.tables]
    for module in import_all().values():
        for value in vars(module).values():
            members = value if isinstance(value, tuple | list) else (value,)
            declared += [member for member in members if isinstance(member, table_class)]
    # the two tables that remember the steps of all others are made before there are steps
    return {"imsuite_meta": table_class("imsuite_meta", schema.META), **schema.gather(declared)}


def digests(table: Any) -> list[str]:
    """Return the digest of each step of a table, as databases remember it."""
    schema = importlib.import_module("imsuite.store.schema")
    return [schema.digest(step) for step in table.steps]


def shipped() -> dict[str, list[str]]:
    """Return table → digests of its steps, as they were noted when they shipped."""
    noted: dict[str, list[str]] = json.loads(SHIPPED.read_text())
    return noted
