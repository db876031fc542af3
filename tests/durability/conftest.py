"""A server to torture; what its clients share is made once."""

from __future__ import annotations

import logging
import shutil

import pytest

from benchmarks.torture.__main__ import prepare, torture
from benchmarks.torture.cast import account_names
from tests.postgres import Cluster
from tests.programs import PROGRAMS

NEEDS_CC = "needs_cc"
PROGRAMS.setdefault(NEEDS_CC, ("gcc libc6-dev", lambda: shutil.which("cc") is not None))


def pytest_configure(config):
    config.addinivalue_line("markers", f"{NEEDS_CC}: needs a C compiler, for the disk")


@pytest.fixture(scope="session")
def workshop(tmp_path_factory):
    """A folder for what all servers of these tests have in common."""
    return tmp_path_factory.mktemp("torture")


@pytest.fixture
def suffer(workshop, request, monkeypatch):
    """Let a server suffer some faults, in order; return the verdict."""
    monkeypatch.setattr(logging.getLogger("asyncio"), "level", logging.ERROR)

    def suffer(
        seed, *faults, disk=False, lies=False, postgres=None, pause=0.6, load=15, parts=("chat",)
    ):
        subject = prepare(
            *("imsuite", workshop, account_names(1)),
            name=request.node.name.replace("[", "-").rstrip("]"),
            disk=disk,
            lies=lies,
            postgres=postgres,
        )
        about = {"pause": pause, "load": load, "hopeless": lies, "parts": parts}
        return torture(subject, seed, faults, **about)

    return suffer


@pytest.fixture
def postgres():
    """A PostgreSQL server that may be killed."""
    cluster = Cluster()
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.remove()
