"""What only a database in a file can promise, and what can be wrong with the file (§8)."""

import os
import subprocess
import sys
from contextlib import contextmanager

import pytest

from imsuite.core.interfaces import Table
from imsuite.store.dialect import StoreError, StoreFull, StoreUnavailable
from imsuite.store.pool import Store

NOTES = Table(
    "notes",
    ("CREATE TABLE notes (id {serial}, account TEXT NOT NULL UNIQUE, body {blob} NOT NULL)",),
)
ADD = "INSERT INTO notes (account, body) VALUES (?, ?)"
COUNT = "SELECT count(*) FROM notes"


@pytest.fixture(params=["threads", "file", "memory"])
def notes(request, make, wait):
    store = make(request.param)
    wait(store.migrate((NOTES,)))
    return store


def test_a_full_disk_is_told_and_survived(notes, wait):
    """Architecture §11: the sender gets resource-constraint; the server stays up."""
    wait(notes.execute("PRAGMA max_page_count = 10"))
    with pytest.raises(StoreFull) as caught:
        wait(notes.execute(ADD, "a", b"x" * 100_000))
    assert caught.value.condition == "resource-constraint"
    with pytest.raises(StoreFull):
        wait(notes.transaction(lambda cursor: cursor.execute(ADD, ("a", b"x" * 100_000))))
    wait(notes.execute(ADD, "a", b"small"))
    assert wait(notes.query(COUNT)) == [(1,)]


def test_commits_are_synced(make, wait):
    store = make()
    store.open()
    (mode,) = wait(
        store.transaction(lambda cursor: cursor.execute("PRAGMA synchronous"))
    ).fetchone()
    assert mode == 2
    assert wait(store.query("PRAGMA journal_mode")) == [("wal",)]


def test_two_servers_do_not_share_a_file(make, path):
    make("file").open()
    with pytest.raises(StoreError, match=f"in use: another imsuite .process {os.getpid()}."):
        make("file").open()
    link = path.with_name("other.db")
    link.symlink_to(path)
    with pytest.raises(StoreError, match="in use"):
        Store(f"sqlite://{link}", None).open()


def test_the_lock_is_gone_with_its_process(make, path):
    script = (
        "import os; from imsuite.store.pool import Store; from twisted.internet.task import Clock\n"
        f"Store('sqlite://{path}', Clock()).open(); os.kill(os.getpid(), 9)"
    )
    done = subprocess.run([sys.executable, "-c", script], check=False, timeout=60)
    assert done.returncode == -9
    make("file").open()


def test_nobody_else_can_read_the_file(make, wait, path):
    before = os.umask(0)
    try:
        wait(make().migrate((NOTES,)))
    finally:
        os.umask(before)
    for name in os.listdir(path.parent):
        assert os.stat(path.with_name(name)).st_mode & 0o077 == 0, name


def _not_a_database(path):
    path.write_bytes(b"This is a letter, not a database. " * 100)


def _directory(path):
    path.mkdir()


def _dangling(path):
    path.symlink_to(path.parent / "no" / "such" / "place.db")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (_not_a_database, "is not an SQLite database, or is damaged"),
        (_directory, "Is a directory"),
        (_dangling, "No such file or directory"),
    ],
)
def test_an_unusable_file_is_told_in_one_line(make, path, spoil, words):
    spoil(path)
    for _ in range(2):  # and it is not left locked
        with pytest.raises(StoreUnavailable, match=words) as caught:
            make("file").open()
        assert "\n" not in str(caught.value)


def test_a_file_damaged_inside_is_told(make, wait, path):
    store = make("file")
    wait(store.migrate((NOTES,)))
    wait(store.close())
    damaged = bytearray(path.read_bytes())
    damaged[100:4096] = b"\xff" * 3996
    path.write_bytes(damaged)
    with pytest.raises(StoreUnavailable, match="damaged"):
        wait(make("file").migrate((NOTES,)))
    assert path.read_bytes() == bytes(damaged)


@contextmanager
def unprivileged():
    """Be nobody for a moment where the tests run as root, who may write everywhere."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


def test_a_directory_that_may_not_be_written_is_told(make, path):
    path.parent.chmod(0o500)
    try:
        with unprivileged(), pytest.raises(StoreUnavailable, match="Permission denied"):
            make("file").open()
    finally:
        path.parent.chmod(0o700)
