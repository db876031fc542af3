"""Speakers go on when they hear themselves; everybody's copies are counted and checked."""

from collections.abc import Iterator

import pytest

from benchmarks import muc
from benchmarks.dialogue import Account, Session
from benchmarks.loads.rooms import Assembly
from benchmarks.loop import Loop

ROOM = "room@conference.localhost"


class Wire:
    """A link that keeps what is sent."""

    def __init__(self) -> None:
        self.sent = b""

    def send(self, text: bytes) -> None:
        """Keep it."""
        self.sent += text


@pytest.fixture
def loop() -> Iterator[Loop]:
    """A loop without links, closed at the end."""
    made = Loop()
    yield made
    made.close()


@pytest.fixture
def assembly(loop) -> Assembly:
    """Four occupants, two of whom speak."""
    occupants = [
        muc.Occupant(
            loop,
            Session(Wire(), Account(name, ""), f"{name}@localhost/bench", ""),  # type: ignore[arg-type]
            ROOM,
            f"nick-{name}",
        )
        for name in ("u0000", "u0001", "u0002", "u0003")
    ]
    return Assembly.of(loop, ROOM, occupants, 2)


def reflect(assembly: Assembly, speaker: int, listeners: slice = slice(None)) -> None:
    """Let the room give all that a speaker has sent to occupants."""
    one = assembly.speakers[speaker]
    text, one.occupant.session.link.sent = one.occupant.session.link.sent, b""
    for listener in assembly.listeners[listeners]:
        to, sender = listener.occupant.session.jid, one.occupant.jid
        head = f"<message to='{to}' from='{sender}'".encode()
        listener.receive(text.replace(f'<message to="{ROOM}"'.encode(), head))


def test_speakers_stand_all_over_the_room(assembly):
    nicks = [speaker.occupant.nick for speaker in assembly.speakers]
    assert nicks == ["nick-u0000", "nick-u0002"]


def test_reflection_is_followed_by_another_message(assembly):
    first, second = assembly.speakers
    first.say(2)
    reflect(assembly, 0)
    assert (first.sent, second.sent) == (4, 0)
    assert assembly.delivered == 8
    assembly.speaking = False
    reflect(assembly, 0)
    assert first.sent == 4
    assert len(first.latencies()) == 4


def test_what_all_heard_is_right(assembly):
    assembly.speaking = False
    for number in (0, 1):
        assembly.speakers[number].say(3)
        reflect(assembly, number)
    assert not assembly.faults(archived=False)


def test_who_misses_something_is_noticed(assembly):
    assembly.speaking = False
    assembly.speakers[0].say(1)
    reflect(assembly, 0, slice(0, 3))
    assert assembly.faults(archived=False).lost == 1
