"""Reading archives: all of one by pages, single pages out of small and big ones, and search."""

import itertools
import random
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import ClassVar

import attrs

from benchmarks import mam
from benchmarks.checking import Faults, order_faults
from benchmarks.dialogue import Session
from benchmarks.history import GAP, SEED, bodies, history, vocabulary
from benchmarks.loads.load import Filled, Load, Measurement, Stage, account_names
from benchmarks.processes import Moment, Span

PAGE = 100
OWNERS = 3  # accounts that get archives of their own: as many as there are sizes
WARM = 5  # requests before the measured ones


@attrs.frozen
class Expected:
    """A page, and the numbers of the rows it should have."""

    page: mam.Page
    numbers: Sequence[int]


def filled(stage: Stage, owner: int, rows: int) -> Session:
    """Return the session of an account whose archive has so many rows; puts them there first."""
    name = account_names("p", OWNERS)[owner]
    if name not in stage.filled:
        # Prosody makes its tables when somebody first asks for them
        mam.ask(stage.loop, stage.crowd("p", OWNERS, False)[owner], 1)
        stage.clear()
        stage.server.stop()
        start = int(time.time() - 60 - rows) * GAP + owner  # no two messages have the same time
        said = stage.server.fill_archive(history(name, stage.server.domain, rows, start))
        stage.server.start()
        stage.filled[name] = Filled(start, said)
    return stage.crowd("p", OWNERS, False)[owner]


def page_faults(expected: Sequence[Expected]) -> Faults:
    """Return how the rows of pages differ from those that were put there."""
    wanted = {number for one in expected for number in one.numbers}
    known = itertools.islice(bodies(), max(wanted, default=0) + 1)
    texts = {number: body for number, body in enumerate(known) if number in wanted}
    faults = Faults()
    for one in expected:
        rows = one.page.rows()
        order = {number: place for place, number in enumerate(one.numbers)}
        places = [order.get(int(row.id), -1) for row in rows]
        found = order_faults(places, len(order))
        altered = sum(row.body != texts.get(int(row.id)) for row in rows)
        example = f"{len(rows)} rows for {[*one.numbers[:3]]}…: {found}" if found else ""
        faults += attrs.evolve(found, altered=altered, example=example)
    return faults


@attrs.frozen
class ArchiveLoad(Load):
    """Questions to the archive of one account, one after the other."""

    unit: ClassVar[str] = f"page of {PAGE}"
    owner: int
    rows: int

    def size(self, stage: Stage) -> int:
        """Return how many rows the archive has."""
        return min(self.rows, stage.lengths.most_rows)

    def answered(self, stage: Stage, span: Span, expected: Sequence[Expected]) -> Measurement:
        """Return the figures of pages that were asked for in a window."""
        seconds = [one.page.seconds for one in expected]
        return self.figures(stage, span, len(expected), seconds, page_faults(expected))


@attrs.frozen
class PagingLoad(ArchiveLoad):
    """Everything in one archive, read from its beginning, a page at a time."""

    def measure(self, stage: Stage) -> Measurement:
        """Read it twice: a little of it, and all."""
        rows = self.size(stage)
        session = filled(stage, self.owner, rows)
        for _ in itertools.islice(mam.pages(stage.loop, session, PAGE), WARM):
            pass
        start = Moment.now(stage.server.pids)
        pages = [*mam.pages(stage.loop, session, PAGE)]
        span = Span(start, Moment.now(stage.server.pids))
        expected = [
            Expected(page, range(number * PAGE, min((number + 1) * PAGE, rows)))
            for number, page in enumerate(pages)
        ]
        missing = max(0, rows - len(pages) * PAGE)
        measured = self.answered(stage, span, expected)
        return attrs.evolve(measured, faults=measured.faults + Faults(lost=missing))


@attrs.frozen
class PageLoad(ArchiveLoad):
    """Single pages from all over an archive, with the query plan."""

    requests: int = 200

    def measure(self, stage: Stage) -> Measurement:
        """Ask for the pages behind rows that are found by their time."""
        rows = self.size(stage)
        session = filled(stage, self.owner, rows)
        chance = random.Random(SEED)
        numbers = [chance.randrange(rows - PAGE) for _ in range(WARM + self.requests)]
        afters = [self.place(stage, session, number) for number in numbers]
        pages = []
        for after in afters[:WARM]:
            mam.ask(stage.loop, session, PAGE, after=after)
        start = Moment.now(stage.server.pids)
        for after in afters[WARM:]:
            pages.append(mam.ask(stage.loop, session, PAGE, after=after))
        span = Span(start, Moment.now(stage.server.pids))
        expected = [
            Expected(page, range(number + 1, number + 1 + PAGE))
            for page, number in zip(pages, numbers[WARM:], strict=True)
        ]
        measured = self.answered(stage, span, expected)
        return attrs.evolve(measured, note=stage.server.page_plan())

    def place(self, stage: Stage, session: Session, number: int) -> str:
        """Return the id in the archive of a row."""
        when = stage.filled[session.account.name].start + number * GAP
        page = mam.ask(stage.loop, session, 1, since=datetime.fromtimestamp(when / 1e6, UTC))
        assert page.last is not None
        return page.last


@attrs.frozen
class SearchLoad(ArchiveLoad):
    """Search for words (XEP-0431): the first page of what is found."""

    unit: ClassVar[str] = f"search, first {PAGE}"
    ranks: Sequence[tuple[int, ...]] = ()  # of the words searched for, most frequent 0

    def measure(self, stage: Stage) -> Measurement:
        """Search for each, and know what has to be found."""
        rows = self.size(stage)
        session = filled(stage, self.owner, rows)
        words = [{vocabulary()[rank] for rank in ranks} for ranks in self.ranks]
        found: list[list[int]] = [[] for _ in words]
        for number, body in enumerate(itertools.islice(bodies(), rows)):
            present = set(body.split())
            for numbers, wanted in zip(found, words, strict=True):
                if len(numbers) < PAGE and wanted <= present:
                    numbers.append(number)
        pages = []
        mam.ask(stage.loop, session, PAGE, words="warm")
        start = Moment.now(stage.server.pids)
        for wanted in words:
            pages.append(mam.ask(stage.loop, session, PAGE, words=" ".join(sorted(wanted))))
        span = Span(start, Moment.now(stage.server.pids))
        measured = self.answered(stage, span, [*map(Expected, pages, found)])
        return attrs.evolve(measured, note=stage.filled[session.account.name].said)
