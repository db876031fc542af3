"""XEP-0049: Private XML Storage."""

import pytest

from imsuite.core.feature import At
from tests.helpers import holds, iq_error

SET = "<iq type='set' id='s'><query xmlns='jabber:iq:private'>{}</query></iq>"
GET = "<iq type='get' id='g'><query xmlns='jabber:iq:private'>{}</query></iq>"
PREFS = "<exodus xmlns='exodus:prefs'><defaultnick>Hamlet</defaultnick></exodus>"
EMPTY = "<exodus xmlns='exodus:prefs'/>"


def test_what_was_stored_comes_back(romeo):
    """§2.3"""
    (stored,) = romeo.says(SET.format(PREFS))
    assert holds(stored, "<iq type='result' id='s'/>")
    (answer,) = romeo.says(GET.format(EMPTY))
    assert holds(
        answer, f"<iq type='result' id='g'><query xmlns='jabber:iq:private'>{PREFS}</query></iq>"
    )


def test_what_was_never_stored_comes_back_empty(romeo):
    """§2.3"""
    (answer,) = romeo.says(GET.format(EMPTY))
    assert holds(
        answer, f"<iq type='result' id='g'><query xmlns='jabber:iq:private'>{EMPTY}</query></iq>"
    )
    assert "Hamlet" not in answer


def test_names_and_namespaces_are_kept_apart(romeo):
    """§2.1"""
    romeo.says(SET.format("<a xmlns='urn:1'>one</a>"))
    romeo.says(SET.format("<b xmlns='urn:1'>two</b>"))
    romeo.says(SET.format("<a xmlns='urn:2'>three</a>"))
    (answer,) = romeo.says(GET.format("<a xmlns='urn:1'/>"))
    assert "one" in answer
    assert "two" not in answer
    assert "three" not in answer


def test_several_elements_in_one_set(romeo):
    """§2.3: those of one name are kept together."""
    romeo.says(SET.format("<a xmlns='urn:1'>one</a><b xmlns='urn:1'>two</b><a xmlns='urn:1'>3</a>"))
    (answer,) = romeo.says(GET.format("<a xmlns='urn:1'/>"))
    assert ">one</a>" in answer
    assert ">3</a>" in answer
    assert "two" not in answer
    (answer,) = romeo.says(GET.format("<b xmlns='urn:1'/>"))
    assert "two" in answer


def test_accounts_do_not_share(romeo, juliet):
    """§5"""
    romeo.says(SET.format(PREFS))
    (answer,) = juliet.says(GET.format(EMPTY))
    assert "Hamlet" not in answer


def test_all_resources_of_an_account_share(server, romeo):
    """§2.1"""
    romeo.says(SET.format(PREFS))
    (answer,) = server.login("romeo@example.org/garden").says(GET.format(EMPTY))
    assert "Hamlet" in answer


@pytest.mark.parametrize("whose", ["romeo@example.org", "nobody@example.org", "example.org"])
@pytest.mark.parametrize("stanza", [SET.format(PREFS), GET.format(EMPTY)])
def test_storage_of_another_is_forbidden(romeo, juliet, whose, stanza):
    """§2.3, §3"""
    romeo.says(SET.format(PREFS))
    (answer,) = juliet.says(stanza.replace("id=", f"to='{whose}' id="))
    assert "<forbidden " in answer
    assert "Hamlet" not in answer


def test_set_without_an_element_is_not_acceptable(romeo):
    """§2.3"""
    (answer,) = romeo.says(SET.format(""))
    assert holds(answer, iq_error("s", "not-acceptable"))


@pytest.mark.parametrize("wanted", ["", "<a xmlns='urn:1'/><a xmlns='urn:2'/>"])
def test_get_asks_for_one_element(romeo, wanted):
    """§2.3, §3: bad-request is what RFC 6120 made of "Bad Format"."""
    (answer,) = romeo.says(GET.format(wanted))
    assert holds(answer, iq_error("g", "bad-request"))


@pytest.mark.parametrize(
    "element",
    [
        "<vCard xmlns='vcard-temp'/>",
        "<query xmlns='jabber:iq:roster'/>",
        "<x xmlns='http://jabber.org/protocol/muc'/>",
        "<inherits/>",
    ],
)
def test_reserved_namespaces_are_not_acceptable(romeo, element):
    """§2.3, §3"""
    (answer,) = romeo.says(SET.format(element))
    assert holds(answer, iq_error("s", "not-acceptable"))
    (answer,) = romeo.says(GET.format(element))
    assert holds(answer, iq_error("g", "not-acceptable"))


@pytest.mark.server(options={"private": {"most": 2}})
def test_number_of_elements_is_limited(romeo):
    """The option `most`; room is made by storing an empty element."""
    romeo.says(SET.format("<a xmlns='urn:1'>1</a>"))
    romeo.says(SET.format("<a xmlns='urn:2'>1</a>"))
    (answer,) = romeo.says(SET.format("<a xmlns='urn:3'>1</a>"))
    assert holds(answer, iq_error("s", "resource-constraint"))
    romeo.says(SET.format("<a xmlns='urn:1'/>"))
    (answer,) = romeo.says(SET.format("<a xmlns='urn:3'>1</a>"))
    assert holds(answer, "<iq type='result' id='s'/>")


@pytest.mark.server(options={"private": {"largest": 2000}})
def test_size_of_the_whole_is_limited(romeo):
    """The option `largest`; what does not fit changes nothing."""
    romeo.says(SET.format(f"<a xmlns='urn:1'>{'x' * 1000}</a>"))
    for place in ("urn:1", "urn:2"):
        (answer,) = romeo.says(SET.format(f"<a xmlns='{place}'>{'y' * 2000}</a>"))
        assert holds(answer, iq_error("s", "resource-constraint"))
    (answer,) = romeo.says(GET.format("<a xmlns='urn:1'/>"))
    assert "x" * 1000 in answer


def test_nothing_is_kept_of_a_temporary_account(romeo):
    """XEP-0175 §3"""
    romeo.session.account.temporary = True
    (answer,) = romeo.says(SET.format(PREFS))
    assert holds(answer, iq_error("s", "not-allowed"))


def test_support_is_advertised(host):
    assert "jabber:iq:private" in host.advertised(At.HOST)
