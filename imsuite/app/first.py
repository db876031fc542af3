"""The administrator account of a new server, made once and told once."""

from __future__ import annotations

import os
import secrets
import sys
from pathlib import Path
from typing import TextIO

from twisted.logger import Logger

from imsuite.app.server import Server

NAME = "admin"
log = Logger()


async def first_administrator(server: Server) -> None:
    """Make an administrator on the first host if the server has no account at all.

    The address and the password go to standard error, or to a file that only the owner reads
    where nobody would see that; never to the log.
    """
    for host in server.hosts.values():
        if await host.users.count():
            return
    host = next(iter(server.hosts.values()))
    password = secrets.token_urlsafe(12)
    jid = await host.registrar.create(NAME, password, is_admin=True)
    told = (
        f"\n  A first account was made, told only this once:\n"
        f"    address   {jid}\n    password  {password}\n"
        f"  Change it with: imsuitectl passwd {jid}\n\n"
    )
    if is_seen(sys.__stderr__):
        print(told, end="", file=sys.__stderr__, flush=True)
        return
    file = Path(server.config.directory) / "first-account"
    with open(os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as out:
        out.write(told)
    log.info("a first account was made; read {file}, then remove it", file=str(file))


def is_seen(stream: TextIO | None) -> bool:
    """Tell whether somebody may read what is written there; not so behind /dev/null."""
    try:
        return stream is not None and not os.path.samestat(
            os.fstat(stream.fileno()), os.stat(os.devnull)
        )
    except (OSError, ValueError):
        return False
