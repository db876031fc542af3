"""Certificates: read from PEM files and checked, or made by ourselves.

RFC 6120 §13.7.1.2 and RFC 9525 (what a certificate names), RFC 4985 (SRVName), RFC 5280.
Every fault is a CertificateError of one line: which file, what is wrong, what to do.
"""

from __future__ import annotations

import contextlib
import datetime
import ipaddress
import os
from pathlib import Path
from typing import TypeAlias

import attrs
import idna
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.types import CertificatePublicKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from imsuite.xmpp.errors import ImsuiteError

ID_ON_XMPP_ADDR = ObjectIdentifier("1.3.6.1.5.5.7.8.5")  # RFC 6120 §13.7.1.4
ID_ON_DNS_SRV = ObjectIdentifier("1.3.6.1.5.5.7.8.7")  # RFC 4985 §2
UTF8_STRING, IA5_STRING = 0x0C, 0x16  # X.690 tags

# Apple's systems refuse a longer life even when the user trusts the certificate; as clients pin a
# self-signed one, a new one is a warning to every user, so the life is not made shorter than that.
LIFE = 824  # days
BACKDATED = 1  # days, for clients whose clock is slow; within 825 days with the above
RENEWAL = 30  # days before its end that our own certificate is made anew
LARGEST = 1 << 20  # bytes of a PEM file that we read

PrivateKey: TypeAlias = (
    rsa.RSAPrivateKey
    | ec.EllipticCurvePrivateKey
    | ed25519.Ed25519PrivateKey
    | ed448.Ed448PrivateKey
)


class CertificateError(ImsuiteError):
    """A certificate or its key cannot be used; the text names the file and says what to do."""


@attrs.frozen(eq=False)
class Certificate:
    """A certificate with its private key, checked. Equal only to itself."""

    chain: tuple[x509.Certificate, ...]  # our own first, then its issuers
    key: PrivateKey = attrs.field(repr=False)
    file: Path
    names: frozenset[str]  # dNSName and IP addresses, lower case; may hold wildcards

    @property
    def expires(self) -> float:
        """Seconds since 1970 at which it is no longer valid."""
        return self.chain[0].not_valid_after_utc.timestamp()


def load(
    domain: str, file: str | Path, key_file: str | Path | None = None, *, now: float
) -> Certificate:
    """Return the certificate of a domain from PEM files.

    file: the certificate, then those of its issuers, and the key too if key_file is None.
    now: seconds since 1970. Raises CertificateError for whatever makes it of no use.
    """
    file = Path(file)
    key_file = file if key_file is None else Path(key_file)
    chain = _read_chain(file)
    key = _read_key(key_file)
    own = chain[0]
    if _public_bytes(own.public_key()) != _public_bytes(key.public_key()):
        raise CertificateError(
            f"{key_file}: this private key does not belong to the certificate in {file};"
            " give both of the same order, with the domain's own certificate first"
        )
    if now >= own.not_valid_after_utc.timestamp():
        raise CertificateError(
            f"{file}: the certificate of {domain} expired on"
            f" {own.not_valid_after_utc:%Y-%m-%d}; renew it"
        )
    if now < own.not_valid_before_utc.timestamp():
        raise CertificateError(
            f"{file}: the certificate of {domain} is valid only from"
            f" {own.not_valid_before_utc:%Y-%m-%d %H:%M} UTC; check the clock of this machine"
        )
    names = names_of(own)
    if not covers(names, xmpp_names_of(own), domain):
        listed = ", ".join(sorted(names)) or "no domain"
        raise CertificateError(
            f"{file}: the certificate is for {listed}, not for {domain};"
            f" get one whose subjectAltName has {ascii_domain(domain)}"
        )
    return Certificate(chain, key, file, names)


