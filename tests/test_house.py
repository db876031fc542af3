"""The rules of the house (docs/architecture.md §13), and those of docs/style.md a test can see."""

from __future__ import annotations

import ast
import importlib
import inspect
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import attrs
import click
import pytest
from zope.interface import directlyProvidedBy, implementedBy
from zope.interface.exceptions import Invalid
from zope.interface.verify import verifyClass, verifyObject

from imsuite.app import reference
from tests import house, house_tree
from tests.house import ROOT, TESTS, shown

LONGEST_FILE = 500  # lines
LONGEST_CORE = 3500  # lines, all of core/ together

# what the two lowest floors may use: nothing that reads a clock, a socket, a file or a die
PURE = {
    *("__future__", "abc", "base64", "binascii", "bisect", "collections", "contextlib", "copy"),
    *("dataclasses", "datetime", "enum", "functools", "hashlib", "heapq", "hmac", "html"),
    *("ipaddress", "itertools", "json", "math", "operator", "re", "string", "stringprep"),
    *("struct", "textwrap", "threading", "types", "typing", "unicodedata", "weakref", "xml"),
    "zlib",
    *("attr", "attrs", "idna", "precis_i18n", "pyexpat", "wokkel", "zope"),
    *("twisted.words", "imsuite"),
}
# and may not ask: what a thread has of its own is no I/O, starting one is
IMPURE_CALLS = {"now", "utcnow", "today", "SystemRandom", "Thread", "Timer"}


def none(found: Iterable[str]) -> None:
    """Fail with one line for each breach."""
    breaches = sorted(set(found))
    assert not breaches, "\n" + "\n".join(breaches)


# --- floors -----------------------------------------------------------------------------------


def test_every_package_is_on_a_floor():
    """§1: who adds a package says on which floor it is."""
    packages = {name.split(".")[1] for name in house.modules() if name.count(".") >= 1}
    none(f"imsuite/{name} is on no floor" for name in packages - {"_compat"} - set(house.FLOORS))


def test_imports_go_down_the_floors():
    """§13.1: from the own floor or from below; packages of one floor keep apart."""
    breaches = []
    for module, path in house.modules().items():
        here = house.floor(module)
        for target, line, _ in house.imports(path):
            there = house.floor(target) if target.split(".")[0] == "imsuite" else None
            way = (here and here[1], there and there[1])
            if target.startswith("."):
                breaches.append(f"{shown(path)}:{line} imports {target}: imports are absolute")
            elif there is None:
                continue
            elif here is None:
                breaches.append(f"{shown(path)}:{line} imports {target}: _compat imports nothing")
            elif there[0] > here[0]:
                breaches.append(f"{shown(path)}:{line} imports {target}, from a floor above")
            elif there[0] == here[0] and there[1] != here[1] and way not in house.NEXT_DOOR:
                breaches.append(f"{shown(path)}:{line} imports {target}, next door")
    none(breaches)


@pytest.mark.parametrize("package", ["features", "gateways"])
def test_features_do_not_import_each_other(package):
    """§13.1: they ask each other by interface, through `requires`."""
    inside = f"imsuite.{package}."
    none(
        f"{shown(path)}:{line} imports {target}"
        for module, path in house.modules().items()
        if module.startswith(inside)
        for target, line, _ in house.imports(path)
        if target.startswith(inside) and house.unit(target) != house.unit(module)
    )


def test_imports_make_no_circle():
    """§13.1; what is imported for type checkers only does not count, as it never runs."""
    ours = house.modules()
    edges = {
        module: {
            target
            for target, _, typing_only in house.imports(path)
            if target in ours and not typing_only and target != module
        }
        for module, path in ours.items()
    }
    assert house.circle(edges) == []


def test_a_circle_is_found():
    assert house.circle({"a": {"b"}, "b": {"c"}, "c": {"b"}}) == ["b", "c", "b"]
    assert house.circle({"a": {"b", "c"}, "b": {"c"}, "c": set()}) == []


def test_low_floors_are_pure():
    """§13.2: no reactor, database, clock or randomness; time and random bytes are arguments."""
    breaches = []
    for path in house.python_files("imsuite/xmpp", "imsuite/rules"):
        for target, line, _ in house.imports(path):
            if target.split(".")[0] not in PURE and not target.startswith("twisted.words"):
                breaches.append(f"{shown(path)}:{line} imports {target}")
        for node in ast.walk(house.tree(path)):
            if isinstance(node, ast.Attribute) and node.attr in IMPURE_CALLS:
                breaches.append(f"{shown(path)}:{node.lineno} asks {node.attr}()")
    none(breaches)


