"""Who may give which administration command."""

import pytest

from imsuite.rules.administration import OPERATOR, Actor, Who, permits
from imsuite.xmpp.address import parse

NOBODY = Actor("paris@example.org/yard")
OWNER = Actor("juliet@example.org/balcony", "juliet@example.org")
ADMIN = Actor("romeo@example.org/orchard", "romeo@example.org", frozenset(("example.org",)))
EVERYWHERE = Actor(
    "romeo@example.org/orchard", "romeo@example.org", frozenset(("example.org",)), True
)


@pytest.mark.parametrize(
    ("who", "actors"),
    [
        (Who.OPERATOR, [OPERATOR]),
        (Who.SERVER, [OPERATOR, EVERYWHERE]),
        (Who.ADMIN, [OPERATOR, EVERYWHERE, ADMIN]),
        (Who.OWNER, [OPERATOR, EVERYWHERE, ADMIN, OWNER]),
    ],
)
def test_who_may_give_a_command(who, actors):
    everybody = [OPERATOR, EVERYWHERE, ADMIN, OWNER, NOBODY]
    assert [each for each in everybody if permits(who, each)] == actors


@pytest.mark.parametrize(
    ("who", "actor", "concerned", "may"),
    [
        (Who.ADMIN, ADMIN, "juliet@example.org", True),
        (Who.ADMIN, ADMIN, "example.org", True),
        (Who.ADMIN, ADMIN, "nurse@example.net", False),
        (Who.ADMIN, ADMIN, "conference.example.org", False),
        (Who.ADMIN, EVERYWHERE, "nurse@example.net", False),
        (Who.ADMIN, OPERATOR, "nurse@example.net", True),
        (Who.ADMIN, OWNER, "juliet@example.org", False),
        (Who.OWNER, OWNER, "juliet@example.org", True),
        (Who.OWNER, OWNER, "juliet@example.org/chamber", True),
        (Who.OWNER, OWNER, "romeo@example.org", False),
        (Who.OWNER, OWNER, "example.org", False),
        (Who.OWNER, ADMIN, "juliet@example.org/chamber", True),
    ],
)
def test_about_whom(who, actor, concerned, may):
    assert permits(who, actor, [parse(concerned)]) is may


def test_all_that_are_concerned_count():
    concerned = [parse("juliet@example.org"), parse("nurse@example.net")]
    assert not permits(Who.ADMIN, ADMIN, concerned)