def own_certificate(
    domain: str, folder: str | Path, *, also: tuple[str, ...] = (), now: float
) -> Certificate:
    """Return a domain's self-signed certificate from a folder, made when it is not there.

    It is made anew, with the same key, when it ends within RENEWAL days or does not name all of
    `also` (further domains it must be good for, as those of components). The file is
    `<domain>.pem`, key and certificate, readable by its owner only.
    Raises CertificateError if the folder cannot be written, or the file cannot be read.
    """
    file = own_path(domain, folder)
    key: PrivateKey | None = None
    if file.exists():
        chain, key = _read_chain(file), _read_key(file)
        if chain[0].issuer != chain[0].subject:  # put there by somebody else
            return load(domain, file, now=now)
        names, lasts = names_of(chain[0]), chain[0].not_valid_after_utc.timestamp() - now
        fits = all(covers(names, frozenset(), name) for name in (domain, *also))
        if fits and lasts > RENEWAL * 86400:
            return load(domain, file, now=now)
    if key is None:
        key = ec.generate_private_key(ec.SECP256R1())
    certificate = make(domain, key, also=also, now=now)
    _write(file, pem_of(certificate, key))
    return load(domain, file, now=now)


def own_path(domain: str, folder: str | Path) -> Path:
    """Return the file in which a domain's own certificate is kept."""
    return Path(folder) / f"{ascii_domain(domain).replace(':', '_').replace('/', '_')}.pem"