def test_wokkel_is_imported_after_compat():
    """imsuite/_compat.py makes wokkel importable, so it comes first wherever wokkel is used."""
    breaches = []
    for path in house.python_files("imsuite"):
        names = [name for name, _, _ in house.imports(path)]
        uses = [at for at, name in enumerate(names) if name.split(".")[0] == "wokkel"]
        if path.name != "_compat.py" and uses and "imsuite._compat" not in names[: uses[0]]:
            breaches.append(f"{shown(path)} imports wokkel without imsuite._compat before it")
    none(breaches)


# --- files ------------------------------------------------------------------------------------


def test_files_are_short():
    """§13.3, §2: 500 lines for a file, 3,500 for core/."""
    lines = {
        path: len(path.read_text().splitlines())
        for path in house.python_files("imsuite", "twisted", "tests", "benchmarks", "examples")
    }
    none(f"{shown(path)}: {count} lines" for path, count in lines.items() if count > LONGEST_FILE)
    core = sum(count for path, count in lines.items() if path.is_relative_to(ROOT / "imsuite/core"))
    assert core <= LONGEST_CORE


def test_init_files_hold_a_docstring_only():
    """Style: no code in __init__.py, except in the header of a feature that is a directory."""
    headers = set(house.feature_files().values())
    breaches = []
    for path in house.python_files("imsuite"):
        if path.name == "__init__.py" and path not in headers:
            body = house.tree(path).body
            if len(body) != 1 or ast.get_docstring(house.tree(path)) is None:
                breaches.append(f"{shown(path)} holds more or less than one docstring")
    none(breaches)


def test_tags_in_comments_say_where_to_look():
    """Style: TODO(#12), COMPAT(name version), UNCLEAR(XEP-0045 §7.2); no other tag."""
    bare = re.compile(r"#\s*(?:(?:TODO|COMPAT|UNCLEAR)\b(?!\([^)]+\))|(?:FIXME|XXX|HACK)\b)")
    none(
        f"{shown(path)}:{line} {text}"
        for path in house.python_files("imsuite", "tests", "benchmarks", "examples")
        for line, text in house.comments(path)
        if bare.search(text)
    )


# --- tests ------------------------------------------------------------------------------------


def test_tests_are_named_after_what_they_test():
    """§2: tests/<floor>/test_<module>.py, or test_<module>_<facet>.py, for a module there is."""
    breaches = []
    for path in TESTS.rglob("test_*.py"):
        where = path.relative_to(TESTS).parent
        if where == Path():
            continue  # test_house.py, test_dialogues.py and their like look at the whole
        beside = ROOT / house.MIRRORED.get(where.as_posix(), f"imsuite/{where.as_posix()}")
        names = {other.stem for other in beside.glob("*.py")} | {
            other.name for other in beside.glob("*/")
        }
        words = path.stem.removeprefix("test_").split("_")
        if not names & {"_".join(words[:count]) for count in range(1, len(words) + 1)}:
            breaches.append(f"{shown(path)} mirrors no module in {shown(beside)}")
    none(breaches)


def test_tests_do_not_sleep():
    """§12: time is an argument; where it is not, tests wait for an event."""
    breaches = []
    for path in house.python_files("tests"):
        for node in ast.walk(house.tree(path)):
            asked = isinstance(node, ast.Attribute) and node.attr == "sleep"
            asked = asked and ast.unparse(node) == "time.sleep"
            named = isinstance(node, ast.ImportFrom) and (
                node.module == "time" and any(alias.name == "sleep" for alias in node.names)
            )
            if asked or named:
                breaches.append(f"{shown(path)}:{node.lineno} sleeps")
    none(breaches)


def test_pytest_twisted_is_absent():
    """§12: it and trial's TestCase do not go together."""
    assert importlib.util.find_spec("pytest_twisted") is None


# --- features ---------------------------------------------------------------------------------


def test_feature_files_are_named_after_their_specification():
    """§13.4: xepNNNN_word.py or rfcNNNN_word.py, and each word once."""
    names = house.feature_files()
    none(
        f"{shown(path)}: not xepNNNN_word or rfcNNNN_word"
        for name, path in names.items()
        if not house.FEATURE_NAME.fullmatch(name)
    )
    words = Counter(name.split("_", 1)[1] for name in names)
    assert [word for word, count in words.items() if count > 1] == []


