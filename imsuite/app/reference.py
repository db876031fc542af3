"""Writes docs/specs.md, docs/options.md and etc/imsuite.toml from the features and their options.

python -m imsuite.app.reference            write what is different
python -m imsuite.app.reference --check    only tell what is different; exit status 1 if so
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from imsuite.app.config_text import options_markdown, write_commented
from imsuite.app.registry import all_features
from imsuite.app.server import option_classes
from imsuite.core.feature import Feature

ROOT = Path(__file__).resolve().parents[2]

SPECS = """\
# Specifications

Written by `make docs` from the headers of the features; do not edit it. *word* is what the
configuration calls a feature; *on* says whether it is switched on by default.

| specification | title | what it does here | word | on | file |
|---|---|---|---|---|---|
"""
PASSED_ON = """
What these ask of a server is to pass a payload on as it was written, and they need no feature:
"""
# XEP numbers, with a word where there is a dialogue of that name
PASSED = (
    "xep0066",
    "xep0085_chatstates",
    "xep0131_headers",
    "xep0184_receipts",
    "xep0222_public",
    "xep0223_private",
    "xep0249_invitations",
    "xep0308_correction",
    "xep0333_markers",
    "xep0334_hints",
    "xep0353_calls",
    "xep0380",
    "xep0384",
    "xep0428",
    "xep0444_reactions",
    "xep0461_replies",
)


def features() -> dict[str, type[Feature]]:
    """Return the features of this package, without those that other packages bring."""
    return {
        word: cls
        for word, cls in all_features().items()
        if cls.__module__.startswith("imsuite.features.")
    }


def specs_markdown() -> str:
    """Return the table of the specifications."""
    rows = "".join(_row(word, cls) for word, cls in features().items())
    passed = ", ".join(f"XEP-{name[3:7]}" for name in PASSED)
    return f"{SPECS}{rows}{PASSED_ON}{passed}.\n"


def _row(word: str, cls: type[Feature]) -> str:
    module = sys.modules[cls.__module__]
    # the first line of the file: "XEP-0199: XMPP Ping."
    title = re.sub(r"^[^:]*: ", "", (module.__doc__ or "").strip().split("\n")[0]).rstrip(".")
    doc = (cls.__doc__ or "").strip().split("\n\n")[0]
    file = Path(str(module.__file__)).resolve().relative_to(ROOT).as_posix()
    link = f"[{Path(file).stem if not file.endswith('__init__.py') else Path(file).parent.name}]"
    cells = (
        cls.spec,
        title,
        doc,
        f"`{word}`",
        "yes" if cls.default else "no",
        f"{link}(../{file})",
    )
    return (
        f"| {' | '.join(' '.join(cell.replace('|', chr(92) + '|').split()) for cell in cells)} |\n"
    )


def documents() -> dict[str, str]:
    """Return path below the root → content of everything that is written from the code."""
    ours = features()
    options, tables = option_classes()
    options = {word: cls for word, cls in options.items() if word in ours}
    return {
        "docs/specs.md": specs_markdown(),
        "docs/options.md": options_markdown(options, tables),
        "etc/imsuite.toml": write_commented(options, tables),
    }


def different(root: Path = ROOT) -> dict[str, str]:
    """Return path → content of the documents that are not as they should be."""
    return {
        path: content
        for path, content in documents().items()
        if not (root / path).is_file() or (root / path).read_text(encoding="utf-8") != content
    }


def main(arguments: list[str], root: Path = ROOT) -> int:
    """Write or check, and return the exit status."""
    if arguments not in ([], ["--check"]):
        print("usage: python -m imsuite.app.reference [--check]", file=sys.stderr)
        return 2
    found = different(root)
    for path, content in found.items():
        if arguments:
            print(f"{path} is out of date; run `make docs`", file=sys.stderr)
        else:
            (root / path).write_text(content, encoding="utf-8")
            print(f"{path} was written")
    return 1 if arguments and found else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
