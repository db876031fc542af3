"""Tables are brought up to date in one transaction, or the server does not start (§8)."""

import os
import sqlite3
from functools import partial

import pytest

from imsuite.core.interfaces import Table
from imsuite.store import schema
from imsuite.store.dialect import StoreError, StoreFull
from imsuite.store.schema import SchemaError
from imsuite.store.sqlite import COPIES

POSTGRES_INLINE = pytest.param("postgres-inline", marks=pytest.mark.needs_postgres)
FIRST = "CREATE TABLE notes (id {serial}, body TEXT)"
SECOND = "ALTER TABLE notes ADD COLUMN lang TEXT"
THIRD = "ALTER TABLE notes ADD COLUMN colour TEXT"
BAD = "ALTER TABLE absent ADD COLUMN lang TEXT"
ADD = "INSERT INTO notes (body) VALUES (?)"
STEPS = "SELECT name, step, digest, applied FROM imsuite_steps ORDER BY name, step"


def notes(*steps):
    return (Table("notes", steps),)


@pytest.fixture
def starting(make, wait):
    """Start a store with these tables, as often as wanted; return it."""
    running = []

    def starting(tables, kind):
        for store in running:
            wait(store.close())
        store = make(kind)
        running[:] = [store]
        wait(store.migrate(tables))
        return store

    return starting


@pytest.fixture
def migrate(starting, kind):
    """On whatever a server may be configured with."""
    return partial(starting, kind=kind)


@pytest.fixture
def on_file(starting):
    """On a file of SQLite."""
    return partial(starting, kind="file")


@pytest.fixture
def copies(path):
    return lambda: sorted(each for each in os.listdir(path.parent) if ".before-" in each)


def test_steps_are_noted(store, wait):
    wait(store.migrate(notes(FIRST, SECOND)))
    applied = 1_700_000_000_250_000  # µs
    assert wait(store.query(STEPS)) == [
        ("notes", 0, schema.digest(FIRST), applied),
        ("notes", 1, schema.digest(SECOND), applied),
    ]


def test_each_step_runs_once(migrate, wait):
    wait(migrate(notes(FIRST)).execute(ADD, "kept"))
    migrate(notes(FIRST, SECOND))
    store = migrate(notes(FIRST, SECOND))
    assert wait(store.query("SELECT * FROM notes")) == [(1, "kept", None)]


@pytest.mark.parametrize("other", ["file", POSTGRES_INLINE])
def test_migrate_with_threads_as_without(starting, wait, other):
    kind = "threads" if other == "file" else "postgres"
    wait(starting(notes(FIRST), other).execute(ADD, "kept"))
    store = starting(notes(FIRST, SECOND), kind)
    assert wait(store.query("SELECT * FROM notes")) == [(1, "kept", None)]


def test_all_or_nothing(migrate, wait):
    migrate(notes(FIRST))
    other = Table("other", ("CREATE TABLE other (id INTEGER)", BAD))
    with pytest.raises(StoreError, match=r"step 2 of table other failed: .*absent") as caught:
        migrate((*notes(FIRST, SECOND), other))
    assert "\n" not in str(caught.value)
    store = migrate(notes(FIRST))
    assert len(wait(store.query(STEPS))) == 1
    assert "other" not in wait(store.read(store.dialect.tables))


def test_a_database_that_failed_at_first_is_still_empty(migrate):
    with pytest.raises(StoreError):
        migrate(notes(BAD))
    migrate(notes(FIRST))


def test_a_changed_step_is_refused(migrate):
    migrate(notes(FIRST))
    with pytest.raises(SchemaError, match="step 1 of table notes is not the one") as caught:
        migrate(notes(FIRST + " "))
    assert "\n" not in str(caught.value)


def test_a_newer_table_is_refused(migrate):
    migrate(notes(FIRST, SECOND))
    with pytest.raises(SchemaError, match="made by a newer version of imsuite") as caught:
        migrate(notes(FIRST))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("number", ["2", "x"])
def test_a_newer_format_is_refused(migrate, wait, number):
    wait(migrate(notes(FIRST)).execute("UPDATE imsuite_meta SET value = ?", number))
    with pytest.raises(SchemaError, match="newer version of imsuite"):
        migrate(notes(FIRST))


def test_the_database_of_another_program_is_refused(migrate, make, wait, kind):
    store = make(kind)
    store.open()
    wait(store.execute("DROP TABLE imsuite_meta"))
    wait(store.execute("ALTER TABLE imsuite_steps RENAME TO bookmarks"))
    wait(store.close())
    with pytest.raises(SchemaError, match="not a database of imsuite"):
        migrate(notes(FIRST))


