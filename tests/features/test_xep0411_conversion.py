"""XEP-0411: bookmarks of the private storage are those of the node."""

import pytest

from imsuite.testing.memory import MemoryServer, now
from tests.eventing import comes, events, items, publish
from tests.helpers import holds

STORAGE = "storage:bookmarks"
PLAY, ORCHARD = "theplay@conference.shakespeare.lit", "orchard@conference.shakespeare.lit"
ALONE = pytest.mark.server(features=["default", "-bookmarks"])


def storage(*inner):
    """Return the element."""
    return f"<storage xmlns='{STORAGE}'>{''.join(inner)}</storage>"


def room(jid, name="N"):
    """Return a bookmark."""
    return f"<conference jid='{jid}' name='{name}'/>"


URL = "<url name='W' url='http://x.example/'/>"


def query(*inner):
    """Return the payload of a request to the private storage."""
    return f"<query xmlns='jabber:iq:private'>{''.join(inner)}</query>"


def stores(client, *inner):
    """Let a client store something; return the answer."""
    return client.says(f"<iq type='set' id='p'>{query(*inner)}</iq>")[-1]


def stored(client):
    """Return what a client reads."""
    return client.says(f"<iq type='get' id='g'>{query(storage())}</iq>")[-1]


def from_before(server, *inner, account="romeo@example.org"):
    """Put bookmarks into the private storage as they are there from before."""
    server.account(account)
    now(
        server.store.execute(
            "INSERT INTO private (account, ns, name, content) VALUES (?, ?, ?, ?)",
            account,
            STORAGE,
            "storage",
            "".join(inner).encode(),
        )
    )


def left(server):
    """Return how many rows of bookmarks are in the private storage."""
    return now(server.store.query("SELECT count(*) FROM private WHERE ns = ?", STORAGE))[0][0]


@ALONE
def test_what_is_published_is_in_the_private_storage(romeo):
    """§4"""
    romeo.says(publish(STORAGE, storage(room(PLAY), URL), item="current"))
    assert holds(stored(romeo), f"<iq type='result'>{query(storage(room(PLAY), URL))}</iq>")


@ALONE
def test_what_is_stored_is_published(server, romeo):
    """§4: and who asked for the node is told."""
    garden = server.login("romeo@example.org/garden")
    comes(garden, STORAGE)
    garden.forget()
    assert holds(stores(romeo, storage(room(PLAY), URL)), "<iq type='result' id='p'/>")
    (event,) = events(garden, STORAGE)
    assert PLAY in event.raw.decode()
    assert PLAY in items(romeo, STORAGE)
    assert left(server) == 0


def test_nothing_there_comes_back_empty(romeo):
    """XEP-0049 §2.3"""
    assert holds(stored(romeo), f"<iq type='result'>{query(storage())}</iq>")


def test_other_elements_are_stored_where_they_were(romeo):
    """XEP-0049: also in the same request."""
    stores(romeo, storage(room(PLAY)), "<prefs xmlns='urn:x'>1</prefs>")
    asked = query("<prefs xmlns='urn:x'/>")
    answer = romeo.says(f"<iq type='get' id='g'>{asked}</iq>")[-1]
    assert "<prefs xmlns='urn:x'>1</prefs>" in answer
    assert PLAY in stored(romeo)


def test_elements_of_one_request_are_one(romeo):
    """XEP-0049: who stores two gets both."""
    stores(romeo, storage(room(PLAY)), storage(room(ORCHARD)))
    assert all(jid in stored(romeo) for jid in (PLAY, ORCHARD))


def test_nobody_else_reads_them(romeo, juliet):
    """§7"""
    stores(romeo, storage(room(PLAY)))
    assert "type='error'" in items(juliet, STORAGE, to="romeo@example.org")


@ALONE
def test_node_that_is_not_private_gets_nothing(romeo, juliet):
    """§7: the conversion is not done."""
    romeo.says(publish(STORAGE, storage(), item="current", options={"access_model": "open"}))
    answer = stores(romeo, storage(room(PLAY)))
    assert "type='error'" in answer
    assert PLAY not in items(juliet, STORAGE, to="romeo@example.org")


def are_converted(romeo):
    """Tell whether bookmarks from before are where newer ones would be."""
    server = romeo.server
    in_node = all(each in items(romeo, STORAGE) for each in (PLAY, "http://x.example/"))
    return in_node and PLAY in items(romeo, "urn:xmpp:bookmarks:1") and left(server) == 0


def test_bookmarks_from_before_are_converted_at_the_start():
    """§6: before the user logs in for the first time."""
    first = MemoryServer()
    from_before(first, storage(room(PLAY), URL))
    second = first.restart()
    assert are_converted(second.login("romeo@example.org/orchard"))
    second.stop()


def test_bookmarks_from_before_are_converted_when_they_are_read(server):
    """§6: if that comes first."""
    from_before(server, storage(room(PLAY), URL))
    romeo = server.login("romeo@example.org/orchard")
    assert PLAY in stored(romeo)
    assert are_converted(romeo)


def test_bookmarks_from_before_are_added_to_newer_ones(server, romeo):
    """§6: what the node says of a room is newer."""
    stores(romeo, storage(room(PLAY, "new"), URL))
    from_before(server, storage(room(PLAY, "old"), room(ORCHARD)), storage(URL))
    answer = stored(romeo)
    assert "name='new'" in answer
    assert "name='old'" not in answer
    assert ORCHARD in answer
    assert answer.count("http://x.example/") == 1


def test_what_is_written_replaces_what_is_there_from_before(server, romeo):
    """XEP-0049 §2.3: and does not come back."""
    from_before(server, storage(room(PLAY)))
    stores(romeo, storage(room(ORCHARD)))
    assert left(server) == 0
    assert PLAY not in stored(romeo)


@pytest.mark.server(options={"pep": {"longest": 1024}})
def test_bookmarks_that_are_too_large_stay_where_they_are(server):
    """§4: nothing is lost."""
    many = [room(f"room{n}@x.example") for n in range(40)]
    from_before(server, storage(*many))
    romeo = server.login("romeo@example.org/orchard")
    assert "room39@x.example" in stored(romeo)
    assert left(server) == 1


def test_temporary_account_has_none(server):
    """XEP-0175: nothing is kept of it."""
    account = server.host.temporary_account("somebody")
    keeper = server.host.features["conversion"]
    assert now(keeper.read_private(account)) is None


def test_support_is_advertised(romeo):
    """§3: on the account."""
    info = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    answer = romeo.says(f"<iq type='get' id='d' to='romeo@example.org'>{info}</iq>")[-1]
    assert "urn:xmpp:bookmarks-conversion:0" in answer
