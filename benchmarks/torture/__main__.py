"""Tortures a server: `python -m benchmarks.torture --seconds 600 --seed 1`.

Rounds of a minute or so: in each a new server with clients that talk, to each other and in rooms,
and publish to nodes; it is killed, cut off from its power, ended in order or left without room on
its disk, and started again. At the end of a round all archives and nodes are read and compared with
what was said, acknowledged and heard. The seed decides who says what and what happens when; how
fast the machine is decides the rest.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import secrets
import shutil
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from benchmarks.servers.certificate import write_certificate
from benchmarks.torture.cast import PARTS, PASSWORD, Cast, account_names
from benchmarks.torture.disk import Disk, missing
from benchmarks.torture.subjects import PROFILE, SUBJECTS, Subject, TorturedImsuite
from benchmarks.torture.torture import Torture
from benchmarks.torture.verdict import Verdict
from tests.postgres import CREATE, Cluster, run_sql

FAULTS = ("kill", "kill", "kill", "cut", "cut", "term", "full")
WITHOUT_DISK = ("kill", "kill", "kill", "term")
WITH_POSTGRES = ("kill", "term", "postgres", "postgres")


def prepare(
    kind: str,
    folder: Path,
    names: list[str],
    *,
    name: str = "server",
    disk: bool = False,
    lies: bool = False,
    postgres: Cluster | None = None,
) -> Subject:
    """Return a server with accounts, not started yet.

    folder: for what several share; name: of its own folder in there; disk: it gets one that can be
    tortured; postgres: it keeps everything there, in a new database.
    """
    certificate = folder / "certificate.pem"
    if not certificate.exists():
        write_certificate(certificate, "localhost")
    server = SUBJECTS[kind](folder / name, certificate, profile=PROFILE)
    if isinstance(server, TorturedImsuite):
        if postgres is not None:
            database = f"torture_{secrets.token_hex(4)}"
            run_sql(postgres.url(), CREATE.format(database, "C"))
            server.store = postgres.url(database)
        if disk:
            server.disk = Disk.make(folder / f"{name}-disk", server.folder / "data", lies=lies)
    server.make_accounts(names, PASSWORD)
    return Subject(server, postgres)


def torture(
    subject: Subject,
    seed: int,
    faults: Iterable[str],
    *,
    scale: int = 1,
    pause: float = 1.0,
    load: float = 10.0,
    ours: bool = True,
    hopeless: bool = False,
    parts: Iterable[str] = PARTS,
) -> Verdict:
    """Run one round and return what is wrong.

    faults: names of methods of Torture; pause: seconds between two of them at most; load: bursts
    of a device in a second; ours: it is imsuite, whose ids sort and which knows carbons; hopeless:
    something is going to be wrong, so do not wait for it to come right; parts: who takes part.
    """
    cast = Cast.make(subject.place, seed, scale, 1 / load, carbons=ours, parts=parts)
    run = Torture(subject, cast, random.Random(seed), pause, sorts=ours)
    if hopeless:
        run.waits = run.waits[:1]
    return asyncio.run(run.run(faults))


def chosen(faults: Sequence[str], seed: int, seconds: float) -> Iterator[str]:
    """Choose one after the other while there is time."""
    dice = random.Random(f"{seed}/faults")
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        yield dice.choice(faults)


def main() -> int:
    """Run from the command line; return 1 if anything was wrong."""
    words = argparse.ArgumentParser(
        prog="python -m benchmarks.torture", description="Tortures a server under load."
    )
    words.add_argument("--seconds", type=float, default=300, help="how long new rounds begin")
    words.add_argument("--seed", type=int, default=1, help="of the first round")
    words.add_argument("--round", type=float, default=60, help="seconds of each round")
    words.add_argument("--server", choices=sorted(SUBJECTS), default="imsuite")
    words.add_argument("--scale", type=int, default=1, help="accounts of each kind")
    words.add_argument("--load", type=float, default=10, help="bursts of each device in a second")
    words.add_argument("--pause", type=float, default=1.5, help="seconds between faults, at most")
    words.add_argument("--faults", help="some of kill,cut,term,full,postgres")
    words.add_argument("--parts", help="some of chat,rooms,nodes; all of them by default")
    words.add_argument("--lies", action="store_true", help="a disk that does not sync: must fail")
    words.add_argument("--keep", action="store_true", help="keep the files of a round that failed")
    words.add_argument("--postgres", action="store_true", help="on a PostgreSQL of its own")
    given = words.parse_args()
    logging.getLogger("asyncio").setLevel(logging.ERROR)  # it warns of links that broke
    wrong = 0
    seed = given.seed
    end = time.monotonic() + given.seconds
    while time.monotonic() < end:
        wrong += not _round(given, seed, min(given.round, end - time.monotonic()))
        seed += 1
    return 1 if wrong else 0


def _round(given: argparse.Namespace, seed: int, seconds: float) -> bool:
    """Run one round with a server of its own; tell whether all was well."""
    ours = given.server == "imsuite"
    disk = ours and not given.postgres and missing() is None
    faults = FAULTS if disk else WITH_POSTGRES if given.postgres else WITHOUT_DISK
    if given.faults:
        faults = tuple(given.faults.split(","))
    parts = given.parts.split(",") if given.parts else PARTS if ours else PARTS[:1]
    folder = Path(tempfile.mkdtemp(prefix="torture-"))
    cluster = Cluster() if given.postgres else None
    try:
        if cluster is not None:
            cluster.start()
        names = account_names(given.scale)
        subject = prepare(given.server, folder, names, disk=disk, lies=given.lies, postgres=cluster)
        verdict = torture(
            subject,
            seed,
            chosen(faults, seed, seconds),
            scale=given.scale,
            pause=given.pause,
            load=given.load,
            ours=ours,
            parts=parts,
        )
    finally:
        if cluster is not None:
            cluster.remove()
    print(f"seed {seed}: {verdict}", flush=True)
    if given.keep and not verdict.good:
        print(f"its files are in {folder}")
    else:
        shutil.rmtree(folder)
    return verdict.good


if __name__ == "__main__":
    sys.exit(main())
