"""Note the digests of new table steps: python -m tests.house_steps [--forget TABLE ...].

A step that is noted never changes again, because somebody's database has gone through it; a
table changes by one more step. Only a table that no release contained may be forgotten and
noted anew.
"""

from __future__ import annotations

import argparse
import json
import sys

from tests.house import SHIPPED, digests, shipped, shown, tables


def noted(forget: list[str]) -> dict[str, list[str]]:
    """Return what the file should say now.

    forget: tables whose noted steps do not count.
    Raises SystemExit when a noted step was changed or taken away.
    """
    before = {name: steps for name, steps in shipped().items() if name not in forget}
    now = {name: digests(table) for name, table in tables().items()}
    for name, steps in before.items():
        if now.get(name, [])[: len(steps)] != steps:
            raise SystemExit(f"a shipped step of table {name} has changed; add a step instead")
    return now


def main(arguments: list[str]) -> None:
    """Write tests/shipped_steps.json."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--forget", nargs="*", default=[], metavar="TABLE")
    steps = noted(parser.parse_args(arguments).forget)
    SHIPPED.write_text(json.dumps(dict(sorted(steps.items())), indent=2) + "\n")
    print(f"{shown(SHIPPED)}: {sum(map(len, steps.values()))} steps of {len(steps)} tables")


if __name__ == "__main__":
    main(sys.argv[1:])