def test_feature_file_class_and_config_word_agree():
    """§13.4: the registry knows each file by its word, and its `spec` has the file's number."""
    features = house.features()
    expected = {}
    breaches = []
    for name, path in house.feature_files().items():
        kind, number, word = house.FEATURE_NAME.fullmatch(name).groups()
        expected[word] = f"imsuite.features.{name}"
        spec = house.SPEC.match(getattr(features.get(word), "spec", "") or "")
        if spec is None:
            breaches.append(f"{shown(path)}: no spec such as 'XEP-0199 2.0.1' or 'RFC 6120 §5'")
        elif (spec[1].strip(" -").lower(), spec[2]) != (kind, number):
            breaches.append(f"{shown(path)}: its spec is {features[word].spec}")
    none(breaches)
    assert {word: feature.__module__ for word, feature in features.items()} == expected


def test_every_feature_is_tested_shown_and_listed():
    """§13.5: a test, a dialogue, and a line in docs/specs.md."""
    specs = (ROOT / "docs/specs.md").read_text()
    breaches = []
    for name in house.feature_files():
        number, word = name.split("_", 1)
        tested = (TESTS / f"features/test_{name}.py").is_file()
        if not tested and not any((TESTS / "features" / name).glob("test_*.py")):
            breaches.append(f"{name}: no tests/features/test_{name}.py")
        if not (TESTS / f"dialogues/{name}.txt").is_file():
            breaches.append(f"{name}: no tests/dialogues/{name}.txt")
        if not any(number[3:] in line and word in line for line in specs.splitlines()):
            breaches.append(f"{name}: no line in docs/specs.md")
    none(breaches)


def test_every_dialogue_belongs_to_a_feature():
    """§12: one conversation file for each specification, called as the feature is."""
    names = {path.stem for path in (TESTS / "dialogues").glob("*.txt")}
    assert names - set(house.feature_files()) - set(reference.PASSED) == set()


# --- words for the operator -------------------------------------------------------------------


def test_every_option_has_a_meaning():
    """§13.6, §9: options are attrs classes whose fields carry their doc."""
    breaches = []
    for name, module in house.import_all().items():
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ != name or not attrs.has(found):
                continue
            fields = attrs.fields(found)
            if found.__name__.endswith("Options") or any("doc" in it.metadata for it in fields):
                breaches += [
                    f"{name}.{found.__qualname__}.{field.name} has no doc"
                    for field in fields
                    if not str(field.metadata.get("doc", "")).strip()
                ]
    none(breaches)


def test_every_hook_has_a_meaning():
    """§13.6, §4: what passes, when, and a line in the architecture."""
    hooks = importlib.import_module("imsuite.core.hooks")
    listed = (ROOT / "docs/architecture.md").read_text()
    breaches = [
        f"hook {name}: {missing}"
        for name, hook in vars(hooks).items()
        if isinstance(hook, hooks.Hook)
        for missing, is_missing in (
            (f"is called {hook.name}", hook.name != name),
            ("does not say what it passes", not hook.passes.strip()),
            ("does not say when", not hook.doc.strip()),
            ("is not in HOOKS", hook not in hooks.HOOKS),
            ("is not in docs/architecture.md §4", f"`{name}`" not in listed),
        )
        if is_missing
    ]
    none(breaches)


def test_every_command_has_a_meaning():
    """§13.6: what a command says of itself, wherever it is shown."""
    command_class = importlib.import_module("imsuite.app.command").Command
    commands = {
        f"{name}.{word}": value
        for name, module in house.import_all().items()
        for word, value in vars(module).items()
        if isinstance(value, command_class)
    }
    assert commands
    none(f"{name} has no doc" for name, command in commands.items() if not command.doc.strip())
    none(
        f"{name} {field.name} has no doc"
        for name, command in commands.items()
        for field in attrs.fields(command.arguments)
        if not str(field.metadata.get("doc", "")).strip()
    )


