"""XEP-0313: whatever is asked, an archive of a million is read as one of a thousand."""

import pytest

from imsuite.core.interfaces import IArchive
from imsuite.features.xep0313_archive import retention, storage
from imsuite.rules.archive import Query
from imsuite.store.groups import TABLES as MESSAGES
from imsuite.store.postgres import WORDS
from imsuite.store.schema import spell
from imsuite.testing.memory import now
from imsuite.xmpp.address import parse
from tests.archives import ask, ask_for, fill
from tests.postgres import empty_database, run_sql

JULIET, ROMEO = "juliet@example.org", "romeo@example.org"

# what ANALYZE says of so many messages: rows, and how many have the same first columns
STATISTICS = {
    "none": (),
    "1 000, one owner": (
        ("archive", "archive", "1000 1000 1"),
        ("archive", "archive_peer", "1000 1000 500 1"),
        ("message", None, "500"),
    ),
    "1 000 000, one owner": (
        ("archive", "archive", "1000000 1000000 1"),
        ("archive", "archive_peer", "1000000 1000000 1000000 1"),
        ("message", None, "1000000"),
    ),
    "1 000 000, many owners": (
        ("archive", "archive", "1000000 100 1"),
        ("archive", "archive_peer", "1000000 100 5 1"),
        ("message", None, "500000"),
    ),
    "few messages, many rows": (
        ("archive", "archive", "1000000 1000000 1"),
        ("archive", "archive_peer", "1000000 1000000 2 1"),
        ("message", None, "10"),
    ),
}

WANTED = {
    "forwards": lambda client, uid: ask(client, "<max>10</max>"),
    "after": lambda client, uid: ask(client, f"<max>10</max><after>{uid}</after>"),
    "before": lambda client, uid: ask(client, f"<max>10</max><before>{uid}</before>"),
    "last": lambda client, uid: ask(client, "<max>10</max><before/>"),
    "count": lambda client, uid: ask(client, "<max>0</max>", with_=ROMEO),
    "with": lambda client, uid: ask(client, "<max>10</max><before/>", with_=ROMEO),
    "with full": lambda client, uid: ask(client, "<max>10</max>", with_=f"{ROMEO}/orchard"),
    "time": lambda client, uid: ask(client, start="2026-01-01T00:00:00Z", with_=ROMEO),
    "ids": lambda client, uid: ask(client, ids=uid),
    "bounds": lambda client, uid: ask(client, after_id=uid),
    "search": lambda client, uid: ask_for(
        client, {"{urn:xmpp:fulltext:0}fulltext": "hello"}, "<max>10</max><before/>"
    ),
    "metadata": lambda client, uid: client.says(
        "<iq type='get' id='m'><metadata xmlns='urn:xmpp:mam:2'/></iq>"
    ),
    "retraction": lambda client, uid: client.says(
        f"<message to='{ROMEO}' id='r'><retract xmlns='urn:xmpp:message-retract:1' id='x'/>"
        "<store xmlns='urn:xmpp:hints'/></message>"
    ),
}


@pytest.fixture
def filled(server, host, romeo, juliet):
    """Juliet, with a few messages of Romeo's that are indexed."""
    fill(romeo, JULIET, [f"hello {number}" for number in range(30)])
    ask_for(juliet, {"{urn:xmpp:fulltext:0}fulltext": "hello"})
    return juliet


def connection(host):
    return now(host.store.read(lambda cursor: cursor.connection))


def pretend(host, statistics):
    """Let SQLite believe that the tables are of a certain size."""
    execute = connection(host).execute
    execute("ANALYZE")
    execute("DELETE FROM sqlite_stat1")
    connection(host).executemany("INSERT INTO sqlite_stat1 VALUES (?, ?, ?)", statistics)
    execute("ANALYZE sqlite_schema")


def plans(host, work):
    """Return the plan of each statement that reads archives or messages while work is done."""
    said = []
    connection(host).set_trace_callback(said.append)
    work()
    connection(host).set_trace_callback(None)
    found = {}
    for sql in said:
        if sql.startswith(("SELECT", "DELETE", "UPDATE")):
            steps = [row[3] for row in connection(host).execute(f"EXPLAIN QUERY PLAN {sql}")]
            found[sql] = steps
    return found


