"""Ask a running server for a stream: python probe.py PORT {starttls,tls} DOMAIN [SECONDS].

Waits until the port accepts, makes the TLS handshake, opens a stream and wants to be offered
SASL mechanisms. Needs nothing but Python. Exits with 1 and one line when it does not get there.
"""

import socket
import ssl
import sys
import time

HEADER = (
    "<?xml version='1.0'?><stream:stream to='{}' version='1.0' xmlns='jabber:client'"
    " xmlns:stream='http://etherx.jabber.org/streams'>"
)


def connected(port: int, until: float) -> socket.socket:
    """Return a connection to the port of this machine, trying until that moment."""
    while True:
        try:
            return socket.create_connection(("127.0.0.1", port), timeout=10)
        except OSError as error:
            if time.monotonic() > until:
                raise SystemExit(f"port {port} does not accept: {error}") from None
            time.sleep(0.1)


def read_until(link: socket.socket, wanted: bytes) -> bytes:
    """Return what the server says up to and including the wanted bytes."""
    heard = b""
    while wanted not in heard:
        data = link.recv(65536)
        if not data:
            raise SystemExit(f"closed before {wanted!r}; heard {heard!r}")
        heard += data
    return heard


def probe(port: int, kind: str, domain: str, patience: float) -> None:
    """Open a stream as a client does, up to the offer of SASL mechanisms."""
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE  # the certificate was made a moment ago, by the server
    link = connected(port, time.monotonic() + patience)
    if kind == "starttls":
        link.sendall(HEADER.format(domain).encode())
        features = read_until(link, b"</stream:features>")
        if b"urn:ietf:params:xml:ns:xmpp-tls" not in features:
            raise SystemExit(f"port {port} does not offer STARTTLS: {features!r}")
        link.sendall(b"<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
        read_until(link, b"<proceed")
    secure = context.wrap_socket(link, server_hostname=domain)
    secure.sendall(HEADER.format(domain).encode())
    features = read_until(secure, b"</stream:features>")
    if b"<mechanism>" not in features:
        raise SystemExit(f"port {port} offers no SASL mechanism over TLS: {features!r}")
    secure.sendall(b"</stream:stream>")
    read_until(secure, b"</stream:stream>")
    print(f"port {port}: {secure.version()}, stream opened and closed")


if __name__ == "__main__":
    probe(int(sys.argv[1]), sys.argv[2], sys.argv[3], float((*sys.argv[4:], "30")[0]))
