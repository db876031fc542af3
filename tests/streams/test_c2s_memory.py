"""Nothing of a stream stays in memory once it has ended."""

import gc

import pytest

from imsuite.testing.memory import befriend, now
from tests.raw import PASSWORD, STARTTLS, Raw, auth, plain

ENDS = ["closes", "lost", "error", "conflict"]


class Watched:
    """Counts the instances of classes that have no weak references."""

    def __init__(self, *classes):
        self.classes = classes

    def alive(self):
        gc.collect()
        return {
            cls.__name__: sum(type(each) is cls for each in gc.get_objects())
            for cls in self.classes
        }


@pytest.fixture
def alive():
    from imsuite.core.session import Session
    from imsuite.streams.c2s import ClientStream
    from imsuite.streams.parser import Reader
    from imsuite.testing.memory_link import MemoryLink

    watched = Watched(Session, ClientStream, MemoryLink, Reader)
    before = watched.alive()

    def alive():
        return {name: count - before[name] for name, count in watched.alive().items()}

    return alive


def test_sessions_that_ended_are_forgotten(server, alive):
    """Architecture §1: whatever they did and however they went."""
    juliet = server.login("juliet@example.org/balcony")
    befriend(server.login("romeo@example.org/first"), juliet)
    before = alive()
    for way in ENDS:
        live(server, juliet, way)
    server.advance(3600)
    assert alive() == before


def live(server, juliet, way):
    """Let romeo come, do something and go."""
    romeo = server.login("romeo@example.org/orchard", lang="en")
    romeo.says("<presence to='juliet@example.org/balcony'/>")
    romeo.says("<message to='juliet@example.org'><body>hi</body></message>")
    romeo.says("<iq type='get' id='b'><blocklist xmlns='urn:xmpp:blocking'/></iq>")
    romeo.says("<presence><show>away</show></presence>")
    juliet.says("<message to='romeo@example.org/orchard'><body>hi</body></message>")
    if way == "closes":
        romeo.closes()
    elif way == "lost":
        romeo.vanishes()
    elif way == "error":
        romeo.says("<letter/>")
    else:
        server.login("romeo@example.org/orchard").closes()
    server.settle()


def test_streams_that_never_had_a_session_are_forgotten(server, alive):
    """Strangers cost nothing once they are gone, however far they came."""
    server.account("romeo@example.org", PASSWORD)
    now(server.host.account("romeo"))
    before = alive()
    for phase in ("nothing", "header", "tls", "sasl", "authenticated"):
        for way in ("closes", "lost", "error", "late"):
            knock(server, phase, way)
    server.advance(600)
    assert len(server.clients) == 0
    assert alive() == before


def knock(server, phase, way):
    """Let somebody come as far as a phase, and go."""
    raw = Raw(server, secure=phase in ("sasl", "authenticated"))
    if phase != "nothing":
        raw.opens()
    if phase == "tls":
        raw.says(STARTTLS)
    elif phase == "sasl":
        raw.says(auth("SCRAM-SHA-1", "biwsbj1yb21lbyxyPWFiY2RlZmdo"))
    elif phase == "authenticated":
        raw.says(plain("romeo"))
    if way == "closes":
        raw.link.put(b"</stream:stream>")
    elif way == "lost":
        raw.link.lose()
    elif way == "error":
        raw.link.put(b"<a></b>")
    else:
        server.advance(70)
    server.settle()


def test_stream_that_ends_while_its_password_is_looked_at_logs_out(server):
    """RFC 6120 §6.4.6: an account of the moment must not stay."""
    raw = Raw(server, secure=True)
    raw.opens()
    raw.link.lose()
    server.settle()
    assert len(server.clients) == 0
    assert server.host.accounts == {}


@pytest.mark.server(features=["default"], options={"sasl": {"anonymous": True}})
@pytest.mark.parametrize("bound", [True, False])
def test_account_of_the_moment_goes_with_its_stream(server, alive, bound):
    """XEP-0175 §3"""
    raw = Raw(server, secure=True)
    raw.opens()
    raw.says(auth("ANONYMOUS"))
    assert len(server.host.accounts) == 1
    if bound:
        raw.opens()
        raw.binds()
        raw.says("<presence/>")
        assert len(server.router.sessions) == 1
    raw.link.lose()
    server.settle()
    assert server.host.accounts == {}
    assert server.router.sessions == {}
