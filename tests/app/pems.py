"""Certificates in files, and in configurations."""

import time

from cryptography.hazmat.primitives.asymmetric import ec

from imsuite.streams import certificates
from tests.app.conftest import write_config


def pem(file, domain="localhost", now=None):
    """Write a new certificate, with its key, that is valid from then on; return the file."""
    key = ec.generate_private_key(ec.SECP256R1())
    made = certificates.make(domain, key, now=time.time() if now is None else now)
    file.write_bytes(certificates.pem_of(made, key))
    return file


def with_certificate(folder, options):
    """Write a configuration in which localhost has a certificate; options: of the host."""
    lines = "\n".join(f'{name} = "{file}"' for name, file in options.items())
    return write_config(folder, rest=f'[hosts."localhost"]\n{lines}')
