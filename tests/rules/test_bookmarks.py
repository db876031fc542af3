"""XEP-0402 and XEP-0048: bookmarks."""

import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules import bookmarks
from imsuite.rules.bookmarks import NS_BOOKMARKS, NS_STORAGE, Bookmark, Storage
from imsuite.xmpp.build import build
from imsuite.xmpp.stanza import to_bytes
from tests.helpers import holds

PLAY = "theplay@conference.shakespeare.lit"
ORCHARD = "orchard@conference.shakespeare.lit"


def element(xml):
    """Return an element."""
    return build(xml.encode(), "jabber:client")


def item(inner="", **attributes):
    """Return the payload of an item."""
    more = "".join(f" {name}='{value}'" for name, value in attributes.items())
    return element(f"<conference xmlns='{NS_BOOKMARKS}'{more}>{inner}</conference>")


def storage(inner):
    """Return an element of XEP-0048."""
    return element(f"<storage xmlns='{NS_STORAGE}'>{inner}</storage>")


def text(payload):
    """Return an element as text."""
    return to_bytes(payload).decode()


STATE = element("<state xmlns='urn:client' minimized='true'><deep/></state>")
NOTE = element("<note xmlns='urn:client'>a</note>")


@pytest.mark.parametrize(
    ("text", "room"),
    [
        (PLAY, PLAY),
        ("ThePlay@Conference.Shakespeare.lit", PLAY),
        (f" {PLAY} ", PLAY),
        (f"{PLAY}/JC", PLAY),
        ("shakespeare.lit", "shakespeare.lit"),
        ("", None),
        ("@conference.shakespeare.lit", None),
        ("a b@conference.shakespeare.lit", None),
        ("theplay@", None),
        ("x" * 1024 + "@shakespeare.lit", None),
    ],
)
def test_address_of_a_room(text, room):
    """XEP-0402 §2: the id of an item; XEP-0048 §3.1: an attribute."""
    assert bookmarks.room_of(text) == room


@pytest.mark.parametrize(
    ("payload", "bookmark"),
    [
        (item(), Bookmark()),
        (item(name="Play", autojoin="true"), Bookmark(name="Play", autojoin=True)),
        (item(autojoin="1"), Bookmark(autojoin=True)),
        (item(autojoin="0"), Bookmark()),
        (item(autojoin="yes"), Bookmark()),
        (item("<nick>JC</nick><password>p</password>"), Bookmark(nick="JC", password="p")),
        (item("<nick/><password/>"), Bookmark(password="")),
        (item(f"<extensions>{text(STATE)}</extensions>"), Bookmark(extensions=(STATE,))),
        (item("<nick xmlns='urn:x'>JC</nick>"), Bookmark()),
    ],
)
def test_item_is_read(payload, bookmark):
    """XEP-0402 §2"""
    assert bookmarks.from_item(PLAY, payload) == (PLAY, bookmark)


@pytest.mark.parametrize(
    ("id", "payload"),
    [
        ("", item()),
        ("a b@x", item()),
        (PLAY, None),
        (PLAY, element(f"<conference xmlns='{NS_STORAGE}' jid='{PLAY}'/>")),
        (PLAY, element(f"<url xmlns='{NS_BOOKMARKS}'/>")),
    ],
)
def test_what_is_no_bookmark_is_none(id, payload):
    """XEP-0402 §2"""
    assert bookmarks.from_item(id, payload) is None


def test_ids_of_items_are_kept_as_they_are():
    """XEP-0402 §3.5: a retraction names the id that was published."""
    items = [(PLAY.upper(), item()), (PLAY, item(name="x")), ("what?", None)]
    assert bookmarks.ids_of(items) == {PLAY: [PLAY.upper(), PLAY]}
    assert bookmarks.from_items(items) == {PLAY: Bookmark(name="x")}


FULL = Bookmark("The Play's the Thing", True, "JC", "secret", (STATE, NOTE))


