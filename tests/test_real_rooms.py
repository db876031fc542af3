"""XEP-0045 with clients that nobody here wrote, at the server as its operator starts it."""

import itertools
import signal
from contextlib import ExitStack

import pytest
from slixmpp.exceptions import IqError, PresenceError

from tests.people import PATIENCE, Profanity, Slixmpp
from tests.served import served

DOMAIN = "localhost"
ROOM = f"garden@conference.{DOMAIN}"
HOSTS = f'[hosts."{DOMAIN}"]\n'
PASSWORD = "wherefore-art-thou"
PLUGINS = ("xep_0045", "xep_0004", "xep_0059", "xep_0199", "xep_0249", "xep_0313", "xep_0421")


class Visitor(Slixmpp):
    """slixmpp with its plugin for rooms."""

    def __init__(self, *given, **more):
        super().__init__(*given, plugins=PLUGINS, **more)

    async def _connect(self):
        await super()._connect()
        client = self.client
        client.add_event_handler("groupchat_message", self._said)
        client.add_event_handler("groupchat_subject", self._subject)
        client.add_event_handler(
            "groupchat_invite", lambda m: self.ears.tell("invited", m["from"].bare)
        )
        client.add_event_handler(f"muc::{ROOM}::got_online", self._came)
        client.add_event_handler(f"muc::{ROOM}::got_offline", self._went)

    def _said(self, message):
        self.ears.tell("said", message["mucnick"], message["body"])

    def _subject(self, message):
        self.ears.tell("subject", message["subject"])

    def _came(self, presence):
        self.ears.tell("came", presence["muc"]["nick"])

    def _went(self, presence):
        codes = tuple(sorted(presence["muc"]["status_codes"]))
        self.ears.tell("went", presence["muc"]["nick"], codes)

    def enter(self, nick, **more):
        """Enter the room."""
        return self.ask("xep_0045", "join_muc_wait", ROOM, nick, timeout=PATIENCE, **more)

    def tell(self, text):
        """Say something to all."""
        self.call(self.client.send_message, ROOM, text, mtype="groupchat")

    def configure(self, **values):
        """Set settings of the room."""

        async def change():
            plugin = self.client.plugin["xep_0045"]
            form = await plugin.get_room_config(ROOM)
            for name, value in values.items():
                form.get_fields()[f"muc#roomconfig_{name}"]["value"] = value
            form["type"] = "submit"
            await plugin.set_room_config(ROOM, form)

        self.call(change)


@pytest.fixture
def server(tmp_path):
    with served(tmp_path, HOSTS) as server:
        names = "".join(f"person{n}@{DOMAIN} {PASSWORD}\n" for n in range(4))
        server.ctl("adduser", "--from", "-", given=names)
        yield server


@pytest.fixture
def people(server, tmp_path):
    """Make somebody with an account and a client, who comes online; afterwards all are gone."""
    numbers = itertools.count()

    def make(client=Visitor, **given):
        number = next(numbers)
        if client is Profanity:
            given["home"] = tmp_path / f"home{number}"
        person = client(server, f"person{number}@{DOMAIN}/{client.program}", PASSWORD, **given)
        everybody.callback(person.close)
        person.log_in()
        return person

    with ExitStack() as everybody:
        yield make


def test_slixmpp_makes_a_room_and_talks_in_it(people):
    """§7.1-§7.5, §8.1, §10.1: make, configure, enter, talk, whisper, subject, leave"""
    romeo, juliet = people(), people()
    romeo.enter("Romeo")
    romeo.configure(roomname="Garden", persistentroom=True, whois="anyone")
    juliet.enter("Juliet")
    romeo.ears.wait(("came", "Juliet"))
    juliet.tell("Ay me!")
    for each in (romeo, juliet):
        each.ears.wait(("said", "Juliet", "Ay me!"))
    romeo.ask("xep_0045", "set_subject", ROOM, "Roses")
    juliet.ears.wait(("subject", "Roses"))
    juliet.call(juliet.client.send_message, f"{ROOM}/Romeo", "psst", mtype="chat")
    romeo.ears.wait(("hears", ROOM, "psst"))
    info = juliet.ask("xep_0030", "get_info", ROOM)["disco_info"]
    assert "muc_persistent" in info["features"]
    assert ("conference", "text", None, "Garden") in info["identities"]
    juliet.ask("xep_0045", "leave_muc", ROOM, "Juliet")
    romeo.ears.wait(("went", "Juliet"))


