"""What is PostgreSQL's own: where it is, who may use it, what it can hold (decision 13)."""

import os
import socket
import subprocess
import sys

import psycopg
import pytest

from imsuite.core.interfaces import Table
from imsuite.store import postgres
from imsuite.store.dialect import (
    StoreConflict,
    StoreError,
    StoreFull,
    StoreUnavailable,
)
from imsuite.store.pool import Store
from imsuite.store.postgres import Postgres
from imsuite.store.postgres_words import for_rows, spelled
from tests.postgres import CREATE, database_of, run_sql, shared_server

NOTES = Table(
    "notes",
    (
        """CREATE TABLE notes (
            id {key},
            account TEXT NOT NULL,
            size SMALLINT NOT NULL DEFAULT 0,
            UNIQUE (account)) {clustered}""",
    ),
)
ADD = "INSERT INTO notes (id, account) VALUES (?, ?)"
COUNT = "SELECT count(*) FROM notes"

needs_postgres = pytest.mark.needs_postgres


@pytest.fixture
def notes(make, wait):
    store = make("postgres")
    wait(store.migrate((NOTES,)))
    return store


@pytest.fixture
def database():
    """Make a database, with a name of its own; it goes with the test."""
    made = []

    def database(name, collation="C", encoding="UTF8"):
        sql = CREATE.format(name, collation)
        if encoding != "UTF8":
            sql = sql.replace("UTF8", encoding).replace("C.UTF-8", "C")
        run_sql(shared_server(), sql)
        made.append(name)
        return database_of(shared_server(), name)

    yield database
    for name in made:
        run_sql(shared_server(), f"DROP DATABASE {name} WITH (FORCE)")


# --- words -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("sql", "meant"),
    [
        ("SELECT 1", "SELECT 1"),
        ("SELECT a FROM t WHERE b = ? AND c > ?", "SELECT a FROM t WHERE b = $1 AND c > $2"),
        ("SELECT '?', ?, 'it''s ?'", "SELECT '?', $1, 'it''s ?'"),
        ('SELECT "odd?" FROM t WHERE x LIKE ?', 'SELECT "odd?" FROM t WHERE x LIKE $1'),
        ("SELECT a % ? -- why?\nFROM t", "SELECT a % $1 -- why?\nFROM t"),
        ("SELECT /* ? \n ? */ ?", "SELECT /* ? \n ? */ $1"),
        ("WHERE a LIKE '%?%' OR b = ?", "WHERE a LIKE '%?%' OR b = $1"),
    ],
)
def test_question_marks_become_numbers(sql, meant):
    assert spelled(sql) == meant


@pytest.mark.parametrize(
    ("sql", "meant"),
    [
        (
            "INSERT INTO t (a, b) VALUES (?, ?)",
            "INSERT INTO t (a, b) VALUES ($1, $2), ($3, $4)",
        ),
        (
            "insert into t (a) values (?) on conflict do nothing",
            "insert into t (a) values ($1), ($2) on conflict do nothing",
        ),
        ("INSERT INTO t (a, b) VALUES (?, 'x')", None),
        ("INSERT INTO t (a) VALUES (?) RETURNING a", None),
        ("INSERT INTO t (a) VALUES (?) ON CONFLICT (a) DO UPDATE SET a = 1", None),
        ("UPDATE t SET a = ?", None),
    ],
)
def test_a_plain_insert_takes_many_rows(sql, meant):
    """Others run once for each row: an update, for one, may not meet a row twice."""
    assert for_rows(sql, 2) == meant