def slow(step):
    """Tell whether a step of a plan grows with the table."""
    # an index of words is asked for what it has; FTS5 calls that a scan
    if "VIRTUAL TABLE INDEX" in step and not step.endswith("INDEX 0:"):
        return False
    if step.startswith("SCAN counted") or "CONSTANT ROW" in step or step == "SCAN v":
        return False  # what was counted, and the ids that are written in the statement
    return "SCAN" in step or "TEMP B-TREE" in step


@pytest.mark.parametrize("statistics", STATISTICS)
@pytest.mark.parametrize("name", WANTED)
def test_no_query_goes_through_a_table(host, filled, name, statistics):
    """Same indexes, no sorting, for whatever size SQLite knows of."""
    (uid, *_) = ask(filled).ids
    pretend(host, STATISTICS[statistics])
    found = plans(host, lambda: WANTED[name](filled, uid))
    assert found
    for sql, steps in found.items():
        assert not [step for step in steps if slow(step)], sql


@pytest.mark.parametrize("name", [name for name in WANTED if name != "with full"])
def test_the_plan_does_not_depend_on_the_size(host, filled, name):
    (uid, *_) = ask(filled).ids
    seen = set()
    for statistics in STATISTICS.values():
        pretend(host, statistics)
        found = plans(host, lambda: WANTED[name](filled, uid))
        reading = [tuple(steps) for sql, steps in found.items() if sql.startswith("SELECT a.id")]
        seen.add(tuple(reading))
    assert len(seen) == 1


def test_rows_are_found_by_owner_and_id(host, filled):
    """The clustered table itself is the index; with a peer the second one covers everything."""
    found = plans(host, lambda: ask(filled, "<max>10</max>")).values()
    assert ["SEARCH a USING PRIMARY KEY (owner=? AND id>? AND id<?)"] in found
    assert "SEARCH m USING INTEGER PRIMARY KEY (rowid=?)" in [steps[-1] for steps in found]
    found = plans(host, lambda: ask(filled, "<max>10</max><before/>", with_=ROMEO)).values()
    covered = "USING COVERING INDEX archive_peer (owner=? AND peer=? AND id>? AND id<?)"
    assert [f"SEARCH a {covered}"] in found


@pytest.mark.parametrize("statistics", STATISTICS)
def test_sweeping_looks_at_what_is_old_only(server, host, filled, statistics):
    now(host.find_feature(IArchive).set_days(JULIET, 1))
    pretend(host, STATISTICS[statistics])
    server.clock.rightNow += 3 * 86_400
    found = plans(host, lambda: server.advance(retention.EVERY))
    assert any(sql.startswith("DELETE FROM archive ") for sql in found)
    for sql, steps in found.items():
        assert not [step for step in steps if slow(step)], sql


@pytest.mark.needs_postgres
def test_postgresql_reads_no_more_than_a_page():
    """Neither sorted nor joined with everybody's messages: what is read of an index is a page."""
    count, greatest = 20_000, (1 << 63) - 1
    url = empty_database()
    steps = [spell(sql, WORDS) for table in (*MESSAGES, *storage.TABLES) for sql in table.steps]
    rows = f"SELECT i, 'u' || i % 20 FROM generate_series(1, {count}) i"
    run_sql(
        url,
        *steps,
        f"INSERT INTO message SELECT i, i, 1, '' FROM ({rows}) r(i, u)",
        f"INSERT INTO archive SELECT 'juliet@x', i, u, '', 0 FROM ({rows}) r(i, u) WHERE i % 3 = 0",
        f"INSERT INTO archive SELECT 'romeo@x', i, u, '', 0 FROM ({rows}) r(i, u)",
    )
    for statistics in ("SELECT 1", "ANALYZE"):
        run_sql(url, statistics)
        for query, values in ((Query(), ()), (Query(peer=parse("u7")), ("u7",))):
            text, _ = storage.filters(query)
            for backwards in (False, True):
                sql = storage.select(storage.EVERYTHING, text, backwards)
                for value in ("romeo@x", *values, 0, greatest, 100):
                    sql = sql.replace(
                        "?", f"'{value}'" if isinstance(value, str) else str(value), 1
                    )
                plan = " ".join(line for (line,) in run_sql(url, f"EXPLAIN (COSTS OFF) {sql}"))
                assert "Index Only Scan" in plan
                assert not {"Sort", "Seq", "Join", "Filter:"} & set(plan.split())
