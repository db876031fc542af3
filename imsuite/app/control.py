"""The control socket: commands for a running server, on this machine, by its owner.

`control` in the data directory is a Unix socket that only the server's user, and root, may talk
to. A line is a JSON object, and so is its answer:

    {"command": "users", "arguments": {"domain": "example.org"}}
    {"columns": ["account", …], "rows": [["romeo@example.org", …], …], "after": ""}
    {"error": "there is no account …", "usage": false}
"""

from __future__ import annotations

import json
import os
import socket
import stat
import struct
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import attrs
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IAddress, IReactorUNIX
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from twisted.protocols.basic import LineOnlyReceiver
from twisted.protocols.policies import TimeoutMixin

from imsuite.app.command import WrongArguments
from imsuite.app.commands import find
from imsuite.xmpp.errors import ImsuiteError

if TYPE_CHECKING:
    from imsuite.app.server import Server

NAME = "control"
LONGEST = 256 * 1024  # bytes of a request
PATIENCE = 60.0  # seconds in which a request must come
AT_ONCE = 16  # connections
LONGEST_PATH = 107 if sys.platform == "linux" else 103  # bytes, without the final zero


class ControlError(ImsuiteError):
    """The control socket cannot be had; one line."""


@attrs.frozen
class Place:
    """The path of a control socket, in a form that the kernel takes.

    Close it when the socket is not used any more.
    """

    path: str
    _folder: int | None = None  # file descriptor

    @classmethod
    def of(cls, directory: str) -> Place:
        """Return the place in a data directory. Raises ControlError if its path is too long.

        Linux has a short name for any directory that is open.
        """
        path = os.path.join(directory, NAME)
        if len(os.fsencode(path)) <= LONGEST_PATH:
            return cls(path)
        if not os.path.isdir("/proc/self/fd"):
            raise ControlError(
                f"{path}: longer than the {LONGEST_PATH} bytes that the path of a socket may have;"
                " choose a data directory with a shorter one"
            )
        try:
            folder = os.open(directory, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as why:
            raise ControlError(f"{directory}: {why.strerror}") from why
        return cls(f"/proc/self/fd/{folder}/{NAME}", folder)

    def close(self) -> None:
        """Give the name back."""
        if self._folder is not None:
            os.close(self._folder)


class ControlService(Service):
    """Answers commands on the control socket of a server."""

    log: ClassVar[Logger] = Logger()

    def __init__(self, server: Server) -> None:
        self.setName("control")
        self._server = server
        self._port: Any = None  # an IListeningPort
        self._place: Place | None = None
        self._factory = ControlFactory(server)

    def startService(self) -> None:
        """Listen. Raises ControlError."""
        super().startService()
        if not IReactorUNIX.providedBy(self._server.reactor):
            self.log.warn("this reactor has no Unix sockets: imsuitectl cannot talk to the server")
            return
        directory = self._server.config.directory
        place = Place.of(directory)
        try:
            _remove_stale(place.path, os.path.join(directory, NAME))
            self._port = self._server.reactor.listenUNIX(place.path, self._factory, mode=0o600)
        except Exception as why:
            place.close()
            if isinstance(why, ControlError):
                raise
            raise ControlError(f"{directory}/{NAME}: cannot listen there: {why}") from why
        self._place = place

    async def _stop(self, port: Any, place: Place) -> None:
        for protocol in list(self._factory.open):
            protocol.transport.loseConnection()
        await port.stopListening()
        place.close()

    def stopService(self) -> Deferred[None] | None:
        """Listen no more, and end what is connected."""
        super().stopService()
        port, place, self._port, self._place = self._port, self._place, None, None
        if port is None or place is None:
            return None
        return Deferred.fromCoroutine(self._stop(port, place))


class ControlFactory(Factory):
    """The connections to the control socket. open: those there are."""

    noisy = False

    def __init__(self, server: Server) -> None:
        self.server = server
        self.open: set[Control] = set()

    def buildProtocol(self, addr: IAddress | None) -> Any:  # Twisted names a private protocol
        """Return a new connection, or None when there are too many."""
        return Control(self) if len(self.open) < AT_ONCE else None


class Control(LineOnlyReceiver, TimeoutMixin):
    """One connection: requests, one after the other."""

    log: ClassVar[Logger] = Logger()
    delimiter = b"\n"
    MAX_LENGTH = LONGEST
    factory: ControlFactory
    transport: Any  # a server's Unix socket transport, which ITransport says too little of

    def __init__(self, factory: ControlFactory) -> None:
        self.factory = factory
        self._busy = False

    def connectionMade(self) -> None:
        """Look at who is there (unix(7), SO_PEERCRED)."""
        peer = peer_user(self.transport.getHandle())
        if not may_talk(peer, os.geteuid()):
            self.log.warn("user {user} may not use the control socket", user=peer)
            self.transport.abortConnection()
            return
        self.factory.open.add(self)
        self.setTimeout(PATIENCE)

    def connectionLost(self, reason: object = None) -> None:
        """Forget the connection; what it asked for is finished all the same."""
        self.factory.open.discard(self)
        self.setTimeout(None)

    def timeoutConnection(self) -> None:
        """End a connection on which nothing comes, or nobody reads."""
        self.transport.abortConnection()

    def lineReceived(self, line: bytes) -> None:
        """Take a request, and nothing more until it is answered."""
        if self._busy:
            self._refuse("one request at a time")
            return
        self._busy = True
        self.setTimeout(None)
        Deferred.fromCoroutine(self._answer(line))

    def lineLengthExceeded(self, line: bytes) -> None:
        """Refuse a request that is too long, and whatever follows."""
        self._refuse(f"a request may have {LONGEST} bytes")

    def _refuse(self, why: str) -> None:
        self.transport.pauseProducing()  # what else comes is not wanted
        self._send({"error": why, "usage": True})
        self.transport.loseConnection()

    async def _answer(self, line: bytes) -> None:
        answer = await answered(self.factory.server, line)
        self._busy = False
        if self in self.factory.open:
            self.setTimeout(PATIENCE)
            self._send(answer)

    def _send(self, answer: dict[str, object]) -> None:
        self.sendLine(json.dumps(answer).encode())  # ASCII: an answer may repeat any escape


async def answered(server: Server, line: bytes) -> dict[str, object]:
    """Return the answer to a request. What was asked for is not logged: it may hold a password."""
    try:
        name, arguments = _request(line)
        command = find(name)
        result = await command.run(server, arguments)
    except ImsuiteError as why:
        return {"error": str(why), "usage": isinstance(why, WrongArguments)}
    except Exception:
        Control.log.failure("a command failed")
        return {"error": "internal error; the server's log has the details", "usage": False}
    return {"columns": command.columns, "rows": result.rows, "after": result.after}


def _request(line: bytes) -> tuple[str, dict[str, object]]:
    try:
        request = json.loads(line)
    except (ValueError, RecursionError):
        raise WrongArguments("the request is not JSON") from None
    if isinstance(request, dict):
        name, arguments = request.get("command"), request.get("arguments", {})
        if isinstance(name, str) and isinstance(arguments, dict):
            return name, arguments
    raise WrongArguments("a request is an object with command and arguments")


def peer_user(connected: socket.socket) -> int | None:
    """Return the user id of who is at the other end; None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None  # the modes of directory and socket keep others out
    packed = connected.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _, user, _ = struct.unpack("3i", packed)
    return int(user)


def may_talk(peer: int | None, own: int) -> bool:
    """Tell whether a user may give commands to a server that runs as user `own`."""
    return peer is None or peer in (0, own)


def _remove_stale(path: str, name: str) -> None:
    """Remove a socket that nobody listens at; name: for messages. Raises ControlError."""
    try:
        if not stat.S_ISSOCK(os.lstat(path).st_mode):
            raise ControlError(f"{name}: this is not a socket; move it away")
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
            probe.connect(path)
    except FileNotFoundError:
        return
    except ConnectionRefusedError:
        Path(path).unlink(missing_ok=True)
        return
    except OSError as why:
        raise ControlError(f"{name}: {why.strerror}") from why
    raise ControlError(f"{name}: another imsuite answers there")
