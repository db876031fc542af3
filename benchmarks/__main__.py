"""Measures imsuite beside other servers: python -m benchmarks --help; docs/performance.md."""

import argparse
import fcntl
import os
import resource
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import attrs

from benchmarks.loads.catalogue import LOADS
from benchmarks.loads.load import Lengths
from benchmarks.report import failed_targets, machine, summary, table, write_json
from benchmarks.runner import SERVERS, Run, runnable
from benchmarks.servers.external import External, Place
from benchmarks.servers.imsuite import Imsuite
from benchmarks.targets import JUDGED

STANDARD = ("imsuite", "prosody", "prosody-gen", "ejabberd")
QUICK = ("imsuite", "prosody-gen", "ejabberd")
LEFT_OUT = (  # when quick
    "500",
    "500-tls",
    "presence-one",
    "presence-one-tls",
    "login",
    "archive-4000",
    "page-1000",
    "page-1000000",
    "search-rare",
    "search-common",
    "search-both",
    "room-100-tls",
    "room-100-archive",
    "room-300",
    "room-300-tls",
    "room-300-archive",
    "room-1000",
    "room-1000-tls",
    "room-1000-archive",
    "join-300-tls",
    "join-300-one",
    "join-300-one-tls",
    "pubsub-1000",
    "pubsub-1000-tls",
    "pep-1000",
    "pep-1000-tls",
)
QUICK_LENGTHS = Lengths(
    warm=0.3, window=0.8, idle_sessions=200, settle=1.0, offline=20, most_rows=10_000, crowd=320
)


def parser() -> argparse.ArgumentParser:
    """Return the parser of the command line."""
    words = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    words.add_argument("--rounds", type=int, help="of all loads on all servers; 3, or 1 if quick")
    words.add_argument("--servers", help=f"of {', '.join(SERVERS)}; separated by commas")
    words.add_argument("--loads", help=f"of {', '.join(LOADS)}; separated by commas")
    words.add_argument("--quick", action="store_true", help="one short round, under two minutes")
    words.add_argument("--seconds", type=float, help="length of a measured window")
    words.add_argument(
        "--patience",
        type=float,
        default=0.0,
        metavar="SECONDS",
        help="how long to wait, before each measurement, for others on the machine to be quiet",
    )
    words.add_argument("--json", type=Path, metavar="FILE", help="write all figures there")
    words.add_argument(
        "--source", type=Path, metavar="FOLDER", help="checkout of imsuite to measure; this one"
    )
    words.add_argument(
        "--external",
        metavar="DOMAIN,ADDRESS,PORT,TLSPORT,PID",
        help="a running server to measure as 'external'; - as TLSPORT: STARTTLS",
    )
    words.add_argument("--keep", action="store_true", help="keep the folder with the server logs")
    words.add_argument("--strict", action="store_true", help="fail when a target is missed")
    return words


def chosen(text: str | None, known: Sequence[str], default: Sequence[str]) -> list[str]:
    """Return the names in a text; raises SystemExit for one that is not known."""
    names = [name.strip() for name in text.split(",")] if text else list(default)
    for name in names:
        if name not in known:
            raise SystemExit(f"{name!r} is not one of {', '.join(known)}")
    return names


def ended(_signal: int, _frame: object) -> None:
    """End like after an error, so that the servers are stopped."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # timeout(1) sends it twice
    raise SystemExit(143)


def tell(text: str) -> None:
    """Say what is going on, apart from the table."""
    print(f"{time.strftime('%H:%M:%S')} {text}", file=sys.stderr, flush=True)


def allow_many_files() -> None:
    """Raise the limit of open files, ours and that of the servers we start."""
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def wait_for_others() -> int:
    """Wait until no other benchmark runs on this machine; returns the lock, held until we end."""
    lock = os.open(
        Path(tempfile.gettempdir()) / "imsuite-bench.lock", os.O_RDWR | os.O_CREAT, 0o666
    )
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        tell("another benchmark is running; waiting for its end")
        fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def main() -> int:
    """Run and print; returns 1 when imsuite did wrong (or, if strict, missed a target)."""
    options = parser().parse_args()
    signal.signal(signal.SIGTERM, ended)
    allow_many_files()
    if options.external:
        External.place = Place.parse(options.external)
    if options.source:
        Imsuite.source = options.source.resolve()
    servers = chosen(options.servers, list(SERVERS), QUICK if options.quick else STANDARD)
    if options.external and "external" not in servers:
        servers.append("external")
    left_out = [name for name in LEFT_OUT if options.quick]
    usual = [name for name, load in LOADS.items() if not load.named and name not in left_out]
    names = chosen(options.loads, list(LOADS), usual)
    loads = [load for load in LOADS.values() if load.name in names]
    lengths = QUICK_LENGTHS if options.quick else Lengths()
    if options.seconds:
        lengths = attrs.evolve(lengths, window=options.seconds)
    rounds = options.rounds or (1 if options.quick else 3)
    servers = runnable(servers, tell)
    if not servers:
        raise SystemExit("no server to measure")
    lock = wait_for_others()
    folder = Path(tempfile.mkdtemp(prefix="imsuite-bench-"))
    run = Run(folder, servers, loads, rounds, lengths, tell, options.patience)
    try:
        run.play()
    except KeyboardInterrupt:
        tell("interrupted; what was measured follows")
    finally:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)
        run.clear(options.keep)
        os.close(lock)
    about = machine()
    print(f"{about['cpu']}, Linux {about['kernel']}, Python {about['python']}")
    for name, version in run.versions.items():
        print(f"  {name}: {version}")
    for line in (*table(run.measurements, loads, servers), *summary(run.measurements)):
        print(line)
    if options.json:
        write_json(options.json, run.measurements, run.versions)
    wrong = any(one.server == JUDGED and (one.faults or one.failure) for one in run.measurements)
    return int(wrong or (options.strict and bool(failed_targets(run.measurements))))


if __name__ == "__main__":
    sys.exit(main())
