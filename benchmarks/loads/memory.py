"""Memory of a server while very many messages pass and are archived."""

from typing import ClassVar

import attrs

from benchmarks.checking import Faults
from benchmarks.loads.chat import Conversation
from benchmarks.loads.ledger import Ledger
from benchmarks.loads.load import Load, Measurement, Stage
from benchmarks.processes import Moment, Span, memory_kib

SLICE = 50_000  # messages after which memory is read and what arrived is checked
SETTLED = 4  # slices after which caches and pools have their size
ENOUGH = 600.0  # seconds for one slice


@attrs.frozen
class MemoryLoad(Load):
    """So many messages in all, with so many in flight for each session.

    KiB is what the server grew by between SETTLED slices and the end, in all. CPU is that of the
    whole time, whatever the server does between the messages included; so the rate is too low by
    the pauses in which the generator checks.
    """

    unit: ClassVar[str] = "message"
    fresh: ClassVar[bool] = True
    sessions: int
    in_flight: int

    def measure(self, stage: Stage) -> Measurement:
        """Let them talk slice by slice."""
        crowd = stage.crowd("u", self.sessions, self.tls)
        start = Moment.now(stage.server.pids)
        sizes: list[int] = []
        faults = Faults()
        total = 0
        while total < stage.lengths.passing:
            ledger = Ledger.opened(stage, crowd)
            conversation = Conversation.between(stage.loop, crowd, self.profile.archive)
            conversation.answering = True
            for talker in conversation.talkers:
                talker.say(self.in_flight)
            conversation.wait_for(SLICE, ENOUGH)
            faults += conversation.finish()
            sizes.append(memory_kib(stage.server.pids))
            faults += ledger.faults(conversation.said())
            total += conversation.delivered
        span = Span(start, Moment.now(stage.server.pids))
        measured = self.figures(stage, span, total, [], faults)
        grown = sizes[-1] - sizes[min(SETTLED, len(sizes)) - 1]
        note = f"MiB after every {SLICE}: " + " ".join(f"{size / 1024:.1f}" for size in sizes)
        return attrs.evolve(measured, kib=float(grown), note=note)
