"""What is wrong with what people said, heard and found in their archives."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from itertools import pairwise

import attrs

from benchmarks.torture.archive import Entry
from benchmarks.torture.ledger import Diary, Heard, Ledger, Said, State

SHOWN = 12  # examples of each fault
CRASHES = {"kill", "cut"}


@attrs.define
class Verdict:
    """Each fault with the messages that suffered it."""

    found: dict[str, list[str]] = attrs.field(factory=lambda: defaultdict(list))
    figures: dict[str, int] = attrs.field(factory=dict)

    def add(self, fault: str, what: object) -> None:
        """Note a fault."""
        self.found[fault].append(str(what))

    @property
    def good(self) -> bool:
        """Whether nothing is wrong."""
        return not self.found

    def __str__(self) -> str:
        lines = ["  ".join(f"{name}: {count}" for name, count in self.figures.items())]
        for fault, examples in sorted(self.found.items()):
            lines.append(f"WRONG {fault}: {len(examples)}")
            lines += [f"    {what}" for what in examples[:SHOWN]]
        return "\n".join(lines)


def judge(ledger: Ledger, archives: Mapping[str, list[Entry]], *, sorts: bool = True) -> Verdict:
    """Return what is wrong.

    archives: of each account, in order; sorts: whether ids of archives have to ascend.
    """
    verdict = Verdict()
    for what in ledger.wrong:
        verdict.add("rules broken", what)
    for account, entries in archives.items():
        _judge_archive(verdict, account, entries, sorts)
    counts = {
        account: Counter(entry.key for entry in entries) for account, entries in archives.items()
    }
    for said in ledger.said.values():
        _judge_keeping(verdict, said, counts)
    for diary in ledger.diaries.values():
        if diary.account in archives:
            _judge_hearing(verdict, ledger, diary, archives[diary.account], sorts)
        if diary.steady and diary.failed:
            verdict.add("a session was not resumed", f"{diary.device}, {diary.failed} times")
    _judge_watching(verdict, ledger)
    count(verdict, ledger)
    return verdict


def _judge_archive(verdict: Verdict, account: str, entries: list[Entry], sorts: bool) -> None:
    """Ids are unique and ascend; what one device said is in order (RFC 6120 §10.1)."""
    ids = [entry.id for entry in entries]
    if len(set(ids)) != len(ids):
        twice = [id for id, count in Counter(ids).items() if count > 1]
        verdict.add("ids used twice in an archive", f"{account}: {twice[:3]}")
    if sorts and ids != sorted(ids):
        verdict.add("ids of an archive out of order", account)
    judge_order(verdict, "out of order in an archive", account, (e.key for e in entries if e.key))


def judge_order(
    verdict: Verdict, fault: str, where: object, keys: Iterable[tuple[str, int]]
) -> None:
    """Add a fault for each message of a device that comes after a later one."""
    last: dict[str, int] = {}
    for device, number in keys:
        if number < last.get(device, 0):
            verdict.add(fault, f"{where}: {device} {number} after {last[device]}")
        last[device] = number


def _judge_keeping(
    verdict: Verdict, said: Said, counts: Mapping[str, Counter[tuple[str, int] | None]]
) -> None:
    """An acknowledged message is in both archives once, a refused one in none."""
    own, other = counts[said.account][said.key], counts[said.to][said.key]
    where = f"{said.device} {said.number} to {said.to}, {said.state.value}: {own} and {other} times"
    if said.state is State.ACKED and not (own and other):
        verdict.add("LOST: acknowledged and not in both archives", where)
    if said.state is State.WAITING:
        verdict.add("never acknowledged", where)
    if said.state is State.REFUSED and (own or other):
        verdict.add("refused and yet in an archive", where)
    if said.state is State.RETURNED:
        verdict.add("acknowledged, and returned later", where)
    if said.state is State.DOUBT and own != other:
        verdict.add("in one archive and not in the other", where)
    if max(own, other) > (2 if said.again else 1):
        verdict.add("DUPLICATED in an archive", where)


def _judge_hearing(
    verdict: Verdict, ledger: Ledger, diary: Diary, entries: list[Entry], sorts: bool
) -> None:
    """What is in the archive of an account reached its devices, once and in its order."""
    ids = {entry.key: entry.id for entry in entries if entry.key}
    times: Counter[tuple[str, int]] = Counter()
    unsure: set[tuple[str, int]] = set()
    crashed = bool(CRASHES & ledger.faults.keys())
    for place, heard in enumerate(diary.heard):
        said = ledger.said.get(heard.key)
        what = f"{diary.device} heard {heard.device} {heard.number} ({heard.way})"
        if said is None:
            verdict.add("heard and never said", what)
            continue
        again = said.again or heard.key in unsure
        if diary.account not in (said.to, said.account):
            verdict.add("heard by somebody else", f"{what}, to {said.to}")
        elif heard.key not in ids:
            verdict.add("heard and not in the archive", f"{what}, {said.state.value}")
        elif heard.id is None:
            verdict.add("heard without its id in the archive", what)
        elif heard.id != ids[heard.key] and not said.again:
            verdict.add("heard with another id than in the archive", f"{what}: {heard.id}")
        if heard.way != "archive":
            if times[heard.key] and not again:
                verdict.add("DUPLICATED on delivery", what)
            times[heard.key] += 1
        if place in diary.unsure or (crashed and place in diary.left):
            unsure.add(heard.key)
    _judge_order_heard(verdict, diary, unsure, sorts)
    known = {heard.key for heard in diary.heard}
    for entry in entries:
        if entry.key is None or entry.key in known:
            continue
        said = ledger.said.get(entry.key)
        sibling = said is not None and said.to != diary.account and said.device != diary.device
        if not sibling and said is not None and said.device != diary.device:
            if diary.managed or diary.reads:
                where = f"{diary.device}: {entry.key} {entry.id}"
                verdict.add("LOST: in the archive and not delivered", where)
        elif sibling and diary.carbons and diary.steady:
            verdict.add("LOST: a carbon", f"{diary.device}: {entry.key} {entry.id}")


def _judge_order_heard(
    verdict: Verdict, diary: Diary, unsure: set[tuple[str, int]], sorts: bool
) -> None:
    """Within a session each sender's messages come in order, and all in that of the archive."""
    sessions: dict[int, list[Heard]] = defaultdict(list)
    for heard in diary.heard:
        if heard.way != "archive" and heard.key not in unsure:
            sessions[heard.session].append(heard)
    for number, list_ in sessions.items():
        where = f"{diary.device}, session {number}"
        judge_order(verdict, "out of order on delivery", where, (heard.key for heard in list_))
        for one, two in pairwise(heard for heard in list_ if heard.id is not None):
            if sorts and str(one.id) > str(two.id):
                what = f"{where}: {_words(two)} after {_words(one)}"
                verdict.add("out of order, compared with the archive", what)