def test_slixmpp_rules_a_room(people):
    """§8.2, §9.1, §9.3, §10.9: voice, kick, ban, membership, invitation, destruction"""
    romeo, juliet, nurse = people(), people(), people()
    romeo.enter("Romeo")
    romeo.configure(membersonly=True)
    with pytest.raises(PresenceError) as refused:
        juliet.enter("Juliet")
    assert refused.value.condition == "registration-required"
    romeo.ask("xep_0045", "set_affiliation", ROOM, "member", jid=juliet.bare)
    romeo.ask("xep_0045", "set_affiliation", ROOM, "member", jid=nurse.bare, reason="welcome")
    nurse.ears.wait(("invited", ROOM))
    juliet.enter("Juliet")
    nurse.enter("Nurse")
    members = romeo.ask("xep_0045", "get_affiliation_list", ROOM, "member")
    assert sorted(map(str, members)) == [juliet.bare, nurse.bare]
    with pytest.raises(IqError) as refused:
        juliet.ask("xep_0045", "set_role", ROOM, "Nurse", "none")
    assert refused.value.condition == "forbidden"
    romeo.ask("xep_0045", "set_role", ROOM, "Nurse", "none")
    juliet.ears.wait(("went", "Nurse", (307,)))
    romeo.ask("xep_0045", "set_affiliation", ROOM, "outcast", jid=nurse.bare)
    with pytest.raises(PresenceError) as refused:
        nurse.enter("Nurse")
    assert refused.value.condition == "forbidden"
    romeo.ask("xep_0045", "destroy", ROOM, reason="dawn")
    with pytest.raises(IqError) as refused:
        juliet.ask("xep_0030", "get_info", ROOM)
    assert refused.value.condition == "item-not-found"


def test_slixmpp_reads_what_was_said_before_the_server_was_killed(server, people):
    """XEP-0313 §6.1.2, §7.2.14: what came back is on disk"""
    romeo = people()
    romeo.enter("Romeo")
    romeo.configure(persistentroom=True)
    for number in range(20):
        romeo.tell(f"line {number}")
    for number in range(20):
        romeo.ears.wait(("said", "Romeo", f"line {number}"))
    romeo.leave()
    server.restart(signal.SIGKILL)
    juliet = people()
    juliet.enter("Juliet", maxstanzas=5)
    juliet.ears.wait(("said", "Romeo", "line 19"))

    async def read():
        found = juliet.client.plugin["xep_0313"].iterate(jid=ROOM, rsm={"max": 7})
        return [m["mam_result"]["forwarded"]["stanza"]["body"] async for m in found]

    assert juliet.call(read) == [f"line {number}" for number in range(20)]


@pytest.mark.needs_profanity
def test_profanity_and_slixmpp_meet(people):
    """§7, §8, §10: a person at a terminal makes a room, talks, sets the subject, kicks"""
    romeo, juliet = people(Profanity), people()
    terminal = romeo.terminal
    terminal.types(f"/join {ROOM} nick Romeo")
    terminal.shows("Room locked, requires configuration")
    terminal.types("/room accept")
    terminal.shows("unlocked|accepted|configuration")
    juliet.enter("Juliet")
    terminal.shows("Juliet")
    juliet.tell("Ay me!")
    terminal.shows("Ay me!")
    terminal.types("She speaks!")
    juliet.ears.wait(("said", "Romeo", "She speaks!"))
    terminal.types("/subject set Roses")
    juliet.ears.wait(("subject", "Roses"))
    terminal.types("/nick Montague")
    juliet.ears.wait(("came", "Montague"))
    terminal.types("/kick Juliet")
    juliet.ears.wait(("went", "Juliet", (110, 307)))


@pytest.mark.needs_profanity
def test_profanity_is_invited_and_whispers(people):
    """§7.5, §7.8, XEP-0249"""
    juliet, romeo = people(), people(Profanity)
    juliet.enter("Juliet")
    juliet.configure()
    juliet.ask("xep_0045", "invite", ROOM, romeo.bare, "come")
    romeo.terminal.shows("invite")
    romeo.terminal.types(f"/join {ROOM} nick Romeo")
    juliet.ears.wait(("came", "Romeo"))
    romeo.terminal.shows("Juliet")
    romeo.terminal.types("/msg Juliet psst")
    romeo.terminal.shows("psst")
    juliet.ears.wait(("hears", ROOM, "psst"))
    juliet.call(juliet.client.send_message, f"{ROOM}/Romeo", "not here", mtype="chat")
    romeo.terminal.shows("Juliet: not here")
    romeo.terminal.types("/win 2")  # from the window of whispers to that of the room
    romeo.terminal.shows("You have joined the room as Romeo")
    romeo.terminal.types("/close")
    juliet.ears.wait(("went", "Romeo"))
