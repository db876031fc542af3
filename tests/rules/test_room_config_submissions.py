"""XEP-0045 §10.1.3, §10.2: what owners submit."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.words.xish.domish import Element

from imsuite.rules.affiliations import Lists
from imsuite.rules.room_config import (
    ADMINS,
    NS_ROOMCONFIG,
    OWNERS,
    Config,
    Settings,
    form,
    read,
)
from imsuite.rules.room_settings import SETTINGS
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError

ALL = Settings(SETTINGS)
USUAL = Config.of(ALL)


def config(**values):
    """Return a configuration with values by name."""
    return USUAL.changed(values)


def query(fields, type="submit", form_type=NS_ROOMCONFIG):
    """Return what an owner submits; fields: values by var."""
    element = Element(("http://jabber.org/protocol/muc#owner", "query"))
    x = element.addElement((NS.DATA, "x"))
    x["type"] = type
    if form_type is not None:
        fields = {"FORM_TYPE": form_type, **fields}
    for var, values in fields.items():
        field = x.addElement("field")
        field["var"] = var
        for value in (values,) if isinstance(values, str) else values:
            field.addElement("value", content=value)
    return element


def submitted(fields, now=USUAL, **more):
    """Return what a submission asks for."""
    return read(now, query(fields, **more))


def condition(fields, now=USUAL, **more):
    """Return the condition with which a submission is refused."""
    with pytest.raises(StanzaError) as caught:
        submitted(fields, now, **more)
    return caught.value.condition


def refusal(fields):
    """Return the condition with which a submission is refused, None if it is not."""
    try:
        submitted(fields)
    except StanzaError as error:
        return error.condition
    return None


good = st.fixed_dictionaries(
    {},
    optional={
        "name": st.text(max_size=200),
        "description": st.text(max_size=1000),
        "lang": st.sampled_from(["", "en", "zh-Hant-TW"]),
        "max_users": st.integers(0, 100_000),
        "max_history": st.integers(0, 1000),
        "whois": st.sampled_from(["moderators", "anyone"]),
        "allow_pm": st.sampled_from(["anyone", "participants", "moderators", "none"]),
        "presence_broadcast": st.sets(st.sampled_from(["moderator", "participant", "visitor"])).map(
            tuple
        ),
        **{
            each.name: st.booleans()
            for each in SETTINGS
            if isinstance(each.default, bool) and each.name != "password_protected"
        },
    },
)


def test_an_empty_form_accepts_the_configuration():
    """§10.1.2: an instant room"""
    asked = submitted({}, form_type=None)
    assert asked.config == USUAL
    assert asked.changed == frozenset()
    assert asked.lists == Lists()


def test_a_cancelled_form_asks_for_nothing():
    """§10.1.3"""
    assert submitted({}, type="cancel") is None


def test_a_submission_says_what_changes():
    """§10.1.3, example 158: the fields of the example"""
    asked = submitted(
        {
            "muc#roomconfig_roomname": "A Dark Cave",
            "muc#roomconfig_roomdesc": "The place for all good witches!",
            "muc#roomconfig_enablelogging": "0",
            "muc#roomconfig_changesubject": "1",
            "muc#roomconfig_allowinvites": "0",
            "muc#roomconfig_allowpm": "anyone",
            "muc#roomconfig_maxusers": "10",
            "muc#roomconfig_publicroom": "0",
            "muc#roomconfig_persistentroom": "0",
            "muc#roomconfig_moderatedroom": "0",
            "muc#roomconfig_membersonly": "0",
            "muc#roomconfig_passwordprotectedroom": "1",
            "muc#roomconfig_roomsecret": "cauldronburn",
            "muc#roomconfig_whois": "moderators",
            "muc#maxhistoryfetch": "50",
            "muc#roomconfig_roomadmins": ["wiccarocks@shakespeare.lit", "Hecate@shakespeare.lit/x"],
        }
    )
    assert asked.config.name == "A Dark Cave"
    assert asked.config.max_users == 10
    assert asked.config.secret == "cauldronburn"
    assert asked.config.password_protected
    assert not asked.config.public
    assert asked.changed == {
        "muc#roomconfig_roomname",
        "muc#roomconfig_roomdesc",
        "muc#roomconfig_enablelogging",
        "muc#roomconfig_changesubject",
        "muc#roomconfig_maxusers",
        "muc#roomconfig_publicroom",
        "muc#roomconfig_passwordprotectedroom",
        "muc#roomconfig_roomsecret",
    }
    assert asked.lists == Lists(admins=("wiccarocks@shakespeare.lit", "hecate@shakespeare.lit"))


@given(good)
def test_the_form_given_back_changes_nothing(values):
    """§10.2, XEP-0004: whoever only looks and clicks OK"""
    before = config(**values)
    x = form(before, Lists(("o@x",), ()), "t")
    x["type"] = "submit"
    element = Element(("http://jabber.org/protocol/muc#owner", "query"))
    element.addChild(x)
    asked = read(before, element)
    assert asked.changed == frozenset()
    assert asked.lists == Lists(("o@x",), ())


def test_what_a_form_does_not_say_stays():
    """XEP-0004 §3.2"""
    before = config(members_only=True, name="Hall")
    asked = submitted({"muc#roomconfig_roomname": "Attic"}, before)
    assert asked.config == before.changed({"name": "Attic"})
    assert asked.changed == {"muc#roomconfig_roomname"}


def test_unknown_fields_are_ignored():
    """XEP-0004 §3.2"""
    asked = submitted({"muc#roomconfig_weather": "rain", "{urn:example}x": ["a", "b"]})
    assert asked.changed == frozenset()


def test_fields_without_value_empty_what_can_be_empty():
    """XEP-0004 §3.2; a boolean or a choice stays as it is."""
    before = config(name="Hall", moderated=True, whois="anyone", max_users=30)
    asked = submitted(
        {
            "muc#roomconfig_roomname": [],
            "muc#roomconfig_presencebroadcast": [],
            "muc#roomconfig_moderatedroom": [],
            "muc#roomconfig_whois": [],
            "muc#roomconfig_maxusers": [],
            "muc#maxhistoryfetch": [],
        },
        before,
    )
    assert asked.config == before.changed({"name": "", "presence_broadcast": (), "max_users": 0})


@pytest.mark.parametrize(("said", "means"), [("none", 0), ("", 0), ("0", 0), ("25", 25), ("1", 1)])
def test_any_number_of_users_may_be_asked_for(said, means):
    """§10.1.3: the numbers offered are proposals."""
    assert submitted({"muc#roomconfig_maxusers": said}).config.max_users == means


@pytest.mark.parametrize(
    ("var", "value", "expected"),
    [
        ("muc#roomconfig_moderatedroom", "maybe", "bad-request"),
        ("muc#roomconfig_moderatedroom", ["1", "0"], "bad-request"),
        ("muc#roomconfig_whois", "nobody", "bad-request"),
        ("muc#roomconfig_whois", ["anyone", "moderators"], "bad-request"),
        ("muc#roomconfig_presencebroadcast", ["king"], "bad-request"),
        ("muc#roomconfig_maxusers", "many", "bad-request"),
        ("muc#roomconfig_maxusers", "-5", "not-acceptable"),
        ("muc#roomconfig_maxusers", "100001", "not-acceptable"),
        ("muc#maxhistoryfetch", "1e3", "bad-request"),
        ("muc#maxhistoryfetch", "1001", "not-acceptable"),
        ("muc#roomconfig_roomname", ["a", "b"], "bad-request"),
        ("muc#roomconfig_roomname", "x" * 201, "not-acceptable"),
        ("muc#roomconfig_lang", "Deutsch (Österreich)", "not-acceptable"),
        ("muc#roomconfig_pubsub", "ftp://x", "not-acceptable"),
        ("muc#roomconfig_roomadmins", ["romeo@@x"], "jid-malformed"),
        ("muc#roomconfig_roomowners", [""], "jid-malformed"),
    ],
)
def test_wrong_values_are_refused(var, value, expected):
    """§10.1.3: not-acceptable for what the service does not allow; RFC 6120 §8.3.3"""
    assert condition({var: value}) == expected


@pytest.mark.parametrize(
    ("before", "fields"),
    [
        ({}, {"muc#roomconfig_passwordprotectedroom": "1"}),
        (
            {},
            {"muc#roomconfig_passwordprotectedroom": "1", "muc#roomconfig_roomsecret": ""},
        ),
        ({"password_protected": True, "secret": "s"}, {"muc#roomconfig_roomsecret": []}),
    ],
)
def test_a_password_protected_room_has_a_password(before, fields):
    """§10.1.3: "because the password for a password-protected room is blank" """
    assert condition(fields, config(**before)) == "not-acceptable"


def test_a_password_may_wait_for_its_use():
    """§10.1.3"""
    asked = submitted({"muc#roomconfig_roomsecret": "s"})
    assert not asked.config.password_protected
    again = submitted({"muc#roomconfig_passwordprotectedroom": "true"}, asked.config)
    assert again.config.password_protected


@pytest.mark.parametrize(
    "element",
    [
        query({}, type="form"),
        query({}, type="result"),
        query({}, type="king"),
        query({}, form_type="http://jabber.org/protocol/muc#register"),
        Element(("http://jabber.org/protocol/muc#owner", "query")),
    ],
)
def test_what_is_no_submission_is_a_bad_request(element):
    """XEP-0004 §3.1; XEP-0068 §4"""
    with pytest.raises(StanzaError) as caught:
        read(USUAL, element)
    assert caught.value.condition == "bad-request"


words = st.text(max_size=8)


@given(
    st.dictionaries(
        st.one_of(st.sampled_from([each.var for each in SETTINGS] + [OWNERS, ADMINS]), words),
        st.lists(st.one_of(words, st.sampled_from(["1", "none", "anyone", "true", "99"]))),
        max_size=8,
    )
)
def test_no_submission_is_a_surprise(fields):
    """Every form is refused with a condition or gives a configuration that could be stored."""
    fields.pop("FORM_TYPE", None)
    found = refusal(fields)
    if found is not None:
        assert found in ("bad-request", "not-acceptable", "jid-malformed")
        return
    asked = submitted(fields)
    assert Config.of(ALL, json.loads(json.dumps(asked.config.stored()))) == asked.config
    assert asked.config.secret or not asked.config.password_protected
