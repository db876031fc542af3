"""XEP-0060 §8.1.3, §7.1.5, §16.4.4: the configuration of nodes."""

import attrs
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imsuite.rules.node_access import AccessModel, PublishModel
from imsuite.rules.nodes import (
    COLLECTION,
    FIELDS,
    LEAF,
    NODE_CONFIG,
    Limits,
    NodeConfig,
    check_preconditions,
    dump,
    from_preconditions,
    load,
    read,
    words,
    write,
)
from imsuite.xmpp import forms
from imsuite.xmpp.errors import StanzaError

LIMITS = Limits(items=50, payload=1000, expire=3600, children=7)
# §16.4.4 and XEP-0248 §9.2; body_xslt is left out, as a service that offers it has to apply it
REGISTERED = (
    "access_model contact dataform_xslt deliver_notifications deliver_payloads description"
    " item_expire itemreply language max_items max_payload_size node_type notification_type"
    " notify_config notify_delete notify_retract notify_sub persist_items presence_based_delivery"
    " publish_model publish_node_full purge_offline roster_groups_allowed send_last_published_item"
    " tempsub subscribe title type collection children children_association_policy"
    " children_association_whitelist children_max"
).split()


def submits(**values):
    fields = [
        forms.field(None, f"pubsub#{name}", [value] if isinstance(value, str) else list(value))
        for name, value in values.items()
    ]
    return forms.make("submit", NODE_CONFIG, fields)


def reads(base=NodeConfig(), **values):  # noqa: B008  it is frozen
    return read(submits(**values), base, LIMITS)


def refused(function, *args, **values):
    with pytest.raises(StanzaError) as caught:
        function(*args, **values)
    error = caught.value
    return error.condition if error.app is None else f"{error.condition} {error.app[1]}"


def test_each_registered_field_is_there():
    """§16.4.4; every field is an attribute, and every attribute a field."""
    assert {each.name for each in FIELDS} == set(REGISTERED)
    assert {each.name for each in attrs.fields(NodeConfig)} == set(REGISTERED)


def test_absent_fields_stay():
    """§8.2.4, the rules of XEP-0004 for incomplete forms."""
    base = NodeConfig(title="Musings", max_items=7)
    assert reads(base, description="of a prince") == attrs.evolve(base, description="of a prince")


def test_unknown_fields_are_ignored():
    """XEP-0004 §3.2: such as pubsub#body_xslt, which is not offered."""
    assert reads(body_xslt="http://example.org/x", x="y") == NodeConfig()


@pytest.mark.parametrize(
    ("name", "given_", "value"),
    [
        ("access_model", "whitelist", AccessModel.WHITELIST),
        ("publish_model", "open", PublishModel.OPEN),
        ("max_items", "max", None),
        ("max_items", "50", 50),
        ("max_items", "0", 0),
        ("item_expire", "max", None),
        ("item_expire", "60", 60),
        ("max_payload_size", "1000", 1000),
        ("max_payload_size", "", None),
        ("notify_config", "1", True),
        ("notify_config", "true", True),
        ("notify_retract", "0", False),
        ("notify_retract", "false", False),
        ("language", "de-CH", "de-CH"),
        ("contact", ("Juliet@Example.org",), ("juliet@example.org",)),
        ("roster_groups_allowed", ("Friends", "Friends"), ("Friends",)),
        ("title", (), ""),
        ("children_max", "7", 7),
        ("itemreply", "publisher", "publisher"),
        ("publish_node_full", "reject", "reject"),
    ],
)
def test_value_is_understood(name, given_, value):
    """§16.4.4"""
    assert getattr(reads(**{name: given_}), name) == value


@pytest.mark.parametrize(
    ("name", "given_"),
    [
        ("max_items", "51"),
        ("max_items", "-1"),
        ("max_items", "many"),
        ("max_items", "²"),
        ("max_items", ("1", "2")),
        ("max_items", "9" * 1000),
        ("item_expire", "3601"),
        ("item_expire", "0"),
        ("max_payload_size", "1001"),
        ("notify_config", "yes"),
        ("notify_config", ("1", "0")),
        ("publish_model", "nobody"),
        ("node_type", "tree"),
        ("itemreply", "everybody"),
        ("send_last_published_item", "sometimes"),
        ("contact", ("@@",)),
        ("contact", tuple(f"{i}@example.org" for i in range(1000))),
        ("language", "<de>"),
        ("title", "x" * 10_000),
        ("children_max", "8"),
    ],
)
def test_wrong_value_is_not_acceptable(name, given_):
    """§8.2.5.2"""
    assert refused(reads, **{name: given_}) == "not-acceptable"


def test_access_model_that_is_not_there():
    """§8.1.2"""
    unknown = "not-acceptable unsupported-access-model"
    assert refused(reads, access_model="secret") == unknown
    form = submits(access_model="presence")
    assert refused(read, form, NodeConfig(), LIMITS, [AccessModel.OPEN]) == unknown


# the form that owners see


def test_form_shows_what_holds_and_what_can_be_chosen():
    """§8.2.2"""
    config = NodeConfig(access_model=AccessModel.ROSTER, max_items=None, language="tlh")
    form = write(config, groups=("Friends",))
    assert form.formType == "form"
    assert form.formNamespace == NODE_CONFIG
    assert form.fields["pubsub#access_model"].value == "roster"
    assert form.fields["pubsub#max_items"].value == "max"
    assert [each.value for each in form.fields["pubsub#roster_groups_allowed"].options] == [
        "Friends"
    ]
    assert "tlh" in [each.value for each in form.fields["pubsub#language"].options]
    assert all(field.label for field in form.fieldList if field.var)


