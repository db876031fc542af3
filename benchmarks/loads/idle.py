"""Memory of sessions that are logged in and do nothing."""

from typing import ClassVar

import attrs

from benchmarks.checking import Faults
from benchmarks.dialogue import Session, bring
from benchmarks.loads.chat import Conversation
from benchmarks.loads.load import PASSWORD, Load, Measurement, NotMeasured, Stage, account_names
from benchmarks.processes import memory_kib

# sessions that are there before, so that code, caches and what starting left behind (ejabberd
# gives 10 MiB of it back with its first sessions) are not counted
BASE = 100


@attrs.frozen
class IdleLoad(Load):
    """What the server grows by when more sessions log in and say one thing each."""

    unit: ClassVar[str] = "session"
    fresh: ClassVar[bool] = True

    def measure(self, stage: Stage) -> Measurement:
        """Compare the memory with few sessions and with many."""
        lengths = stage.lengths
        names = account_names("u", BASE + lengths.idle_sessions)
        base, faults = self.settle(stage, names[:BASE])
        before = memory_kib(stage.server.pids)
        more, more_faults = self.settle(stage, names[BASE:])
        after = memory_kib(stage.server.pids)
        for session in base + more:
            session.link.close()
        if after <= before:
            raise NotMeasured(f"{len(more)} sessions, and memory went from {before} to {after} KiB")
        return Measurement(
            load=self.name,
            server=stage.name,
            round=stage.round,
            delivered=len(more),
            kib=(after - before) / len(more),
            mechanism=more[0].mechanism,
            cipher=more[0].cipher,
            faults=faults + more_faults,
        )

    def settle(self, stage: Stage, names: list[str]) -> tuple[list[Session], Faults]:
        """Log in, let everybody say one message, and wait."""
        sessions = bring(stage.loop, stage.server, names, PASSWORD, self.tls)
        stage.calm()
        conversation = Conversation.between(stage.loop, sessions)
        for talker in conversation.talkers:
            talker.say(1)
        faults = conversation.finish()
        stage.loop.pause(stage.lengths.settle)
        return sessions, faults
