"""TLS for streams: which certificate and versions to use, and what was agreed upon.

RFC 6120 §5 and §13.8, RFC 7590 (TLS for XMPP), RFC 9325 (TLS 1.2 and 1.3, forward secrecy),
XEP-0368 (direct TLS and its ALPN names), RFC 9266 and RFC 5929 (channel binding).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from weakref import WeakKeyDictionary

from cryptography.hazmat.primitives import hashes
from OpenSSL import SSL
from twisted.internet.interfaces import IOpenSSLServerConnectionCreator
from twisted.internet.ssl import AcceptableCiphers, CertificateOptions, TLSVersion
from zope.interface import implementer

from imsuite.streams.certificates import Certificate, CertificateError, ascii_domain
from imsuite.streams.ilink import ITlsContexts, ITlsInfo
from imsuite.streams.slimtls import Public, best
from imsuite.xmpp.errors import ImsuiteError

ALPN_CLIENT = b"xmpp-client"  # XEP-0368 §3
ALPN_SERVER = b"xmpp-server"

# TLS 1.2 suites; those of TLS 1.3 all have forward secrecy and are OpenSSL's defaults
CIPHERS = AcceptableCiphers.fromOpenSSLCipherString("ECDHE+AESGCM:ECDHE+CHACHA20")
TICKET_LIFE = 86400  # seconds

# RFC 5929 §4.1: these are replaced by SHA-256
WEAK_HASHES = (hashes.MD5, hashes.SHA1)


class NoCommonProtocol(ImsuiteError, SSL.Error):
    """The client offers ALPN protocols, and none of them is spoken here (RFC 7301 §3.2)."""


@implementer(ITlsContexts, IOpenSSLServerConnectionCreator)
class ServerContexts:
    """A TLS context for each certificate, chosen by the name that the client asks for (SNI).

    A name is served by the certificate of the domain it was given for, else by one that lists it,
    else by one with a fitting wildcard, else by the default domain's. Links keep the context with
    which they began; `load` and `rotate` concern later ones.

    Twisted's own TLS (HTTPS) accepts it too and so shares the certificates.
    """

    def __init__(self, certificates: Mapping[str, Certificate], default: str) -> None:
        """certificates: domain → certificate; default: one of these domains."""
        best()  # the self-test, at start rather than at the first connection
        self.load(certificates, default)

    def load(self, certificates: Mapping[str, Certificate], default: str) -> None:
        """Use these certificates from now on; on any error the old ones stay in use.

        Raises CertificateError for one that OpenSSL finds too weak.
        """
        made: dict[Certificate, SSL.Context] = {}
        names: dict[str, SSL.Context] = {}
        for certificate in certificates.values():
            if certificate not in made:
                made[certificate] = self._context(certificate)
        for certificate, context in made.items():
            for name in certificate.names:
                names.setdefault(name, context)
        for domain, certificate in certificates.items():
            names[ascii_domain(domain)] = made[certificate]
        self._default = made[certificates[default]]
        self._names = names
        self._loaded = (dict(certificates), default)

    def rotate(self) -> None:
        """Throw the session ticket keys away; to be called about once a day.

        OpenSSL makes these keys with a context and keeps them as long, and whoever gets hold of
        one reads all that was sent in sessions resumed by it.
        """
        self.load(*self._loaded)

    def domains(self) -> Iterable[str]:
        """Return the domains for which a certificate was given."""
        return self._loaded[0].keys()

    def connection(self, alpn: tuple[bytes, ...] = (), domain: str | None = None) -> SSL.Connection:
        """Return the server's side of a new TLS connection; see ITlsContexts."""
        connection = SSL.Connection(self._default)
        if domain is not None:
            # the first context stays the one whose ticket keys are used
            connection.set_context(self._of(domain))
        connection.set_options(SSL.OP_NO_RENEGOTIATION)
        connection.set_app_data(alpn)
        connection.set_accept_state()
        return connection

    def serverConnectionForTLS(self, protocol: object) -> SSL.Connection:
        """Return the server's side of a TLS connection, for Twisted's own TLS."""
        return self.connection()

    def choose(self, server_name: bytes | None) -> SSL.Context:
        """Return the context for a name from SNI; never fails."""
        if not server_name:
            return self._default
        name = server_name.decode("ascii", "replace").lower().removesuffix(".")
        found = self._names.get(name)
        if found is None:
            # RFC 9525 §6.3: a wildcard stands for exactly one label
            found = self._names.get(f"*.{name.partition('.')[2]}", self._default)
        return found

    def _of(self, domain: str) -> SSL.Context:
        """Return the context for a domain that a peer may have named; never fails."""
        try:
            return self.choose(ascii_domain(domain).encode("ascii"))
        except CertificateError:
            return self._default

    def _asked(self, server_name: bytes | None) -> SSL.Context | None:
        """Return the context to change to, None to stay (a domain may have been set before)."""
        return self.choose(server_name) if server_name else None

    def _context(self, certificate: Certificate) -> SSL.Context:
        # the certificate is set afterwards: Twisted passes on only pyOpenSSL's deprecated classes
        context = CertificateOptions(
            raiseMinimumTo=TLSVersion.TLSv1_2,
            acceptableCiphers=CIPHERS,
            enableSessions=False,  # no cache here: tickets are kept by the clients
            enableSessionTickets=True,
            contextForServerName=self._asked,
        ).getContext()
        try:
            context.use_certificate(certificate.chain[0])
            for issuer in certificate.chain[1:]:
                context.add_extra_chain_cert(issuer)
            context.use_privatekey(certificate.key)
            context.check_privatekey()
        except SSL.Error as error:
            reasons = ", ".join(str(each[-1]) for each in error.args[0])
            raise CertificateError(
                f"{certificate.file}: OpenSSL refuses this certificate: {reasons}; get another one"
            ) from error
        context.set_options(SSL.OP_NO_RENEGOTIATION)
        context.set_timeout(TICKET_LIFE)
        # the same everywhere, because SNI changes the context between issuing and looking up
        context.set_session_id(b"imsuite")
        context.set_alpn_select_callback(_select_protocol)
        return context


