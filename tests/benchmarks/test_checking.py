"""The benchmark notices every stanza that did not arrive as it was sent."""

from collections.abc import Sequence

import pytest

from benchmarks.checking import Faults, check, without_delays, without_ids
from benchmarks.messages import SIZE, Numbered, chat_message, flip

SENDER = "u0001@localhost/bench"
TO = "u0000@localhost/bench"
MESSAGE = chat_message(TO, "0a1b2c3d")
FORWARDED = b"<message from='u0001@localhost/bench'"


def stanza(number: int) -> bytes:
    """Return a message as a server forwards it."""
    return MESSAGE.write(number, 1).replace(b"<message", FORWARDED)


def arrived(numbers: Sequence[int], count: int) -> Faults:
    """Return the faults of a stream of messages with these numbers, of which count were sent."""
    return check(b"".join(map(stanza, numbers)), MESSAGE, SENDER, count)


def changed(old: bytes, new: bytes) -> Faults:
    """Return the faults of three messages, the second of which was changed."""
    second = stanza(1)
    assert old in second
    received = stanza(0) + second.replace(old, new) + stanza(2)
    return check(received, MESSAGE, SENDER, 3)


def test_message_has_the_size_that_is_documented():
    assert len(MESSAGE.write(7, 1)) == SIZE
    assert len(MESSAGE.write(7, 3)) == 3 * SIZE


def test_all_in_order_is_right():
    assert not arrived(range(50), 50)


def test_nothing_sent_and_nothing_received_is_right():
    assert not check(b" \n", MESSAGE, SENDER, 0)


@pytest.mark.parametrize("missing", [0, 3, 9])
def test_loss_is_noticed(missing):
    numbers = [number for number in range(10) if number != missing]
    assert arrived(numbers, 10) == Faults(lost=1)


def test_duplicate_is_noticed():
    assert arrived([0, 1, 1, 2], 3) == Faults(duplicated=1)


def test_late_duplicate_is_not_called_reordered():
    assert arrived([0, 1, 2, 0], 3) == Faults(duplicated=1)


def test_wrong_order_is_noticed():
    assert arrived([0, 2, 1, 3], 4) == Faults(reordered=1)


def test_number_that_was_never_sent_is_noticed():
    assert arrived([0, 1, 2], 2) == Faults(unexpected=1)


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"singing", b"s1nging"),
        (b"caf\xc3\xa9", b"cafe"),
        (b"&amp;", b"&amp;amp;"),
        (b"<active xmlns='http://jabber.org/protocol/chatstates'/>", b""),
        (b"<active", b"<paused"),
        (b"urn:xmpp:receipts", b"urn:xmpp:receipts:1"),
        (b"</body>", b"</body><delay xmlns='urn:xmpp:delay'/>"),
        (b"type='chat'", b"type='error'"),
        (b"type='chat'", b""),
        (b"from='u0001@", b"from='u0002@"),
        (b'to="u0000@localhost/bench"', b'to="u0000@localhost"'),
        (b"-000000000001'", b"-000000000002'"),
    ],
)
def test_alteration_is_noticed(old, new):
    faults = changed(old, new)
    assert (faults.altered, faults.lost) == (1, 0)
    assert faults.example.startswith("altered")


@pytest.mark.parametrize(
    ("old", "new"),
    [
        (b"type='chat'", b'type="chat" xml:lang="en"'),
        (b"<active xmlns='http://jabber.org/protocol/chatstates'/>", b"ACTIVE"),
        (b"caf\xc3\xa9", b"caf&#233;"),
        (b"singing", b"sing<![CDATA[ing]]>"),
    ],
)
def test_another_way_to_write_the_same_is_right(old, new):
    """A server may serialise anew, and ejabberd changes the order of children."""
    if new == b"ACTIVE":
        body = stanza(1)[stanza(1).index(b"<body>") : stanza(1).index(old)]
        old, new = body + old, old + body
    assert not changed(old, new)


def test_broken_content_is_noticed():
    assert changed(b"</body>", b"").altered == 1


def test_stanza_that_nobody_sent_is_noticed():
    received = stanza(0) + b"<presence from='u0001@localhost/bench'/>" + stanza(1)
    assert check(received, MESSAGE, SENDER, 2).unexpected == 1


def test_message_without_number_is_noticed():
    received = stanza(0) + b"<message from='localhost'><body>welcome</body></message>"
    assert check(received, MESSAGE, SENDER, 1).unexpected == 1


def test_end_that_was_cut_off_is_noticed():
    received = stanza(0) + stanza(1)[:-5]
    faults = check(received, MESSAGE, SENDER, 2)
    assert (faults.lost, faults.unexpected) == (1, 1)


def test_presence_is_checked_too():
    presence = flip("0a1b2c3d")
    received = presence.write(0, 2).replace(b"<presence", b"<presence from='o@localhost/bench'")
    assert not check(received, presence, "o@localhost/bench", 2)
    assert check(received, presence, "o@localhost/bench", 3) == Faults(lost=1)


def test_faults_add_up_and_keep_the_first_example():
    both = Faults(lost=1, example="a") + Faults(lost=2, altered=1, example="b")
    assert both == Faults(lost=3, altered=1, example="a")
    assert str(both) == "3 lost, 1 altered"
    assert not Faults(example="nothing")


def test_attribute_values_are_escaped():
    odd = Numbered("message", 'a@b/"<', "chat", b"i", b"<body>#", b"</body>")
    assert odd.head.startswith(b"<message to='a@b/\"&lt;'")


STANZA_ID = b"<stanza-id xmlns='urn:xmpp:sid:0' by='u0000@localhost' id='1'/>"
ARCHIVED = b"<archived xmlns='urn:xmpp:mam:tmp' by='u0000@localhost' id='1'/>"
DELAY = b"<delay xmlns='urn:xmpp:delay' from='localhost' stamp='2026-11-22T00:00:00Z'/>"


@pytest.mark.parametrize(
    "added", [STANZA_ID, ARCHIVED + STANZA_ID, STANZA_ID[:-2] + b"></stanza-id>"]
)
def test_stanza_id_of_the_own_archive_is_taken_out_and_counted(added):
    """XEP-0313 §3.5"""
    received = stanza(0) + stanza(1).replace(b"<body>", added + b"<body>")
    assert without_ids(received, "u0000@localhost") == (stanza(0) + stanza(1), 1)


def test_stanza_id_of_somebody_else_stays():
    received = stanza(0).replace(b"</message>", STANZA_ID + b"</message>")
    assert without_ids(received, "u0001@localhost") == (received, 0)


@pytest.mark.parametrize(
    "delay", [DELAY, DELAY[:-2] + b">Offline Storage</delay>", DELAY.replace(b"'loc", b"'u@loc")]
)
def test_delay_of_the_server_is_taken_out_and_counted(delay):
    """XEP-0160 §3"""
    received = stanza(0).replace(b"</message>", delay + b"</message>")
    assert without_delays(received, "localhost") == (stanza(0), 1)


def test_delay_of_somebody_else_stays():
    received = stanza(0).replace(b"</message>", DELAY.replace(b"'loc", b"'x.loc") + b"</message>")
    assert without_delays(received, "localhost") == (received, 0)
