"""RFC 6121 §2.6: versions of the roster."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from imsuite.features import rfc6121_roster
from imsuite.features.rfc6121_roster import storage
from imsuite.testing.memory import MemoryServer
from imsuite.testing.patterns import read
from tests.helpers import holds

pytestmark = pytest.mark.server(features=["bind", "roster", "presence", "messages"])
CORE = ["bind", "roster", "presence", "messages"]

QUERY = "{jabber:iq:roster}query"
ITEM = "{jabber:iq:roster}item"


def fetch(client, ver):
    """Return the version and the items of the result (None: it is empty), and the pushes."""
    attribute = "" if ver is None else f" ver='{ver}'"
    got = client.says(f"<iq type='get' id='f'><query xmlns='jabber:iq:roster'{attribute}/></iq>")
    assert holds(got[0], "<iq type='result' id='f'/>")
    query = read(got[0]).find(QUERY)
    result = None if query is None else (query.get("ver"), [i.get("jid") for i in query.iter(ITEM)])
    pushes = []
    for push in map(read, got[1:]):
        (query,) = push.iter(QUERY)
        (item,) = query
        pushes.append((item.get("jid"), item.get("subscription"), int(query.get("ver"))))
    return result, pushes


def change(client, name, removed=False):
    attribute = " subscription='remove'" if removed else ""
    client.says(
        "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>"
        f"<item jid='{name}@example.org' name='{name}'{attribute}/></query></iq>"
    )


def test_without_version_the_result_has_none(romeo):
    """§2.6.2: the client does not know versions."""
    change(romeo, "a")
    assert fetch(romeo, None) == ((None, ["a@example.org"]), [])


@pytest.mark.parametrize("ver", ["", "nonsense", "0", "-1", "9" * 19, "9" * 30, "１２", "1.5"])
def test_unknown_version_gets_everything_and_the_version(romeo, ver):
    """§2.6.2: "" bootstraps; what was never given out is not trusted, the future least of all."""
    change(romeo, "a")
    (version, names), pushes = fetch(romeo, ver)
    assert (names, pushes) == (["a@example.org"], [])
    assert fetch(romeo, version) == (None, [])


def test_current_version_gets_an_empty_result(romeo):
    """§2.6.3"""
    (version, _), _ = fetch(romeo, "")
    assert fetch(romeo, version) == (None, [])


def test_old_version_gets_what_changed_since_in_order(romeo):
    """§2.6.3"""
    change(romeo, "a")
    (version, _), _ = fetch(romeo, "")
    for name in ("b", "c"):
        change(romeo, name)
    change(romeo, "b", removed=True)
    change(romeo, "a")
    result, pushes = fetch(romeo, version)
    assert result is None
    assert [push[:2] for push in pushes] == [
        ("c@example.org", "none"),
        ("b@example.org", "remove"),
        ("a@example.org", "none"),
    ]
    versions = [push[2] for push in pushes]
    assert versions == sorted(set(versions))
    assert fetch(romeo, versions[-1]) == (None, [])
    assert [push[:2] for push in fetch(romeo, versions[0])[1]] == [
        ("b@example.org", "remove"),
        ("a@example.org", "none"),
    ]


def test_subscriptions_change_the_version(romeo, juliet):
    """§2.6.3"""
    change(romeo, "juliet")
    (version, _), _ = fetch(romeo, "")
    romeo.says("<presence type='subscribe' to='juliet@example.org'/>")
    juliet.says("<presence type='subscribed' to='romeo@example.org'/>")
    _, pushes = fetch(romeo, version)
    assert [push[:2] for push in pushes] == [("juliet@example.org", "to")]


def test_versions_live_on_in_the_store(server, romeo):
    change(romeo, "a")
    (version, _), _ = fetch(romeo, "")
    change(romeo, "b")
    romeo.closes()
    server.host.forget("romeo")
    late = server.login("romeo@example.org/late", roster=False)
    assert [push[0] for push in fetch(late, version)[1]] == ["b@example.org"]


def test_versions_grow_although_the_clock_goes_back(server, romeo):
    (before, _), _ = fetch(romeo, "")
    versions = [int(before)]
    for name in ("a", "b", "c"):
        server.clock.rightNow -= 3600
        change(romeo, name)
        (version, _), _ = fetch(romeo, "")
        versions.append(int(version))
    assert versions == sorted(set(versions))


def test_who_was_away_for_too_many_removals_gets_everything(romeo, monkeypatch):
    """§2.6.3: only so many removed items are remembered."""
    monkeypatch.setattr(storage, "REMEMBERED", 2)
    change(romeo, "keep")
    (first, _), _ = fetch(romeo, "")
    for name in ("a", "b", "c", "d"):
        change(romeo, name)
    (second, _), _ = fetch(romeo, "")
    for name in ("a", "b"):
        change(romeo, name, removed=True)
    assert [push[1] for push in fetch(romeo, first)[1]] == ["none", "none", "remove", "remove"]
    for name in ("c", "d"):
        change(romeo, name, removed=True)
    (version, names), pushes = fetch(romeo, first)
    assert (names, pushes) == (["keep@example.org"], [])
    assert fetch(romeo, second)[0] is not None
    assert fetch(romeo, version) == (None, [])


def test_many_changes_come_as_the_whole_roster(romeo, monkeypatch):
    """§2.6.3: where that is less work; nothing is left out."""
    (version, _), _ = fetch(romeo, "")
    change(romeo, "first")
    (version, _), _ = fetch(romeo, "")
    monkeypatch.setattr(rfc6121_roster, "MOST_PUSHES", 2)
    for name in ("a", "b"):
        change(romeo, name)
    assert len(fetch(romeo, version)[1]) == 2
    change(romeo, "c")
    (_, names), pushes = fetch(romeo, version)
    assert (len(names), pushes) == (4, [])


def test_push_tells_the_version(romeo):
    """§2.6.3: so that the client may keep it."""
    got = romeo.says(
        "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>"
        "<item jid='a@example.org'/></query></iq>"
    )
    (push,) = [each for each in map(read, got) if each.get("type") == "set"]
    assert fetch(romeo, push.find(QUERY).get("ver")) == (None, [])


NAMES = st.sampled_from("abcd")


@settings(max_examples=25, deadline=None)
@given(st.lists(st.tuples(NAMES, st.booleans()), max_size=12), st.integers(0, 12))
def test_who_applies_the_pushes_has_the_roster(changes, away):
    """§2.6.3: whenever a client left, what it is told makes its copy right again."""
    server = MemoryServer(features=CORE)
    try:
        romeo = server.login("romeo@example.org/orchard")
        copy, version = set(), fetch(romeo, "")[0][0]
        for number, (name, removed) in enumerate(changes):
            if number == away:
                version, names = fetch(romeo, "")[0]
                copy = set(names)
            change(romeo, name, removed)
        result, pushes = fetch(romeo, version)
        if result is not None:
            copy = set(result[1])
        for jid, subscription, _ in pushes:
            (copy.discard if subscription == "remove" else copy.add)(jid)
        assert copy == set(fetch(romeo, None)[0][1])
    finally:
        server.stop()


def test_account_of_the_moment_has_versions_without_a_store():
    """XEP-0175: nothing of it is written down, so a change means everything again."""
    server = MemoryServer(features=[*CORE, "sasl"], options={"sasl": {"anonymous": True}})
    try:
        account = server.host.temporary_account("anna")
        server.account("anna@example.org")
        anna = server.login("anna@example.org/a")
        assert anna.session.account is account
        change(anna, "a")
        (version, _), _ = fetch(anna, "")
        change(anna, "b")
        (_, names), pushes = fetch(anna, version)
        assert (names, pushes) == (["a@example.org", "b@example.org"], [])
    finally:
        server.stop()
