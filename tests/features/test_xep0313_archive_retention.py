"""XEP-0313 §3.2: how long messages are kept."""

import pytest

from imsuite.core.interfaces import IArchive
from imsuite.features.xep0313_archive import retention, search
from imsuite.testing.memory import MemoryServer, now
from tests.archives import FULLTEXT, MAM, ask, ask_for, fill, rows

JULIET, ROMEO = "juliet@example.org", "romeo@example.org"
DAY = 86_400
STAYING = ["default", "-ping"]  # nobody looks whether clients are still there


def sweep(server):
    """Let the next sweep begin and end."""
    server.advance(retention.EVERY)


def set_days(host, account, days):
    now(host.find_feature(IArchive).set_days(account, days))


@pytest.mark.server(features=STAYING)
def test_messages_are_kept_for_ever(server, host, romeo, juliet):
    """§3.2: a server MAY impose limits; by default there is none."""
    fill(romeo, JULIET, ["old"])
    server.advance(5000 * DAY)
    sweep(server)
    assert ask(juliet).bodies == ["old"]


@pytest.mark.server(features=STAYING, options={"archive": {"days": 10}})
def test_the_oldest_go(server, host, romeo, juliet):
    """§3.2: never from the middle"""
    fill(romeo, JULIET, ["first", "second"])
    server.advance(6 * DAY)
    fill(romeo, JULIET, ["third"])
    server.advance(3 * DAY)
    assert ask(juliet).bodies == ["first", "second", "third"]
    server.advance(1 * DAY)
    sweep(server)
    assert ask(juliet).bodies == ask(romeo).bodies == ["third"]
    assert len(rows(host, "message")) == 1
    assert "<start" in juliet.says(f"<iq type='get' id='m'><metadata xmlns='{MAM}'/></iq>")[0]
    server.advance(10 * DAY)
    sweep(server)
    assert rows(host, "message") == rows(host, "archive") == []


@pytest.mark.server(features=STAYING, options={"archive": {"days": 10}})
def test_an_account_may_have_its_own(server, host, romeo, juliet):
    """Longer, shorter, and for ever."""
    nurse = server.login("nurse@example.org/house")
    set_days(host, ROMEO, 20)
    set_days(host, JULIET, 0)
    fill(romeo, JULIET, ["one"])
    fill(nurse, ROMEO, ["two"])
    server.advance(15 * DAY)
    sweep(server)
    assert ask(romeo).bodies == ["one", "two"]
    assert ask(nurse).bodies == []
    server.advance(15 * DAY)
    sweep(server)
    assert ask(romeo).bodies == []
    assert ask(juliet).bodies == ["one"]
    set_days(host, JULIET, None)
    sweep(server)
    assert ask(juliet).bodies == []
    assert rows(host, "message") == []


def test_what_was_said_of_an_account_can_be_read(host, romeo):
    archive = host.find_feature(IArchive)
    assert now(archive.days(ROMEO)) is None
    set_days(host, ROMEO, 3)
    set_days(host, ROMEO, 4)
    assert now(archive.days(ROMEO)) == 4
    set_days(host, ROMEO, None)
    assert now(archive.days(ROMEO)) is None


@pytest.mark.server(features=STAYING, options={"archive": {"days": 1}})
def test_an_id_that_is_gone_is_not_found(server, romeo, juliet):
    """§4.3.2: a client begins anew."""
    fill(romeo, JULIET, ["one"])
    (uid,) = ask(romeo).ids
    server.advance(2 * DAY)
    sweep(server)
    assert "item-not-found" in ask(romeo, f"<after>{uid}</after>").fin
    fill(romeo, JULIET, ["two"])
    assert uid not in ask(romeo).ids  # §6.2: and is never reused


@pytest.mark.server(features=STAYING, options={"archive": {"days": 1}})
def test_its_words_go_when_nobody_has_it(server, host, romeo, juliet):
    """Search results end with the rows, index entries with the last of them."""
    set_days(host, JULIET, 5)
    fill(romeo, JULIET, ["needle"])
    server.advance(2 * DAY)
    sweep(server)
    assert ask_for(romeo, {FULLTEXT: "needle"}).bodies == []
    assert ask_for(juliet, {FULLTEXT: "needle"}).bodies == ["needle"]
    assert len(rows(host, "archive_text")) == 1
    server.advance(5 * DAY)
    sweep(server)
    assert rows(host, "archive_text") == []


@pytest.mark.server(features=STAYING, options={"archive": {"days": 1}})
def test_many_go_in_small_transactions(server, host, romeo, juliet, monkeypatch):
    """So that nothing else has to wait for long."""
    monkeypatch.setattr(retention, "CHUNK", 3)
    monkeypatch.setattr(retention, "ACCOUNTS", 1)
    fill(romeo, JULIET, map(str, range(10)))
    removed = []
    transaction = host.store.transaction

    def watched(function, *args):
        done = transaction(function, *args)
        if function is retention.remove:
            removed.append(now(done))
        return transaction(lambda cursor: removed[-1]) if function is retention.remove else done

    monkeypatch.setattr(host.store, "transaction", watched)
    server.advance(2 * DAY)
    fill(romeo, JULIET, ["new"])
    sweep(server)
    assert removed == [3, 3, 3, 1] * 2
    assert ask(juliet).bodies == ask(romeo).bodies == ["new"]


@pytest.mark.server(domains=["example.org", "example.net"], features=STAYING)
def test_hosts_keep_apart(server):
    """An account of another domain of this server is that domain's business."""
    org, net = server.hosts
    romeo = server.login("romeo@example.org/orchard")
    juliet = server.login("juliet@example.net/balcony")
    org.features["archive"].options = attrs_evolve(org, days=1)
    fill(romeo, "juliet@example.net", ["one"])
    server.advance(2 * DAY)
    sweep(server)
    assert ask(romeo).bodies == []
    assert ask(juliet).bodies == ["one"]
    assert net.features["archive"].options.days == 0


def attrs_evolve(host, **changes):
    return search.attrs.evolve(host.features["archive"].options, **changes)


def test_sweeping_ends_with_the_server():
    server = MemoryServer(options={"archive": {"days": 1}})
    server.advance(5)
    server.stop()
    assert server.failures.take() == []
    server.clock.advance(2 * DAY)
    assert server.failures.take() == []


def test_a_large_archive_is_removed_in_chunks(server, host, romeo, juliet, monkeypatch):
    """XEP-0077 §3.2"""
    monkeypatch.setattr(retention, "CHUNK", 3)
    fill(romeo, JULIET, map(str, range(10)))
    now(host.registrar.delete("romeo"))
    assert {owner for (owner,) in rows(host, "archive", "owner")} == {JULIET}
    assert len(rows(host, "message")) == 10
