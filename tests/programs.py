"""Programs that some tests need and Python's package index does not have.

A test says so by a marker. Where CI is set such a test fails if its program is missing;
elsewhere it is left out, and the end of the run says so.
"""

import os
import shutil
import subprocess
from functools import cache
from pathlib import Path

import pytest

from tests import postgres

DEBIAN_PYTHON = "/usr/bin/python3"  # for which Debian has python3-nbxmpp
_IMPORT = """
import gi
gi.require_version("Soup", "3.0")
from gi.repository import Gio, Soup
import nbxmpp.client
assert Gio.TlsBackend.get_default().supports_tls()
"""


def _has_profanity():
    return shutil.which("profanity") is not None


def _has_nbxmpp():
    if not Path(DEBIAN_PYTHON).exists():
        return False
    tried = subprocess.run([DEBIAN_PYTHON, "-I", "-c", _IMPORT], capture_output=True)
    return tried.returncode == 0


def _has_postgres():
    return bool(os.environ.get(postgres.VARIABLE)) or _has_initdb()


def _has_initdb():
    return postgres.programs() is not None


# marker → (Debian's packages, whether it is there)
PROGRAMS = {
    "needs_profanity": ("profanity", _has_profanity),
    "needs_nbxmpp": ("python3-nbxmpp gir1.2-soup-3.0 glib-networking", _has_nbxmpp),
    "needs_postgres": ("postgresql", _has_postgres),  # a server: any
    "needs_initdb": ("postgresql", _has_initdb),  # one that the test may stop
}


@cache
def missing(marker):
    """Return what is missing for a marker, "" if nothing is."""
    packages, is_there = PROGRAMS[marker]
    return (
        ""
        if is_there()
        else f"{marker.removeprefix('needs_')} is missing: apt-get install {packages}"
    )


def missing_for(item):
    """Return what is missing for a test, "" if nothing is."""
    return "; ".join(
        filter(None, (missing(name) for name in PROGRAMS if item.get_closest_marker(name)))
    )


def in_ci():
    """Tell whether a test may not be left out."""
    return os.environ.get("CI", "").lower() not in ("", "0", "false")


class Programs:
    """A pytest plugin: leaves tests out, or fails them."""

    def __init__(self):
        self.left_out = {}

    def pytest_configure(self, config):
        """Make the markers known."""
        for marker, (packages, _) in PROGRAMS.items():
            config.addinivalue_line("markers", f"{marker}: needs Debian's {packages}")

    def pytest_collection_modifyitems(self, config, items):
        """Leave out what cannot run here."""
        if in_ci():
            return
        self.left_out = {item: why for item in items if (why := missing_for(item))}
        items[:] = [item for item in items if item not in self.left_out]
        config.hook.pytest_deselected(items=list(self.left_out))

    def pytest_runtest_setup(self, item):
        """Fail where nothing may be left out."""
        if why := missing_for(item):
            pytest.fail(f"{why} (CI is set, so this test is not left out)", pytrace=False)

    def pytest_terminal_summary(self, terminalreporter):
        """Say what was left out, and why."""
        for why in sorted(set(self.left_out.values())):
            count = list(self.left_out.values()).count(why)
            terminalreporter.write_line(f"left out {count} tests: {why}", yellow=True)