def test_imsuitectl_explains_itself():
    """§13.6: imsuitectl --help has a word for each command and each of its options."""
    breaches = []

    def check(command: click.Command, path: str) -> None:
        if not (command.help or "").strip():
            breaches.append(f"{path} has no help")
        for parameter in command.params:
            if isinstance(parameter, click.Option) and not (parameter.help or "").strip():
                breaches.append(f"{path} {parameter.opts[0]} has no help")
        if isinstance(command, click.Group):
            for name, each in command.commands.items():
                check(each, f"{path} {name}")

    trees = [
        value
        for value in vars(importlib.import_module("imsuite.app.ctl")).values()
        if isinstance(value, click.Command)
    ]
    assert trees
    for tree in trees:
        check(tree, f"imsuitectl {tree.name or ''}".strip())
    none(breaches)


def test_shipped_table_steps_are_unchanged():
    """§13.7, §8: a database somewhere has gone through them; `make steps` notes new ones."""
    noted = house.shipped()
    now = {name: house.digests(table) for name, table in house.tables().items()}
    none(
        f"table {name}: a shipped step was changed or taken away; add a step instead"
        for name, steps in noted.items()
        if now.get(name, [])[: len(steps)] != steps
    )
    none(
        f"table {name}: steps that are not noted yet; run `make steps`"
        for name, steps in now.items()
        if len(steps) > len(noted.get(name, []))
    )


def test_interfaces_are_implemented_in_full():
    """§13.8: each class has the methods, with the arguments, that its interfaces name."""
    breaches = []
    for name, module in house.import_all().items():
        for _, found in inspect.getmembers(module, inspect.isclass):
            if found.__module__ != name:
                continue
            checks = [(verifyClass, interface) for interface in implementedBy(found).declared]
            checks += [(verifyObject, interface) for interface in directlyProvidedBy(found)]
            for verify, interface in checks:
                try:
                    verify(interface, found)
                except Invalid as error:
                    breaches.append(f"{name}.{found.__qualname__}: {error}")
    none(breaches)


# --- documents --------------------------------------------------------------------------------


def documents() -> list[Path]:
    """Return every Markdown file of the project."""
    return [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("news/*.md")]


def test_written_documents_are_up_to_date(tmp_path):
    """§13.9: they are what `make docs` would write."""
    for part in ("imsuite", "docs", "etc"):
        without = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / part, tmp_path / part, ignore=without)
    command = [sys.executable, "-m", "imsuite.app.reference"]
    subprocess.run(command, cwd=tmp_path, check=True, capture_output=True, timeout=60)
    none(
        f"{name} is out of date; run `make docs`"
        for name in ("docs/specs.md", "docs/options.md", "etc/imsuite.toml")
        if (ROOT / name).read_text() != (tmp_path / name).read_text()
    )


def test_architecture_names_every_module():
    """§2: the tree of the document is the tree there is; `make docs` writes it."""
    text = house_tree.DOCUMENT.read_text()
    assert text == house_tree.written(text)


def test_links_in_documents_lead_somewhere():
    breaches = []
    for path in documents():
        text = re.sub(r"```.*?```|`[^`\n]*`", "", path.read_text(), flags=re.DOTALL)
        for target in re.findall(r"\[[^\]]*\]\(([^)\s]+)\)", text):
            file = target.split("#")[0]
            outside = "://" in target or target.startswith("mailto:")
            if file and not outside and not (path.parent / file).exists():
                breaches.append(f"{shown(path)}: {target}")
    none(breaches)


def test_make_targets_in_documents_exist():
    """What the README and its neighbours tell to type can be typed."""
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    none(
        f"{shown(path)}: make {target}"
        for path in documents()
        for target in re.findall(r"(?:`|^ {4})make ([a-z]+)", path.read_text(), re.MULTILINE)
        if target not in targets
    )


def test_news_fragments_are_valid():
    """news/README.md: <issue>.<kind>.md, in kinds that towncrier knows, with something in it."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["towncrier"]
    kinds = "|".join(kind["directory"] for kind in settings["type"])
    name = re.compile(rf"(?:\d+|\+[\w-]+)\.(?:{kinds})(?:\.\d+)?\.md")
    breaches = []
    for path in (ROOT / "news").iterdir():
        if path.name not in {"README.md", ".gitignore"}:
            if not name.fullmatch(path.name):
                breaches.append(f"{shown(path)}: not <issue>.<kind>.md")
            elif not path.read_text().strip():
                breaches.append(f"{shown(path)}: empty")
    none(breaches)


def test_house_tests_see_the_tree_they_belong_to():
    """The modules under test are those of this checkout, not an installed copy."""
    assert Path(sys.modules["imsuite"].__file__).is_relative_to(ROOT)