def test_item_is_written():
    """XEP-0402 §2"""
    assert holds(
        text(bookmarks.to_payload(FULL)),
        f"<conference xmlns='{NS_BOOKMARKS}' name='The Play&apos;s the Thing' autojoin='true'>"
        "<nick>JC</nick><password>secret</password>"
        f"<extensions>{text(STATE)}{text(NOTE)}</extensions></conference>",
    )
    assert text(bookmarks.to_payload(Bookmark())) == f"<conference xmlns='{NS_BOOKMARKS}'/>"


def test_storage_is_written():
    """XEP-0402 §5.2.1: the jid is an attribute; what else clients keep is a child as it was."""
    assert holds(
        text(bookmarks.to_storage(Storage({PLAY: FULL}))),
        f"<storage xmlns='{NS_STORAGE}'><conference jid='{PLAY}' autojoin='true'"
        " name='The Play&apos;s the Thing'><nick>JC</nick><password>secret</password>"
        f"{text(STATE)}{text(NOTE)}</conference></storage>",
    )


def test_storage_is_read():
    """XEP-0048 §3: web pages and what is no address are the rest, and stay as they are."""
    found = bookmarks.from_storage(
        storage(
            f"<url name='W' url='http://x.example/'/><conference jid='{PLAY}' name='A'/>"
            f"<conference jid='{PLAY.upper()}' name='B'/><conference name='nowhere'/>"
            f"<conference jid='a b@c'/><x xmlns='urn:x'/> words"
            f"<conference jid='{ORCHARD}/JC'><nick>JC</nick>{text(STATE)}</conference>"
        )
    )
    assert found.rooms == {
        PLAY: Bookmark(name="A"),
        ORCHARD: Bookmark(nick="JC", extensions=(STATE,)),
    }
    assert [each.name for each in found.rest] == ["url", "conference", "conference", "x"]


def test_extensions_cast_by_others_are_understood():
    """XEP-0402 §5.2.1: an item that was cast whole has its extensions in an element."""
    cast = f"<extensions xmlns='{NS_BOOKMARKS}'>{text(STATE)}</extensions>"
    found = bookmarks.from_storage(storage(f"<conference jid='{PLAY}'>{cast}</conference>"))
    assert found.rooms == {PLAY: Bookmark(extensions=(STATE,))}


def test_items_are_collated_in_the_order_there_was():
    """XEP-0402 §5.2.1: with the web pages that no item has."""
    (url,) = storage("<url url='http://x.example/'/>").elements()
    before = Storage({ORCHARD: Bookmark(), "gone@x": Bookmark()}, (url,))
    items = {"new@x": Bookmark(), PLAY: FULL, ORCHARD: Bookmark(name="O")}
    after = bookmarks.collated(items, before)
    assert list(after.rooms) == [ORCHARD, "new@x", PLAY]
    assert after.rooms[ORCHARD].name == "O"
    assert after.rest == (url,)


@pytest.mark.parametrize(
    ("before", "wanted", "publish", "retract"),
    [
        ({}, {}, {}, ()),
        ({}, {PLAY: FULL}, {PLAY: FULL}, ()),
        ({PLAY: FULL}, {}, {}, (PLAY,)),
        ({PLAY: FULL}, {PLAY: FULL}, {}, ()),
        ({PLAY: FULL, ORCHARD: FULL}, {ORCHARD: FULL}, {}, (PLAY,)),
        # a client that drops what it does not know
        (
            {PLAY: FULL},
            {PLAY: Bookmark(name="N")},
            {PLAY: Bookmark("N", extensions=(STATE, NOTE))},
            (),
        ),
        (
            {PLAY: FULL},
            {PLAY: Bookmark("The Play's the Thing", True, "JC", "secret")},
            {},
            (),
        ),
        # one that changes what it knows
        (
            {PLAY: Bookmark(extensions=(STATE,))},
            {PLAY: Bookmark(extensions=(element("<state xmlns='urn:client'/>"),))},
            {PLAY: Bookmark(extensions=(element("<state xmlns='urn:client'/>"),))},
            (),
        ),
        (
            {PLAY: Bookmark(extensions=(STATE,))},
            {PLAY: Bookmark(extensions=(NOTE,))},
            {PLAY: Bookmark(extensions=(STATE, NOTE))},
            (),
        ),
        ({PLAY: Bookmark(extensions=(STATE, NOTE))}, {PLAY: Bookmark(extensions=(NOTE, STATE))}, {},
         ()),
        ({PLAY: Bookmark(extensions=(NOTE, NOTE))}, {PLAY: Bookmark(extensions=(NOTE, NOTE))}, {},
         ()),
    ],
)  # fmt: skip
def test_list_that_replaces_all_changes_only_what_differs(before, wanted, publish, retract):
    """XEP-0402 §5.2.2: no notification for what is unchanged; extensions are kept."""
    found = bookmarks.changes(before, wanted)
    assert (found.publish, found.retract) == (publish, retract)


