"""What the archives must hold after a load, and what they do hold."""

from collections import Counter
from collections.abc import Sequence
from xml.etree import ElementTree

import attrs

from benchmarks import mam
from benchmarks.checking import Faults, order_faults
from benchmarks.dialogue import Session
from benchmarks.loads.load import Stage
from benchmarks.loop import Loop
from benchmarks.messages import DIGITS, Numbered

PAGE = 100
READ = 2  # sessions whose archives are read through; of the others the rows are counted


@attrs.frozen
class Said:
    """The messages 0 to count - 1 that one session sent another."""

    sender: Session
    recipient: Session
    message: Numbered
    count: int


@attrs.frozen
class Size:
    """An archive at one moment."""

    rows: int
    last: str | None  # id in the archive


@attrs.define(eq=False)
class Ledger:
    """The archives of some sessions before a load; without archives it has nothing to say."""

    loop: Loop
    stage: Stage
    sessions: Sequence[Session]
    before: dict[str, Size] = attrs.field(factory=dict)  # by full JID

    @classmethod
    def opened(cls, stage: Stage, sessions: Sequence[Session]) -> "Ledger":
        """Ask for the sizes of the archives, if the profile has any."""
        if not stage.server.profile.archive:
            return cls(stage.loop, stage, ())
        ledger = cls(stage.loop, stage, sessions)
        ledger.before = ledger.sizes()
        return ledger

    def sizes(self) -> dict[str, Size]:
        """Return how many rows each archive has, and its last."""
        return {session.jid: size(self.loop, session) for session in self.sessions}

    def faults(self, said: Sequence[Said]) -> Faults:
        """Return what the archives lack of what was said, or have too many."""
        if not self.sessions:
            return Faults()
        self.stage.calm()
        expected: Counter[str] = Counter()
        for one in said:
            expected[one.sender.jid] += one.count
            expected[one.recipient.jid] += one.count
        wrong = {
            jid: now.rows - self.before[jid].rows - expected[jid]
            for jid, now in self.sizes().items()
            if now.rows - self.before[jid].rows != expected[jid]
        }
        example = f"rows too many in archives: {wrong}"[:300] if wrong else ""
        faults = Faults(unkept=sum(map(abs, wrong.values())), example=example)
        return sum((self.read(session, said) for session in self.sessions[:READ]), faults)

    def read(self, session: Session, said: Sequence[Said]) -> Faults:
        """Return what is wrong with the rows of a session's archive since the load began."""
        after = self.before[session.jid].last
        rows = [row for page in mam.pages(self.loop, session, PAGE, after) for row in page.rows()]
        mine = [one for one in said if session in (one.sender, one.recipient)]
        return sum((row_faults(rows, one) for one in mine), Faults())


def size(loop: Loop, session: Session) -> Size:
    """Return the size of a session's own archive: what the server says, or counted."""
    page = mam.ask(loop, session, 1, backwards=True)
    rows = page.count
    if rows is None:
        rows = sum(len(page.rows()) for page in mam.pages(loop, session, PAGE))
    return Size(rows, page.last)


def row_faults(rows: Sequence[mam.Row], said: Said) -> Faults:
    """Return how the rows from one sender differ from what it said.

    Only what every archive has to keep is compared: sender, id and body; a server may leave out
    chat states (XEP-0313 §5.1.1) and add a stanza-id.
    """
    numbers = []
    altered = 0
    for row in rows:
        if row.sender == said.sender.jid:
            digits = row.id[-DIGITS:]
            numbers.append(int(digits) if digits.isdigit() else -1)
            sent = ElementTree.fromstring(said.message.write(numbers[-1], 1))
            altered += (row.id, row.body) != (sent.get("id"), sent.findtext("body"))
    found = order_faults(numbers, said.count)
    return Faults(
        unkept=found.lost + found.duplicated + found.unexpected,
        reordered=found.reordered,
        altered=altered,
        example=f"archive of {len(numbers)} rows from {said.sender.jid}: {found}" if found else "",
    )