def test_tables_of_a_feature_that_is_off_stay(migrate, wait):
    wait(migrate(notes(FIRST)).execute(ADD, "kept"))
    migrate(())
    assert wait(migrate(notes(FIRST)).query("SELECT body FROM notes")) == [("kept",)]


def test_a_table_may_be_asked_for_twice_but_not_in_two_forms(store, wait):
    wait(store.migrate(notes(FIRST) * 2))
    with pytest.raises(SchemaError, match="two features want a table called notes"):
        wait(store.migrate(notes(FIRST) + notes(SECOND)))


def test_a_copy_is_put_aside_before_steps_run(on_file, wait, copies, path):
    wait(on_file(notes(FIRST)).execute(ADD, "kept"))
    on_file(notes(FIRST))
    assert copies() == []
    on_file(notes(FIRST, SECOND))
    (copy,) = copies()
    assert copy.startswith("imsuite.db.before-")
    assert copy.endswith("-20231114T221320Z")
    assert os.stat(path.with_name(copy)).st_mode & 0o777 == 0o600
    connection = sqlite3.connect(path.with_name(copy))
    assert connection.execute("SELECT * FROM notes").fetchall() == [(1, "kept")]
    connection.close()


def test_only_the_last_copies_are_kept(on_file, copies, reactor, path):
    steps = [FIRST]
    on_file(notes(*steps))
    stranger = path.with_name("imsuite.db.before-i-forget")
    stranger.write_text("mine")
    for number in range(COPIES + 2):
        reactor.advance(3600)
        steps.append(f"ALTER TABLE notes ADD COLUMN c{number} TEXT")
        on_file(notes(*steps))
    times = [name[-16:] for name in copies() if name != stranger.name]
    assert times == ["20231115T011320Z", "20231115T021320Z", "20231115T031320Z"]
    assert stranger.exists()


def test_without_room_for_the_copy_nothing_is_changed(on_file, wait, copies, monkeypatch):
    def full(*args):
        raise OSError(28, "No space left on device", "copy")

    wait(on_file(notes(FIRST)).execute(ADD, "kept"))
    monkeypatch.setattr(os, "replace", full)
    with pytest.raises(StoreFull, match="copy: No space left on device"):
        on_file(notes(FIRST, SECOND))
    assert copies() == []
    assert wait(on_file(notes(FIRST)).query("SELECT * FROM notes")) == [(1, "kept")]


CHILD = (
    "CREATE TABLE child (id INTEGER PRIMARY KEY, of INTEGER REFERENCES parent (id)"
    " ON DELETE CASCADE)"
)
PARENT = "CREATE TABLE parent (id INTEGER PRIMARY KEY)"


def test_rebuilding_a_table_does_not_empty_others(on_file, wait):
    store = on_file((Table("parent", (PARENT,)), Table("child", (CHILD,))))
    wait(store.execute("INSERT INTO parent VALUES (1)"))
    wait(store.execute("INSERT INTO child VALUES (1, 1)"))
    rebuilt = (
        PARENT,
        "CREATE TABLE parent2 (id INTEGER PRIMARY KEY, word TEXT)",
        "INSERT INTO parent2 (id) SELECT id FROM parent",
        "DROP TABLE parent",
        "ALTER TABLE parent2 RENAME TO parent",
    )
    store = on_file((Table("parent", rebuilt), Table("child", (CHILD,))))
    assert wait(store.query("SELECT * FROM child")) == [(1, 1)]
    wait(store.execute("DELETE FROM parent"))  # foreign keys are on again
    assert wait(store.query("SELECT * FROM child")) == []


def test_steps_that_break_references_are_undone(on_file, wait):
    tables = (Table("parent", (PARENT,)), Table("child", (CHILD,)))
    store = on_file(tables)
    wait(store.execute("INSERT INTO parent VALUES (1)"))
    wait(store.execute("INSERT INTO child VALUES (1, 1)"))
    with pytest.raises(StoreError, match="rows of table child refer to nothing"):
        on_file((Table("parent", (PARENT, "DELETE FROM parent")), tables[1]))
    assert wait(on_file(tables).query("SELECT * FROM parent")) == [(1,)]


def test_words_of_a_database_are_spelled_only_in_braces():
    words = {"serial": "INTEGER PRIMARY KEY"}
    assert schema.spell("id {serial}, serial TEXT", words) == "id INTEGER PRIMARY KEY, serial TEXT"
