"""XEP-0045 §10, §15.5: the configuration of a room."""

import json

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st
from twisted.words.xish.domish import Element, elementStream

from imsuite.rules.affiliations import Lists, Role
from imsuite.rules.room_config import (
    ADMINS,
    NS_ROOMCONFIG,
    NS_ROOMINFO,
    NS_VALIDATE,
    OWNERS,
    Config,
    Setting,
    Settings,
    disco_features,
    form,
    read,
    roominfo,
)
from imsuite.rules.room_settings import SETTINGS
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import child, children, text_of

ALL = Settings(SETTINGS)
USUAL = Config.of(ALL)
SLOW = Setting(
    "muc#roomconfig_slow_mode_duration",
    "slow_mode",
    "text-single",
    "Slow Mode",
    0,
    most=3600,
    info=("muc#roominfo_slow_mode_duration",),
)
RULES = Setting("{urn:example}rules", "rules", "text-multi", "Rules of the House", "")


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


def fields_of(x):
    """Return the values of the fields of a form by var."""
    return {
        field["var"]: [text_of(value) for value in children(field, NS.DATA, "value")]
        for field in children(x, NS.DATA, "field")
    }


def field_of(x, var):
    """Return a field of a form."""
    (found,) = [field for field in children(x, NS.DATA, "field") if field["var"] == var]
    return found


# settings


def test_every_registered_field_is_there():
    """§15.5.3: all of them, with the types of the registry"""
    shown = form(USUAL, Lists((), ()), "t")
    types = {field["var"]: field["type"] for field in children(shown, NS.DATA, "field")}
    assert types == {
        "FORM_TYPE": "hidden",
        "muc#maxhistoryfetch": "text-single",
        "muc#roomconfig_allowpm": "list-single",
        "muc#roomconfig_allowinvites": "boolean",
        "muc#roomconfig_changesubject": "boolean",
        "muc#roomconfig_enablelogging": "boolean",
        "muc#roomconfig_getmemberlist": "list-multi",
        "muc#roomconfig_lang": "text-single",
        "muc#roomconfig_pubsub": "text-single",
        "muc#roomconfig_maxusers": "list-single",
        "muc#roomconfig_membersonly": "boolean",
        "muc#roomconfig_moderatedroom": "boolean",
        "muc#roomconfig_passwordprotectedroom": "boolean",
        "muc#roomconfig_persistentroom": "boolean",
        "muc#roomconfig_presencebroadcast": "list-multi",
        "muc#roomconfig_publicroom": "boolean",
        "muc#roomconfig_roomadmins": "jid-multi",
        "muc#roomconfig_roomdesc": "text-single",
        "muc#roomconfig_roomname": "text-single",
        "muc#roomconfig_roomowners": "jid-multi",
        "muc#roomconfig_roomsecret": "text-private",
        "muc#roomconfig_whois": "list-single",
    }


@pytest.mark.parametrize("setting", SETTINGS, ids=lambda each: each.name)
def test_each_setting_is_an_attribute(setting):
    """The configuration is read by name, by var, and as an attribute."""
    assert USUAL[setting.var] == USUAL[setting.name] == setting.default
    assert setting.name in Config.__annotations__
    if not isinstance(setting.default, tuple):
        assert getattr(USUAL, setting.name) == setting.default


def test_lists_of_roles_are_sets_of_roles():
    """§15.5.3: presencebroadcast, getmemberlist"""
    some = config(presence_broadcast=("moderator", "participant"), get_member_list=())
    assert some.presence_broadcast == {Role.MODERATOR, Role.PARTICIPANT}
    assert some.get_member_list == frozenset()


def test_settings_of_features_are_added():
    """XEP-0500 §4.1"""
    more = Settings([*SETTINGS, SLOW])
    slow = Config.of(more).changed({"slow_mode": 20})
    assert slow["slow_mode"] == slow["muc#roomconfig_slow_mode_duration"] == 20
    assert more["slow_mode"] is more[SLOW.var] is SLOW


@pytest.mark.parametrize(
    "second",
    [
        attrs.evolve(SLOW, var="muc#other"),
        attrs.evolve(SLOW, name="other"),
        attrs.evolve(SLOW, var="a", name="b", default=4000),
    ],
)
def test_settings_that_cannot_be_together_are_refused(second):
    """Two of one name, or a default that is out of bounds, is a mistake of a feature."""
    with pytest.raises(ValueError, match=r"settings|default"):
        Settings([SLOW, second])


def test_unknown_names_are_errors():
    """A typing error does not read as a default."""
    for do in (
        lambda: USUAL["muc#roomconfig_nothing"],
        lambda: USUAL.changed({"nothing": 1}),
        lambda: ALL["nothing"],
    ):
        with pytest.raises(KeyError):
            do()


