"""XEP-0060 §8.6, §8.7: the forms by which owners approve subscriptions."""

import pytest

from imsuite.rules.node_approval import (
    NS_AUTHORIZATION,
    Approval,
    from_answer,
    from_choice,
    is_approval,
    to_choice,
    to_request,
)
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.build import build, serialise
from imsuite.xmpp.errors import StanzaError

ASKED = {
    "pubsub#subid": "123-abc",
    "pubsub#node": "princely_musings",
    "pubsub#subscriber_jid": "Horatio@Denmark.lit",
    "pubsub#allow": "true",
}


def message(values=ASKED, type="submit", namespace=NS_AUTHORIZATION):
    fields = "".join(
        f"<field var='{var}'><value>{value}</value></field>" for var, value in values.items()
    )
    raw = (
        f"<message><x xmlns='jabber:x:data' type='{type}'><field var='FORM_TYPE' type='hidden'>"
        f"<value>{namespace}</value></field>{fields}</x></message>"
    )
    return build(raw.encode(), NS.CLIENT)


@pytest.mark.parametrize(("word", "allow"), [("true", True), ("1", True), ("false", False)])
def test_answer_says_what_is_allowed(word, allow):
    """§8.6: the address is prepared."""
    found = from_answer(message(ASKED | {"pubsub#allow": word}))
    assert found == Approval("princely_musings", "horatio@denmark.lit", "123-abc", allow)


def test_request_can_be_answered_as_it_is():
    """§8.6: submitted unchanged, nothing is allowed."""
    form = serialise(to_request("n", "a@x/r", "s"), NS.CLIENT).replace("'form'", "'submit'")
    found = build(f"<message>{form}</message>".encode(), NS.CLIENT)
    assert from_answer(found) == Approval("n", "a@x/r", "s", False)


def test_subid_may_be_left_out():
    """§8.6: the form SHOULD have it."""
    given = {var: value for var, value in ASKED.items() if var != "pubsub#subid"}
    assert from_answer(message(given)).subid is None


def test_cancelled_form_decides_nothing():
    """§8.6: the request stays pending."""
    assert from_answer(message({}, "cancel")) is None


@pytest.mark.parametrize("var", ["pubsub#node", "pubsub#subscriber_jid", "pubsub#allow"])
def test_answer_that_leaves_something_open_is_refused(var):
    """§8.6: MUST check pubsub#allow."""
    given = {key: value for key, value in ASKED.items() if key != var}
    with pytest.raises(StanzaError) as caught:
        from_answer(message(given))
    assert caught.value.condition == "bad-request"


@pytest.mark.parametrize(
    ("arguments", "is_one"),
    [
        ((ASKED, "submit"), True),
        (({}, "cancel"), True),
        ((ASKED, "form"), False),
        ((ASKED, "submit", "urn:other"), False),
    ],
)
def test_other_messages_are_no_answers(arguments, is_one):
    """§8.6"""
    assert is_approval(message(*arguments)) is is_one
    assert not is_approval(build(b"<message><body>hi</body></message>", NS.CLIENT))


def test_node_is_chosen_among_those_with_requests():
    """§8.7.2, §8.7.4"""
    text = serialise(forms.to_element(to_choice(["a", "b"])), NS.CLIENT)
    assert "<option><value>a</value></option><option><value>b</value></option>" in text
    chosen = forms.make("submit", NS_AUTHORIZATION, [forms.field(None, "pubsub#node", "b")])
    assert from_choice(chosen) == "b"
    with pytest.raises(StanzaError):
        from_choice(forms.make("submit", NS_AUTHORIZATION))
