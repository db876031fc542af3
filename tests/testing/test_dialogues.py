"""Reading dialogues."""

import pytest

from imsuite.testing.dialogues import DialogueError, load, parse_dialogue

WHOLE = """\
XEP-0191: Blocking Command

# Options are those of the configuration.
[features.blocking]
longest = 200
[streams]
rate = 0

romeo = romeo@example.org/orchard
juliet = juliet@example.net/balcony
C = a stream
D = a secure stream
romeo and juliet are friends
juliet is offline
nurse@example.org is an account

# Romeo says
#  several things.
romeo: <iq type='set' id='b'>
         <block xmlns='urn:xmpp:blocking'/>
       </iq>
 > romeo: <iq type='result' id='b'/>
 > juliet: nothing

C: <stream:stream to='example.org'>
 > C: <stream:features>
        <starttls/>
      </stream:features>
 > C: no <presence/>
 > C: end
juliet logs in
C vanishes
"""


def test_somebody_is_an_administrator():
    text = "XEP-0133: x\na = a@b.lit/c\nd = d@b.lit/e\nd is an administrator\nd is offline\n"
    found = parse_dialogue(text, "xep0133_admin.txt")
    assert [each.name for each in found.speakers.values() if each.admin] == ["d"]


def test_everything_is_read():
    found = parse_dialogue(WHOLE, "xep0191_blocking.txt")
    assert (found.spec, found.title) == ("XEP-0191", "Blocking Command")
    assert found.feature_options == {"blocking": {"longest": 200}}
    assert found.stream_options == {"rate": 0}
    assert found.features == ["blocking"]
    assert found.domains == ["example.org", "example.net"]
    assert found.friends == (("romeo", "juliet"),)
    assert found.accounts == ("nurse@example.org",)
    assert [(each.name, each.state) for each in found.speakers.values()] == [
        ("romeo", "available"),
        ("juliet", "offline"),
        ("C", "offline"),
        ("D", "offline"),
    ]
    assert (found.speakers["C"].secure, found.speakers["D"].secure) == (False, True)
    first, second, third, fourth = found.acts
    assert (first.line, first.who, first.deed) == (19, "romeo", "says")
    assert first.text == "<iq type='set' id='b'>\n<block xmlns='urn:xmpp:blocking'/>\n</iq>"
    assert [(each.who, each.kind, each.line) for each in first.expected] == [
        ("romeo", "element", 22),
        ("juliet", "nothing", 23),
    ]
    assert first.proves_absence
    assert [each.kind for each in second.expected] == ["element", "no", "end"]
    assert second.expected[0].pattern[0].tag == "{jabber:client}starttls"
    assert (third.who, third.deed, fourth.deed) == ("juliet", "logs in", "vanishes")


@pytest.mark.parametrize(
    ("body", "line", "why"),
    [
        ("", 0, "first line"),
        ("romeo = romeo@example.org/orchard", 0, "first line"),
        ("XEP-0001: x\nwhat is this", 2, "not understood"),
        ("XEP-0001: x\nromeo = romeo@example.org", 2, "full JID"),
        ("XEP-0001: x\nromeo = @", 2, "full JID"),
        ("XEP-0001: x\na = a@b/c\na = d@e/f", 3, "two a"),
        ("XEP-0001: x\nromeo: <presence/>", 2, "nobody is called romeo"),
        ("XEP-0001: x\na = a@b/c\n > a: <presence/>", 3, "done anything"),
        ("XEP-0001: x\na = a@b/c\na: <iq/>\n > a: <iq", 4, "not well-formed"),
        ("XEP-0001: x\na = a@b/c\na: <iq/>\n > b: nothing", 4, "nobody is called b"),
        ("XEP-0001: x\na = a@b/c\na: <iq/>\nb = b@b/b", 4, "before the conversation"),
        ("XEP-0001: x\na = a stream\na is offline", 3, "is a stream"),
        ("XEP-0001: x\na = a stream\na logs in", 3, "can not do this"),
        ("XEP-0001: x\na = a@b/c\na secures", 3, "can not do this"),
        ("XEP-0001: x\n[features.x\n", 1, "options"),
        ("XEP-0001: x\n[server]\n", 1, "no [server]"),
    ],
)
def test_what_is_wrong_is_told_with_its_line(body, line, why):
    with pytest.raises(DialogueError) as caught:
        parse_dialogue(body, "file.txt")
    assert str(caught.value).startswith(f"file.txt:{line or 1}: ")
    assert why in str(caught.value)


def test_a_file_is_read_with_its_path(tmp_path):
    file = tmp_path / "xep0199_ping.txt"
    file.write_text("XEP-0199: XMPP Ping\n")
    found = load(file)
    assert found.path == str(file)
    assert found.features == ["ping"]
    assert found.domains == ["example.org"]
