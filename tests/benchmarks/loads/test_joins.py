"""The benchmark notices every presence of a joining occupant that is missing or wrong."""

import pytest

from benchmarks.loads.joins import Storm, presence_faults
from benchmarks.processes import Moment

ROOM = b"room@conference.localhost"
ANNA, BERT, CARL = (ROOM + b"/" + nick for nick in (b"anna", b"bert", b"carl"))
ITEM = b"<item affiliation='none' role='participant'/>"


def presence(of: bytes, inside: bytes = ITEM) -> bytes:
    """Return a presence of an occupant."""
    return b"<presence from='%b' to='x'><x xmlns='muc#user'>%b</x></presence>" % (of, inside)


OWN = presence(CARL, ITEM + b"<status code='110'/>")


def test_one_presence_of_each_is_right():
    assert not presence_faults(presence(ANNA) + presence(BERT), [ANNA, BERT])
    subject = b"<message from='room'><subject/></message>"
    assert not presence_faults(presence(ANNA) + OWN + subject, [ANNA, CARL], CARL)


def test_presence_of_the_room_itself_is_right():
    """XEP-0486 §2: it may tell of its avatar."""
    avatar = b"<presence from='%b'><x xmlns='vcard-temp:x:update'/></presence>" % ROOM
    assert not presence_faults(presence(ANNA) + avatar, [ANNA])


def test_missing_and_doubled_presences_are_noticed():
    assert presence_faults(presence(ANNA), [ANNA, BERT]).lost == 1
    assert presence_faults(presence(ANNA) * 2, [ANNA]).duplicated == 1
    assert presence_faults(presence(BERT), []).unexpected == 1


@pytest.mark.parametrize(
    "wrong",
    [
        presence(CARL),  # its own, not marked as such
        presence(CARL, b"<status code='110'/>"),
        OWN.replace(b"<presence", b"<presence type='unavailable'"),
    ],
)
def test_wrong_own_presence_is_noticed(wrong):
    assert presence_faults(wrong, [CARL], CARL).altered == 1


def test_time_between_storms_is_not_counted():
    storm = Storm()
    storm.add(Moment(1.0, 10.0, 100.0, 1000.0), Moment(2.0, 10.5, 100.1, 1001.0))
    storm.add(Moment(9.0, 80.0, 900.0, 9000.0), Moment(9.5, 80.1, 900.1, 9002.0))
    assert storm.span.wall == pytest.approx(1.5)
    assert storm.span.server == pytest.approx(0.6)
    assert storm.span.others_busy == pytest.approx((3.0 - 0.6 - 0.2) / 1.5)
