"""A little of what `python -m benchmarks.torture` does: killed under load, and nothing is lost."""

import pytest


def test_what_was_acknowledged_outlives_kill_9(suffer):
    """XEP-0198 §4, §5; XEP-0313 §5; RFC 6120 §10.1: kept once, delivered, in order, resumed."""
    verdict = suffer(1, "kill", "kill", "kill")
    assert verdict.good, str(verdict)
    assert verdict.figures["acknowledged"] > 50
    assert verdict.figures["resumed"] > 4


def test_a_restart_in_order_is_a_short_break(suffer):
    """XEP-0198 §5: SIGTERM and start; sessions go on, and nobody sees them go."""
    verdict = suffer(2, "term")
    assert verdict.good, str(verdict)
    assert verdict.figures["resumptions refused"] == 0


@pytest.mark.needs_cc
def test_what_was_acknowledged_outlives_a_power_cut(suffer):
    """What was not synced is gone, or some of it; of what was acknowledged nothing is."""
    verdict = suffer(3, "cut", "cut", disk=True)
    assert verdict.good, str(verdict)
    assert verdict.figures["acknowledged"] > 50


@pytest.mark.needs_cc
def test_a_disk_that_does_not_sync_is_noticed(suffer):
    """Were acknowledged messages not on disk, these tests would tell."""
    verdict = suffer(4, "cut", disk=True, lies=True)
    assert verdict.figures["lost"] > 0, str(verdict)


@pytest.mark.needs_cc
def test_a_full_disk_is_an_error_to_senders_and_loses_nothing(suffer):
    """RFC 6120 §8.3.3.18: what is refused is nowhere; with room again all goes on."""
    verdict = suffer(5, "full", disk=True)
    assert verdict.good, str(verdict)
    assert verdict.figures["refused"] > 0


@pytest.mark.needs_initdb
def test_senders_wait_while_postgresql_is_away(suffer, postgres):
    """It is killed and comes back: nothing is refused, nothing is lost, nobody has to help."""
    verdict = suffer(6, "postgres", postgres=postgres)
    assert verdict.good, str(verdict)
    assert verdict.figures["refused"] == 0


SOCIETY = ("rooms", "nodes")


def test_rooms_and_nodes_outlive_kill_9(suffer):
    """XEP-0045 §7.2, §7.4, §8-§10; XEP-0060 §7.1, §7.2: nothing lost, everybody knows who is in."""
    verdict = suffer(7, "kill", "kill", "term", parts=SOCIETY)
    assert verdict.good, str(verdict)
    assert verdict.figures["acknowledged"] > 50
    assert verdict.figures["delivered"] > 50


@pytest.mark.needs_cc
def test_what_a_room_or_a_node_did_not_sync_is_noticed(suffer):
    """Were reflected messages and answered requests not on disk, these tests would tell."""
    verdict = suffer(8, "cut", disk=True, lies=True, parts=SOCIETY)
    # where not even the room is there any more, nobody can count what was said in it
    no_room = "can not be looked at" in str(verdict) and "item-not-found" in str(verdict)
    assert verdict.figures["lost"] > 0 or no_room, str(verdict)
    assert not verdict.good
