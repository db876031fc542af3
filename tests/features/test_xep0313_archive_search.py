"""XEP-0431: messages are found by their words."""

import sqlite3

import pytest

from imsuite.core.feature import At
from imsuite.features.xep0313_archive import search
from imsuite.testing.memory import MemoryServer, now
from tests.archives import FULLTEXT, ask, ask_for, fill, rows
from tests.helpers import holds, iq_error

JULIET, ROMEO = "juliet@example.org", "romeo@example.org"


def found(client, text, **fields):
    """Return the bodies of what a client finds."""
    named = {name.rstrip("_"): value for name, value in fields.items()}
    return ask_for(client, {FULLTEXT: text, **named}).bodies


def test_words_are_found(romeo, juliet):
    """§2.2: whole words, in any order and case, with and without accents"""
    fill(romeo, JULIET, ["Parting is such sweet sorrow", "sweet dreams", "Épée à la main"])
    assert found(romeo, "sweet") == ["Parting is such sweet sorrow", "sweet dreams"]
    assert found(juliet, "SORROW sweet") == ["Parting is such sweet sorrow"]
    assert found(juliet, "epee") == ["Épée à la main"]
    assert found(juliet, "swee") == []
    assert found(juliet, "sweet rose") == []


def test_an_empty_search_is_none(romeo, juliet):
    """§2.2: if non-empty"""
    fill(romeo, JULIET, ["one", "two"])
    assert found(romeo, "") == found(romeo, "   ") == ["one", "two"]
    answer = ask_for(romeo, {FULLTEXT: "?!"})  # no text has that for a word
    assert (answer.bodies, answer.complete) == ([], True)


DREAMS, SORROW = "sweet dreams", "such sweet sorrow"


@pytest.mark.parametrize(
    ("text", "bodies"),
    [
        ('sweet" OR "dreams', []),
        ("sweet OR dreams", []),
        ("sweet NOT dreams", []),
        ("swee*", []),
        ("body:sweet", []),
        ("NEAR(sweet sorrow)", []),
        ("owners:o1", []),
        ("{a}", []),
        ("a&amp;b", []),
        ("sweet:A", []),
        ("'", []),
        ("%", []),
        (":*", []),
        ("^sweet", [DREAMS, SORROW]),
        ("!sweet", [DREAMS, SORROW]),
        ("(sweet", [DREAMS, SORROW]),
        ("-dreams", [DREAMS]),
        ("sweet | dreams", [DREAMS]),
        ("sweet + sorrow", [SORROW]),
    ],
)
def test_nothing_in_a_search_is_syntax(romeo, juliet, text, bodies):
    """§2.2: what it is to the database is quoted"""
    fill(romeo, JULIET, [DREAMS, SORROW])
    answer = ask_for(romeo, {FULLTEXT: text})
    assert not answer.error
    assert answer.bodies == bodies


def test_nobody_finds_what_is_anothers(server, romeo, juliet):
    """XEP-0313 §8.1"""
    nurse = server.login("nurse@example.org/house")
    fill(romeo, JULIET, ["a secret"])
    assert found(nurse, "secret") == []
    assert found(juliet, "secret") == ["a secret"]


def test_a_search_goes_with_other_filters(server, romeo, juliet):
    """XEP-0313 §4.1"""
    server.login("nurse@example.org/house")
    fill(romeo, JULIET, ["sweet one", "sour"])
    server.advance(60)
    fill(romeo, "nurse@example.org", ["sweet two"])
    fill(romeo, JULIET, ["sweet three"])
    assert found(romeo, "sweet", with_=JULIET) == ["sweet one", "sweet three"]
    assert found(romeo, "sweet", start="2026-01-01T00:00:30Z") == ["sweet two", "sweet three"]
    ids = ask(romeo).ids
    assert found(romeo, "sweet", ids=ids[:2]) == ["sweet one"]
    assert "<count>3</count>" in ask_for(romeo, {FULLTEXT: "sweet"}, "<max>0</max>").fin
    page = ask_for(romeo, {FULLTEXT: "sweet"}, "<max>1</max><before/>")
    assert (page.bodies, page.complete) == (["sweet three"], False)


