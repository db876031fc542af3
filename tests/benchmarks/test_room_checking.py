"""The benchmark notices every message of a room that not everybody heard as it was said."""

import pytest

from benchmarks.checking import Faults
from benchmarks.messages import SIZE, room_message
from benchmarks.room_checking import Spoken, heard, room_faults

ROOM = "room@conference.localhost"
ANNA, BERT = f"{ROOM}/anna", f"{ROOM}/bert"
SAID = {who: room_message(ROOM, tag) for who, tag in ((ANNA, "0a1b2c00"), (BERT, "0a1b2c01"))}
OTHERS = ("u0000@localhost/bench", "u0001@localhost/bench")
BOTH = ((ANNA, 0), (BERT, 0), (ANNA, 1))
MARKS = (
    b"<occupant-id xmlns='urn:xmpp:occupant-id:0' id='x/y='/>"
    b"<stanza-id xmlns='urn:xmpp:sid:0' by='room@conference.localhost' id='%d'/></message>"
)


def copy(sender: str, number: int, to: str, marked: bool = False) -> bytes:
    """Return a message as a room reflects it."""
    text = SAID[sender].write(number, 1)
    head = f"<message to='{to}' from='{sender}'".encode()
    text = text.replace(f'<message to="{ROOM}"'.encode(), head)
    return text.replace(b"</message>", MARKS % number) if marked else text


def spoken(order=BOTH) -> list[Spoken]:
    """Return what was said, as many messages of each as the order has."""
    return [Spoken(who, SAID[who], sum(one == who for one, _ in order)) for who in SAID]


def stream(order, to: str, marked: bool = False) -> bytes:
    """Return what one occupant received."""
    return b"".join(copy(who, number, to, marked) for who, number in order)


def faults(*orders, archived: bool = False, marked: bool = False) -> Faults:
    """Return the faults of a room whose occupants heard these."""
    received = [(to, stream(order, to, marked)) for to, order in zip(OTHERS, orders, strict=False)]
    return room_faults(received, ROOM, spoken(), archived)


def test_message_has_the_size_that_is_documented():
    assert len(SAID[ANNA].write(7, 1)) == SIZE


@pytest.mark.parametrize("marked", [False, True])
def test_everything_once_in_one_order_is_right(marked):
    assert not faults(BOTH, BOTH, marked=marked)


def test_archived_messages_have_the_id_of_the_archive():
    assert not faults(BOTH, BOTH, archived=True, marked=True)
    assert faults(BOTH, archived=True).altered == 1


def test_two_orders_are_noticed():
    """XEP-0045 §7.4: in the same order to all."""
    swapped = ((BERT, 0), (ANNA, 0), (ANNA, 1))
    assert faults(BOTH, swapped) == Faults(
        reordered=1, example=f"{OTHERS[1]} heard them in another order than the first occupant"
    )


@pytest.mark.parametrize("which", [0, 1])
def test_loss_for_anybody_is_noticed(which):
    orders = [BOTH, BOTH]
    orders[which] = BOTH[:2]
    assert faults(*orders).lost == 1


def test_loss_for_everybody_is_counted_for_each():
    assert faults(BOTH[1:], BOTH[1:]).lost == 2


def test_duplicate_is_noticed():
    assert faults(BOTH, (*BOTH, (BERT, 0))).duplicated == 1


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"singing", b"s1nging"),
        (b"to='u0001@localhost/bench'", b"to='u0000@localhost/bench'"),
        (b"type='groupchat'", b"type='chat'"),
        (b"<markable xmlns='urn:xmpp:chat-markers:0'/>", b""),
    ],
)
def test_alteration_for_one_is_noticed(old, new):
    text = stream(BOTH, OTHERS[1])
    assert old in text
    received = [(OTHERS[0], stream(BOTH, OTHERS[0])), (OTHERS[1], text.replace(old, new, 1))]
    assert room_faults(received, ROOM, spoken(), archived=False).altered == 1


def test_somebody_elses_words_are_noticed():
    text = stream(BOTH, OTHERS[0]) + copy(ANNA, 2, OTHERS[0]).replace(b"/anna", b"/carl")
    assert heard(text, OTHERS[0], ROOM, spoken(), archived=False).faults.unexpected == 1


def test_anything_else_is_noticed():
    text = stream(BOTH, OTHERS[0]) + b"<presence/>"
    assert heard(text, OTHERS[0], ROOM, spoken(), archived=False).faults.unexpected == 1
