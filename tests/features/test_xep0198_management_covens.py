"""XEP-0198 with the rooms of XEP-0045: who comes back is still inside, and who does not is gone."""

import re

import pytest

from imsuite.features.xep0045_muc import storage
from imsuite.testing.memory import MemoryServer, now
from tests.archives import rows
from tests.covens import COVEN, enters, meets, tells, the_room
from tests.managed import Managed

X = "<x xmlns='http://jabber.org/protocol/muc'/>"
WHO = ("hecate", "hag", "witch")


@pytest.fixture
def server():
    server = MemoryServer()
    yield server
    server.failures.stop()


@pytest.fixture
def romeo(server):
    return server.login("romeo@example.org/orchard")


@pytest.fixture
def room(server, romeo):
    return meets(server, romeo, persistent=True)


def comes(server, name):
    """Let somebody come whose session can be resumed."""
    client = Managed(server, f"{name}@example.org/hut")
    client.says(f"<presence to='{COVEN}/{name}'>{X}</presence>")
    client.asks()  # now the server has to know that it came
    client.got.clear()
    return client


def save(server, room):
    """Write the configuration that the test has given a room."""
    now(server.host.store.transaction(storage.save, storage.values(room), {}))


@pytest.mark.parametrize("how", ["crash", "restart"])
def test_all_come_back(server, room, romeo, how):
    """§5: to where they were, with what was said meanwhile, each message once."""
    save(server, room)
    witches = [comes(server, name) for name in WHO]
    for witch in witches:
        witch.reads()
        witch.acknowledges()
        witch.got.clear()
        witch.vanishes()
    tells(romeo, "a")
    tells(romeo, "b")
    assert len(rows(server.host, "message")) == 2
    raws = {raw for (raw,) in rows(server.host, "pending", "raw") if raw is not None}
    assert not [raw for raw in raws if b"<body" in raw]
    second = getattr(server, how)()
    for witch in witches:
        witch.resumes(second)
        assert witch.bodies == ["a", "b"]
    again = the_room(second)
    assert {occupant.nick for occupant in again.occupants.values()} >= set(WHO)
    witches[0].says(f"<message to='{COVEN}' type='groupchat' id='c'><body>c</body></message>")
    for witch in witches:
        witch.reads()
        assert witch.bodies == ["a", "b", "c"]
    second.failures.stop()


def test_ghosts_go(server, room, romeo):
    """§4, XEP-0045 §18.1.2: the others see them leave, once, and nothing goes round."""
    hag = comes(server, "hag")
    hag.vanishes()
    tells(romeo, "a")
    tells(romeo, "b")
    romeo.forget()
    server.advance(1000)
    left = [text for text in romeo.received if "type='unavailable'" in text]
    assert len(left) == 1
    assert f"from='{COVEN}/hag'" in left[0]
    assert [text for text in romeo.received if "<message" in text] == []
    assert set(room.occupants) == {"orchard"}
    assert rows(server.host, "pending") == rows(server.host, "offline") == []


def test_ghosts_of_a_crash_go(server, room, romeo):
    """§4: also when the server was away meanwhile."""
    save(server, room)
    hag = comes(server, "hag")
    hag.vanishes()
    tells(romeo, "a")
    second = server.crash()
    client = second.login("romeo@example.org/orchard")
    assert f"{COVEN}/hag" in "".join(enters(client))
    client.forget()
    second.advance(1000)
    assert [text for text in client.received if "type='unavailable'" in text]
    assert "hag" not in the_room(second).occupants
    second.failures.stop()


def test_who_resumes_hears_the_past_once(server, room, romeo):
    """§5: neither the history nor the presence of others is told again."""
    hag = comes(server, "hag")
    hag.vanishes()
    tells(romeo, "a")
    hag.got.clear()
    hag.resumes()
    assert hag.bodies == ["a"]
    assert not [text for text in hag.got if re.match("<presence", text)]
