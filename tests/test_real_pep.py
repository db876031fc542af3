"""Avatars and bookmarks of clients that nobody here wrote, each in the form that they know.

slixmpp, at `twistd -n imsuite`: XEP-0084 and XEP-0153, XEP-0402 and XEP-0048, XEP-0490.
"""

import hashlib
import itertools
from contextlib import ExitStack

import pytest
from slixmpp.plugins.xep_0048.stanza import Bookmarks
from slixmpp.plugins.xep_0402 import stanza as native

from tests.people import Slixmpp
from tests.served import served

DOMAIN = "localhost"
HOSTS = f'[hosts."{DOMAIN}"]\n'
PASSWORD = "wherefore-art-thou"
PEOPLE = 8
PLUGINS = ("xep_0084", "xep_0153", "xep_0048", "xep_0049", "xep_0223", "xep_0490", "xep_0115")
PNG = b"\x89PNG\r\n\x1a\n a picture, as far as a server can tell"
OTHER = b"\x89PNG\r\n\x1a\n another one"
ROOM = "theplay@conference.shakespeare.lit"
OPEN = {
    "FORM_TYPE": "http://jabber.org/protocol/pubsub#publish-options",
    "pubsub#access_model": "open",
}

pytestmark = pytest.mark.filterwarnings("ignore:Accessing plugins:DeprecationWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server with accounts."""
    with served(tmp_path_factory.mktemp("served"), HOSTS) as server:
        names = "".join(f"person{n}@{DOMAIN} {PASSWORD}\n" for n in range(PEOPLE))
        server.ctl("adduser", "--from", "-", given=names)
        server.names = (f"person{n}@{DOMAIN}" for n in itertools.count())
        yield server


@pytest.fixture
def people(server):
    """Make somebody with an account who is online; afterwards everybody is gone."""
    native.register_plugin()  # the plugin of slixmpp depends on itself

    def make(bare=None, device="phone"):
        jid = f"{bare or next(server.names)}/{device}"
        person = Slixmpp(server, jid, PASSWORD, plugins=PLUGINS)
        everybody.callback(person.close)
        person.log_in()
        return person

    with ExitStack() as everybody:
        yield make


def id_of(data):
    """Return the id of a picture."""
    return hashlib.sha1(data).hexdigest()


def options(person):
    """Return publish-options for everybody."""
    form = person.client["xep_0004"].make_form("submit")
    form.add_field(var="FORM_TYPE", ftype="hidden", value=OPEN["FORM_TYPE"])
    form.add_field(var="pubsub#access_model", value=OPEN["pubsub#access_model"])
    return form


def photo(person, jid):
    """Return the photo that somebody sees in a card."""
    return person.ask("xep_0054", "get_vcard", jid, cached=False)["vcard_temp"]["PHOTO"]["BINVAL"]


def test_avatar_of_a_newer_client_is_seen_by_an_older_one(people):
    """XEP-0398 §3.1, §4"""
    romeo, juliet = people(), people()
    info = {"id": id_of(PNG), "type": "image/png", "bytes": str(len(PNG))}
    romeo.ask("xep_0084", "publish_avatar", PNG, options=options(romeo))
    romeo.ask("xep_0084", "publish_avatar_metadata", info, options=options(romeo))
    assert photo(juliet, romeo.bare) == PNG
    assert photo(romeo, romeo.bare) == PNG


def test_avatar_of_an_older_client_is_seen_by_a_newer_one(people):
    """XEP-0398 §3.2"""
    romeo, juliet = people(), people()
    card = romeo.ask("xep_0054", "make_vcard")
    card["FN"] = "Romeo"
    romeo.ask("xep_0054", "publish_vcard", card)  # slixmpp changes the card that there is
    romeo.ask("xep_0153", "set_avatar", avatar=OTHER, mtype="image/png")
    found = juliet.ask("xep_0084", "retrieve_avatar", romeo.bare, id_of(OTHER))
    assert found["pubsub"]["items"]["item"]["avatar_data"]["value"] == OTHER


def listed(rooms):
    """Return bookmarks as XEP-0048 has them."""
    bookmarks = Bookmarks()
    for room in rooms:
        bookmarks.add_conference(room, "JC", autojoin=True)
    return bookmarks


def rooms(bookmarks):
    """Return the rooms in bookmarks of XEP-0048."""
    return [str(each["jid"]) for each in bookmarks["conferences"]]


def items(person):
    """Return the rooms in bookmarks of XEP-0402, and who is told to join them."""
    found = person.ask("xep_0060", "get_items", person.bare, native.NS)
    return {
        item["id"]: item["conference"]["autojoin"]
        for item in found["pubsub"]["items"]["substanzas"]
    }


@pytest.mark.parametrize("method", ["xep_0049", "xep_0223"])
def test_bookmarks_of_an_older_client_are_seen_by_a_newer_one(people, method):
    """XEP-0402 §5.2.2, XEP-0411 §4"""
    romeo = people()
    romeo.ask("xep_0048", "set_bookmarks", listed([ROOM]), method)
    assert items(romeo) == {ROOM: True}
    romeo.ask("xep_0048", "set_bookmarks", listed(["other@x.example"]), method)
    assert items(romeo) == {"other@x.example": True}


def test_bookmarks_of_a_newer_client_are_seen_by_older_ones(people):
    """XEP-0402 §5.2.1"""
    romeo = people()
    conference = native.Conference()
    conference["autojoin"] = True
    conference["nick"] = "JC"
    romeo.ask("xep_0223", "store", conference, node=native.NS, id=ROOM)
    old = romeo.ask("xep_0048", "get_bookmarks", "xep_0049")
    assert rooms(old["private"]["bookmarks"]) == [ROOM]
    pep = romeo.ask("xep_0048", "get_bookmarks", "xep_0223")
    assert rooms(pep["pubsub"]["items"]["item"]["bookmarks"]) == [ROOM]
    # and the older one may write what it read
    romeo.ask("xep_0048", "set_bookmarks", listed([ROOM, "b@x.example"]), "xep_0223")
    assert items(romeo) == {ROOM: True, "b@x.example": True}


def test_mark_of_one_client_is_there_for_the_other(people):
    """XEP-0490 §4"""
    romeo = people()
    romeo.ask("xep_0490", "flag_chat", "juliet@example.org", "an-id")
    garden = people(romeo.bare, "garden")
    (item,) = garden.ask("xep_0490", "catch_up")["pubsub"]["items"]["substanzas"]
    assert item["id"] == "juliet@example.org"
    assert item["displayed"]["stanza_id"]["id"] == "an-id"