# tls-server-end-point by context: it is the same for all connections with one certificate
_end_points: WeakKeyDictionary[SSL.Context, bytes | None] = WeakKeyDictionary()


@implementer(ITlsInfo)
class TlsInfo:
    """What TLS agreed upon with a peer."""

    __slots__ = ("_channel",)

    def __init__(self, channel: Public) -> None:
        self._channel = channel

    @property
    def version(self) -> str:
        """'TLSv1.2' or 'TLSv1.3'."""
        return self._channel.connection.get_protocol_version_name()

    @property
    def cipher(self) -> str:
        """OpenSSL's name of the cipher suite."""
        return self._channel.connection.get_cipher_name() or ""

    @property
    def alpn(self) -> str:
        """Protocol agreed upon with ALPN, '' if none."""
        return self._channel.connection.get_alpn_proto_negotiated().decode("ascii", "replace")

    @property
    def server_name(self) -> str | None:
        """Name that the client asked for with SNI."""
        name = self._channel.connection.get_servername()
        return None if name is None else name.decode("ascii", "replace").lower()

    def channel_binding(self, kind: str) -> bytes | None:
        """Return channel binding data, or None where this connection has none of that kind.

        kind: "tls-exporter" (RFC 9266) or "tls-server-end-point" (RFC 5929 §4).
        """
        if kind == "tls-exporter":
            return self._exporter()
        if kind == "tls-server-end-point":
            return self._server_end_point()
        return None

    def _exporter(self) -> bytes | None:
        # RFC 9266 §3: not with TLS 1.2 unless the extended master secret is used
        if self.version != "TLSv1.3" and not self._channel.extended_master_secret():
            return None
        connection = self._channel.connection
        return connection.export_keying_material(b"EXPORTER-Channel-Binding", 32)

    def _server_end_point(self) -> bytes | None:
        context = self._channel.connection.get_context()
        if context not in _end_points:
            _end_points[context] = self._hashed_certificate()
        return _end_points[context]

    def _hashed_certificate(self) -> bytes | None:
        certificate = self._channel.connection.get_certificate(as_cryptography=True)
        # RFC 5929 §4.1: undefined for signatures without a hash of their own, such as Ed25519
        if certificate is None or certificate.signature_hash_algorithm is None:
            return None
        algorithm = certificate.signature_hash_algorithm
        return certificate.fingerprint(
            hashes.SHA256() if isinstance(algorithm, WEAK_HASHES) else algorithm
        )


def _select_protocol(
    connection: SSL.Connection, offered: list[bytes]
) -> bytes | SSL._NoOverlappingProtocols:
    """Return the protocol to speak; refuse the connection if there is none in common."""
    spoken = connection.get_app_data()
    # HTTPS through Twisted leaves something else here, and minds ALPN itself
    if not spoken or not isinstance(spoken, tuple):
        return SSL.NO_OVERLAPPING_PROTOCOLS
    for protocol in spoken:
        if protocol in offered:
            return bytes(protocol)
    # the one way by which pyOpenSSL sends the alert no_application_protocol
    raise NoCommonProtocol("no common ALPN protocol")