@pytest.mark.parametrize(
    "values",
    [
        {"moderated": 1},
        {"moderated": "true"},
        {"max_users": True},
        {"max_users": -1},
        {"max_users": 1_000_000},
        {"max_history": 1001},
        {"whois": "nobody"},
        {"name": 5},
        {"name": "x" * 201},
        {"pubsub": "http://example.org/"},
        {"lang": "de_DE"},
        {"presence_broadcast": ("king",)},
        {"presence_broadcast": "moderator"},
    ],
)
def test_values_that_cannot_be_are_refused(values):
    """Whoever changes a setting gives it the type it has."""
    with pytest.raises(ValueError, match="cannot be"):
        USUAL.changed(values)


# keeping it


def test_only_what_differs_is_stored():
    """A room that is like the others takes no place."""
    assert USUAL.stored() == {}
    assert config(members_only=True, name="Hall").stored() == {
        "muc#roomconfig_membersonly": True,
        "muc#roomconfig_roomname": "Hall",
    }


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


@given(good)
def test_what_is_stored_comes_back(values):
    """Through JSON"""
    some = config(**values)
    assert Config.of(ALL, json.loads(json.dumps(some.stored()))) == some


def test_what_is_stored_and_no_good_any_more_is_usual():
    """A bound that an operator lowered, and a type that a feature changed, stop no room."""
    stored = {
        "muc#maxhistoryfetch": 5000,
        "muc#roomconfig_roomname": 7,
        "muc#roomconfig_lang": "en",
    }
    assert Config.of(ALL, stored).stored() == {"muc#roomconfig_lang": "en"}


def test_settings_of_a_feature_not_in_use_are_kept():
    """They are there again when the feature is."""
    stored = {"muc#roomconfig_slow_mode_duration": 20}
    without = Config.of(ALL, stored).changed({"name": "x"})
    assert without.stored() == {**stored, "muc#roomconfig_roomname": "x"}
    assert Config.of(Settings([*SETTINGS, SLOW]), without.stored())["slow_mode"] == 20


def test_configurations_compare_by_value():
    """And tell what differs."""
    assert config(name="a") == config(name="a") != config(name="b")
    assert hash(config(name="a")) == hash(config(name="a"))
    assert USUAL.differences(config(name="a", public=False)) == {
        "muc#roomconfig_roomname",
        "muc#roomconfig_publicroom",
    }
    assert USUAL.differences(USUAL) == frozenset()
    assert USUAL != "a configuration"


# the form


def test_the_form_has_the_present_values():
    """§10.2"""
    some = config(members_only=True, max_users=30, name="Hall", secret="s", presence_broadcast=())
    x = form(some, Lists(("o@x",), ("a@x", "b@x")), "Configuration of the Hall", ["Fill it in."])
    assert x["type"] == "form"
    assert text_of(child(x, NS.DATA, "title")) == "Configuration of the Hall"
    assert text_of(child(x, NS.DATA, "instructions")) == "Fill it in."
    fields = fields_of(x)
    assert fields["FORM_TYPE"] == [NS_ROOMCONFIG]
    assert fields["muc#roomconfig_membersonly"] == ["true"]
    assert fields["muc#roomconfig_moderatedroom"] == ["false"]
    assert fields["muc#roomconfig_maxusers"] == ["30"]
    assert fields["muc#roomconfig_roomname"] == ["Hall"]
    assert fields["muc#roomconfig_roomdesc"] == []
    assert fields["muc#roomconfig_roomsecret"] == ["s"]
    assert fields["muc#roomconfig_presencebroadcast"] == []
    assert fields[OWNERS] == ["o@x"]
    assert fields[ADMINS] == ["a@x", "b@x"]


def test_lists_that_are_not_shown_are_not_in_the_form():
    """§10.2"""
    assert {OWNERS, ADMINS}.isdisjoint(fields_of(form(USUAL, Lists(), "t")))


def test_choices_are_offered():
    """§10.1.3; a number that is not among those proposed is offered too."""
    x = form(config(max_users=77), Lists(), "t")
    options = children(field_of(x, "muc#roomconfig_maxusers"), NS.DATA, "option")
    offered = [text_of(child(option, NS.DATA, "value")) for option in options]
    assert offered == ["10", "20", "30", "50", "100", "500", "1000", "none", "77"]
    options = children(field_of(x, "muc#roomconfig_whois"), NS.DATA, "option")
    assert [option["label"] for option in options] == ["Moderators Only", "Anyone"]


