"""What the archives hold is read as a client reads it, and compared with what was said."""

import itertools
import select
import socket
from collections.abc import Iterator

import pytest

from benchmarks import mam
from benchmarks.checking import Faults
from benchmarks.dialogue import Account, Refused, Session
from benchmarks.history import bodies, history, vocabulary
from benchmarks.loads.ledger import Said, row_faults
from benchmarks.loads.paging import Expected, page_faults
from benchmarks.loop import Link, Loop
from benchmarks.messages import chat_message

ME = "u0000@localhost/bench"
YOU = "u0001@localhost/bench"
MESSAGE = chat_message(YOU, "0a1b2c3d")
RESULT = (
    "<message to='u0000@localhost/bench'><result xmlns='urn:xmpp:mam:2' id='{}'>"
    "<forwarded xmlns='urn:xmpp:forward:0'><delay xmlns='urn:xmpp:delay' stamp='x'/>"
    "{}</forwarded></result></message>"
)


def page(*stanzas: str) -> mam.Page:
    """Return a page that holds these stanzas."""
    text = "".join(RESULT.format(number, stanza) for number, stanza in enumerate(stanzas))
    return mam.Page(text.encode(), 0.0, True, None, None)


def session(link: Link) -> Session:
    """Return the session whose archive it is."""
    return Session(link, Account("u0000", ""), ME, "")


@pytest.fixture
def line() -> Iterator[tuple[Loop, Link, socket.socket]]:
    """A link in its loop, and the server's end of it."""
    loop = Loop()
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    link = Link(loop=loop, connection=ours, descriptor=ours.fileno())
    loop.links[link.descriptor] = link
    loop.poll.register(link.descriptor, select.EPOLLIN)
    yield loop, link, theirs
    loop.close()
    theirs.close()


def said(number: int) -> str:
    """Return a message as archives keep it."""
    text = MESSAGE.write(number, 1).decode()
    return text.replace("<message", f"<message xmlns='jabber:client' from='{ME}'")


def faults(*numbers: int, count: int) -> Faults:
    """Return the faults of an archive with the messages of these numbers, of which count are."""
    link = None
    sender = Session(link, Account("u0000", ""), ME, "")  # type: ignore[arg-type]
    return row_faults(page(*map(said, numbers)).rows(), Said(sender, sender, MESSAGE, count))


def test_page_is_read(line):
    loop, link, server = line
    number = next(mam.numbers) + 1
    server.send(
        (
            RESULT.format("a1", said(0))
            + f"<iq type='result' id='mam-{number}'><fin xmlns='urn:xmpp:mam:2'>"
            "<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>a1</first>"
            "<last>a1</last><count>7</count></set></fin></iq>"
        ).encode()
    )
    answer = mam.ask(loop, session(link), 1)
    assert (answer.complete, answer.last, answer.count) == (False, "a1", 7)
    assert [(row.archived, row.sender) for row in answer.rows()] == [("a1", ME)]
    assert b"<max>1</max>" in server.recv(65536)


def test_error_instead_of_a_page_is_noticed(line):
    loop, link, server = line
    number = next(mam.numbers) + 1
    server.send(f"<iq type='error' id='mam-{number}'><error type='cancel'/></iq>".encode())
    with pytest.raises(Refused):
        mam.ask(loop, session(link), 1, after="nobody")


def test_archive_with_everything_is_right():
    assert not faults(0, 1, 2, count=3)


@pytest.mark.parametrize(("numbers", "unkept"), [((0, 2), 1), ((0, 1, 1, 2), 1), ((0, 1, 2, 3), 1)])
def test_archive_that_lacks_or_repeats_is_noticed(numbers, unkept):
    assert faults(*numbers, count=3).unkept == unkept


def test_archive_in_another_order_is_noticed():
    assert faults(1, 0, 2, count=3).reordered == 1


def test_archive_without_chat_states_is_right():
    """XEP-0313 §5.1.1: they need not be kept."""
    rows = page(said(0).replace("<active xmlns='http://jabber.org/protocol/chatstates'/>", ""))
    sender = Session(None, Account("u0000", ""), ME, "")  # type: ignore[arg-type]
    assert not row_faults(rows.rows(), Said(sender, sender, MESSAGE, 1))


def test_altered_body_in_an_archive_is_noticed():
    rows = page(said(0).replace("singing", "s1nging"))
    sender = Session(None, Account("u0000", ""), ME, "")  # type: ignore[arg-type]
    assert row_faults(rows.rows(), Said(sender, sender, MESSAGE, 1)).altered == 1


def test_history_is_the_same_every_time():
    first, second = ([*history("u0000", "localhost", 50, 1)] for _ in range(2))
    assert first == second
    assert [row.body for row in first] == [*itertools.islice(bodies(), 50)]
    assert [row.when for row in first] == sorted({row.when for row in first})
    assert set(first[0].body.split()) <= set(vocabulary())


def test_pages_are_compared_with_the_history():
    stanzas = [
        row.stanza.decode().replace("<message", "<message xmlns='jabber:client'")
        for row in history("u0000", "localhost", 5, 1)
    ]
    assert not page_faults([Expected(page(*stanzas), range(5))])
    assert page_faults([Expected(page(*stanzas[:4]), range(5))]).lost == 1
    assert page_faults([Expected(page(*stanzas[::-1]), range(5))]).reordered
    wrong = [stanzas[0].replace("<body>", "<body>x"), *stanzas[1:]]
    assert page_faults([Expected(page(*wrong), range(5))]).altered == 1
