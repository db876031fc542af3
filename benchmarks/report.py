"""Prints the measurements as a table, and writes them as JSON."""

import json
import os
import platform
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import attrs

from benchmarks.checking import Faults
from benchmarks.figures import middle, spread
from benchmarks.loads.load import Load, Measurement
from benchmarks.targets import JUDGED, PEERS, Verdict, against_peers, judge

NOISY = 0.3  # cores used by others, from which a line is marked
STARVED = 0.9  # cores used by the generator, from which the rate is a lower bound
COLUMNS = (
    ("server", 12),
    ("CPU µs", 9),
    ("± %", 6),
    ("rate/s", 9),
    ("p50 ms", 8),
    ("p99 ms", 8),
    ("KiB", 7),
    ("srv", 5),
    ("gen", 5),
    ("other", 6),
    ("× peer", 7),
)


def shown(value: float | None, digits: int = 1) -> str:
    """Return a figure, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def judged(verdict: Verdict) -> str:
    """Return what a verdict is about, in three digits: 0.351 is not 0.35."""
    return "–" if verdict.value is None else f"{verdict.value:.3g}"


def row(cells: Sequence[str]) -> str:
    """Return one line of the table."""
    first, *others = cells
    widths = [width for _, width in COLUMNS]
    return first.ljust(widths[0]) + "".join(
        cell.rjust(width) for cell, width in zip(others, widths[1:], strict=True)
    )


def server_row(measurements: Sequence[Measurement], load: str, server: str) -> str:
    """Return a server's line for one load: medians over the rounds."""
    ours = [one for one in measurements if (one.load, one.server) == (load, server)]

    def mid(name: str) -> float | None:
        return middle(getattr(one, name) for one in ours)

    main = "kib" if mid("kib") is not None else "cpu"
    wide = spread(getattr(one, main) for one in ours)
    bound = ">" if (mid("generator_busy") or 0) > STARVED else ""
    times = against_peers(measurements, load, server, main)
    line = row(
        (
            server,
            shown(mid("cpu")),
            shown(None if wide is None else wide * 50, 0),
            "–" if mid("rate") is None else f"{bound}{mid('rate'):.0f}",
            shown(mid("p50"), 2),
            shown(mid("p99"), 2),
            shown(mid("kib")),
            shown(mid("server_busy"), 2),
            shown(mid("generator_busy"), 2),
            shown(mid("others_busy"), 2) + ("!" if (mid("others_busy") or 0) > NOISY else ""),
            shown(times, 2),
        )
    )
    return line + remarks(ours)


def remarks(measurements: Sequence[Measurement]) -> str:
    """Return what went wrong, for the end of a line."""
    faults = sum((one.faults for one in measurements), Faults())
    failures = {one.failure for one in measurements if one.failure}
    text = f"  NOT DELIVERED AS SENT: {faults}" if faults else ""
    return text + "".join(f"  FAILED: {failure[:120]}" for failure in sorted(failures))


def table(
    measurements: Sequence[Measurement], loads: Sequence[Load], servers: Sequence[str]
) -> Iterator[str]:
    """Return the lines of the table: a block for each load, with its targets below."""
    verdicts = judge(measurements)
    for load in loads:
        if not any(one.load == load.name for one in measurements):
            continue
        yield ""
        yield f"{load.title}  [{load.name}; CPU of the server for each {load.unit}]"
        yield row([name for name, _ in COLUMNS])
        for server in servers:
            if not load.suits(server):
                continue
            yield server_row(measurements, load.name, server)
            ours = (one for one in measurements if (one.load, one.server) == (load.name, server))
            for note in dict.fromkeys(one.note for one in ours if one.note):
                yield from (f"    {line}" for line in note.splitlines())
        for verdict in verdicts:
            if verdict.target.load == load.name and verdict.passed is not None:
                yield f"  {JUDGED}: {verdict.target}: {judged(verdict)} {verdict.word}"


def summary(measurements: Sequence[Measurement]) -> Iterator[str]:
    """Return the lines that judge imsuite."""
    verdicts = judge(measurements)
    yield ""
    yield f"targets of {JUDGED} (× peer: multiple of the better of {' and '.join(PEERS)})"
    for verdict in verdicts:
        target = str(verdict.target)
        yield f"  {verdict.target.load:18}{target:34}{judged(verdict):>8}  {verdict.word}"
    passed = sum(verdict.passed is True for verdict in verdicts)
    failed = sum(verdict.passed is False for verdict in verdicts)
    yield f"  {passed} passed, {failed} failed, {len(verdicts) - passed - failed} not measured"


def failed_targets(measurements: Sequence[Measurement]) -> list[Verdict]:
    """Return the targets that were measured and missed."""
    return [verdict for verdict in judge(measurements) if verdict.passed is False]


def machine() -> dict[str, str]:
    """Return what the figures were measured on."""
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    model = next((line.split(":", 1)[1].strip() for line in lines if "model name" in line), "?")
    return {
        "cpu": f"{os.cpu_count()} × {model}",
        "kernel": platform.release(),
        "python": platform.python_version(),
    }


def write_json(
    path: Path, measurements: Sequence[Measurement], versions: Mapping[str, str]
) -> None:
    """Write everything measured, round by round, with the verdicts."""
    content = {
        "machine": machine(),
        "servers": dict(versions),
        "measurements": [attrs.asdict(one) for one in measurements],
        "verdicts": [
            {**attrs.asdict(one.target), "value": one.value, "passed": one.passed}
            for one in judge(measurements)
        ],
    }
    path.write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n")
