"""One run: clients talk while their server suffers; then they are asked what became of it."""

from __future__ import annotations

import asyncio
import random
import re
import subprocess
from collections.abc import Callable, Coroutine, Iterable

import attrs

from benchmarks.torture.archive import Entry
from benchmarks.torture.cast import Cast
from benchmarks.torture.device import Reader
from benchmarks.torture.inspection import Inspection
from benchmarks.torture.ledger import Diary, Ledger, State
from benchmarks.torture.managed import Managed
from benchmarks.torture.stream import Gone
from benchmarks.torture.subjects import Subject
from benchmarks.torture.verdict import Verdict, count, judge

PATIENCE = 30.0  # seconds for everybody to be there again, and to acknowledge the last message
MOMENTS = ("time", "time", "said", "acknowledged", "heard")
FAULT = re.compile(r".*(?:Traceback|Unhandled|#error\]|#critical\]).*")
EXPECTED = re.compile(
    "no room left on the disk|messages wait for the database|messages are refused: the store is "
    "closed|error ignored terminating <psycopg|"
    "(?:nobody can log in|localhost|logins are not stored): postgresql://"
)


async def until(is_so: Callable[[], bool], patience: float) -> bool:
    """Wait until something is so; return whether it is."""
    end = asyncio.get_running_loop().time() + patience
    while not is_so():
        if asyncio.get_running_loop().time() > end:
            return False
        await asyncio.sleep(0.01)
    return True


