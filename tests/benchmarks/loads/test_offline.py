"""The benchmark notices what is wrong with stored messages."""

import pytest

from benchmarks.dialogue import Account, Session
from benchmarks.loads.offline import Comer, Sender, comer_faults, sender_faults
from benchmarks.loop import Loop
from benchmarks.messages import chat_message

JID = "u0000@localhost/bench"
MESSAGE = chat_message("p0000@localhost", "0a1b2c3d")
DELAY = b"<delay xmlns='urn:xmpp:delay' from='localhost' stamp='2026-11-22T00:00:00Z'/></message>"


@pytest.fixture
def sender() -> Sender:
    """Who wrote."""
    session = Session(None, Account("u0000", ""), JID, "")  # type: ignore[arg-type]
    return Sender(session, MESSAGE)


@pytest.fixture
def comer(sender) -> Comer:
    """Who comes; three messages wait."""
    loop = Loop()
    loop.close()
    return Comer(loop, sender.session, 3)


def kept(number: int) -> bytes:
    """Return a message as it is delivered later."""
    text = MESSAGE.write(number, 1).replace(b"<message", b"<message from='%b'" % JID.encode())
    return text.replace(b"</message>", DELAY)


def test_all_with_delay_and_own_presence_is_right(comer, sender):
    comer.receive(b"<presence from='p0000@localhost/bench' to='p0000@localhost/bench'/>" + kept(0))
    comer.receive(kept(1) + kept(2)[:40])
    comer.receive(kept(2)[40:])
    assert comer.arrived == 3
    assert not comer_faults(comer, sender, "localhost")


def test_message_without_delay_is_noticed(comer, sender):
    comer.receive(kept(0) + kept(1) + kept(2).replace(DELAY, b"</message>"))
    assert comer_faults(comer, sender, "localhost").altered == 1


def test_loss_and_repetition_are_noticed(comer, sender):
    comer.receive(kept(0) + kept(0) + kept(1))
    faults = comer_faults(comer, sender, "localhost")
    assert (faults.lost, faults.duplicated) == (1, 1)


def test_error_to_the_sender_is_noticed(sender):
    sender.receive(b"<iq type='result' id='stored'/>")
    assert sender.heard
    assert not sender_faults(sender)
    sender.receive(b"<message type='error' from='p0000@localhost'/>")
    assert sender_faults(sender).unexpected == 1
