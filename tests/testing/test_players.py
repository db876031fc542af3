"""Playing dialogues: what goes wrong is found, in memory and over TCP alike."""

import pytest

from imsuite.testing.dialogues import DialogueError, parse_dialogue
from imsuite.testing.memory import MemoryServer
from imsuite.testing.pipes import MemoryStage
from imsuite.testing.players import play
from imsuite.testing.server import serve

HEAD = """\
RFC 6121: Messages
romeo = romeo@example.org/orchard
juliet = juliet@example.org/balcony
"""
SAYS = HEAD + "romeo: <message to='juliet@example.org/balcony' id='1'><body>hi</body></message>\n"


@pytest.fixture(params=["memory", "tcp"])
def stage(request, monkeypatch):
    monkeypatch.setattr("imsuite.testing.players.PATIENCE", 0.1)
    if request.param == "tcp":
        with serve() as server:
            yield server
    else:
        server = MemoryServer()
        yield MemoryStage(server)
        server.stop()


def run(text, stage):
    play(parse_dialogue(text, "file.txt"), stage)


def test_a_dialogue_that_goes_as_written(stage):
    run(
        SAYS
        + " > juliet: <message from='romeo@example.org/orchard' id='{id}'/>\n"
        + " > juliet: nothing\n"
        + "juliet: <message to='romeo@example.org/orchard' id='{id}'/>\n"
        + " > romeo: <message id='1'/>\n > juliet: no <message/>\n",
        stage,
    )


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        (" > juliet: <message id='2'/>", "juliet should receive"),
        (" > romeo: <message/>", "but nothing came"),
        (" > juliet: nothing", "<body>hi</body>"),
        (" > juliet: no <message/>", "<body>hi</body>"),
        (" > juliet: <message/>\n > juliet: <message/>", "but nothing came"),
        (" > romeo: end", "but nothing came"),
    ],
)
def test_a_dialogue_that_goes_otherwise(stage, expected, why):
    with pytest.raises(DialogueError) as caught:
        run(SAYS + expected, stage)
    assert str(caught.value).startswith(f"file.txt:{5 + expected.count(chr(10))}: ")
    assert why in str(caught.value)


TWICE = HEAD + "romeo: {}{}\n > juliet: <message id='2'/>\n".format(
    "<message to='juliet@example.org/balcony' id='1'/>",
    "<message to='juliet@example.org/balcony' id='2'/>",
)


def test_more_may_come_than_what_is_written(stage):
    run(TWICE, stage)


def test_nothing_means_nothing_else(stage):
    with pytest.raises(DialogueError, match="id='1'"):
        run(TWICE + " > juliet: nothing", stage)


def test_what_is_written_comes_in_that_order(stage):
    with pytest.raises(DialogueError, match="id='1'"):
        run(TWICE + " > juliet: <message id='1'/>", stage)


def test_friends_see_each_other_and_nobody_is_called_absent(stage):
    run(
        HEAD
        + "nurse = nurse@example.org/house\n"
        + "romeo and juliet are friends\nnurse is offline\n"
        + "romeo: <presence><show>away</show></presence>\n"
        + " > juliet: <presence from='romeo@example.org/orchard'><show>away</show></presence>\n"
        + "nurse logs in\n > juliet: nothing\n"
        + "romeo vanishes\n"
        + " > juliet: <presence from='romeo@example.org/orchard' type='unavailable'/>\n"
        + " > nurse: no <presence from='romeo@example.org/orchard'/>\n"
        + "juliet logs out\n > juliet: end\n",
        stage,
    )


def test_somebody_who_is_offline_says_nothing(stage):
    with pytest.raises(DialogueError, match="romeo is offline"):
        run(SAYS.replace("romeo: ", "romeo is offline\nromeo: "), stage)


def test_a_stream_may_be_secured_and_ended(stage):
    header = (
        "<stream:stream xmlns='jabber:client' to='example.org' version='1.0'"
        " xmlns:stream='http://etherx.jabber.org/streams'>"
    )
    run(
        f"RFC 6120: Streams\nC = a stream\nC: {header}\n > C: <stream:stream id='{{a}}'/>\n"
        " > C: <stream:features/>\n"
        "C: <starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n"
        " > C: <proceed xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\n"
        f"C secures\nC: {header}\n > C: <stream:features/>\nC: </stream:stream>\n > C: end\n"
        f"C connects\nC: {header}\n > C: <stream:stream id='{{b}}'/>\nC vanishes\n",
        stage,
    )
