"""What a stream asks of the connection below it, and what it must answer to.

A link carries bytes for one peer: TCP with or without TLS (`streams/link.py`), or anything else
that implements `ILink` (WebSocket, BOSH, memory). All calls are made in the reactor's thread.
"""

from OpenSSL.SSL import Connection
from zope.interface import Attribute, Interface


class IReceiver(Interface):
    """The side that is told what happens on a link: usually a stream.

    None of these is ever called while the receiver is inside a call to its own link.
    """

    def data_received(data: bytes) -> None:
        """Take bytes of the peer, decrypted, never empty; not called after close or abort.

        An exception is logged and aborts the link.
        """

    def secured() -> None:
        """Know that the TLS handshake has finished; `link.tls` is set from now on."""

    def writable() -> None:
        """Know that the link is no longer congested."""

    def link_lost(reason: str) -> None:
        """Know that the link is gone: called once in every link's life, and last.

        reason: for the log; holds nothing that the peer wrote.
        """


class ITlsInfo(Interface):
    """What TLS agreed upon."""

    version = Attribute("str: 'TLSv1.2' or 'TLSv1.3'")
    cipher = Attribute("str: OpenSSL's name of the cipher suite")
    alpn = Attribute("str: protocol agreed upon with ALPN, '' if none")
    server_name = Attribute("str | None: the name the client asked for with SNI, lower case")

    def channel_binding(kind: str) -> bytes | None:
        """Return channel binding data, or None where this connection has none of that kind.

        kind: "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929 §4).
        """


class ITlsContexts(Interface):
    """Where a link gets its side of a TLS connection from."""

    def connection(alpn: tuple[bytes, ...] = (), domain: str | None = None) -> Connection:
        """Return a new connection on memory, its role (accept, connect) already set.

        alpn: protocols of which one must be agreed upon if the client offers any; () takes no
            notice of ALPN.
        domain: whose certificate to present to a client that sends no SNI; None for the default.
        """


class ILink(Interface):
    """One connection to one peer."""

    receiver = Attribute("IReceiver | None: who is told; None after link_lost")
    peer = Attribute("str: for the log: '192.0.2.1:40000', '[2001:db8::1]:40000' or 'unix'")
    address = Attribute("str: the peer's IP address without port, '' if it has none")
    secure = Attribute("bool: TLS is in use and its handshake has finished")
    tls = Attribute("ITlsInfo | None: what TLS agreed upon, None while not secure")
    buffered = Attribute("int: bytes written and not yet taken by the kernel or the peer")
    congested = Attribute("bool: more than the soft limit is buffered; wait for writable()")
    closed = Attribute("bool: close or abort was called, or the peer is gone; writes are ignored")

    def write(data: bytes) -> None:
        """Send bytes at the end of this turn, together with everything else written in it.

        Over the hard limit of buffered bytes the link is aborted. Ignored after close or abort.
        """

    def close() -> None:
        """Send what was written, take leave, and wait a while for the peer to do the same."""

    def abort(reason: str = "aborted") -> None:
        """End at once, without sending what is buffered; link_lost follows in this turn's end."""

    def pause() -> None:
        """Stop reading, so that the peer is slowed down by flow control."""

    def resume() -> None:
        """Go on reading."""

    def start_tls(
        contexts: ITlsContexts, alpn: tuple[bytes, ...] = (), domain: str | None = None
    ) -> None:
        """Begin TLS after everything written so far; arguments as in ITlsContexts.connection.

        What is written before the handshake has finished waits for it.
        """
