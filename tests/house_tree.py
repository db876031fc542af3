"""Write the modules there are into the tree of docs/architecture.md: python -m tests.house_tree."""

from __future__ import annotations

import textwrap

from tests.house import FLOORS, PACKAGE, ROOT

DOCUMENT = ROOT / "docs/architecture.md"
BEGIN, END = "\n  _compat.py ", "\ntests/\n"  # around the lines, the first one excluded
INDENT, WIDTH = 13, 93


def packages() -> dict[str, list[str]]:
    """Return package → modules and directories in it, in the order of the floors."""
    found = {}
    for package in FLOORS:
        names = {path.stem for path in (PACKAGE / package).glob("*.py")}
        names |= {path.parent.name for path in (PACKAGE / package).glob("*/__init__.py")}
        if names:
            found[package] = sorted(names - {"__init__"})
    return found


def written(text: str) -> str:
    """Return the text of the document with the tree as it is."""
    begin = text.index("\n", text.index(BEGIN) + 1)
    lines = [
        textwrap.fill(
            "  ".join(names),
            WIDTH,
            initial_indent=f"  {package}/".ljust(INDENT),
            subsequent_indent=" " * INDENT,
        )
        for package, names in packages().items()
    ]
    return text[:begin] + "\n" + "\n".join(lines) + text[text.index(END, begin) :]


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
