"""A little of what `python -m benchmarks.storm` does at length: random clients, random stanzas."""

import pytest

from benchmarks.storm import crowd, keeping, mob, nodes
from benchmarks.storm.growth import measure
from benchmarks.storm.node_words import FULL, OPEN
from benchmarks.storm.storm import Storm, Wrong, run

STEPS = 400


@pytest.mark.parametrize("seed", [1, 2, 3])
def test_all_promises_hold_in_a_storm(seed):
    """RFC 6120 §8, §10; RFC 6121: answers, addresses, order, rosters, presence, nothing left."""
    tally = run(seed, STEPS)
    assert tally.steps == STEPS
    assert tally.logins > 10
    assert tally.heard > STEPS


@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_all_promises_hold_where_the_store_answers_late(seed):
    """The same while reads are answered in any order, and accounts make room for others."""
    tally = run(seed, STEPS, late=True, blocking=seed % 2 == 0, loaded=1)
    assert tally.steps == STEPS
    assert tally.heard > STEPS


@pytest.mark.parametrize("seed", [1, 2])
def test_rosters_of_a_pair_agree(seed):
    """RFC 6121 appendix A: nobody blocks, so the one's "to" is the other's "from"."""
    assert run(seed, STEPS, blocking=False).steps == STEPS


@pytest.mark.parametrize(
    "kind", [{}, {"late": True}, {"late": True, "full": keeping.FULL}], ids=str
)
@pytest.mark.parametrize("seed", [1, 2])
def test_nothing_is_lost_in_a_storm(seed, kind):
    """XEP-0198, 0313, 0160: links break, the server is killed, the store is late, and full."""
    tally = keeping.run(seed, STEPS, **kind)
    assert tally.steps == STEPS
    assert tally.resumed > 10
    assert tally.crashes + tally.restarts > 0


@pytest.mark.parametrize("sql", ["DELETE FROM archive", "UPDATE message SET refs = refs + 1"])
def test_such_a_storm_notices_what_is_lost(sql):
    """An archive from which a message is gone, or a reference too many."""
    storm = keeping.Keeping(1)

    def go_on():
        for _ in range(100):
            storm.step()
            storm.server.store.execute(f"{sql} WHERE id = (SELECT max(id) FROM archive)")

    with pytest.raises(Wrong, match="seed 1"):
        go_on()
    storm.server.failures.stop()


def test_a_storm_notices_what_is_wrong():
    """A server that keeps a session which has gone is found out, with the seed to find it again."""
    storm = Storm(1)
    for _ in range(20):
        storm.step()
    kept = next(iter(storm.server.router.sessions.items()))

    def go_on():
        for _ in range(200):
            storm.step()
            storm.server.router.sessions.setdefault(*kept)
        storm.end()

    with pytest.raises(Wrong, match="seed 1"):
        go_on()
    storm.server.failures.stop()


def test_a_server_does_not_grow_by_those_who_come_and_go():
    """What clients and messages leave behind does not depend on how many they are."""
    growth = measure(logins=300, messages=3000)
    assert growth.objects < 1000
    assert growth.bytes < 500_000


@pytest.mark.parametrize(("seed", "late"), [(1, False), (2, True), (3, False), (4, True)])
def test_all_in_a_crowd_see_the_rooms_as_they_are(seed, late):
    """XEP-0045: a crowd enters, talks, changes nicks, is banned and vanishes."""
    tally = crowd.run(seed, STEPS, people=20, late=late)
    assert tally.looks > 10
    assert tally.entered > 20
    assert tally.heard > STEPS


def test_a_hundred_hammer_two_rooms():
    """XEP-0045: the same with a hundred clients."""
    tally = crowd.run(5, 1000, people=100)
    assert tally.entered > 50


@pytest.mark.parametrize("seed", [1, 2, 3, 16])
def test_all_in_a_mob_see_the_rooms_as_they_are(seed):
    """XEP-0045: rooms are destroyed and made anew, the door is slow and the disk is full."""
    tally = mob.run(seed, STEPS)
    assert tally.looks > 10
    assert tally.entered > 20


def test_such_a_crowd_notices_what_it_was_not_told():
    """Somebody goes and nobody hears of it."""
    storm = crowd.Crowd(6)
    for _ in range(100):
        storm.step()
    (room, *_) = storm.server.host.features["muc"].rooms._rooms.values()
    occupant = next(iter(room.occupants.values()))
    for jid in list(occupant.clients):
        room.remove_client(occupant, jid)
    with pytest.raises(crowd.Wrong, match="seed 6"):
        storm.look()


@pytest.mark.parametrize(
    "kind", [{}, {"late": True}, {"late": True, "full": FULL, "few": 1}], ids=str
)
@pytest.mark.parametrize("seed", [5, 22])
def test_what_all_were_told_of_nodes_is_what_is_there(seed, kind):
    """XEP-0060 §7, §8; XEP-0163 §4: they publish, retract, configure; the server is killed."""
    tally = nodes.run(seed, STEPS, **kind)
    assert tally.compared > 50
    assert tally.answers > STEPS


def test_such_a_storm_notices_what_nobody_was_told():
    """An item that is gone, and nobody heard of it."""
    storm = nodes.Storm(1)
    publish = f"<publish node='{OPEN}'><item><n xmlns='urn:storm'>0</n></item></publish>"
    storm._ask(storm.people[0], publish)
    storm.look()
    storm.server.store.execute("DELETE FROM node_item")
    with pytest.raises(Wrong, match="seed 1"):
        storm.look()
    storm.bury()