def test_models_that_are_not_there_are_not_offered():
    """§8.2.2"""
    form = write(NodeConfig(), models=[AccessModel.OPEN])
    assert [each.value for each in form.fields["pubsub#access_model"].options] == ["open"]


def test_leaf_and_collection_have_their_own_fields():
    """XEP-0248 §9.2: a collection keeps no items, a leaf has no children."""
    leaf = set(write(NodeConfig(node_type=LEAF)).fields)
    collection = set(write(NodeConfig(node_type=COLLECTION)).fields)
    assert "pubsub#max_items" in leaf - collection
    assert "pubsub#children" in collection - leaf
    assert "pubsub#collection" in collection & leaf


TEXT = st.text("abc ü<&'\"\n", max_size=8).map(str.strip)
TEXTS = st.lists(TEXT.filter(bool), max_size=3, unique=True).map(tuple)
JIDS = st.lists(st.sampled_from(["a@example.org", "b.example.net"]), unique=True).map(tuple)
CONFIGS = st.builds(
    NodeConfig,
    access_model=st.sampled_from(AccessModel),
    publish_model=st.sampled_from(PublishModel),
    title=TEXT,
    description=TEXT,
    type=TEXT,
    language=st.sampled_from(["", "en", "de-CH"]),
    contact=JIDS,
    persist_items=st.booleans(),
    max_items=st.none() | st.integers(0, 50),
    item_expire=st.none() | st.integers(1, 3600),
    max_payload_size=st.none() | st.integers(1, 1000),
    publish_node_full=st.sampled_from(["retract-oldest", "discard-oldest", "reject"]),
    purge_offline=st.booleans(),
    itemreply=st.sampled_from(["owner", "publisher", "none"]),
    subscribe=st.booleans(),
    roster_groups_allowed=TEXTS,
    deliver_payloads=st.booleans(),
    notification_type=st.sampled_from(["normal", "headline"]),
    send_last_published_item=st.sampled_from(["never", "on_sub", "on_sub_and_presence"]),
    collection=TEXTS,
)


@given(CONFIGS)
def test_form_that_is_sent_back_changes_nothing(config):
    """§8.2: what `write` says, `read` understands, and an owner may send it back as it is."""
    assert read(write(config), config, LIMITS) == config
    assert read(write(config, "result"), NodeConfig(), LIMITS) == config


@given(CONFIGS)
def test_what_is_stored_is_what_is_loaded(config):
    """A configuration survives."""
    assert load(dump(config)) == config


def test_fields_of_other_versions_are_left_out():
    """What was stored by a version that had another field."""
    assert load('{"title": "x", "gone": 1}') == NodeConfig(title="x")


# publish-options (§7.1.5)


@given(CONFIGS, CONFIGS)
def test_preconditions_are_met_by_the_same_configuration_only(config, other):
    """§7.1.5"""
    check_preconditions(write(config, "result"), config, LIMITS)
    names = [f.name for f in attrs.fields(NodeConfig)]
    if any(set(words(config, name)) != set(words(other, name)) for name in names):
        met = refused(check_preconditions, write(config, "result"), other, LIMITS)
        assert met == "conflict precondition-not-met"


@pytest.mark.parametrize(
    "wrong",
    [{"max_items": "2"}, {"max_items": "max"}, {"max_items": "x"}, {"shape": "round"}],
)
def test_precondition_that_is_not_met(wrong):
    """§7.1.5: also an unknown field, and a value that no node can have."""
    met = refused(check_preconditions, submits(**wrong), NodeConfig(max_items=1), LIMITS)
    assert met == "conflict precondition-not-met"


def test_order_of_several_values_does_not_matter():
    """§7.1.5"""
    config = NodeConfig(roster_groups_allowed=("a", "b"))
    check_preconditions(submits(roster_groups_allowed=("b", "a")), config, LIMITS)


def test_node_is_made_as_the_preconditions_say():
    """§7.1.5: with default configuration in all other respects."""
    form = submits(access_model="whitelist", persist_items="true")
    made = from_preconditions(form, NodeConfig(title="x"), LIMITS)
    assert made == NodeConfig(title="x", access_model=AccessModel.WHITELIST)


def test_unknown_precondition_makes_no_node():
    """§7.1.5"""
    why = refused(from_preconditions, submits(shape="round"), NodeConfig(), LIMITS)
    assert why == "conflict precondition-not-met"


# limits


def test_limits_of_the_service_hold_for_max():
    """§16.4.4: "max" is no specific limit other than a server imposed maximum."""
    config = NodeConfig(max_items=None, item_expire=None, max_payload_size=None)
    assert config.most_items(LIMITS) == 50
    assert config.expiry(LIMITS) == 3600
    assert config.longest_payload(LIMITS) == 1000
    assert NodeConfig(item_expire=60).expiry(LIMITS) == 60
    assert NodeConfig(item_expire=60).expiry(Limits()) == 60
    assert NodeConfig().expiry(Limits()) is None


@pytest.mark.parametrize(
    ("persist", "payloads", "item"),
    [(True, True, True), (True, False, True), (False, True, True), (False, False, False)],
)
def test_when_an_item_is_wanted(persist, payloads, item):
    """§4.3, the table: only a transient node without payloads has none."""
    config = NodeConfig(persist_items=persist, deliver_payloads=payloads)
    assert config.wants_item is item
