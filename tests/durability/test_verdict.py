"""The verdict sees every kind of loss, of duplicates and of disorder."""

from xml.etree.ElementTree import Element

import pytest

from benchmarks.torture.archive import Entry
from benchmarks.torture.ledger import Diary, Heard, Ledger, Seen, State
from benchmarks.torture.verdict import judge

ONE, TWO = "romeo/one", "juliet/one"
COUNT = 3


class Story:
    """Romeo said some things to juliet, all was well; a test then changes something."""

    def __init__(self):
        self.ledger = Ledger()
        romeo = Diary(ONE, managed=True, sessions=1)
        self.juliet = Diary(TWO, managed=True, sessions=1)
        self.nurse = Diary("nurse/one", managed=False, sessions=1, watches=True)
        for diary in (romeo, self.juliet, self.nurse):
            self.ledger.diaries[diary.device] = diary
        self.archives = {"romeo": [], "juliet": []}
        for number in range(1, COUNT + 1):
            self.ledger.acknowledge(self.ledger.say(ONE, number, "juliet"))
            for entries in self.archives.values():
                entries.append(entry(number))
            self.juliet.heard.append(Heard(ONE, number, id_of(number), 1, "live"))
        self.nurse.seen = [Seen(ONE, True, 1), Seen(TWO, True, 1)]

    def said(self, number):
        return self.ledger.said[ONE, number]

    @property
    def faults(self):
        """What the verdict finds."""
        return set(judge(self.ledger, self.archives).found)


def id_of(number):
    return f"{number:032x}"


def entry(number):
    address = "romeo@example.org/one"
    return Entry(id_of(number), (ONE, number), address, "juliet@example.org", Element("message"))


@pytest.fixture
def story():
    return Story()


def test_nothing_is_wrong_where_all_is_well(story):
    assert story.faults == set()


@pytest.mark.parametrize("account", ["romeo", "juliet"])
def test_an_acknowledged_message_that_an_archive_has_not_is_lost(story, account):
    del story.archives[account][-1]
    assert "LOST: acknowledged and not in both archives" in story.faults


def test_what_is_in_doubt_may_be_missing_but_not_from_one_archive_alone(story):
    story.said(COUNT).state = State.DOUBT
    assert story.faults == set()
    del story.archives["romeo"][-1]
    assert story.faults == {"in one archive and not in the other"}
    del story.archives["juliet"][-1]
    del story.juliet.heard[-1]
    assert story.faults == set()


def test_what_was_refused_is_in_no_archive(story):
    story.said(COUNT).state = State.REFUSED
    assert story.faults == {"refused and yet in an archive"}


def test_a_message_in_an_archive_twice_is_found(story):
    story.archives["juliet"].append(entry(COUNT))
    assert {"DUPLICATED in an archive", "ids used twice in an archive"} <= story.faults


def test_disorder_in_an_archive_is_found(story):
    story.archives["juliet"].reverse()
    assert {"out of order in an archive", "ids of an archive out of order"} <= story.faults


def test_what_never_arrived_is_found(story):
    del story.juliet.heard[1]
    assert story.faults == {"LOST: in the archive and not delivered"}


def test_what_arrived_twice_is_found_unless_nobody_could_know(story):
    story.juliet.heard.append(story.juliet.heard[-1])
    assert "DUPLICATED on delivery" in story.faults
    story.juliet.unsure.add(COUNT - 1)
    assert story.faults == set()


def test_a_session_that_ended_in_order_may_come_back_after_a_crash_only(story):
    story.juliet.leave()
    story.juliet.heard.append(story.juliet.heard[-1])
    assert "DUPLICATED on delivery" in story.faults
    story.ledger.faults["kill"] = 1
    assert story.faults == set()


def test_disorder_on_delivery_is_found(story):
    story.juliet.heard.reverse()
    expected = {"out of order on delivery", "out of order, compared with the archive"}
    assert story.faults == expected


def test_what_was_delivered_before_it_was_durable_is_found(story):
    story.said(COUNT).state = State.DOUBT
    for entries in story.archives.values():
        del entries[-1]
    assert story.faults == {"heard and not in the archive"}


def test_an_id_that_is_not_that_of_the_archive_is_found(story):
    story.juliet.heard[-1] = Heard(ONE, COUNT, id_of(99), 1, "live")
    assert story.faults == {"heard with another id than in the archive"}


def test_a_session_that_did_not_go_on_is_found(story):
    story.juliet.failed = 1
    assert story.faults == {"a session was not resumed"}


@pytest.mark.parametrize(
    ("seen", "faults"),
    [
        ([Seen(TWO, False, 1)], {"a flap was seen"}),
        ([Seen(TWO, True, 1)], {"presence was repeated"}),
    ],
)
def test_presence_that_should_not_have_been_is_found(story, seen, faults):
    story.nurse.seen += seen
    assert story.faults == faults


def test_who_is_there_and_was_not_seen_is_found(story):
    story.nurse.sessions = 2
    story.nurse.seen.append(Seen(ONE, True, 2))
    assert story.faults == {"somebody who is there was not seen"}


def test_after_a_crash_clients_are_told_again_who_is_there(story):
    story.ledger.faults["kill"] = 1
    story.nurse.seen.append(Seen(TWO, True, 1))
    assert story.faults == set()