def test_numbers_say_their_bounds():
    """XEP-0122 §3.2.2; XEP-0500 §4.1"""
    x = form(Config.of(Settings([SLOW])), Lists(), "t")
    validate = child(field_of(x, SLOW.var), NS_VALIDATE, "validate")
    assert validate["datatype"] == "xs:integer"
    within = child(validate, NS_VALIDATE, "range")
    assert (within["min"], within["max"]) == ("0", "3600")


def test_texts_of_several_lines_keep_their_lines():
    """XEP-0004 §3.3"""
    usual = Config.of(Settings([*SETTINGS, RULES]))
    some = usual.changed({"rules": "one\ntwo"})
    assert fields_of(form(some, Lists(), "t"))["{urn:example}rules"] == ["one", "two"]
    asked = read(some, query({"{urn:example}rules": ["three", "", "four"]}))
    assert asked.config["rules"] == "three\n\nfour"
    assert fields_of(form(usual, Lists(), "t"))["{urn:example}rules"] == []


# disco


@pytest.mark.parametrize(
    ("values", "there", "absent"),
    [
        ({"public": True}, "muc_public", "muc_hidden"),
        ({"public": False}, "muc_hidden", "muc_public"),
        ({"persistent": True}, "muc_persistent", "muc_temporary"),
        ({"persistent": False}, "muc_temporary", "muc_persistent"),
        ({"moderated": True}, "muc_moderated", "muc_unmoderated"),
        ({"moderated": False}, "muc_unmoderated", "muc_moderated"),
        ({"members_only": True}, "muc_membersonly", "muc_open"),
        ({"members_only": False}, "muc_open", "muc_membersonly"),
        (
            {"password_protected": True, "secret": "s"},
            "muc_passwordprotected",
            "muc_unsecured",
        ),
        ({"password_protected": False}, "muc_unsecured", "muc_passwordprotected"),
        ({"whois": "anyone"}, "muc_nonanonymous", "muc_semianonymous"),
        ({"whois": "moderators"}, "muc_semianonymous", "muc_nonanonymous"),
    ],
)
def test_disco_tells_the_room_type(values, there, absent):
    """§6.4, §15.3"""
    features = disco_features(config(**values))
    assert there in features
    assert absent not in features
    assert len(features) == len(set(features)) == 6


def test_disco_describes_the_room():
    """§6.4, §15.5.4"""
    some = config(description="All good witches", lang="en", change_subject=True, max_history=20)
    field = forms.field("text-single", "{urn:xmpp:muc-activity}message-activity", "1.5")
    x = roominfo(some, 3, "Spells", ["crone1@x"], "https://x/logs", [field])
    assert x["type"] == "result"
    fields = fields_of(x)
    assert fields["FORM_TYPE"] == [NS_ROOMINFO]
    assert fields["muc#roominfo_description"] == ["All good witches"]
    assert fields["muc#roominfo_lang"] == ["en"]
    assert fields["muc#roominfo_occupants"] == ["3"]
    assert fields["muc#roominfo_subject"] == ["Spells"]
    assert fields["muc#roominfo_subjectmod"] == ["true"]
    assert fields["muc#roomconfig_changesubject"] == ["true"]
    assert fields["muc#roominfo_contactjid"] == ["crone1@x"]
    assert fields["muc#roominfo_logs"] == ["https://x/logs"]
    assert fields["muc#maxhistoryfetch"] == ["20"]
    assert fields["{urn:xmpp:muc-activity}message-activity"] == ["1.5"]


def test_disco_says_nothing_where_there_is_nothing():
    """§6.4: and never the password"""
    fields = fields_of(roominfo(config(secret="cauldronburn"), 0))
    assert {
        "muc#roominfo_description",
        "muc#roominfo_lang",
        "muc#roominfo_subject",
        "muc#roominfo_contactjid",
        "muc#roominfo_logs",
        "muc#roomconfig_pubsub",
        "muc#roomconfig_roomsecret",
    }.isdisjoint(fields)
    assert ["cauldronburn"] not in fields.values()


def test_disco_shows_settings_of_features():
    """XEP-0500 §4.2"""
    slow = Config.of(Settings([SLOW])).changed({"slow_mode": 20})
    assert fields_of(roominfo(slow, 0))["muc#roominfo_slow_mode_duration"] == ["20"]


def test_forms_are_xml():
    """Names with markup in them stay names."""
    found = []
    stream = elementStream()
    stream.DocumentStartEvent = found.append
    stream.ElementEvent = found.append
    stream.DocumentEndEvent = lambda: None
    x = form(config(name="<A> & 'B'"), Lists(), "<t>")
    stream.parse(b"<r>" + x.toXml().encode() + b"</r>")
    assert fields_of(found[1])["muc#roomconfig_roomname"] == ["<A> & 'B'"]
