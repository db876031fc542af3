"""How a program on this machine gives a command: to the server that runs, or by itself."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Protocol

import attrs

from imsuite.app.command import CommandError, Needs, Result, WrongArguments
from imsuite.app.commands import find
from imsuite.app.config import Config
from imsuite.app.control import Place
from imsuite.app.offline import Resting, Turns, at_rest
from imsuite.xmpp.errors import ImsuiteError

PATIENCE = 120.0  # seconds to wait for an answer
PIECE = 65536  # bytes read at once
MAKING = ("adduser", "addusers")  # commands that may come before the first start


class Reached(Protocol):
    """Whoever carries commands out.

    running: it is a server that runs; new_store: the database, if it was made for a command.
    """

    running: bool
    new_store: str | None

    def call(self, name: str, arguments: Mapping[str, object]) -> Result:
        """Return the result of a command. Raises ImsuiteError, one clear line."""


@contextmanager
def reach(config: Config) -> Iterator[Reached]:
    """Give who carries out commands for a configuration. Raises ImsuiteError."""
    try:
        place = Place.of(config.directory)
    except ImsuiteError:
        place = None  # no server could listen there
    try:
        connected = None if place is None else _connect(place.path, config.directory)
    finally:
        if place is not None:
            place.close()
    if connected is not None:
        with connected:
            yield Running(connected)
        return
    with ExitStack() as stack:
        yield Alone(config, stack)


def _connect(path: str, directory: str) -> socket.socket | None:
    """Return a connection to the server that runs, None if none does. Raises CommandError."""
    connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    connection.settimeout(PATIENCE)
    try:
        connection.connect(path)
        return connection
    except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError):
        connection.close()
        return None
    except OSError as why:
        connection.close()
        raise CommandError(
            f"{directory}: cannot reach the server: {why.strerror}; only its user and root may"
        ) from why


@attrs.define
class Running:
    """A server that runs, behind its control socket."""

    _connection: socket.socket
    running: bool = True
    new_store: str | None = None

    def call(self, name: str, arguments: Mapping[str, object]) -> Result:
        """Return what the server answers."""
        request = json.dumps({"command": name, "arguments": arguments}).encode() + b"\n"
        try:
            self._connection.sendall(request)
            answer = json.loads(self._line())
        except OSError as why:
            raise CommandError(f"the server does not answer: {why.strerror or why}") from why
        if "error" in answer:
            kind = WrongArguments if answer["usage"] else CommandError
            raise kind(answer["error"])
        return Result([tuple(row) for row in answer["rows"]], answer["after"])

    def _line(self) -> bytes:
        pieces = []
        while True:
            piece = self._connection.recv(PIECE)
            if not piece:
                raise CommandError("the server closed the connection; see its log")
            pieces.append(piece)
            if piece.endswith(b"\n"):  # the only one in an answer
                return b"".join(pieces)


class Alone:
    """The hosts and the store, while no server runs."""

    running = False
    new_store: str | None = None

    def __init__(self, config: Config, stack: ExitStack) -> None:
        self._config = config
        self._stack = stack  # closes what was opened
        self._turns = Turns()
        self._server: Resting | None = None

    def call(self, name: str, arguments: Mapping[str, object]) -> Result:
        """Do it here."""
        command = find(name)
        if command.needs is Needs.SERVER:
            raise CommandError(f"no server runs on {self._config.directory}")
        if self._server is None:
            self._server = self._stack.enter_context(at_rest(self._config, self._turns))
        if command.needs is Needs.STORE:
            self._open_store(self._server, may_make=command.name in MAKING)
        return self._turns.wait(command.run(self._server, arguments))

    def _open_store(self, server: Resting, may_make: bool) -> None:
        """Open the database; who looks for an account in none has mistaken the directory."""
        path = server.database
        if path is not None and not os.path.exists(path):
            if not may_make:
                raise CommandError(
                    f"no server runs on {self._config.directory}, and {path} is not there"
                )
            self.new_store = path
        server.open_store()
