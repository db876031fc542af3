"""What `imsuitectl check` finds; it changes nothing."""

import os
import socket
import sqlite3
import time

import attrs
import pytest
from twisted.internet.task import Clock
from twisted.python.threadpool import ThreadPool

from imsuite.app import checks
from imsuite.app.checks import OK, PROBLEM, WARNING
from imsuite.app.config import Config, HostOptions, ServerOptions
from imsuite.app.offline import Resting, Turns
from imsuite.store.pool import Store
from tests.app.pems import pem
from tests.postgres import database_of, empty_database, shared_server

DAY = 86400  # seconds


def made(tmp_path, hosts=None, **server):
    return Config.make(ServerOptions(data=str(tmp_path / "data"), **server), hosts or {})


def found(findings):
    return [(finding.status, finding.detail) for finding in findings]


@pytest.fixture
def kept(tmp_path, ctl, config):
    """A database with one account."""
    ctl(config(), "adduser", "romeo@localhost", stdin="x\n")
    return tmp_path / "data/imsuite.db"


def test_a_feature_that_misses_another_is_found(tmp_path):
    config = made(tmp_path, {"localhost": HostOptions(use=("presence",))})
    ((status, detail),) = found(checks.configuration(config))
    assert status == PROBLEM
    assert "feature presence needs a feature that provides IRoster" in detail


def test_nothing_is_made(tmp_path):
    config = made(tmp_path)
    findings = [*checks.directory(config), *checks.certificates(config)]
    findings += checks.database(config, None)
    assert {finding.status for finding in findings} == {OK}
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("mode", "status"), [(0o700, OK), (0o750, WARNING), (0o755, WARNING)])
def test_a_directory_that_is_open_to_others(tmp_path, mode, status):
    (tmp_path / "data").mkdir()
    (tmp_path / "data").chmod(mode)
    assert [each for each, _ in found(checks.directory(made(tmp_path)))] == [status]


def test_a_directory_that_is_none(tmp_path):
    (tmp_path / "data").write_text("")
    ((status, detail),) = found(checks.directory(made(tmp_path)))
    assert (status, detail) == (PROBLEM, f"{tmp_path}/data is not a directory")


@pytest.mark.parametrize(
    ("age", "status", "says"),
    [(0, OK, "it expires in 823 days"), (810, WARNING, "in 13 days"), (900, PROBLEM, "expired on")],
)
def test_certificates_by_the_days_they_have(tmp_path, age, status, says):
    file = pem(tmp_path / "a.pem", now=time.time() - age * DAY)
    config = made(tmp_path, {"localhost": HostOptions(certificate=str(file))})
    ((got, detail),) = found(checks.certificates(config))
    assert got == status
    assert says in detail


def test_a_certificate_of_another_domain(tmp_path):
    file = pem(tmp_path / "a.pem", "example.net")
    config = made(tmp_path, {"localhost": HostOptions(certificate=str(file))})
    ((status, detail),) = found(checks.certificates(config))
    assert (status, "is for example.net, not for localhost" in detail) == (PROBLEM, True)


def test_ports_that_are_free_held_or_taken(tmp_path):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        address = f"c2s:127.0.0.1:{taken.getsockname()[1]}"
        config = made(tmp_path, listen=(address, "c2s-tls:127.0.0.1:0"))
        ours, theirs = found(checks.ports(config, [address])), found(checks.ports(config, []))
    assert ours == [(OK, "held by the running server"), (OK, "free")]
    assert theirs[0][0] == PROBLEM
    assert "another program listens there" in theirs[0][1]


def test_a_port_on_all_addresses(tmp_path):
    with socket.create_server(("", 0)) as taken:
        config = made(tmp_path, listen=(f"c2s:{taken.getsockname()[1]}",))
        assert [status for status, _ in found(checks.ports(config, []))] == [PROBLEM]


def test_a_database_that_is_whole(kept, tmp_path):
    before = sorted((file.name, file.stat().st_size) for file in kept.parent.iterdir())
    whole = (OK, f"{kept} can be used and is up to date")
    assert found(checks.database(made(tmp_path), None)) == [whole]
    after = sorted((file.name, file.stat().st_size) for file in kept.parent.iterdir())
    assert [file for file in after if not file[0].endswith(("-shm", "-wal"))] == before


def test_a_database_that_somebody_else_has(kept, tmp_path):
    import fcntl

    with open(f"{kept}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        lock.write(f"{os.getpid()}\n")
        lock.flush()
        config = made(tmp_path)
        first, _ = found(checks.database(config, None))
        held = found(checks.database(config, os.getpid()))
    assert first == (PROBLEM, f"{kept} is in use by process {os.getpid()}")
    assert [status for status, _ in held] == [OK]


def test_a_newer_database(kept, tmp_path):
    with sqlite3.connect(kept) as database:
        database.execute("UPDATE imsuite_meta SET value = '99'")
    database.close()
    ((status, detail),) = found(checks.database(made(tmp_path), None))
    assert (status, "was made by a newer version of imsuite" in detail) == (PROBLEM, True)


def test_a_database_that_is_damaged(kept, tmp_path):
    kept.write_bytes(b"no database" * 1000)
    ((status, detail),) = found(checks.database(made(tmp_path), None))
    assert status == PROBLEM
    assert "is damaged" in detail


@pytest.mark.needs_postgres
def test_a_database_on_postgresql(tmp_path):
    url = empty_database()
    config = made(tmp_path, store=url)
    ((status, detail),) = found(checks.database(config, None))
    assert (status, "table steps are run at the next start" in detail) == (OK, True)
    store = Store(url, Clock())
    store.open(Resting(config, Turns(), ThreadPool(0, 1)).tables)
    try:
        taken, rest = found(checks.database(config, None))
        assert taken[0] == PROBLEM
        assert f"is in use by process {os.getpid()} on {socket.gethostname()}" in taken[1]
        assert rest == (OK, f"{store.name} can be used and is up to date")
        assert found(checks.database(config, os.getpid())) == [rest]
    finally:
        store.close()


@pytest.mark.needs_postgres
def test_a_database_on_postgresql_that_is_not_there(tmp_path):
    config = made(tmp_path, store=database_of(shared_server(), "absent"))
    ((status, detail),) = found(checks.database(config, None))
    assert (status, 'database "absent" does not exist' in detail) == (PROBLEM, True)


@pytest.mark.parametrize("url", ["postgresql://me:secret@db", "mysql://me:secret@db/x"])
def test_a_store_of_no_kind(tmp_path, url):
    config = made(tmp_path, store=url)
    for findings in (checks.configuration(config), checks.database(config, None)):
        ((status, detail),) = found(findings)
        assert (status, "secret" in detail, "\n" in detail) == (PROBLEM, False, False)
    assert "secret" not in repr(config)


@pytest.mark.parametrize(("mode", "warned"), [(0o640, False), (0o644, True)])
@pytest.mark.parametrize(
    "url", ["postgresql://me:secret@127.0.0.1:1/x", "postgresql://me@[::1]:1/x"]
)
def test_a_password_that_everybody_can_read(tmp_path, url, mode, warned):
    file = tmp_path / "imsuite.toml"
    file.touch(mode)
    config = attrs.evolve(made(tmp_path, store=url), file=str(file))
    warnings = [
        detail for status, detail in found(checks.database(config, None)) if status == WARNING
    ]
    assert bool(warnings) == (warned and "secret" in url)
