"""XEP-0050: which action comes next, and what is accepted."""

import pytest
from twisted.words.xish.domish import Element

from imsuite.rules.adhoc import (
    NS_COMMANDS,
    NS_VALIDATE,
    Page,
    check_locale,
    first_action,
    next_action,
    shown,
    submitted,
    values,
)
from imsuite.xmpp import forms
from imsuite.xmpp.build import build, serialise
from imsuite.xmpp.errors import StanzaError

DATA = "jabber:x:data"


async def then(passing, form):
    raise NotImplementedError


FIELDS = (
    forms.field("jid-single", "who", required=True),
    forms.field("list-single", "how", options=("well", "badly")),
    forms.field("boolean", "sure"),
    forms.field("text-multi", "why"),
    forms.field("text-single", "often"),
    forms.field("text-private", "secret"),
)
FORM = forms.make("form", "urn:ours", FIELDS)
LAST = Page(then, FORM, numbers={"often": (1, 9)})
FIRST = Page(then, FORM, last=False)
RESULT = Page(then, payload=(Element((DATA, "x")),), last=False)


@pytest.mark.parametrize(
    ("given", "page", "number", "action"),
    [
        (None, LAST, 1, "complete"),
        ("execute", LAST, 1, "complete"),
        ("complete", LAST, 1, "complete"),
        ("cancel", LAST, 1, "cancel"),
        ("prev", LAST, 2, "prev"),
        (None, FIRST, 1, "next"),
        ("next", FIRST, 1, "next"),
        (None, RESULT, 2, "next"),
        ("complete", RESULT, 2, "complete"),
    ],
)
def test_actions_that_are_possible(given, page, number, action):
    """§3.4: execute stands for the first one."""
    assert next_action(given, page, number) == action


@pytest.mark.parametrize(
    ("given", "page", "number", "app"),
    [
        ("next", LAST, 1, "bad-action"),
        ("prev", LAST, 1, "bad-action"),
        ("complete", FIRST, 1, "bad-action"),
        ("dance", LAST, 1, "malformed-action"),
        ("", LAST, 1, "malformed-action"),
        ("Execute", LAST, 1, "malformed-action"),
    ],
)
def test_actions_that_are_not(given, page, number, app):
    """§4.4"""
    with pytest.raises(StanzaError) as caught:
        next_action(given, page, number)
    assert (caught.value.condition, caught.value.app) == ("bad-request", (NS_COMMANDS, app))
    assert caught.value.type == "modify"


@pytest.mark.parametrize("given", ["next", "prev", "complete", "cancel"])
def test_a_command_begins_with_execute(given):
    """§4.1"""
    assert first_action(None) == first_action("execute") == "execute"
    with pytest.raises(StanzaError) as caught:
        first_action(given)
    assert caught.value.app == (NS_COMMANDS, "bad-action")


@pytest.mark.parametrize("lang", [None, "", "en", "en-US", "EN-gb"])
def test_english_is_spoken(lang):
    """§3.7"""
    check_locale(lang)


@pytest.mark.parametrize("lang", ["fr-ca", "de", "english"])
def test_other_languages_are_not(lang):
    """§3.7"""
    with pytest.raises(StanzaError) as caught:
        check_locale(lang)
    assert caught.value.app == (NS_COMMANDS, "bad-locale")


def submission(inner, type="submit"):
    text = f"<x xmlns='{DATA}' type='{type}'>{inner}</x>"
    return build(f"<command xmlns='{NS_COMMANDS}'>{text}</command>".encode(), NS_COMMANDS)


WHO = "<field var='who'><value>a@b.lit</value></field>"


@pytest.mark.parametrize(
    "inner",
    [
        WHO,
        f"<field var='FORM_TYPE'><value>urn:ours</value></field>{WHO}",
        f"{WHO}<field var='how'><value>badly</value></field>",
        f"{WHO}<field var='why'><value>a</value><value>b</value></field>",
        f"{WHO}<field var='often'><value>9</value></field>",
        f"{WHO}<field var='other'><value>9</value></field>",
    ],
)
def test_what_fits_is_accepted(inner):
    form = submitted(submission(inner), LAST)
    assert values(form)["who"] == ("a@b.lit",)


def test_a_form_that_is_cancelled_counts_as_submitted():
    """§3.5.1"""
    assert values(submitted(submission(WHO, "cancel"), LAST))["who"] == ("a@b.lit",)


def test_without_a_form_none_is_needed():
    assert submitted(Element((NS_COMMANDS, "command")), RESULT) is None


@pytest.mark.parametrize(
    "command",
    [
        submission(""),
        submission("<field var='who'/>"),
        submission("<field var='who'><value/></field>"),
        submission("<field var='who'><value>@</value></field>"),
        submission("<field var='who'><value>a@b</value><value>c@d</value></field>"),
        submission(f"{WHO}<field var='how'><value>oddly</value></field>"),
        submission(f"{WHO}<field var='sure'><value>perhaps</value></field>"),
        submission(f"{WHO}<field var='often'><value>10</value></field>"),
        submission(f"{WHO}<field var='often'><value>ten</value></field>"),
        submission(f"{WHO}{WHO}"),
        submission(f"<field var='FORM_TYPE'><value>urn:theirs</value></field>{WHO}"),
        submission(WHO, "form"),
        submission(WHO, "result"),
        submission(WHO, "nonsense"),
        Element((NS_COMMANDS, "command")),
    ],
)
def test_what_does_not_fit_is_a_bad_payload(command):
    """§4.4"""
    with pytest.raises(StanzaError) as caught:
        submitted(command, LAST)
    assert (caught.value.condition, caught.value.app) == (
        "bad-request",
        (NS_COMMANDS, "bad-payload"),
    )


def test_numbers_say_their_range():
    """XEP-0122 §3.2.3"""
    (element,) = shown(LAST)
    text = serialise(element, DATA)
    assert f"<validate xmlns='{NS_VALIDATE}' datatype='xs:integer'>" in text
    assert "<range min='1' max='9'/>" in text
    (element,) = shown(Page(then, FORM, numbers={"often": (None, None)}))
    assert "<basic/>" in serialise(element, DATA)


def test_a_page_remembers_what_was_filled_in_but_no_secret():
    """§2.4.2"""
    (element,) = shown(LAST, {"who": ("a@b.lit",), "secret": ("sesame",)})
    text = serialise(element, DATA)
    assert "<value>a@b.lit</value>" in text
    assert "sesame" not in text
