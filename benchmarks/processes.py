"""What processes cost: CPU time in nanoseconds and memory, read from the kernel."""

import os
import time
from pathlib import Path

import attrs

TICKS = os.sysconf("SC_CLK_TCK")  # a second
QUIET = 0.15  # cores
CPUCLOCK_SCHED = 2  # linux/posix-timers.h: the run time the scheduler counted


def family(root: int) -> list[int]:
    """Return a process and all its descendants."""
    found = [root]
    for pid in found:
        for task in Path(f"/proc/{pid}/task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except OSError:  # it ended while we looked
                continue
    return found


def process_clock(pid: int) -> int:
    """Return the CPU clock of a process: all its threads, ended ones too (clock_getcpuclockid)."""
    return (~pid << 3) | CPUCLOCK_SCHED


def cpu_seconds(pids: list[int]) -> float:
    """Return the user and system time used by processes and by the children they waited for."""
    total = 0.0
    for pid in pids:
        try:
            total += time.clock_gettime(process_clock(pid))
            fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue
        total += (int(fields[13]) + int(fields[14])) / TICKS  # cutime, cstime
    return total


def memory_kib(pids: list[int]) -> int:
    """Return the anonymous memory of processes, what a fork shares divided among them.

    Pages of files are left out: the share of a library that counts for a process sinks when
    anybody on the machine starts another program that uses it.
    """
    total = 0
    for pid in pids:
        try:
            lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
        except OSError:
            continue
        total += sum(
            int(line.split()[1]) for line in lines if line.startswith(("Pss_Anon:", "Pss_Shmem:"))
        )
    return total


def machine_seconds() -> float:
    """Return the CPU time the whole machine has used, idle time and waiting left out."""
    fields = [int(field) for field in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:]]
    user, nice, system, _idle, _iowait, irq, softirq, steal = fields[:8]
    return (user + nice + system + irq + softirq + steal) / TICKS


@attrs.frozen
class Moment:
    """The clocks at one instant."""

    wall: float  # seconds, perf_counter
    server: float  # CPU seconds of the server
    generator: float  # CPU seconds of this process
    machine: float  # CPU seconds of everybody

    @classmethod
    def now(cls, pids: list[int]) -> "Moment":
        """Return the clocks as they stand."""
        return cls(time.perf_counter(), cpu_seconds(pids), time.process_time(), machine_seconds())


@attrs.frozen
class Span:
    """What passed between two moments."""

    start: Moment
    end: Moment

    @property
    def wall(self) -> float:
        """Seconds by the clock on the wall."""
        return self.end.wall - self.start.wall

    @property
    def server(self) -> float:
        """CPU seconds of the server."""
        return self.end.server - self.start.server

    @property
    def server_busy(self) -> float:
        """Cores the server used."""
        return self.server / self.wall

    @property
    def generator_busy(self) -> float:
        """Cores the load generator used; near 1 it is the bottleneck."""
        return (self.end.generator - self.start.generator) / self.wall

    @property
    def others_busy(self) -> float:
        """Cores used by everybody else: the noise."""
        machine = (self.end.machine - self.start.machine) / self.wall
        return max(0.0, machine - self.server_busy - self.generator_busy)


def wait_for_quiet(patience: float, pids: list[int]) -> None:
    """Wait until others use less than QUIET cores, or patience seconds have passed."""
    end = time.perf_counter() + patience
    while time.perf_counter() < end:
        start = Moment.now(pids)
        time.sleep(0.25)
        if Span(start, Moment.now(pids)).others_busy < QUIET:
            return
