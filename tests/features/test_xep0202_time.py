"""XEP-0202: Entity Time."""

import time

import pytest

from tests.helpers import holds

NS = "urn:xmpp:time"


def ask(client, to):
    (answer,) = client.says(f"<iq type='get' id='t'{to}><time xmlns='{NS}'/></iq>")
    return answer


@pytest.mark.parametrize("to", [" to='example.org'", "", " to='romeo@example.org'"])
def test_server_tells_the_time(server, romeo, to):
    """§2: to the second, in UTC."""
    server.advance(83.25)
    assert holds(
        ask(romeo, to),
        f"<iq type='result' id='t'><time xmlns='{NS}'>"
        "<tzo>+00:00</tzo><utc>2026-01-01T00:01:23Z</utc></time></iq>",
    )


@pytest.fixture
def in_kolkata(monkeypatch):
    """This machine is half an hour off the hours."""
    with monkeypatch.context() as patch:
        patch.setenv("TZ", "IST-5:30")
        time.tzset()
        yield
    time.tzset()


def test_zone_is_not_told(in_kolkata, romeo):
    """§6"""
    assert "<tzo>+00:00</tzo>" in ask(romeo, "")


@pytest.mark.server(options={"time": {"show_zone": True}})
def test_zone_is_told_if_the_operator_wants_it(in_kolkata, romeo):
    """§2"""
    assert "<tzo>+05:30</tzo><utc>2026-01-01T00:00:00Z</utc>" in ask(romeo, " to='example.org'")


def test_server_does_not_answer_for_others(friends):
    """§2: an account has no time; its clients have."""
    romeo, _ = friends
    assert "service-unavailable" in ask(romeo, " to='juliet@example.org'")


def test_time_is_advertised(romeo):
    """§4"""
    (info,) = romeo.says(
        "<iq type='get' id='i' to='example.org'>"
        "<query xmlns='http://jabber.org/protocol/disco#info'/></iq>"
    )
    assert f"<feature var='{NS}'/>" in info
