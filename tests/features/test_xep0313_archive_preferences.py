"""XEP-0441: what an account wants archived."""

import pytest

from imsuite.testing.memory import befriend
from tests.archives import MAM, ask, fill, rows
from tests.helpers import holds, iq_error

JULIET, ROMEO = "juliet@example.org", "romeo@example.org"
GET = f"<iq type='get' id='g'><prefs xmlns='{MAM}'/></iq>"


def prefs(default, always=(), never=(), type="set"):
    """Return a request, or with type "result" the answer."""
    lists = "".join(
        f"<{name}>{''.join(f'<jid>{jid}</jid>' for jid in jids)}</{name}>"
        for name, jids in (("always", always), ("never", never))
    )
    return f"<iq type='{type}' id='g'><prefs xmlns='{MAM}' default='{default}'>{lists}</prefs></iq>"


def test_everything_is_archived_until_something_else_is_said(romeo):
    """§2.1: both lists are there, also empty"""
    (answer,) = romeo.says(GET)
    assert holds(answer, prefs("always", type="result"))
    assert "<always/><never/>" in answer


@pytest.mark.server(options={"archive": {"standard": "roster"}})
def test_the_operator_says_what_holds_for_others(romeo):
    """§2.1"""
    (answer,) = romeo.says(GET)
    assert holds(answer, prefs("roster", type="result"))


def test_preferences_are_kept(server, host, romeo):
    """§2.1: the answer is what holds now, addresses prepared"""
    wanted = prefs("never", ["Juliet@EXAMPLE.org/Balcony"], ["nurse@example.org"])
    (answer,) = romeo.says(wanted)
    applied = prefs("never", ["juliet@example.org/Balcony"], ["nurse@example.org"], "result")
    assert holds(answer, applied)
    romeo.closes()
    host.forget("romeo")
    again = server.login("romeo@example.org/garden")
    assert holds(again.says(GET)[0], applied)
    again.says(prefs("always"))
    assert holds(again.says(GET)[0], prefs("always", type="result"))
    assert len(rows(host, "archive_preferences")) == 1


def test_never(host, romeo, juliet):
    """§2.1.1: nothing, neither sent nor received; the other side has its own mind"""
    romeo.says(prefs("never"))
    fill(romeo, JULIET, ["one"])
    fill(juliet, ROMEO, ["two"])
    assert "stanza-id" not in romeo.received[-1]
    assert ask(romeo).bodies == []
    assert ask(juliet).bodies == ["one", "two"]
    assert [refs for (refs,) in rows(host, "message", "refs")] == [1, 1]


def test_roster(server, romeo, juliet):
    """§2.1.1: only with contacts; notes to oneself are no strangers'"""
    romeo.says(prefs("roster"))
    nurse = server.login("nurse@example.org/house")
    befriend(romeo, juliet)
    fill(romeo, "juliet@example.org/balcony", ["contact"])
    fill(nurse, ROMEO, ["stranger"])
    romeo.says("<message type='chat'><body>note</body></message>")
    assert ask(romeo).bodies == ["contact", "note"]


def test_lists_go_before_the_default(server, romeo, juliet):
    """§2.1.2, §2.1.3"""
    nurse = server.login("nurse@example.org/house")
    romeo.says(prefs("never", always=[JULIET]))
    fill(juliet, ROMEO, ["one"])
    fill(nurse, ROMEO, ["two"])
    romeo.says(prefs("always", never=[JULIET]))
    fill(juliet, ROMEO, ["three"])
    fill(nurse, ROMEO, ["four"])
    assert ask(romeo).bodies == ["one", "four"]


def test_a_full_address_means_one_resource(server, romeo, juliet):
    """§2.3.1: compared as it is; the to of what is sent, the from of what is received"""
    chamber = server.login("juliet@example.org/chamber")
    romeo.says(prefs("always", never=["juliet@example.org/chamber"]))
    fill(chamber, ROMEO, ["one"])
    fill(juliet, ROMEO, ["two"])
    fill(romeo, "juliet@example.org/chamber", ["three"])
    fill(romeo, JULIET, ["four"])
    assert ask(romeo).bodies == ["two", "four"]


@pytest.mark.parametrize(
    ("request_", "condition"),
    [
        (prefs("sometimes"), "bad-request"),
        (prefs("always").replace(" default='always'", ""), "bad-request"),
        (prefs("always", ["@"]), "jid-malformed"),
        (
            prefs("always", [f"a{number}@example.org" for number in range(1001)]),
            "resource-constraint",
        ),
    ],
)
def test_bad_preferences(romeo, request_, condition):
    """§2.1"""
    (answer,) = romeo.says(request_)
    assert holds(answer, iq_error("g", condition))
    assert holds(romeo.says(GET)[0], prefs("always", type="result"))


def test_lists_may_be_missing(romeo):
    """§2.1.2, §2.1.3: then they are empty"""
    romeo.says(prefs("never", [JULIET], [JULIET]))
    (answer,) = romeo.says(f"<iq type='set' id='g'><prefs xmlns='{MAM}' default='roster'/></iq>")
    assert holds(answer, prefs("roster", type="result"))
    assert "<jid>" not in answer


def test_temporary_accounts_have_no_archive(server, host, romeo):
    """XEP-0175: nothing of them is stored."""
    account = host.temporary_account("guest")
    feature = host.features["archive"]
    assert not feature.archives(account, romeo.jid)
