"""What a host shows of the administration commands, and to whom."""

import pytest
from twisted.logger import LogLevel, capturedLogs, formatEvent

from imsuite.app.command import CommandError, NotAllowed, NotPermitted, WrongArguments
from imsuite.app.commands import ALL
from imsuite.core.interfaces import ICommandDesk
from imsuite.rules.administration import OPERATOR, Who
from imsuite.testing.memory import MemoryServer, now
from imsuite.xmpp.address import parse

ROMEO = parse("romeo@example.org/orchard")


@pytest.fixture
def servers():
    server = MemoryServer(domains=("example.org", "example.net"))
    server.account("romeo@example.org", admin=True)
    server.account("juliet@example.org")
    server.account("nurse@example.net")
    yield server
    server.stop()


@pytest.fixture
def desk(servers):
    return servers.host.commands


@pytest.fixture
def admin(servers, desk):
    return desk.actor(servers.host, ROMEO)


def test_who_somebody_is(servers, desk, admin):
    assert ICommandDesk.providedBy(desk)
    assert (admin.name, admin.account) == (ROMEO.full, ROMEO.bare)
    assert admin.domains == {"example.org"}
    assert (admin.everything, admin.operator) == (False, False)
    own = desk.actor(servers.host, ROMEO, own=True)
    assert (own.domains, own.account) == (frozenset(), ROMEO.bare)
    elsewhere = desk.actor(servers.hosts[1], ROMEO)
    assert (elsewhere.domains, elsewhere.account) == (frozenset(), "")
    servers.hosts[1].users.named = frozenset((ROMEO.bare,))
    assert desk.actor(servers.host, ROMEO).everything


def test_every_command_that_concerns_somebody_says_whom():
    """Otherwise an administrator of one domain could give it about another."""
    for each in ALL:
        if each.who in (Who.ADMIN, Who.OWNER):
            assert each.about in {field.name for field in each.arguments.__attrs_attrs__}, each.name


@pytest.mark.parametrize(
    ("name", "given"),
    [
        ("adduser", {"jid": "a@example.net", "password": "pencil"}),
        ("passwd", {"jid": "nurse@example.net", "password": "pencil"}),
        ("deluser", {"jid": "nurse@example.net"}),
        ("disable", {"jid": "nurse@example.net"}),
        ("setadmin", {"jid": "nurse@example.net"}),
        ("users", {"domain": "example.net"}),
        ("sessions", {"jid": "example.net"}),
        ("announce", {"text": "hello", "domain": "example.net"}),
        ("blacklist", {"domain": "example.net"}),
        ("stop", {}),
        ("reload", {}),
        ("explain", {"id": "x"}),
        ("addusers", {"accounts": []}),
    ],
)
def test_an_administrator_has_one_domain(desk, admin, name, given):
    with pytest.raises(NotPermitted):
        now(desk.run(admin, name, given))


def test_without_a_domain_it_is_theirs(servers, desk, admin):
    rows = now(desk.run(admin, "users", {})).rows
    assert [row[0] for row in rows] == ["juliet@example.org", "romeo@example.org"]
    rows = now(desk.run(OPERATOR, "users", {})).rows
    assert len(rows) == 3


@pytest.mark.parametrize("name", ["deluser", "disable", "setadmin"])
def test_nobody_does_that_to_themselves(desk, admin, name):
    with pytest.raises(NotAllowed):
        now(desk.run(admin, name, {"jid": "romeo@example.org"}))


def test_what_is_no_address_concerns_nobody(desk, admin):
    with pytest.raises(CommandError, match="no address"):
        now(desk.run(admin, "deluser", {"jid": "@"}))
    with pytest.raises(WrongArguments, match="jid is missing"):
        now(desk.run(admin, "deluser", {}))


def logged(desk, actor, name, given):
    with capturedLogs() as captured:
        try:
            now(desk.run(actor, name, given))
        except CommandError:
            pass
    return [
        (event["log_level"], formatEvent(event))
        for event in captured
        if event["log_namespace"].endswith("Command")
    ]


def test_what_is_done_is_logged(desk, admin):
    """By whom, and about whom; no secret and no text that is for others."""
    given = {"jid": "a@example.org", "password": "sesame", "admin": True}
    line = "romeo@example.org/orchard gave adduser jid='a@example.org' admin=True"
    assert logged(desk, admin, "adduser", given) == [(LogLevel.info, line)]
    line = "imsuitectl gave announce domain='example.net'"
    given = {"text": "for your ears", "domain": "example.net"}
    assert logged(desk, OPERATOR, "announce", given) == [(LogLevel.info, line)]


def test_what_is_refused_is_logged(desk, admin):
    ((level, line),) = logged(desk, admin, "deluser", {"jid": "nurse@example.net"})
    assert level is LogLevel.info
    assert line.startswith(
        "romeo@example.org/orchard was refused deluser jid='nurse@example.net': deluser is for"
    )


def test_looking_around_on_the_machine_is_not_worth_a_line(desk):
    assert logged(desk, OPERATOR, "users", {})[0][0] is LogLevel.debug