@attrs.define
class Torture:
    """What is done to whom.

    pause: seconds between two faults at most; sorts: ids of archives have to ascend; waits:
    seconds before each look at the archives, of which one has to find nothing wrong.
    """

    subject: Subject
    cast: Cast
    dice: random.Random
    pause: float = 1.0
    sorts: bool = True
    waits: tuple[float, ...] = (0.1, 1.0, 3.0)  # what was acknowledged last may be on its way
    _tasks: list[asyncio.Task[None]] = attrs.field(factory=list)

    @property
    def ledger(self) -> Ledger:
        """Where all of it is written down."""
        return self.cast.ledger

    async def run(self, faults: Iterable[str]) -> Verdict:
        """Do it, and return the verdict. faults: names of methods of this class, in order."""
        await asyncio.to_thread(self.subject.start)
        try:
            await self._open()
            talks = [self._task(device.talk()) for device in self.cast.talkers]
            talks += [self._task(device.talk()) for device in self.cast.society.devices]
            talks += [self._task(self._mischief(device)) for device in self.cast.flighty]
            if self.cast.society.ruler is not None:
                talks.append(self._task(self.cast.society.ruler.rule()))
            for fault in faults:
                self._count(fault)
                await getattr(self, fault)()
                await self._recovered(fault)
            await self._cancel(talks)
            verdict = await self._ask()
        finally:
            await self._close()
        self._read_outputs(verdict)
        return verdict

    def _task(self, doing: Coroutine[object, object, None]) -> asyncio.Task[None]:
        """Let somebody do something; a mistake of this harness does not go unnoticed."""

        def done(task: asyncio.Task[None]) -> None:
            if not task.cancelled() and task.exception() is not None:
                self.ledger.complain(f"the harness failed: {task.exception()!r}")

        task = asyncio.create_task(doing)
        task.add_done_callback(done)
        return task

    async def _cancel(self, tasks: list[asyncio.Task[None]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _number(self, state: State) -> int:
        """Return how many messages and orders are in a state."""
        return self.ledger.count(state) + self.cast.society.ledger.count(state)

    def _count(self, name: str, more: int = 1) -> None:
        self.ledger.faults[name] = self.ledger.faults.get(name, 0) + more

    # before and after

    async def _open(self) -> None:
        for device in self.cast.everybody:
            self._tasks.append(self._task(device.run()))
        await self._recovered("start")
        await self._open_rooms()
        for watcher in self.cast.watchers:
            for account in self.cast.accounts:
                watcher.send(f"<presence type='subscribe' to='{account}@{watcher.place.domain}'/>")
        if not await until(self._all_seen, PATIENCE):
            self.ledger.complain("those who are subscribed to everybody do not see everybody")

    async def _open_rooms(self) -> None:
        ruler = self.cast.society.ruler
        if ruler is None:
            return
        for view in ruler.views.values():
            ruler.knock(view)
        await until(lambda: all(view.nick for view in ruler.views.values()), PATIENCE)
        if not await ruler.make():
            self.ledger.complain("no rooms could be made")

    def _all_seen(self) -> bool:
        wanted = {device.diary.device for device in self.cast.talkers if device.diary.steady}
        return all(
            wanted <= {seen.device for seen in watcher.diary.seen} for watcher in self.cast.watchers
        )

    async def _close(self) -> None:
        for device in self.cast.everybody:
            device.over = True
            device.break_link()
        await self._cancel(self._tasks)
        try:
            await asyncio.to_thread(self.subject.end)
        except subprocess.TimeoutExpired:
            self.ledger.complain("SIGTERM did not end the server")

    def _read_outputs(self, verdict: Verdict) -> None:
        for number, output in enumerate(self.subject.outputs(), 1):
            for line in FAULT.findall(output):
                if not EXPECTED.search(line):
                    what = f"start {number}: {line}"
                    verdict.add("the server's log shows a fault", what)

    # while it suffers

    async def _moment(self, strike: Callable[[], None]) -> None:
        """Strike at some moment: after a while, or in the middle of something."""
        kind, pause = self.dice.choice(MOMENTS), self.dice.uniform(0.02, self.pause)
        if kind == "time":
            await asyncio.sleep(pause)
            strike()
            return
        struck = asyncio.Event()
        left = self.dice.randrange(1, 200)

        def trap(moment: str) -> None:
            nonlocal left
            left -= moment == kind
            if left == 0:
                self.ledger.trap = None
                strike()
                struck.set()

        self.ledger.trap = trap
        try:
            await asyncio.wait_for(struck.wait(), self.pause)
        except TimeoutError:
            self.ledger.trap = None
            strike()

    async def _again(self) -> None:
        """Start it again; now and then it is killed once more while everybody comes back."""
        await asyncio.sleep(self.dice.choice((0.0, 0.0, 0.2)))
        await asyncio.to_thread(self.subject.start)
        if self.dice.random() < 0.15:
            await asyncio.sleep(self.dice.uniform(0.0, 0.4))
            self._count("kill")
            self.subject.kill()
            await asyncio.to_thread(self.subject.bury)
            await asyncio.to_thread(self.subject.start)

    async def kill(self) -> None:
        """kill -9."""
        await self._moment(self.subject.kill)
        await asyncio.to_thread(self.subject.bury)
        await self._again()

    async def cut(self) -> None:
        """A power cut: what was not synced is lost, or some of it."""
        await self._moment(self.subject.kill)
        await asyncio.to_thread(self.subject.bury)
        assert self.subject.disk is not None
        lost = self.subject.disk.cut(self.dice)
        self._count("bytes lost by cuts", lost)
        await self._again()

    async def term(self) -> None:
        """SIGTERM, as an operator restarts it."""
        await self._moment(lambda: None)
        try:
            await asyncio.to_thread(self.subject.end)
        except subprocess.TimeoutExpired:
            self.ledger.complain("SIGTERM did not end the server")
        await self._again()

    async def full(self) -> None:
        """The disk is full for a while; there is room again, and everything goes on."""
        disk = self.subject.disk
        assert disk is not None
        await self._moment(lambda: disk.fill(self.dice.randrange(100_000)))
        before = self._number(State.REFUSED)
        await until(lambda: self._number(State.REFUSED) > before, 5)
        await asyncio.sleep(self.dice.uniform(0.0, 0.3))
        disk.free()
        await self._goes_on("the disk was full")

    async def postgres(self) -> None:
        """All of PostgreSQL is killed, and comes back: whoever wrote something waits meanwhile."""
        cluster = self.subject.postgres
        assert cluster is not None
        await self._moment(lambda: None)
        refused = self.ledger.count(State.REFUSED)  # requests may be, and kicked people are
        await asyncio.to_thread(cluster.kill)
        await asyncio.sleep(self.dice.uniform(0.0, 1.0))
        await asyncio.to_thread(cluster.start)
        await self._goes_on("PostgreSQL was killed")
        if self.ledger.count(State.REFUSED) > refused:
            self.ledger.complain("messages were refused, not kept waiting for PostgreSQL")

    async def _goes_on(self, after: str) -> None:
        taken = self._number(State.ACKED)
        if not await until(lambda: self._number(State.ACKED) > taken + 10, PATIENCE):
            self.ledger.complain(f"nothing is acknowledged after {after}")

    async def _recovered(self, fault: str) -> None:
        """Wait until everybody is there."""
        devices = [device for device in self.cast.everybody if not device.diary.leaves]
        if self.dice.random() < 0.2 and fault != "start":
            return  # the next one comes while they are coming back
        if not await until(lambda: all(device.online.is_set() for device in devices), PATIENCE):
            absent = [str(device) for device in devices if not device.online.is_set()]
            self.ledger.complain(f"not back {PATIENCE} s after {fault}: {absent}")

    async def _mischief(self, device: Managed) -> None:
        """Lose the link again and again, or leave in order, and come back soon or late."""
        dice = self.dice
        while True:
            await asyncio.sleep(dice.uniform(0.1, 2.0))
            away = dice.choice((0.02, 0.3, 1.5 * (device.longest or 1)))
            if dice.random() < 0.5 or not device.diary.leaves:
                device.break_link(away if device.diary.leaves else dice.choice((0.02, device.nap)))
            else:
                try:
                    await device.leave(away)
                except Gone:
                    continue

    # afterwards

    async def _ask(self) -> Verdict:
        """Wait for the last acknowledgements, read the archives and judge."""
        await self._recovered("the end")
        everybody = self.cast.everybody
        await until(lambda: all(device.online.is_set() for device in everybody), PATIENCE)
        for device in everybody:
            if device.online.is_set():
                device.sync()
        if not await until(
            lambda: not any(device.unacknowledged for device in everybody), PATIENCE
        ):
            waiting = [f"{it}: {it.unacknowledged}" for it in everybody if it.unacknowledged]
            self.ledger.complain(f"no acknowledgement came: {waiting}")
        await self._enter_again()
        inspection = Inspection(self.subject.place, self.cast.society, self.cast.password)
        verdict = Verdict()
        for wait in self.waits:
            await asyncio.sleep(wait)
            verdict = judge(self.ledger, await self._archives(), sorts=self.sorts)
            await inspection.look(verdict)
            count(verdict, self.ledger, self.cast.society.ledger)
            if verdict.good:
                break
        return verdict

    async def _enter_again(self) -> None:
        """Let those who are not in their rooms enter, and all hear of it."""
        views = [(it, view) for it in self.cast.society.dwellers for view in it.views.values()]

        def all_in() -> bool:
            for device, view in views:
                if view.nick is None and device.online.is_set():
                    device.knock(view)
            return all(view.nick is not None for _, view in views)

        if not await until(all_in, PATIENCE):
            out = [f"{it}: {view.room}" for it, view in views if view.nick is None]
            self.ledger.complain(f"not let in: {out}")

    async def _archives(self) -> dict[str, list[Entry]]:
        accounts = self.cast.accounts
        found = await asyncio.gather(*(self._archive(account) for account in accounts))
        return dict(zip(accounts, found, strict=True))

    async def _archive(self, account: str) -> list[Entry]:
        reader = Reader(
            self.subject.place,
            Ledger(),
            Diary(f"{account}/reader", managed=False),
            self.cast.password,
            self.dice,
        )
        running = asyncio.create_task(reader.run())
        try:
            await asyncio.wait_for(reader.online.wait(), PATIENCE)
            return await reader.read_archive()
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)
