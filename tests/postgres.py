"""PostgreSQL for tests: a server of our own that ends with this process, and databases on it."""

from __future__ import annotations

import atexit
import os
import pwd
import secrets
import shutil
import signal
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from threading import Condition, Thread
from urllib.parse import urlsplit

from benchmarks.ports import free_port

VARIABLE = "IMSUITE_TEST_POSTGRES"  # URL of a server to use instead; its user may make databases
PATIENCE = 60  # seconds
READY = "database system is ready to accept connections"
OWNER = "postgres"  # who runs the server where the tests run as root, which PostgreSQL refuses
CREATE = "CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8' LC_COLLATE '{}' LC_CTYPE 'C.UTF-8'"
# who still talks to the database is somebody a test has forgotten
EMPTY = (
    "SET synchronous_commit = off",
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
    " WHERE datname = current_database() AND pid <> pg_backend_pid()",
    "DROP SCHEMA public CASCADE",
    "CREATE SCHEMA public",
)


@cache
def programs() -> Path | None:
    """Return the directory with `initdb` and `postgres`, or None if there is none."""
    places = [Path(found).resolve().parent for found in [shutil.which("initdb")] if found]
    places += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((place for place in places if (place / "postgres").exists()), None)


class Cluster:
    """A PostgreSQL server: as Debian sets it up, durable, and with its files in a new directory.

    socket: directory of its Unix socket; port: on 127.0.0.1, where it wants `password`.
    """

    user = "imsuite"

    def __init__(self) -> None:
        self.password = secrets.token_urlsafe(12)
        self.directory = Path(tempfile.mkdtemp(prefix="imsuite-postgres-"))
        self.socket = self.directory
        self.port = free_port()
        self._process: subprocess.Popen[str] | None = None
        self._ready = Condition()
        self._lines: list[str] = []
        self._ended = True
        if os.geteuid() == 0:
            shutil.chown(self.directory, OWNER, pwd.getpwnam(OWNER).pw_gid)
        password = self.directory / "password"
        password.write_text(self.password)
        password.chmod(0o644)  # the directory keeps others out
        self._run(
            *("initdb", "--pgdata", self.data, "--username", self.user, "--pwfile", password),
            *("--auth-local=trust", "--auth-host=scram-sha-256"),
            *("--encoding=UTF8", "--locale=C.UTF-8"),
        )
        with (self.data / "postgresql.conf").open("a") as settings:
            settings.write(
                f"listen_addresses = '127.0.0.1'\nport = {self.port}\n"
                f"unix_socket_directories = '{self.socket}'\nfsync = on\nlog_timezone = UTC\n"
            )

    @property
    def data(self) -> Path:
        """The directory of the databases."""
        return self.directory / "data"

    @property
    def running(self) -> bool:
        """Was it started and not stopped?"""
        return self._process is not None

    def url(self, database: str = "postgres", host: str | None = None) -> str:
        """Return the URL of a database, by the socket, or by TCP if a host is given."""
        if host is None:
            return f"postgresql://{self.user}@/{database}?host={self.socket}&port={self.port}"
        return f"postgresql://{self.user}:{self.password}@{host}:{self.port}/{database}"

    def start(self) -> None:
        """Start it; return when it takes connections."""
        self._ended = False
        begin = len(self._lines)
        self._process = subprocess.Popen(
            [*_as_owner(), _program("postgres"), "-D", self.data],
            cwd=self.directory,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        Thread(target=self._read, args=(self._process.stderr,), daemon=True).start()

        def is_ready() -> bool:
            return self._ended or any(READY in line for line in self._lines[begin:])

        with self._ready:
            self._ready.wait_for(is_ready, PATIENCE)
            assert not self._ended, "".join(self._lines[begin:])

    def _read(self, lines) -> None:
        with lines:
            for line in lines:
                with self._ready:
                    self._lines.append(line)
                    self._ready.notify_all()
        with self._ready:
            self._ended = True
            self._ready.notify_all()

    @property
    def log(self) -> str:
        """What it has logged so far."""
        with self._ready:
            return "".join(self._lines)

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop it: SIGINT ends connections in order, SIGQUIT leaves the rest to recovery."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait(PATIENCE)
            self._process = None
            with self._ready:  # no process of it is left when all have closed their end
                self._ready.wait_for(lambda: self._ended, PATIENCE)

    def kill(self) -> None:
        """Kill all of its processes, as a power cut would."""
        assert self._process is not None
        number = self._process.pid
        children = Path(f"/proc/{number}/task/{number}/children").read_text().split()
        for each in (number, *map(int, children)):
            try:
                os.kill(each, signal.SIGKILL)
            except ProcessLookupError:
                pass
        self.stop(signal.SIGKILL)

    def remove(self) -> None:
        """Stop it and take its files away."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self.directory)

    def _run(self, program: str, *arguments: object) -> None:
        done = subprocess.run(
            [*_as_owner(), _program(program), *map(str, arguments)],
            cwd=self.directory,
            capture_output=True,
            text=True,
            timeout=PATIENCE,
        )
        assert done.returncode == 0, done.stderr


def _program(name: str) -> str:
    found = programs()
    assert found is not None
    return str(found / name)


def _as_owner() -> list[str]:
    """Return what runs a program as a user that PostgreSQL accepts, no longer than this process."""
    ends = ["setpriv", "--pdeathsig", "QUIT"]
    if os.geteuid() != 0:
        return ends
    return [*ends, f"--reuid={OWNER}", f"--regid={OWNER}", "--init-groups"]


def run_sql(url: str, *statements: str) -> list[tuple]:
    """Run statements, each in a transaction of its own; return the rows of the last."""
    import psycopg

    rows = []
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            cursor = connection.execute(statement)
            rows = cursor.fetchall() if cursor.description else []
    return rows


def database_of(url: str, name: str) -> str:
    """Return the URL of another database of the same server."""
    return urlsplit(url)._replace(path=f"/{name}").geturl()


@cache
def shared_server() -> str:
    """Return the URL of a server for all tests of this run, which none of them may stop."""
    if given := os.environ.get(VARIABLE):
        return given
    cluster = Cluster()
    atexit.register(cluster.remove)
    cluster.start()
    return cluster.url()


@cache
def shared_database() -> str:
    """Return the URL of a database on that server, for whoever empties it first."""
    name = f"imsuite_test_{os.getpid()}"
    url = shared_server()
    run_sql(url, CREATE.format(name, "C"))
    if os.environ.get(VARIABLE):
        atexit.register(run_sql, url, f"DROP DATABASE {name} WITH (FORCE)")
    return database_of(url, name)


def empty_database() -> str:
    """Return the URL of an empty database for one test."""
    url = shared_database()
    run_sql(url, *EMPTY)
    return url