# --- where it is -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("postgresql://me:secret@db.example/chat", "postgresql://me@db.example/chat"),
        ("postgres://me:s%40cret@[::1]:5433/chat", "postgresql://me@[::1]:5433/chat"),
        ("postgresql:///chat", "postgresql:///chat"),
        ("postgresql://me@/chat?host=/run/postgresql&port=1", "postgresql://me@/chat"),
        ("postgresql://a:1,b:2/chat?password=secret", "postgresql://a,b:1,2/chat"),
    ],
)
def test_a_database_is_called_by_its_url_without_the_password(url, name):
    dialect = Postgres.from_url(url)
    assert dialect.name == name
    assert "secret" not in repr(dialect)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql:",
        "postgresql://me:secret@db",  # which database?
        "postgresql://me:secret%zz@db/chat",
        "postgresql://me:secret@db:port/chat",
        "postgresql://me:p@secret@db/chat",  # special characters that were left as they are
        "postgresql://me:p/secret@db/chat",
        "postgresql://me:p?secret@db/chat?secret",
        "postgresql://me:1/secret@db/chat",
        "postgresql://me:secret@[::1/chat",
        "postgresql://db/chat?secret=secret",
    ],
)
def test_a_url_that_cannot_be_read_is_refused_and_not_shown(url):
    with pytest.raises(StoreError, match="does not name a PostgreSQL database") as caught:
        Store(url, None)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_without_psycopg_it_is_told_what_to_install():
    script = (
        "import sys; sys.modules['psycopg'] = None\n"
        "from imsuite.store.pool import dialect\n"
        "from imsuite.store.dialect import StoreError\n"
        "try: dialect('postgresql://me:secret@db/chat', 2)\n"
        "except StoreError as why: print(why)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert "pip install 'imsuite[postgres]'" in done.stdout
    assert "secret" not in done.stdout + done.stderr


def refused(url, words):
    """Tell in which line a database is refused; it is one line without the password."""
    for _ in range(2):  # and nothing is left behind
        with pytest.raises(StoreError, match=words) as caught:
            Store(url, None).open()
        line = str(caught.value)
        assert "\n" not in line
        assert "secret" not in line
        assert line.startswith("postgresql://")
    return line


def closed_port():
    with socket.create_server(("127.0.0.1", 0)) as found:
        return found.getsockname()[1]


def test_a_server_that_is_down_is_told(tmp_path):
    refused(f"postgresql://me:secret@127.0.0.1:{closed_port()}/x", "Connection refused")
    refused(f"postgresql://me:secret@/x?host={tmp_path}", "No such file or directory")
    refused("postgresql://me:secret@nowhere.invalid/x", "nowhere.invalid")


@needs_postgres
def test_a_database_that_is_not_there_is_told():
    refused(database_of(shared_server(), "absent"), 'database "absent" does not exist')


@pytest.mark.needs_initdb
def test_who_may_not_log_in_is_told(cluster):
    wrong = cluster.url(host="127.0.0.1").replace(cluster.password, "secret")
    refused(wrong, "password authentication failed")
    nobody = cluster.url().replace(f"//{cluster.user}@", "//nobody:secret@")
    refused(nobody, 'role "nobody" does not exist')


@needs_postgres
@pytest.mark.parametrize(
    ("collation", "encoding", "words"),
    [("POSIX", "UTF8", None), ("C.UTF-8", "UTF8", None), ("C", "LATIN1", "encoding LATIN1")],
)
def test_texts_sort_by_their_characters_numbers(database, make, wait, collation, encoding, words):
    url = database(f"imsuite_sorted_{os.getpid()}", collation, encoding)
    if words:
        assert "createdb --template=template0" in refused(url, words)
        return
    store = make(url)
    store.open()
    wait(store.migrate((NOTES,)))
    names = ["z", "a", "ä", "B", "_", "-a", "a-b", "aa", "\U0001f600", "\uffee", "ß"]
    for number, name in enumerate(names):
        wait(store.execute(ADD, number, name))
    rows = wait(store.query("SELECT account FROM notes ORDER BY account"))
    assert [name for (name,) in rows] == sorted(names)


@needs_postgres
def test_a_database_that_sorts_as_a_language_does_is_refused(make):
    dialect = make("postgres").dialect
    for collation, provider in (("en_US.UTF-8", "c"), ("de_DE", None), ("C", "i")):
        with pytest.raises(StoreError, match=f"sorts as in {collation}; make it with createdb"):
            dialect._check_text("UTF8", collation, provider)
    dialect._check_text("UTF8", "C.UTF-8", "b")


@needs_postgres
def test_an_old_server_is_told(monkeypatch):
    monkeypatch.setattr(postgres, "OLDEST", 99)
    refused(shared_server(), "is too old; imsuite needs 99")


@needs_postgres
def test_a_database_that_may_only_be_read_is_told(database):
    name = f"imsuite_read_{os.getpid()}"
    url = database(name)
    run_sql(url, f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    refused(url, "may only be read")


@pytest.mark.needs_initdb
def test_who_may_not_make_tables_is_told(cluster, make):
    """As since PostgreSQL 15 everybody who does not own the database."""
    made = CREATE.format("guarded", "C")
    run_sql(cluster.url(), made, "CREATE ROLE guest LOGIN")
    guest = make(cluster.url("guarded").replace(f"//{cluster.user}@", "//guest@"))
    with pytest.raises(StoreUnavailable, match="may not be used so by this user") as caught:
        guest.open((NOTES,))
    assert "\n" not in str(caught.value)


# --- one imsuite for each database -------------------------------------------------------------


@needs_postgres
def test_two_servers_do_not_share_a_database(make, wait):
    first = make("postgres")
    first.open()
    other = make("postgres-inline")
    other.dialect.patience = 50  # ms
    me = f"process {os.getpid()} on {socket.gethostname()}"
    with pytest.raises(StoreError, match=rf"in use: another imsuite \({me}\) runs on it"):
        other.open()
    reader = first.dialect.connect(writing=False)
    assert other.dialect.holder(reader) == me
    wait(first.close())
    other.open()
    reader.close()


@needs_postgres
def test_two_databases_of_one_server_are_apart(make, database):
    make("postgres").open()
    make(database(f"imsuite_other_{os.getpid()}")).open()


@needs_postgres
def test_the_lock_is_gone_with_its_process(make, url):
    script = (
        "import os; from imsuite.store.pool import Store; from twisted.internet.task import Clock\n"
        f"Store({url('postgres')!r}, Clock()).open(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -9
    make("postgres").open()


# --- what it can hold --------------------------------------------------------------------------


@needs_postgres
def test_values_are_those_of_sqlite(notes, wait):
    """What a feature wrote for one database it reads from the other."""
    row = wait(
        notes.query(
            "SELECT CAST(? AS BIGINT), CAST(? AS SMALLINT), sum(v), CAST(? AS DOUBLE PRECISION), ?,"
            " CAST(? AS BYTEA) FROM (VALUES (CAST(? AS BIGINT)), (2)) AS t (v)",
            *(2**63 - 1, True, 0.5, "ä😀", b"\0\xff", 2**62),
        )
    )[0]
    assert row == (2**63 - 1, 1, 2**62 + 2, 0.5, "ä😀", b"\0\xff")
    assert [type(value) for value in row] == [int, int, int, float, str, bytes]
    assert wait(notes.query("SELECT avg(v) FROM (VALUES (1), (2)) AS t (v)")) == [(1.5,)]
    assert wait(notes.query("SELECT max(id) FROM notes")) == [(None,)]


@needs_postgres
def test_a_value_it_cannot_hold_is_an_error_of_the_store(notes, wait):
    """RFC 6120 §8.3.3.6: the sender gets internal-server-error; the value is not shown."""
    calls = [
        lambda: notes.execute(ADD, 1, "a\0secret"),
        lambda: notes.query("SELECT 1 FROM notes WHERE account = ?", "a\0secret"),
        lambda: notes.lookup("SELECT 1 FROM notes WHERE account = ?", "a\0secret"),
        lambda: notes.transaction(lambda cursor: cursor.executemany(ADD, [(1, "a"), (2, "\0")])),
        lambda: notes.execute("UPDATE notes SET size = ?", 2**40),
        lambda: notes.execute(ADD, 2**70, "a"),
    ]
    wait(notes.execute(ADD, 9, "i"))
    for call in calls:
        with pytest.raises(StoreError, match="cannot hold a value") as caught:
            wait(call())
        assert type(caught.value) is StoreError
        assert "secret" not in str(caught.value)
    assert wait(notes.query("SELECT id FROM notes")) == [(9,)]


@needs_postgres
def test_a_text_too_long_for_an_index_is_an_error_of_the_store(notes, wait):
    with pytest.raises(StoreError, match="cannot hold a value"):
        wait(notes.execute(ADD, 1, os.urandom(20_000).hex()))
    assert wait(notes.query(COUNT)) == [(0,)]


@needs_postgres
@pytest.mark.parametrize("count", [0, 1, 2, 63, 64, 200])
def test_many_rows_at_once(notes, wait, count):
    def add(cursor):
        cursor.executemany(ADD, ((number, str(number)) for number in range(count)))
        added = cursor.rowcount
        cursor.executemany("UPDATE notes SET size = 1 WHERE id = ?", [(0,), (1,), (1000,)])
        return added, cursor.rowcount, cursor.fetchall()

    assert wait(notes.transaction(add)) == (count, min(count, 2), [])
    assert wait(notes.query(COUNT)) == [(count,)]


@needs_postgres
def test_a_cursor_is_that_of_the_store(notes, wait):
    def use(cursor):
        cursor.execute(ADD, (1, "a"))
        assert (cursor.rowcount, cursor.fetchone(), cursor.fetchall()) == (1, None, [])
        cursor.execute(ADD + " RETURNING id", (2, "b"))
        assert (cursor.rowcount, cursor.fetchall()) == (1, [(2,)])
        cursor.execute("SELECT id FROM notes ORDER BY id")
        assert (cursor.rowcount, cursor.fetchone(), list(cursor)) == (-1, (1,), [(2,)])

    wait(notes.transaction(use))


@needs_postgres
def test_a_failed_statement_that_was_passed_over_undoes_the_transaction(notes, wait):
    """PostgreSQL commits nothing then, and says so only in passing."""

    def add(cursor):
        cursor.execute(ADD, (1, "a"))
        with pytest.raises(psycopg.IntegrityError):
            cursor.execute(ADD, (1, "a"))

    with pytest.raises(StoreError, match="undone"):
        wait(notes.transaction(add))
    assert wait(notes.query(COUNT)) == [(0,)]


@needs_postgres
@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("53100", StoreFull),
        ("53200", StoreUnavailable),
        ("40001", StoreUnavailable),
        ("42501", StoreUnavailable),
        ("25006", StoreUnavailable),
        ("55P03", StoreUnavailable),
        ("57014", StoreUnavailable),
        ("58030", StoreUnavailable),
        ("XX001", StoreUnavailable),
        ("22003", StoreError),
        ("54000", StoreError),
        ("23514", StoreConflict),
    ],
)
def test_errors_are_told_by_their_kind(notes, wait, code, kind):
    """Architecture §11; PostgreSQL, appendix A: SQLSTATEs."""
    sql = f"DO $$ BEGIN RAISE EXCEPTION 'for a test' USING ERRCODE = '{code}'; END $$"
    for call in (notes.execute(sql), notes.transaction(lambda cursor: cursor.execute(sql))):
        with pytest.raises(StoreError) as caught:
            wait(call)
        assert type(caught.value) is kind
        assert "\n" not in str(caught.value)


@needs_postgres
def test_commits_are_durable_whatever_the_database_says(make, database, wait):
    name = f"imsuite_durable_{os.getpid()}"
    url = database(name)
    run_sql(url, f"ALTER DATABASE {name} SET synchronous_commit = off")
    store = make(url)
    store.open()
    assert wait(store.query("SHOW synchronous_commit")) == [("on",)]


@needs_postgres
def test_tables_of_extensions_are_nobodys(make, wait):
    store = make("postgres-inline")
    store.open()
    wait(store.execute("CREATE TABLE other (id INTEGER)"))
    assert wait(store.read(store.dialect.tables)) == {"imsuite_meta", "imsuite_steps", "other"}
    wait(store.execute("ALTER EXTENSION plpgsql ADD TABLE other"))
    assert wait(store.read(store.dialect.tables)) == {"imsuite_meta", "imsuite_steps"}
    wait(store.execute("ALTER EXTENSION plpgsql DROP TABLE other"))