@pytest.mark.parametrize(
    "message",
    [
        "<body>sealed</body><encrypted xmlns='eu.siacs.conversations.axolotl'><payload/>"
        "</encrypted>",
        "<body>sealed</body><encrypted xmlns='urn:xmpp:omemo:2'><payload/></encrypted>",
        "<body>sealed</body><openpgp xmlns='urn:xmpp:openpgp:0'>x</openpgp>",
        "<body>sealed</body><x xmlns='jabber:x:encrypted'>x</x>",
        "<body>sealed</body><encryption xmlns='urn:xmpp:eme:0' namespace='x'/>",
        "<body>?OTRv23? sealed</body>",
        "<body>sealed</body><retract xmlns='urn:xmpp:message-retract:1' id='x'/>",
        "<subject>sealed</subject>",
    ],
)
def test_only_readable_text_is_found(host, romeo, juliet, message):
    romeo.says(f"<message to='{JULIET}' type='chat' id='1'>{message}</message>")
    assert len(ask(romeo).ids) == 1
    assert found(romeo, "sealed") == []
    assert rows(host, "archive_text") == []


def test_every_language_of_a_message_is_found(romeo, juliet):
    romeo.says(
        f"<message to='{JULIET}' type='chat'><body xml:lang='en'>rose</body>"
        "<body xml:lang='de'>Röschen</body></message>"
    )
    assert len(ask_for(juliet, {FULLTEXT: "rose"}).ids) == 1
    assert len(ask_for(juliet, {FULLTEXT: "roschen"}).ids) == 1


def test_scripts_without_spaces(romeo, juliet):
    """A word there is a part of the text."""
    fill(romeo, JULIET, ["私は薔薇が好きです", "ばらの名前"])
    assert found(juliet, "薔薇") == ["私は薔薇が好きです"]
    assert found(juliet, "薇薔") == []


@pytest.mark.parametrize("text", ["x" * 1001, " ".join(f"w{number}" for number in range(40))])
def test_a_search_has_bounds(romeo, text):
    assert holds(ask_for(romeo, {FULLTEXT: text}).fin, iq_error("q", "bad-request"))


# the index


def test_it_is_filled_in_the_background(server, host, romeo, juliet):
    fill(romeo, JULIET, ["one", "two"])
    assert rows(host, "archive_text") == []
    server.advance(search.PAUSE)
    assert len(rows(host, "archive_text")) == 2
    fill(romeo, JULIET, ["three"])
    server.advance(search.PAUSE)
    assert [text for (text,) in rows(host, "archive_text", "body")] == ["one", "two", "three"]


def test_it_knows_what_it_has(server, host, romeo, juliet):
    """What is older than a minute is not looked at again."""
    fill(romeo, JULIET, ["one", "two"])
    assert found(romeo, "one") == ["one"]
    assert rows(host, "archive_indexed", "last")[0][0] < ids(host)[0]
    server.advance(120)
    assert found(romeo, "one") == ["one"]
    assert rows(host, "archive_indexed", "last")[0][0] >= ids(host)[-1]


def ids(host):
    return [id for (id,) in rows(host, "message", "id")]


def test_what_is_written_late_is_found(server, host, romeo, juliet):
    """A message may get its id before, and come into the store after, another one."""
    fill(romeo, JULIET, ["two"])
    assert found(juliet, "two") == ["two"]
    (first,) = ids(host)
    raw = f"<message from='{ROMEO}/a' to='{JULIET}'><body>one</body></message>".encode()
    now(host.store.execute("INSERT INTO message VALUES (?, 1, 1, ?)", first - 5, raw))
    now(host.store.execute("INSERT INTO archive VALUES (?, ?, ?, '', 0)", JULIET, first - 5, ROMEO))
    assert found(juliet, "one") == ["one"]


def test_it_catches_up_in_chunks(server, host, romeo, juliet, monkeypatch):
    """With receipts among the messages, which are not in it."""
    monkeypatch.setattr(search, "CHUNK", 3)
    for number in range(10):
        romeo.says(
            f"<message to='{JULIET}' id='{number}'>"
            "<received xmlns='urn:xmpp:receipts' id='x'/></message>"
        )
    fill(romeo, JULIET, ["needle"])
    answer = ask_for(juliet, {FULLTEXT: "needle"})
    assert answer.bodies == ["needle"]
    assert "stable" not in answer.fin


