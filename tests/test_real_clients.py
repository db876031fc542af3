"""Clients that nobody here wrote, at the server as its operator starts it.

Profanity, slixmpp and nbxmpp connect to `twistd -n imsuite` over TLS and check its certificate.
"""

import itertools
import os
import shutil
import ssl
import subprocess

import pytest

from tests.people import DEBIAN_PYTHON, Nbxmpp, NotLetIn, Person, Profanity, Slixmpp
from tests.served import served

DOMAIN = "localhost"  # Profanity looks up where to register
HOSTS = """
[hosts."localhost"]
[features.register]
open = true
"""
PASSWORD = "wherefore-art-thou"
PEOPLE = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server with accounts."""
    folder = tmp_path_factory.mktemp("served")
    with served(folder, HOSTS) as server:
        made = folder / "data" / "certificates" / f"{DOMAIN}.pem"
        trusted = made.read_text().partition("-----BEGIN PRIVATE KEY-----")
        certificates = [text for text in (trusted[0], trusted[2]) if "BEGIN CERTIFICATE" in text]
        (folder / "trusted.pem").write_text("".join(certificates))
        names = "".join(f"person{n}@{DOMAIN} {PASSWORD}\n" for n in range(PEOPLE))
        server.ctl("adduser", "--from", "-", given=names)
        server.names = itertools.count()
        yield server


@pytest.fixture
def people(server, tmp_path):
    """Make somebody with an account; afterwards everybody is gone."""
    everybody = []

    def make(client, jid=None, password=PASSWORD, **given):
        if client is Profanity:
            given["home"] = tmp_path / f"home{len(everybody)}"
        jid = jid or f"person{next(server.names)}@{DOMAIN}/{client.program}"
        everybody.append(client(server, jid, password, **given))
        return everybody[-1]

    yield make
    for person in everybody:
        person.close()


@pytest.mark.parametrize(
    ("one", "other"),
    [(Profanity, Slixmpp), (Slixmpp, Nbxmpp), (Nbxmpp, Profanity)],
)
def test_two_people_make_friends_and_talk(people, one, other):
    """RFC 6121 §3, §4, §5: they see each other come, talk both ways, and see who goes."""
    one, other = people(one), people(other, direct=other is Nbxmpp)
    for each in (one, other):
        each.log_in()
    one.befriend(other.bare)
    other.accept(one.bare)
    other.befriend(one.bare)
    one.accept(other.bare)
    one.sees(other.bare, True)
    other.sees(one.bare, True)
    one.say(other.bare, "A thousand times good night!")
    other.hears(one.bare, "A thousand times good night!")
    other.say(one.bare, "Parting is such sweet sorrow.")
    one.hears(other.bare, "Parting is such sweet sorrow.")
    one.leave()
    other.sees(one.bare, False)
