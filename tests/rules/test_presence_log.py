"""XEP-0436: who changed since a version."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.presence_log import PresenceLog

NICKS = st.sampled_from("abcdefgh")


def test_only_what_changed_is_told():
    log = PresenceLog("ab", 10)
    log.note("romeo", True)
    word = log.word
    assert log.since(word) == {}
    log.note("juliet", True)
    log.note("romeo", False)
    log.note("juliet", True)
    assert log.since(word) == {"romeo": False, "juliet": True}


@pytest.mark.parametrize("word", ["", "x", "ab-", "-1", "cd-1", "ab-9", "ab--1", "ab-1-1"])
def test_a_version_that_is_none_tells_nothing(word):
    log = PresenceLog("ab", 10)
    log.note("romeo", True)
    assert log.since(word) is None


def test_what_is_forgotten_is_not_guessed():
    log = PresenceLog("ab", 2)
    old = log.word
    for nick in "abc":
        log.note(nick, True)
    here = log.word
    for nick in "abc":
        log.note(nick, False)
    assert log.since(old) is None
    assert log.since(here) is None
    assert log.since(log.word) == {}


@given(st.lists(st.tuples(NICKS, st.booleans())), st.integers(0, 50), st.integers(0, 6))
def test_who_follows_the_log_knows_who_is_there(changes, kept, most):
    """A view of any version, brought up to date, is the view of one who saw everything."""
    log, now, views = PresenceLog("ab", most), {}, []
    views.append((log.word, dict(now)))
    for nick, present in changes:
        log.note(nick, present)
        now[nick] = present
        views.append((log.word, dict(now)))
    word, view = views[kept % len(views)]
    changed = log.since(word)
    if changed is not None:
        view = {**view, **changed}
        assert {n for n, there in view.items() if there} == {n for n, there in now.items() if there}
