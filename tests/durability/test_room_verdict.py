"""The verdict on rooms and nodes sees every kind of loss, of duplicates and of wrong views."""

import random
from collections import Counter
from xml.etree.ElementTree import Element

import attrs
import pytest

from benchmarks.torture.archive import Entry
from benchmarks.torture.dweller import Caught, ManagedDweller
from benchmarks.torture.inspector import NodeFacts, RoomFacts
from benchmarks.torture.ledger import Diary, Ledger, State
from benchmarks.torture.orders import Orders
from benchmarks.torture.room_verdict import judge_nodes, judge_rooms
from benchmarks.torture.stream import Place
from benchmarks.torture.verdict import Verdict

ROOM, NODE = "garden@conference.example.org", ("pubsub.example.org", "news")
COUNT = 3
NAMED, BANNED = ("name", ROOM), ("affiliation", ROOM, "tybalt@example.org")
ITEMS = [("item", *NODE, id) for id in ("kept", "retracted")]


class Story:
    """Romeo said some things in a room, Juliet heard them, and all was well."""

    def __init__(self):
        self.ledger = Orders.of(Ledger())
        place = Place("example.org", "127.0.0.1", 0, None)
        self.people = []
        for name in ("romeo", "juliet"):
            diary = Diary(f"{name}/one", managed=True, sessions=1)
            dweller = ManagedDweller(place, self.ledger, diary, "", random.Random(0))
            dweller.dwell(ROOM)
            dweller.online.set()
            self.people.append(dweller)
        self.romeo, self.juliet = (dweller.views[ROOM] for dweller in self.people)
        self.facts = RoomFacts(name="Garden", affiliations={BANNED[-1]: "outcast"})
        for dweller in self.people:
            view = dweller.views[ROOM]
            view.nick, view.stay = dweller.account, 1
            self.facts.inside[view.nick] = "none", "participant", f"{dweller.bare}/one"
        for view in (self.romeo, self.juliet):
            view.people = {nick: seen[:2] for nick, seen in self.facts.inside.items()}
        for number in range(1, COUNT + 1):
            said = self.ledger.say("romeo/one", number, ROOM)
            said.counted = True
            self.ledger.confirm(said)
            self.facts.archive.append(entry(number))
            for view in (self.romeo, self.juliet):
                view.caught.append(caught(number))
        self.order(NAMED, "Garden")
        self.order(BANNED, "outcast")
        self.order(ITEMS[0], "text")
        self.order(ITEMS[1], "text")
        self.order(ITEMS[1], None)
        self.node = NodeFacts({"kept": "text"}, Counter(["kept"]))

    def order(self, name, value):
        given = self.ledger.order("romeo/one", 0, name, value)
        self.ledger.confirm(given)
        return given

    def said(self, number):
        return self.ledger.said["romeo/one", number]

    @property
    def faults(self):
        """What the verdict finds."""
        verdict = Verdict()
        judge_rooms(verdict, self.ledger, self.people, {ROOM: self.facts})
        judge_nodes(verdict, self.ledger, {NODE: self.node})
        return set(verdict.found)


def entry(number):
    key = ("romeo/one", number)
    return Entry(f"{number:032x}", key, f"{ROOM}/romeo", "", Element("message"))


def caught(number, way="live", stay=1):
    return Caught(("romeo/one", number), f"{number:032x}", f"{ROOM}/romeo", stay, way)


@pytest.fixture
def story():
    return Story()


def test_nothing_is_wrong_where_all_is_well(story):
    assert story.faults == set()


def test_a_reflected_message_that_the_archive_has_not_is_lost(story):
    del story.facts.archive[-1]
    expected = {"LOST: reflected and not in the room's archive", "heard and not in the archive"}
    assert story.faults == expected


def test_a_message_that_was_counted_and_never_came_back_is_lost(story):
    story.said(COUNT).state = State.WAITING
    assert story.faults == {"LOST: counted as handled, and its reflection never came"}


def test_what_is_twice_in_an_archive_is_found(story):
    story.facts.archive.append(attrs.evolve(entry(COUNT), id="f" * 32))
    assert "DUPLICATED in an archive" in story.faults


def test_what_was_refused_is_in_no_archive(story):
    story.said(COUNT).state = State.REFUSED
    assert story.faults == {"refused and yet in an archive"}


def test_disorder_in_an_archive_is_found(story):
    story.facts.archive.reverse()
    assert "out of order in an archive" in story.faults


@pytest.mark.parametrize("missing", range(1, COUNT))
def test_a_gap_in_what_was_heard_is_found(story, missing):
    del story.juliet.caught[missing]
    assert story.faults == {"LOST: in the room's archive and not delivered"}


def test_what_arrived_twice_is_found(story):
    story.juliet.caught.append(caught(COUNT, "late"))
    assert story.faults == {"DUPLICATED on delivery"}


def test_what_arrived_twice_in_another_stay_is_history(story):
    story.juliet.caught += [caught(COUNT - 1, "history", 2), caught(COUNT, "history", 2)]
    story.juliet.stay = 2
    assert story.faults == set()


def test_disorder_on_delivery_is_found(story):
    story.juliet.caught.reverse()
    assert "out of order on delivery" in story.faults


@pytest.mark.parametrize("change", [{"ghost": ("none", "participant")}, {"romeo": ("owner", "x")}])
def test_a_wrong_view_is_found(story, change):
    story.juliet.people.update(change)
    assert story.faults == {"somebody sees others than there are"}


def test_who_thinks_it_is_in_and_is_not_is_found(story):
    del story.facts.inside["juliet"]
    assert "somebody is wrong about itself" in story.faults


def test_a_ghost_in_the_room_is_found(story):
    story.facts.inside["ghost"] = "none", "participant", "nobody@example.org/one"
    assert "somebody unknown is in a room" in story.faults


def test_another_subject_is_found(story):
    story.juliet.subject = "Roses"
    assert story.faults == {"somebody knows another subject"}


@pytest.mark.parametrize("name", [NAMED, BANNED])
def test_an_answered_change_that_is_not_there_is_lost(story, name):
    story.facts.name, story.facts.affiliations = None, {}
    story.ledger.orders = {name: story.ledger.orders[name]}
    story.node = NodeFacts()
    assert story.faults == {"LOST: confirmed and not so"}


def test_a_change_in_doubt_may_be_there_or_not(story):
    order = story.ledger.order("romeo/one", 0, NAMED, "Tomb")
    order.state = State.DOUBT
    assert story.faults == set()
    story.facts.name = "Tomb"
    assert story.faults == set()
    story.ledger.confirm(order)
    story.facts.name = "Garden"
    assert story.faults == {"LOST: confirmed and not so"}


def test_a_published_item_that_is_not_there_is_lost(story):
    story.node = NodeFacts()
    assert story.faults == {"LOST: confirmed and not in the node"}


def test_an_item_that_is_there_twice_is_found(story):
    story.node.times["kept"] += 1
    assert story.faults == {"DUPLICATED in a node"}


def test_a_retracted_item_that_is_there_is_found(story):
    story.node.items["retracted"] = "text"
    assert story.faults == {"retracted, and still in the node"}