def make(
    domain: str, key: PrivateKey, *, also: tuple[str, ...] = (), now: float
) -> x509.Certificate:
    """Return a new self-signed certificate for a domain and for the names in `also`."""
    start = datetime.datetime.fromtimestamp(int(now), datetime.UTC)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, ascii_domain(domain)[:64])])
    alternatives: list[x509.GeneralName] = []
    for each in dict.fromkeys((domain, *also)):
        alternatives.extend(_alternatives(each))
    usages = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    return (
        x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
        .not_valid_before(start - datetime.timedelta(days=BACKDATED))
        .not_valid_after(start + datetime.timedelta(days=LIFE))
        .add_extension(x509.SubjectAlternativeName(dict.fromkeys(alternatives)), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(x509.ExtendedKeyUsage(usages), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, _signing_hash(key))
    )


def pem_of(certificate: x509.Certificate, key: PrivateKey) -> bytes:
    """Return key and certificate as one PEM text."""
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return private + certificate.public_bytes(serialization.Encoding.PEM)


def names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the DNS names and IP addresses a certificate is for, lower case."""
    found = _subject_alternatives(certificate)
    if found is None:
        return frozenset()
    names = [name.lower().removesuffix(".") for name in found.get_values_for_type(x509.DNSName)]
    names += [str(address) for address in found.get_values_for_type(x509.IPAddress)]
    return frozenset(names)


def xmpp_names_of(certificate: x509.Certificate) -> frozenset[str]:
    """Return the domains of XmppAddr and of _xmpp-client/_xmpp-server SRVName, A-labels."""
    found = _subject_alternatives(certificate)
    names: set[str] = set()
    for other in found.get_values_for_type(x509.OtherName) if found is not None else ():
        text = _text_of(other.value)
        if other.type_id == ID_ON_DNS_SRV:
            service, _, text = text.partition(".")
            if service.lower() not in ("_xmpp-client", "_xmpp-server"):
                continue
        elif other.type_id != ID_ON_XMPP_ADDR:
            continue
        with contextlib.suppress(CertificateError):
            names.add(ascii_domain(text))
    return frozenset(names - {""})


def covers(names: frozenset[str], xmpp_names: frozenset[str], domain: str) -> bool:
    """Return whether these names are good for a domain (RFC 9525 §6.3: one label for `*`)."""
    wanted = ascii_domain(domain)
    parent = wanted.partition(".")[2]
    return wanted in names or wanted in xmpp_names or (bool(parent) and f"*.{parent}" in names)


def ascii_domain(domain: str) -> str:
    """Return a domain in lower case A-labels without final dot, as DNS and SNI have it."""
    domain = domain.removesuffix(".").lower()
    if domain.startswith("["):  # RFC 7622 §3.2: an IPv6 address as a domain
        domain = domain.strip("[]")
    if domain.isascii():
        return domain
    try:
        return idna.encode(domain, uts46=True).decode("ascii")
    except idna.IDNAError as error:
        raise CertificateError(f"{domain}: no domain name: {error}") from error


def _alternatives(domain: str) -> list[x509.GeneralName]:
    """Return the names under which a client or server may look for a domain."""
    host = ascii_domain(domain)
    try:
        return [x509.IPAddress(ipaddress.ip_address(host)), _xmpp_addr(domain)]
    except ValueError:
        pass
    found: list[x509.GeneralName] = [x509.DNSName(host), _xmpp_addr(domain)]
    for service in ("_xmpp-client", "_xmpp-server"):
        value = _der(IA5_STRING, f"{service}.{host}".encode())
        found.append(x509.OtherName(ID_ON_DNS_SRV, value))
    if host == "localhost":
        found += [x509.IPAddress(ipaddress.ip_address(each)) for each in ("127.0.0.1", "::1")]
    return found


def _xmpp_addr(domain: str) -> x509.OtherName:
    return x509.OtherName(ID_ON_XMPP_ADDR, _der(UTF8_STRING, domain.encode()))


def _der(tag: int, content: bytes) -> bytes:
    """Return a DER string (X.690 §8.1.3); domains are at most 1023 bytes."""
    size = len(content)
    if size < 128:
        return bytes((tag, size)) + content
    if size < 256:
        return bytes((tag, 0x81, size)) + content
    return bytes((tag, 0x82, size >> 8, size & 255)) + content


def _text_of(der: bytes) -> str:
    """Return the text of a DER string, '' if it is none."""
    if len(der) < 2 or der[0] not in (UTF8_STRING, IA5_STRING):
        return ""
    content = der[2 + (der[1] & 127 if der[1] & 128 else 0) :]
    return content.decode("utf-8", "replace") if _der(der[0], content) == der else ""


def _subject_alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName | None:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return None


def _signing_hash(key: PrivateKey) -> hashes.SHA256 | None:
    edwards = isinstance(key, ed25519.Ed25519PrivateKey | ed448.Ed448PrivateKey)
    return None if edwards else hashes.SHA256()


def _public_bytes(key: CertificatePublicKeyTypes) -> bytes:
    return key.public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )


def _read_chain(file: Path) -> tuple[x509.Certificate, ...]:
    try:
        return tuple(x509.load_pem_x509_certificates(_read(file, "certificate")))
    except ValueError as error:
        raise CertificateError(
            f"{file}: no certificate in PEM form (BEGIN CERTIFICATE) can be read from it"
        ) from error


def _read_key(file: Path) -> PrivateKey:
    try:
        key = serialization.load_pem_private_key(_read(file, "private key"), password=None)
    except TypeError as error:
        raise CertificateError(
            f"{file}: the private key is locked with a passphrase; store it without one,"
            " readable only by the user who runs imsuite"
        ) from error
    except ValueError as error:
        raise CertificateError(
            f"{file}: no private key in PEM form (BEGIN PRIVATE KEY) can be read from it;"
            " if the key is in another file, name that file too"
        ) from error
    if not isinstance(key, PrivateKey):
        raise CertificateError(f"{file}: TLS needs an ECDSA, RSA or EdDSA key, not this kind")
    return key


def _read(file: Path, what: str) -> bytes:
    try:
        if file.is_file() and file.stat().st_size > LARGEST:
            raise CertificateError(f"{file}: too large for a {what}; name the PEM file itself")
        return file.read_bytes()
    except OSError as error:
        todo = (
            "let the user who runs imsuite read it"
            if isinstance(error, PermissionError)
            else "correct the name or put the file there"
        )
        raise CertificateError(
            f"{file}: cannot read the {what}: {error.strerror}; {todo}"
        ) from error


def _write(file: Path, content: bytes) -> None:
    """Write a file that only its owner may read, whole or not at all."""
    partial = file.with_name(f"{file.name}.{os.getpid()}.new")
    try:
        file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        partial.unlink(missing_ok=True)
        descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(content)
            out.flush()
            os.fsync(out.fileno())
        partial.replace(file)
    except OSError as error:
        with contextlib.suppress(OSError):
            partial.unlink()
        raise CertificateError(
            f"{file}: cannot write the certificate made for it: {error.strerror};"
            " let the user who runs imsuite write in this folder"
        ) from error
