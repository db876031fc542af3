"""Accounts are made, found, changed and taken away, one host apart from another (§7)."""

import pytest

from imsuite.core.interfaces import Table
from imsuite.store.users import TABLES, AccountExists, NoSuchAccount, User, Users
from imsuite.xmpp.address import parse

NOTES = Table("notes", ("CREATE TABLE notes (account TEXT NOT NULL, body TEXT)",))
ROOMS = Table("rooms", ("CREATE TABLE rooms (name TEXT)",), owner=None)
CREATED = 1_700_000_000_000_000  # µs


@pytest.fixture
def users(store, wait):
    wait(store.migrate((*TABLES, NOTES, ROOMS)))
    users = Users(store, "example.org")
    wait(users.create("romeo", "secret verifiers", CREATED))
    return users


@pytest.fixture
def others(users):
    return Users(users.store, "example.net")


def test_an_account_is_found_as_it_was_made(users, wait):
    user = wait(users.find("romeo"))
    assert user == User("romeo", "secret verifiers", CREATED, disabled=False, is_admin=False)
    assert user.disabled is False
    assert wait(users.verifiers("romeo")) == "secret verifiers"
    assert wait(users.exists("romeo"))


def test_verifiers_are_not_shown(users, wait):
    assert "secret" not in repr(wait(users.find("romeo")))


def test_a_name_is_given_once(users, wait):
    with pytest.raises(AccountExists):
        wait(users.create("romeo", "stolen", CREATED))
    assert wait(users.verifiers("romeo")) == "secret verifiers"


def test_hosts_are_apart(users, others, wait):
    assert not wait(others.exists("romeo"))
    wait(others.create("romeo", "other", CREATED))
    wait(others.delete("romeo"))
    assert wait(users.exists("romeo"))
    assert wait(others.count()) == 0


def test_who_is_not_there_cannot_be_changed(users, wait):
    for call in (
        users.find("juliet"),
        users.verifiers("juliet"),
        users.set_verifiers("juliet", "x"),
        users.set_disabled("juliet", True),
        users.set_admin("juliet", True),
        users.delete("juliet"),
    ):
        with pytest.raises(NoSuchAccount):
            wait(call)


def test_a_password_can_be_changed(users, wait):
    wait(users.set_verifiers("romeo", "new"))
    assert wait(users.verifiers("romeo")) == "new"


def test_an_account_can_be_disabled_and_enabled(users, wait):
    wait(users.set_disabled("romeo", True))
    assert wait(users.find("romeo")).disabled is True
    wait(users.set_disabled("romeo", False))
    assert wait(users.find("romeo")).disabled is False


def test_admins_are_listed(users, others, wait):
    wait(users.create("juliet", "x", CREATED, True))
    wait(others.create("tybalt", "x", CREATED, True))
    wait(users.set_admin("romeo", True))
    assert wait(users.admins()) == ["juliet", "romeo"]
    wait(users.set_admin("juliet", False))
    assert wait(users.admins()) == ["romeo"]


def test_accounts_are_listed_in_pages(users, wait):
    for name in ("c", "a", "b"):
        wait(users.create(name, "x", CREATED))
    assert [user.localpart for user in wait(users.page(limit=2))] == ["a", "b"]
    assert [user.localpart for user in wait(users.page(after="b", limit=2))] == ["c", "romeo"]
    assert wait(users.page(after="romeo")) == []
    assert wait(users.page(limit=-1)) == []
    assert wait(users.count()) == 4


def test_an_account_takes_along_what_it_owns(users, wait):
    store = users.store
    for account in ("romeo@example.org", "juliet@example.org"):
        wait(store.execute("INSERT INTO notes VALUES (?, 'x')", account))
    wait(store.execute("INSERT INTO rooms VALUES ('balcony')"))

    def leave_rooms(cursor, account):
        cursor.execute("UPDATE rooms SET name = ?", (f"left by {account}",))

    wait(users.delete("romeo", (NOTES, ROOMS), (leave_rooms,)))
    assert not wait(users.exists("romeo"))
    assert wait(store.query("SELECT account FROM notes")) == [("juliet@example.org",)]
    assert wait(store.query("SELECT name FROM rooms")) == [("left by romeo@example.org",)]


def test_an_account_goes_whole_or_stays(users, wait):
    def refuse(cursor, account):
        raise RuntimeError("no")

    wait(users.store.execute("INSERT INTO notes VALUES (?, 'x')", "romeo@example.org"))
    with pytest.raises(RuntimeError):
        wait(users.delete("romeo", (NOTES,), (refuse,)))
    assert wait(users.exists("romeo"))
    assert wait(users.store.query("SELECT count(*) FROM notes")) == [(1,)]


def test_who_administers_is_known_without_waiting(users, others, wait):
    """Those of the store, as every change leaves them, and those that the configuration names."""
    romeo, juliet, nurse = map(
        parse, ("romeo@example.org/a", "juliet@example.org", "n@example.net")
    )
    wait(users.create("juliet", "x", CREATED, True))
    assert users.administers(juliet)
    assert not users.administers(romeo)
    wait(users.set_admin("romeo", True))
    assert users.administers(romeo)
    wait(users.delete("juliet"))
    assert not users.administers(juliet)
    wait(users.create_all([("juliet", "x", True), ("romeo", "x", True), ("paris", "x", False)], 1))
    assert users.administers(juliet)
    assert not users.administers(parse("paris@example.org"))
    wait(others.create("n", "x", CREATED, True))
    assert not users.administers(nurse)
    users.named = frozenset(("n@example.net",))
    assert users.administers(nurse)
    wait(users.set_admin("romeo", False))
    assert not users.administers(romeo)


def test_who_administers_is_loaded(users, wait):
    wait(users.set_admin("romeo", True))
    again = Users(users.store, "example.org", ("n@example.net",))
    assert not again.administers(parse("romeo@example.org"))
    wait(again.load())
    assert again.administers(parse("romeo@example.org"))
    assert again.administers(parse("n@example.net"))


def test_who_is_disabled_is_listed_and_counted(users, wait):
    for name in ("a", "b", "c"):
        wait(users.create(name, "x", CREATED))
        wait(users.set_disabled(name, name != "b"))
    assert [user.localpart for user in wait(users.page(disabled=True))] == ["a", "c"]
    assert [user.localpart for user in wait(users.page("a", 9, disabled=True))] == ["c"]
    assert wait(users.count(disabled=True)) == 2