def test_a_row_that_is_no_message_does_not_stop_it(server, host, romeo, juliet):
    """One that the disk has spoiled: all others are found."""
    fill(romeo, JULIET, ["sweet one", "sweet two", "sweet three"])
    now(
        host.store.execute(
            "UPDATE message SET raw = ? WHERE CAST(raw AS TEXT) LIKE '%two%'", b"<messa"
        )
    )
    server.advance(search.PAUSE)
    assert found(romeo, "sweet") == ["sweet one", "sweet three"]


def test_a_search_does_not_wait_for_ever(host, romeo, juliet, monkeypatch):
    """XEP-0313 §4.3.2: what may still change is not stable."""
    monkeypatch.setattr(search, "CHUNK", 2)
    monkeypatch.setattr(search, "MOST_AT_SEARCH", 4)
    fill(romeo, JULIET, [f"sweet {number}" for number in range(7)])
    answer = ask_for(juliet, {FULLTEXT: "sweet"})
    assert len(answer.bodies) == 4
    assert "stable='false'" in answer.fin
    answer = ask_for(juliet, {FULLTEXT: "sweet"})
    assert len(answer.bodies) == 7
    assert "stable" not in answer.fin


def test_what_no_archive_has_is_not_in_it(server, host, romeo):
    """A message that only waits for its recipient is nobody's to search."""
    server.account("juliet@example.org")
    hint = "<no-permanent-store xmlns='urn:xmpp:hints'/>"
    romeo.says(f"<message to='{JULIET}' type='chat'><body>psst</body>{hint}</message>")
    assert len(rows(host, "message")) == 1
    server.advance(search.PAUSE)
    assert rows(host, "archive_text") == []


@pytest.mark.server(options={"archive": {"search": False}})
def test_it_can_be_switched_off(host, romeo, juliet):
    """XEP-0313 §4.1.5: then the field is unknown"""
    fill(romeo, JULIET, ["one"])
    answer = ask_for(romeo, {FULLTEXT: "one"})
    assert holds(answer.fin, iq_error("q", "feature-not-implemented"))
    assert "urn:xmpp:fulltext:0" not in host.advertised(At.SELF)
    assert (
        "fulltext"
        not in romeo.says("<iq type='get' id='f'><query xmlns='urn:xmpp:mam:2'/></iq>")[0]
    )


@pytest.mark.parametrize("exists", [False, None])
def test_what_goes_while_it_is_not_used_goes_from_it_too(server, host, romeo, juliet, exists):
    """It was switched off, or a command works on the database of a stopped server."""
    fill(romeo, JULIET, ["needle"])
    server.advance(search.PAUSE)
    assert len(rows(host, "archive_text")) == 1
    index = host.features["archive"]._search
    index.index, index.exists = None, exists
    if exists is not None:
        now(index.start(used=False))
    for name in ("romeo", "juliet"):
        now(host.registrar.delete(name))
    assert rows(host, "archive_text") == []


def test_a_database_without_it(monkeypatch):
    """SQLite may be built without FTS5: everything else works."""
    broken = search.attrs.evolve(search.SQLITE, make=("CREATE VIRTUAL TABLE x USING nothing(a)",))
    monkeypatch.setattr(search, "SQLITE", broken)
    server = MemoryServer()
    romeo = server.login("romeo@example.org/orchard")
    romeo.says("<message type='chat'><body>note</body></message>")
    server.advance(10)
    assert ask(romeo).bodies == ["note"]
    assert "urn:xmpp:fulltext:0" not in server.host.advertised(At.SELF)
    server.stop()
    assert server.failures.take() == []


def test_two_hosts_share_it():
    server = MemoryServer(["example.org", "example.net"])
    romeo = server.login("romeo@example.org/orchard")
    juliet = server.login("juliet@example.net/balcony")
    fill(romeo, "juliet@example.net", ["across"])
    server.advance(60)
    assert len(rows(server.host, "archive_text")) == 1
    assert found(romeo, "across") == found(juliet, "across") == ["across"]
    server.stop()
    assert server.failures.take() == []


def test_it_needs_an_sqlite_with_fts5():
    """What the tests above mean: this interpreter's has it."""
    sqlite3.connect(":memory:").execute(search.SQLITE.make[0])
