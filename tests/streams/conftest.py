"""Fixtures for links, TLS and listeners."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from imsuite.streams.certificates import own_certificate
from imsuite.streams.tls import ServerContexts
from tests.streams.links import World, opened


@pytest.fixture
def world() -> Iterator[World]:
    with opened() as each:
        yield each


@pytest.fixture(scope="session")
def folder(tmp_path_factory) -> Path:
    return tmp_path_factory.mktemp("certificates")


@pytest.fixture(scope="session")
def certificates(folder):
    now = time.time()
    return {
        name: own_certificate(name, folder, now=now)
        for name in ("example.org", "example.net", "localhost")
    }


@pytest.fixture
def contexts(certificates) -> ServerContexts:
    return ServerContexts(certificates, "example.org")
