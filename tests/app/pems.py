"""Certificates in files."""

import time

from cryptography.hazmat.primitives.asymmetric import ec

from imsuite.streams import certificates


def pem(file, domain="localhost", now=None):
    """Write a new certificate, with its key, that is valid from then on; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = certificates.make(domain, key, now=time.time() if now is None else now)
    file.write_bytes(certificates.pem_of(made, key))
    return file
