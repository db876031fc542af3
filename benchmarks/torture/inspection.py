"""At the end of a run: what the server has of rooms and nodes, compared with what people know."""

from __future__ import annotations

import asyncio
import random

from benchmarks.torture.inspector import Inspector
from benchmarks.torture.ledger import Diary, Ledger
from benchmarks.torture.room_verdict import judge_nodes, judge_rooms
from benchmarks.torture.society import Society
from benchmarks.torture.stream import PATIENCE, Gone, Place, Wrong
from benchmarks.torture.verdict import Verdict

LONG = 0.2  # seconds, in which everybody hears that the inspector left


class Inspection:
    """Looks at everything, as often as it is asked to."""

    def __init__(self, place: Place, society: Society, password: str) -> None:
        self.place = place
        self.society = society
        self.password = password

    async def look(self, verdict: Verdict) -> None:
        """Add what is wrong."""
        society = self.society
        try:
            if society.ruler is not None:
                async with self._inspect(society.ruler.account) as inspector:
                    subjects = {room: await inspector.subject(room) for room in society.rooms}
                    await asyncio.sleep(LONG)
                    rooms = {room: await inspector.room(room) for room in society.rooms}
                    for room, facts in rooms.items():
                        facts.subject = subjects[room]
                    judge_rooms(verdict, society.ledger, society.dwellers, rooms)
            nodes = {}
            for publisher in society.publishers:
                async with self._inspect(publisher.account) as inspector:
                    for service, node in publisher.services:
                        found = await inspector.node(service, node)
                        nodes[service or publisher.bare, node] = found
            judge_nodes(verdict, society.ledger, nodes)
        except (Gone, Wrong, TimeoutError) as why:
            verdict.add("rooms and nodes can not be looked at", repr(why))

    def _inspect(self, account: str) -> _Visit:
        diary = Diary(f"{account}/inspector", managed=False)
        return _Visit(Inspector(self.place, Ledger(), diary, self.password, random.Random(0)))


class _Visit:
    """An inspector that is there for a while."""

    def __init__(self, inspector: Inspector) -> None:
        self.inspector = inspector

    async def __aenter__(self) -> Inspector:
        self._running = asyncio.create_task(self.inspector.run())
        await asyncio.wait_for(self.inspector.online.wait(), PATIENCE)
        return self.inspector

    async def __aexit__(self, *why: object) -> None:
        self._running.cancel()
        await asyncio.gather(self._running, return_exceptions=True)
