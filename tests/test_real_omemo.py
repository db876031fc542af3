"""OMEMO between clients that nobody here wrote: device lists and bundles are nodes of accounts.

slixmpp-omemo, with both versions of the protocol, at `twistd -n imsuite`.
"""

import itertools
from contextlib import ExitStack

import pytest

from tests.omemo_people import Secretive
from tests.served import served

DOMAIN = "localhost"
HOSTS = f'[hosts."{DOMAIN}"]\n'
PASSWORD = "wherefore-art-thou"
PEOPLE = 12

# how slixmpp-omemo reaches the plugins of slixmpp
pytestmark = pytest.mark.filterwarnings("ignore:Accessing plugins:DeprecationWarning")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A running server with accounts."""
    with served(tmp_path_factory.mktemp("served"), HOSTS) as server:
        names = "".join(f"person{n}@{DOMAIN} {PASSWORD}\n" for n in range(PEOPLE))
        server.ctl("adduser", "--from", "-", given=names)
        server.names = (f"person{n}@{DOMAIN}" for n in itertools.count())
        yield server


@pytest.fixture
def people(server):
    """Make somebody with an account and a device; afterwards everybody is gone."""

    def make(bare=None, device="phone", **given):
        person = Secretive(server, f"{bare or next(server.names)}/{device}", PASSWORD, **given)
        everybody.callback(person.close)
        return person

    with ExitStack() as everybody:
        yield make


@pytest.fixture
def friends(people):
    """Two people, online, who see each other, and so hear of each other's devices."""
    one, other = people(), people()
    for each in (one, other):
        each.log_in()
    one.befriend(other.bare)
    other.befriend(one.bare)
    one.sees(other.bare, True)
    other.sees(one.bare, True)
    one.learns(other.bare)
    other.learns(one.bare)
    return one, other


def test_friends_read_each_other(friends):
    """XEP-0384 §5: their devices found each other's bundles."""
    one, other = friends
    one.whisper(other.bare, "A thousand times good night!")
    other.hears(one.bare, "A thousand times good night!")
    other.whisper(one.bare, "Parting is such sweet sorrow.")
    one.hears(other.bare, "Parting is such sweet sorrow.")


def test_new_device_is_heard_of(friends, people):
    """XEP-0384 §5.2, XEP-0163 §4: by its list, of which contacts and oneself are told."""
    one, other = friends
    one.whisper(other.bare, "first")
    other.hears(one.bare, "first")
    second = people(other.bare, "tablet")
    second.log_in()
    assert second.device != other.device
    one.learns(other.bare)
    one.whisper(other.bare, "for both")
    other.hears(one.bare, "for both")
    second.hears(one.bare, "for both")
    assert one.devices(other.bare) == {other.device, second.device}


def test_message_waits_for_who_is_away(friends, people):
    """XEP-0384 §1: with keys of before, in another session."""
    one, other = friends
    one.whisper(other.bare, "first")
    other.hears(one.bare, "first")
    other.leave()
    one.sees(other.bare, False)
    one.whisper(other.bare, "while you were away")
    again = people(other.bare, drawer=other.drawer)
    again.log_in()
    again.hears(one.bare, "while you were away")


def test_strangers_read_each_other(people):
    """XEP-0384 §5.3.2: the nodes are open, so nobody has to be a contact."""
    one, other = people(), people()
    for each in (one, other):
        each.log_in()
    one.whisper(other.bare, "good day")
    other.hears(one.bare, "good day")
    other.whisper(one.bare, "good day to you")
    one.hears(other.bare, "good day to you")
