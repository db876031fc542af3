"""Certificates as a server would not make them itself."""

from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

XMPP_ADDR = x509.ObjectIdentifier("1.3.6.1.5.5.7.8.5")


def misnamed(domain, dns_name):
    """Return PEM, certificate and key: for a domain by its xmppAddr, for another by its dNSName.

    imsuite takes it for the domain (RFC 6120 §13.7.1.2.1); clients look only for the latter.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, dns_name)])
    now = datetime.now(UTC)
    text = domain.encode()
    address = x509.OtherName(XMPP_ADDR, bytes((0x0C, len(text))) + text)  # DER: UTF8String
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(dns_name), address]), False)
        .sign(key, hashes.SHA256())
    )
    pem = certificate.public_bytes(serialization.Encoding.PEM) + key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    return pem.decode()
