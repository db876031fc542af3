"""What is wrong with rooms and nodes after a run, compared with what people know of them."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping

from benchmarks.torture.archive import Entry
from benchmarks.torture.dweller import Caught, Dwelling, View
from benchmarks.torture.inspector import NodeFacts, RoomFacts
from benchmarks.torture.ledger import Said, State
from benchmarks.torture.orders import Orders
from benchmarks.torture.verdict import Verdict, judge_order


def judge_rooms(
    verdict: Verdict,
    ledger: Orders,
    dwellers: Iterable[Dwelling],
    rooms: Mapping[str, RoomFacts],
) -> None:
    """Add what is wrong. dwellers: with what they know now; rooms: by address."""
    for room, facts in rooms.items():
        _judge_archive(verdict, room, facts.archive)
        _judge_standing(verdict, ledger, room, facts)
    counts = {room: Counter(e.key for e in facts.archive) for room, facts in rooms.items()}
    everybody = list(dwellers)
    # who may have been outside got an error, which a crash may have taken along
    steady = {it.diary.device for it in everybody if it.diary.steady and not it.roams}
    for said in ledger.said.values():
        if said.to in counts:
            _judge_said(verdict, said, counts[said.to][said.key], said.device in steady)
    for dweller in everybody:
        for view in dweller.views.values():
            _judge_heard(verdict, dweller, view, rooms[view.room].archive)
            _judge_view(verdict, dweller, view, rooms[view.room])
    for room, facts in rooms.items():
        there = {
            f"{dweller.bare}/{dweller.resource}" for dweller in everybody if room in dweller.views
        }
        for nick, (_, _, jid) in facts.inside.items():
            if jid not in there:
                verdict.add("somebody unknown is in a room", f"{room}: {nick}, {jid}")


def _judge_archive(verdict: Verdict, room: str, entries: list[Entry]) -> None:
    ids = [entry.id for entry in entries]
    if len(set(ids)) != len(ids) or ids != sorted(ids):
        verdict.add("ids of an archive out of order", room)
    judge_order(verdict, "out of order in an archive", room, (e.key for e in entries if e.key))


def _judge_said(verdict: Verdict, said: Said, times: int, steady: bool) -> None:
    where = f"{said.device} {said.number} in {said.to}, {said.state.value}: {times} times"
    if said.state is State.ACKED and not times:
        verdict.add("LOST: reflected and not in the room's archive", where)
    if said.state is State.WAITING and said.counted and steady:
        verdict.add("LOST: counted as handled, and its reflection never came", where)
    if said.state is State.REFUSED and times:
        verdict.add("refused and yet in an archive", where)
    if said.state is State.RETURNED:
        verdict.add("reflected, and returned later", where)
    if times > 1:
        verdict.add("DUPLICATED in an archive", where)


def _judge_heard(verdict: Verdict, dweller: Dwelling, view: View, entries: list[Entry]) -> None:
    """What came during a stay is what was said then: once, in order, without a gap."""
    places = {entry.id: place for place, entry in enumerate(e for e in entries if e.key)}
    known = {entry.id: entry for entry in entries}
    stays: dict[int, list[Caught]] = defaultdict(list)
    for caught in view.caught:
        what = f"{dweller} in {view.room}, stay {caught.stay}: {caught.key} ({caught.way})"
        entry = known.get(caught.id or "")
        if caught.id is None:
            verdict.add("heard without its id in the archive", what)
        elif entry is None:
            verdict.add("heard and not in the archive", what)
        elif entry.key != caught.key:
            verdict.add("heard with another id than in the archive", f"{what}: {caught.id}")
        elif entry.sender != caught.sender:
            verdict.add("heard from another occupant than in the archive", what)
        elif caught.stay:
            stays[caught.stay].append(caught)
    for stay, heard in stays.items():
        _judge_stay(verdict, f"{dweller} in {view.room}, stay {stay}", heard, places)
    last = stays.get(view.stay)
    if view.nick is not None and last and places and dweller.online.is_set():
        missing = max(places.values()) - max(places[str(each.id)] for each in last)
        if missing:
            where = f"{dweller} in {view.room}: the last {missing}"
            verdict.add("LOST: in the room's archive and not delivered", where)


def _judge_stay(
    verdict: Verdict, where: str, heard: list[Caught], places: Mapping[str, int]
) -> None:
    seen: set[int] = set()
    before = None
    for each in heard:
        place = places[str(each.id)]
        if place in seen:
            verdict.add("DUPLICATED on delivery", f"{where}: {each.key} ({each.way})")
        elif before is not None and place > before + 1:
            what = f"{where}: {place - before - 1} before {each.key} ({each.way})"
            verdict.add("LOST: in the room's archive and not delivered", what)
        elif before is not None and place < before:
            verdict.add("out of order on delivery", f"{where}: {each.key} ({each.way})")
        seen.add(place)
        before = place if before is None else max(before, place)


def _judge_view(verdict: Verdict, dweller: Dwelling, view: View, facts: RoomFacts) -> None:
    """Who is in, as what and under which name, is what the client was told."""
    if not dweller.online.is_set():
        return
    jid = f"{dweller.bare}/{dweller.resource}"
    own = [nick for nick, (_, _, real) in facts.inside.items() if real == jid]
    if own != ([] if view.nick is None else [view.nick]):
        what = f"{dweller} in {view.room} thinks it is {view.nick}, and is {own}"
        verdict.add("somebody is wrong about itself", what)
        return
    if view.nick is None:
        verdict.add("somebody is not in its room", f"{dweller} in {view.room}")
        return
    there = {nick: standing[:2] for nick, standing in facts.inside.items()}
    if view.people != there:
        wrong = {
            nick: (view.people.get(nick), there.get(nick))
            for nick in view.people.keys() | there.keys()
            if view.people.get(nick) != there.get(nick)
        }
        what = f"{dweller} in {view.room} (told, true): {wrong}"
        verdict.add("somebody sees others than there are", what)
    if view.subject != facts.subject:
        what = f"{dweller} in {view.room}: {view.subject}, not {facts.subject}"
        verdict.add("somebody knows another subject", what)


def _judge_standing(verdict: Verdict, ledger: Orders, room: str, facts: RoomFacts) -> None:
    """What was confirmed of affiliations, configuration and subject is still so."""
    for name in ledger.orders:
        if name[1] != room or name[0] not in ("affiliation", "name", "subject", "made"):
            continue
        found: str | None = {
            "affiliation": facts.affiliations.get(name[-1]),
            "name": facts.name,
            "subject": facts.subject,
            "made": "1" if facts.persistent else None,
        }[name[0]]
        possible = ledger.possible(name)
        if found not in possible:
            verdict.add("LOST: confirmed and not so", f"{name}: {found}, not {possible}")


def judge_nodes(
    verdict: Verdict, ledger: Orders, nodes: Mapping[tuple[str, str], NodeFacts]
) -> None:
    """Add what is wrong with items. nodes: by service and node."""
    for (service, node), facts in nodes.items():
        for id, times in facts.times.items():
            if times > 1:
                verdict.add("DUPLICATED in a node", f"{service} {node}: {id} {times} times")
            if ("item", service, node, id) not in ledger.orders:
                verdict.add("an item that nobody published", f"{service} {node}: {id}")
    for name in ledger.orders:
        if name[0] != "item":
            continue
        _, service, node, id = name
        found, possible = nodes[service, node].items.get(id), ledger.possible(name)
        if found not in possible:
            fault = "LOST: confirmed and not in the node"
            if None in possible:
                fault = "retracted, and still in the node"
            verdict.add(fault, f"{service} {node} {id}: {found}, not {possible}")
