"""XEP-0092: Software Version."""

import platform

import pytest

from tests.helpers import fitting, holds, value

NS = "jabber:iq:version"
ASK = f"<iq type='get' id='v' to='{{}}'><query xmlns='{NS}'/></iq>"


def test_domain_tells_name_and_version(romeo):
    """§2"""
    (answer,) = romeo.says(ASK.format("example.org"))
    pattern = (
        f"<iq type='result' id='v' from='example.org'><query xmlns='{NS}'>"
        "<name>imsuite</name><version>{version}</version></query></iq>"
    )
    assert value(answer, pattern)


def test_system_is_not_told(romeo):
    """§5"""
    (answer,) = romeo.says(ASK.format("example.org"))
    assert "<os>" not in answer
    assert platform.system() not in answer


@pytest.mark.server(options={"version": {"show_system": True}})
def test_system_is_told_if_the_operator_wants_it(romeo):
    """§5"""
    (answer,) = romeo.says(ASK.format("example.org"))
    pattern = (
        f"<iq><query xmlns='{NS}'><os>{platform.system()} {platform.release()}</os></query></iq>"
    )
    assert holds(answer, pattern)


def test_accounts_have_no_version(friends):
    """§2: the server does not answer for clients."""
    romeo, _ = friends
    (answer,) = romeo.says(ASK.format("juliet@example.org"))
    assert "service-unavailable" in answer


def test_clients_answer_for_themselves(friends):
    """§2"""
    romeo, juliet = friends
    romeo.says(ASK.format("juliet@example.org/balcony"))
    assert fitting(juliet.received, f"<iq type='get' id='v'><query xmlns='{NS}'/></iq>")
