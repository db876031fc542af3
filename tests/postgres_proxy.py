"""What stands between imsuite and PostgreSQL in tests, and breaks at a chosen word."""

from __future__ import annotations

import socket
from threading import Thread
from urllib.parse import urlsplit


class Proxy:
    """Passes connections on, until one of them says the word that `cut` names.

    Then what said it is cut off, and the server may or may not have heard it.
    """

    def __init__(self, port: int) -> None:
        self._server = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._word: bytes | None = None
        self._heard = self._held = False
        self._open: list[socket.socket] = []
        Thread(target=self._accept, daemon=True).start()

    def url(self, url: str) -> str:
        """Return a URL that leads through here."""
        parts = urlsplit(url)
        here = f"{parts.netloc.rpartition('@')[0]}@127.0.0.1:{self._listener.getsockname()[1]}"
        return parts._replace(netloc=here).geturl()

    def cut(self, word: bytes, heard: bool, held: bool = False) -> None:
        """Cut the next connection that says a word.

        heard: the server hears it, and its answer is lost; held: the server does not learn that
        the connection was cut.
        """
        self._heard, self._held, self._word = heard, held, word

    def close(self) -> None:
        """End everything."""
        for each in (self._listener, *self._open):
            _end(each)

    def _accept(self) -> None:
        while True:
            try:
                client = self._listener.accept()[0]
                server = socket.create_connection(self._server)
            except OSError:
                return
            self._open += [client, server]
            Thread(target=self._ask, args=(client, server), daemon=True).start()

    def _ask(self, client: socket.socket, server: socket.socket) -> None:
        quiet: list[bool] = []  # not empty: answers get lost
        answers = Thread(target=self._answer, args=(client, server, quiet), daemon=True)
        answers.start()
        held = False
        try:
            while data := client.recv(65536):
                if self._word is not None and self._word in data:
                    self._word = None
                    held = self._held
                    quiet.append(True)
                    if self._heard:
                        server.sendall(data)
                        answers.join()
                    break
                server.sendall(data)
        except OSError:
            pass
        _end(client)
        if not held:
            _end(server)

    def _answer(self, client: socket.socket, server: socket.socket, quiet: list[bool]) -> None:
        try:
            while data := server.recv(65536):
                if quiet:
                    return
                client.sendall(data)
        except OSError:
            return
        _end(client)


def _end(connection: socket.socket) -> None:
    try:
        connection.shutdown(socket.SHUT_RDWR)
    except OSError:
        pass
    connection.close()
