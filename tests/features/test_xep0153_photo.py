"""XEP-0153: the hash of the photo in presence, which the server puts there (XEP-0398 §4)."""

import base64
import hashlib

import pytest

from imsuite.testing.memory import MemoryServer
from tests.helpers import fitting, holds
from tests.managed import Managed

PHOTO, OTHER = b"\x89PNG\r\n\x1a\n one", b"\x89PNG\r\n\x1a\n other"
UPDATE = "vcard-temp:x:update"
EMPTY = f"<x xmlns='{UPDATE}'><photo/></x>"


def card(photo):
    """Return what a card says of a photo."""
    return f"<PHOTO><BINVAL>{base64.b64encode(photo).decode()}</BINVAL></PHOTO>"


def sets(client, photo):
    """Let a client store a card with a photo."""
    return client.says(
        f"<iq type='set' id='v'><vCard xmlns='vcard-temp'><FN>R</FN>{card(photo)}</vCard></iq>"
    )


def says(photo):
    """Return what presence says of a photo."""
    return f"<x xmlns='{UPDATE}'><photo>{hashlib.sha1(photo).hexdigest()}</photo></x>"


def presence(inner, to="juliet@example.org"):
    """Return a pattern of romeo's presence."""
    return f"<presence from='romeo@example.org/orchard' to='{to}'>{inner}</presence>"


def test_presence_gets_the_hash(friends):
    """XEP-0398 §4: in every available presence."""
    romeo, juliet = friends
    sets(romeo, PHOTO)
    juliet.forget()
    romeo.says("<presence><show>away</show></presence>")
    (heard,) = juliet.received
    assert holds(heard, presence(f"<show>away</show>{says(PHOTO)}"))


def test_another_photo_is_told_at_once(friends):
    """§4.1: by the last presence said again, to contacts and to one's own clients."""
    romeo, juliet = friends
    romeo.says("<presence><status>here</status></presence>")
    for photo in (PHOTO, OTHER):
        juliet.forget()
        romeo.forget()
        answers = sets(romeo, photo)
        (heard,) = juliet.received
        assert holds(heard, presence(f"<status>here</status>{says(photo)}"))
        assert heard.count("<x ") == 1
        own = presence(says(photo), to="romeo@example.org")
        assert len(fitting(answers, own)) == 1
        assert holds(answers[-1], "<iq type='result' id='v'/>")


def test_same_photo_is_not_told_again(friends):
    """§4.1"""
    romeo, juliet = friends
    sets(romeo, PHOTO)
    juliet.forget()
    (answer,) = sets(romeo, PHOTO)
    assert holds(answer, "<iq type='result' id='v'/>")
    assert juliet.received == []


@pytest.mark.parametrize("card", ["<FN>R</FN>", ""])
def test_photo_that_was_taken_away_is_told(friends, server, card):
    """§4.1: an empty element, or contacts would show the old one for ever."""
    romeo, juliet = friends
    sets(romeo, PHOTO)
    juliet.forget()
    romeo.says(f"<iq type='set' id='v'><vCard xmlns='vcard-temp'>{card}</vCard></iq>")
    (heard,) = juliet.received
    assert holds(heard, presence(EMPTY))
    romeo.closes()
    juliet.forget()
    server.login("romeo@example.org/orchard")
    assert fitting(juliet.received, presence(EMPTY))


def test_who_never_had_a_card_says_nothing(friends):
    """XEP-0398 §4: there is no hash to include."""
    romeo, juliet = friends
    romeo.says("<presence/>")
    assert UPDATE not in juliet.received[-1]


def test_directed_presence_gets_the_hash(romeo, juliet):
    """XEP-0398 §4: so that rooms show it."""
    sets(romeo, PHOTO)
    romeo.says("<presence to='juliet@example.org/balcony'/>")
    assert holds(juliet.received[-1], presence(says(PHOTO), "juliet@example.org/balcony"))


@pytest.mark.parametrize("type", ["unavailable", "probe", "subscribe"])
def test_other_presence_gets_none(friends, type):
    """XEP-0398 §4: available presence."""
    romeo, juliet = friends
    sets(romeo, PHOTO)
    juliet.forget()
    romeo.says(f"<presence type='{type}' to='juliet@example.org'/>")
    assert not any(UPDATE in heard for heard in juliet.received)


def test_client_that_shows_no_avatar_is_left_alone(friends, server):
    """XEP-0398 §4: an empty photo stays empty, and nothing is said again for it."""
    romeo, juliet = friends
    romeo.says(f"<presence>{EMPTY}</presence>")
    juliet.forget()
    sets(romeo, PHOTO)
    assert juliet.received == []
    romeo.says(f"<presence>{EMPTY}<show>xa</show></presence>")
    assert holds(juliet.received[-1], presence(EMPTY))
    romeo.says("<presence/>")
    assert holds(juliet.received[-1], presence(says(PHOTO)))
    juliet.forget()
    sets(romeo, OTHER)
    assert holds(juliet.received[-1], presence(says(OTHER)))


@pytest.mark.parametrize("end", ["restart", "crash"])
def test_client_that_shows_no_avatar_is_left_alone_after_a_restart(end):
    """XEP-0398 §4 with XEP-0198 §5"""
    first = MemoryServer()
    romeo = Managed(first, "romeo@example.org/orchard")
    romeo.says(f"<presence>{EMPTY}</presence>")
    first.advance(60)  # so that a crash does not undo it
    second = getattr(first, end)()
    assert romeo.resumes(second).kind == "resumed"
    told = romeo.says(f"<iq type='set' id='v'><vCard xmlns='vcard-temp'>{card(PHOTO)}</vCard></iq>")
    assert fitting(told, "<iq type='result' id='v'/>")
    assert not any(UPDATE in each for each in told)
    second.stop()


@pytest.mark.parametrize(
    "said", [f"<x xmlns='{UPDATE}'/>", f"<x xmlns='{UPDATE}'><photo>{'0' * 40}</photo></x>"]
)
def test_what_says_nothing_or_something_else_is_overwritten(friends, said):
    """XEP-0398 §4"""
    romeo, juliet = friends
    sets(romeo, PHOTO)
    romeo.says(f"<presence>{said}</presence>")
    assert holds(juliet.received[-1], presence(says(PHOTO)))
    assert juliet.received[-1].count(UPDATE) == 1


def test_hash_is_there_after_a_login(friends, server):
    """XEP-0398 §4: the client need not fetch its card."""
    romeo, juliet = friends
    sets(romeo, PHOTO)
    romeo.closes()
    juliet.forget()
    server.login("romeo@example.org/orchard")
    assert fitting(juliet.received, presence(says(PHOTO)))


def test_hash_of_a_card_from_before_is_known(server):
    """XEP-0398 §4: cards that were stored when nobody asked for their hash."""
    server.account("romeo@example.org")
    raw = base64.b64encode(PHOTO)
    card = b"<vCard xmlns='vcard-temp'><PHOTO><BINVAL>%s</BINVAL></PHOTO></vCard>" % raw
    server.store.execute(
        "INSERT INTO vcard (account, vcard) VALUES (?, ?)", "romeo@example.org", card
    )
    romeo = server.login("romeo@example.org/orchard", available=False)
    assert holds(romeo.says("<presence/>")[0], presence(says(PHOTO), "romeo@example.org"))


def test_contacts_that_come_later_see_the_hash(friends, server):
    """XEP-0398 §4: also in the answer to a probe."""
    romeo, _ = friends
    sets(romeo, PHOTO)
    late = server.login("juliet@example.org/late", available=False)
    late.says("<presence/>")
    assert fitting(late.received, presence(says(PHOTO)))