def test_old_bookmarks_are_added_to_new_ones():
    """XEP-0411 §4: once; what an item says of a room is newer."""
    more = {PLAY: Bookmark("old"), ORCHARD: FULL}
    assert bookmarks.added({PLAY: Bookmark("new")}, more) == {ORCHARD: FULL}


WORD = st.text(string.ascii_letters + " <&'\"ü😀", max_size=8)
ROOM = st.builds("{}@{}.lit".format, st.sampled_from("abcdef"), st.sampled_from("xyz"))
EXTENSION = st.builds(
    lambda name, ns, value: element(f"<{name} xmlns='urn:{ns}' v='{value}'/>"),
    st.sampled_from("ab"),
    st.sampled_from("mn"),
    st.integers(0, 2),
)
BOOKMARK = st.builds(
    Bookmark,
    st.none() | WORD,
    st.booleans(),
    st.none() | WORD.filter(bool),
    st.none() | WORD,
    st.lists(EXTENSION, max_size=3).map(tuple),
)
BOOKMARKS = st.dictionaries(ROOM, BOOKMARK, max_size=5)


@given(BOOKMARKS)
def test_bookmarks_survive_each_form(rooms):
    """XEP-0402 §5.2: both forms say the same."""
    items = [(room, bookmarks.to_payload(each)) for room, each in rooms.items()]
    reread = [(room, element(text(payload))) for room, payload in items]
    assert bookmarks.from_items(reread) == rooms
    stored = element(text(bookmarks.to_storage(Storage(rooms))))
    assert bookmarks.from_storage(stored) == Storage(rooms)


@given(BOOKMARKS, BOOKMARKS)
def test_conversion_comes_to_rest(items, before):
    """XEP-0402 §5.2: what was collated changes no item, and so no loop begins."""
    after = bookmarks.collated(items, Storage(before))
    found = bookmarks.changes(items, bookmarks.from_storage(bookmarks.to_storage(after)).rooms)
    assert found == bookmarks.Changes({}, ())
    assert bookmarks.collated(items, after) == after


@given(BOOKMARKS, BOOKMARKS)
def test_items_become_what_the_list_says(items, wanted):
    """XEP-0402 §5.2.2: all rooms of the list, no others, nothing lost of what it leaves out."""
    found = bookmarks.changes(items, wanted)
    after = {room: each for room, each in items.items() if room not in found.retract}
    after |= found.publish
    assert after.keys() == wanted.keys()
    for room, bookmark in wanted.items():
        got = after[room]
        assert (got.name, got.autojoin, got.nick, got.password) == (
            bookmark.name, bookmark.autojoin, bookmark.nick, bookmark.password,
        )  # fmt: skip
        names = {(node.uri, node.name) for node in got.extensions}
        old = items[room].extensions if room in items else ()
        assert names == {(node.uri, node.name) for node in (*bookmark.extensions, *old)}
    assert bookmarks.changes(after, wanted) == bookmarks.Changes({}, ())