def _words(heard: Heard) -> str:
    return f"{heard.device} {heard.number} ({heard.way}, {heard.id})"


def _judge_watching(verdict: Verdict, ledger: Ledger) -> None:
    """Nobody saw a break of somebody whose session went on."""
    steady = {
        diary.device
        for diary in ledger.diaries.values()
        if diary.steady and diary.sessions == 1 and not diary.watches
    }
    for diary in ledger.diaries.values():
        for device in steady:
            seen = [seen for seen in diary.seen if seen.device == device]
            if device == diary.device or not (seen or diary.watches):
                continue
            if not all(each.available for each in seen):
                verdict.add("a flap was seen", f"{diary.device} saw {device} go")
            sessions = Counter(each.session for each in seen if each.available)
            # after a crash nobody knows what a client was told last: it is told again who is there
            if max(sessions.values(), default=0) > 1 and not CRASHES & ledger.faults.keys():
                verdict.add("presence was repeated", f"{diary.device} saw {device} come twice")
            if diary.watches and sessions[diary.sessions] == 0:
                verdict.add("somebody who is there was not seen", f"{diary.device}: {device}")


def count(verdict: Verdict, ledger: Ledger, others: Ledger | None = None) -> None:
    """Count what happened. others: of those who live in rooms and publish."""
    ledgers = [ledger] if others is None else [ledger, others]
    diaries = [diary for each in ledgers for diary in each.diaries.values()]
    counts = {name: len(examples) for name, examples in verdict.found.items()}
    verdict.figures = {
        **ledger.faults,
        "said": sum(each.count(state) for each in ledgers for state in State),
        **{state.value: sum(each.count(state) for each in ledgers) for state in State},
        "delivered": sum(len(diary.heard) + diary.caught for diary in diaries),
        "resumed": sum(diary.resumed for diary in diaries),
        "resumptions refused": sum(diary.failed for diary in diaries),
        "lost": sum(count for name, count in counts.items() if name.startswith("LOST")),
        "duplicated": sum(count for name, count in counts.items() if name.startswith("DUPL")),
        "out of order": sum(count for name, count in counts.items() if "out of order" in name),
    }
