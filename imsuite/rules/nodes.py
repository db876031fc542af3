"""XEP-0060 §8.1.3, §16.4.4 and XEP-0248 §9: how a node is configured, and the forms that say so."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

# isort: split

import attrs
from wokkel.data_form import Field, Form

from imsuite.rules.node_access import AccessModel, PublishModel
from imsuite.rules.node_errors import refusal
from imsuite.xmpp import forms
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import StanzaError

NS_PUBSUB = "http://jabber.org/protocol/pubsub"
NS_OWNER = f"{NS_PUBSUB}#owner"
NS_EVENT = f"{NS_PUBSUB}#event"
NODE_CONFIG = f"{NS_PUBSUB}#node_config"
META_DATA = f"{NS_PUBSUB}#meta-data"
PUBLISH_OPTIONS = f"{NS_PUBSUB}#publish-options"

LEAF, COLLECTION = "leaf", "collection"
MAX = "max"  # no limit of one's own
_LONGEST = 4096  # characters of a value that only people read
_MOST = 256  # values of a field with many
_CENTURY = 100 * 365 * 86_400  # seconds
LANGUAGES = (
    "ar bg ca cs da de el en eo es et fa fi fr gl he hi hr hu id it ja ko lt lv nb nl pl pt ro ru"
    " sk sl sq sr sv th tr uk vi zh"
).split()
_language = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8})*").fullmatch


@attrs.frozen
class Limits:
    """What a service lets people and their nodes have at most.

    nodes: of one creator, or all in one account; items: persisted; payload: bytes of one; expire:
    seconds that an item may be kept, None for no limit; subscriptions: of one bare JID to one
    node; children: of a collection.
    """

    nodes: int = 1_000
    items: int = 10_000
    payload: int = 262_144
    expire: int | None = None
    subscriptions: int = 10
    children: int = 1_000


@attrs.frozen
class NodeConfig:
    """The configuration of a node; each attribute is the field pubsub#… of its name.

    max_items, item_expire (seconds), children_max: None is "max", no limit but the service's;
    max_payload_size: bytes, None: the service's; collection, children: names of nodes;
    contact, children_association_whitelist: JIDs.
    """

    access_model: AccessModel = AccessModel.OPEN
    publish_model: PublishModel = PublishModel.PUBLISHERS
    node_type: str = LEAF
    title: str = ""
    description: str = ""
    type: str = ""
    language: str = ""
    contact: tuple[str, ...] = ()
    persist_items: bool = True
    max_items: int | None = 100
    item_expire: int | None = None
    max_payload_size: int | None = None
    publish_node_full: str = "retract-oldest"
    purge_offline: bool = False
    itemreply: str = "none"
    subscribe: bool = True
    tempsub: bool = False
    roster_groups_allowed: tuple[str, ...] = ()
    deliver_notifications: bool = True
    deliver_payloads: bool = True
    notify_config: bool = False
    notify_delete: bool = True
    notify_retract: bool = True
    notify_sub: bool = False
    notification_type: str = "headline"
    presence_based_delivery: bool = False
    send_last_published_item: str = "on_sub_and_presence"
    dataform_xslt: str = ""
    collection: tuple[str, ...] = ()
    children: tuple[str, ...] = ()
    children_association_policy: str = "owners"
    children_association_whitelist: tuple[str, ...] = ()
    children_max: int | None = None

    @property
    def is_leaf(self) -> bool:
        """It has items, and no nodes below it."""
        return self.node_type == LEAF

    @property
    def wants_item(self) -> bool:
        """What is published there is an item (the table of §4.3)."""
        return self.persist_items or self.deliver_payloads

    def most_items(self, limits: Limits) -> int:
        """Return how many items it may keep."""
        return limits.items if self.max_items is None else min(self.max_items, limits.items)

    def longest_payload(self, limits: Limits) -> int:
        """Return how many bytes a payload may have."""
        own = self.max_payload_size
        return limits.payload if own is None else min(own, limits.payload)

    def expiry(self, limits: Limits) -> int | None:
        """Return after how many seconds an item is gone, None for never."""
        given = [each for each in (self.item_expire, limits.expire) if each is not None]
        return min(given, default=None)


@attrs.frozen
class _Field:
    """A field of the form. read: makes the value of what came, raises ValueError."""

    name: str
    type: str
    label: str
    read: Callable[[tuple[str, ...], Limits], Any]
    options: Mapping[str, str | None] = attrs.field(factory=dict)
    of: str = ""  # the node type that has it, both by default

    @property
    def var(self) -> str:
        return f"pubsub#{self.name}"


def _single(values: tuple[str, ...]) -> str:
    if len(values) > 1:
        raise ValueError
    return values[0] if values else ""


def _boolean(values: tuple[str, ...], _: Limits) -> bool:
    return {"1": True, "true": True, "0": False, "false": False}[_single(values)]


def _text(values: tuple[str, ...], _: Limits) -> str:
    text = _single(values)
    if len(text) > _LONGEST:
        raise ValueError
    return text


def _texts(values: tuple[str, ...], limits: Limits) -> tuple[str, ...]:
    if len(values) > max(_MOST, limits.children):
        raise ValueError
    return tuple(dict.fromkeys(_text((value,), limits) for value in values if value))


def _jids(values: tuple[str, ...], _: Limits) -> tuple[str, ...]:
    if len(values) > _MOST:
        raise ValueError
    return tuple(dict.fromkeys(parse(value).full for value in values if value))


def _number(text: str, least: int, most: int) -> int:
    if not (text.isascii() and text.isdecimal() and len(text) < 18):
        raise ValueError
    number = int(text)
    if not least <= number <= most:
        raise ValueError
    return number


def _items(values: tuple[str, ...], limits: Limits) -> int | None:
    text = _single(values)
    return None if text == MAX else _number(text, 0, limits.items)


def _seconds(values: tuple[str, ...], limits: Limits) -> int | None:
    text = _single(values)
    if text in ("", MAX):
        return None
    return _number(text, 1, _CENTURY if limits.expire is None else limits.expire)


def _bytes(values: tuple[str, ...], limits: Limits) -> int | None:
    text = _single(values)
    return None if text in ("", MAX) else _number(text, 1, limits.payload)


def _children(values: tuple[str, ...], limits: Limits) -> int | None:
    text = _single(values)
    return None if text in ("", MAX) else _number(text, 0, limits.children)


def _tag(values: tuple[str, ...], _: Limits) -> str:
    text = _single(values)
    if text and not (_language(text) and len(text) <= 35):  # RFC 5646 §4.4.1
        raise ValueError
    return text


def _one_of(*words: str) -> Callable[[tuple[str, ...], Limits], str]:
    def read(values: tuple[str, ...], _: Limits) -> str:
        text = _single(values)
        if text not in words:
            raise ValueError
        return text

    return read


def _yes_no(name: str, label: str, of: str = "") -> _Field:
    return _Field(name, "boolean", label, _boolean, of=of)


def _line(name: str, label: str, read: Any = _text, of: str = "") -> _Field:
    return _Field(name, "text-single", label, read, of=of)


def _choice(name: str, label: str, options: Mapping[str, str | None], of: str = "") -> _Field:
    return _Field(name, "list-single", label, _one_of(*options), options, of)


FIELDS = (
    _line("title", "A friendly name for the node"),
    _line("description", "A description of the node"),
    _line("type", "What kind of data the payloads are, usually their namespace"),
    _Field("language", "list-single", "The language of the node", _tag, dict.fromkeys(LANGUAGES)),
    _Field("contact", "jid-multi", "Whom to contact with questions", _jids),
    _choice(
        "node_type",
        "Whether the node has items or other nodes",
        {LEAF: "The node has items", COLLECTION: "The node has other nodes"},
    ),
    _choice(
        "access_model",
        "Who may subscribe and retrieve items",
        {
            "authorize": "Those whom an owner approved",
            "open": "Anyone",
            "presence": "Those who may see the presence of the owner",
            "roster": "Those in the roster groups given",
            "whitelist": "Those whom an owner made members",
        },
    ),
    _Field("roster_groups_allowed", "list-multi", "Roster groups that have access", _texts),
    _choice(
        "publish_model",
        "Who may publish",
        {"publishers": "Only publishers", "subscribers": "Subscribers too", "open": "Anyone"},
        LEAF,
    ),
    _yes_no("persist_items", "Whether items are kept", LEAF),
    _line("max_items", "How many items are kept, `max` for as many as possible", _items, LEAF),
    _line("item_expire", "Seconds after which an item is gone, `max` for never", _seconds, LEAF),
    _line("max_payload_size", "The longest payload, bytes", _bytes, LEAF),
    _choice(
        "publish_node_full",
        "What happens when something is published on a full node",
        {
            "retract-oldest": "The oldest item is retracted",
            "discard-oldest": "The oldest item is gone without notice",
            "reject": "The new item is refused",
        },
        LEAF,
    ),
    _yes_no("purge_offline", "Whether what somebody published goes when he goes offline", LEAF),
    _choice(
        "itemreply",
        "Whom items name as their publisher",
        {"owner": "An owner of the node", "publisher": "Who published it", "none": "Nobody"},
        LEAF,
    ),
    _yes_no("subscribe", "Whether subscriptions are allowed"),
    _yes_no("tempsub", "Whether subscriptions end with the subscriber's presence"),
    _yes_no("deliver_notifications", "Whether subscribers are notified at all"),
    _yes_no("deliver_payloads", "Whether notifications have the payloads", LEAF),
    _yes_no("notify_config", "Whether subscribers are told that the configuration changed"),
    _yes_no("notify_delete", "Whether subscribers are told that the node was deleted"),
    _yes_no("notify_retract", "Whether subscribers are told that items were removed", LEAF),
    _yes_no("notify_sub", "Whether owners are told who subscribes and unsubscribes"),
    _choice(
        "notification_type",
        "The type of the messages that notify",
        {"normal": "Kept for those who are offline", "headline": "Only for those who are online"},
    ),
    _yes_no("presence_based_delivery", "Whether only those who are online are notified"),
    _choice(
        "send_last_published_item",
        "When the last item is sent",
        {
            "never": "Never",
            "on_sub": "To new subscribers",
            "on_sub_and_presence": "To new subscribers, and to those who come online",
        },
        LEAF,
    ),
    _line("dataform_xslt", "URL of a transformation of payloads to a data form", of=LEAF),
    _Field("collection", "text-multi", "The collections that this node is in", _texts),
    _Field("children", "text-multi", "The nodes that are in this one", _texts, of=COLLECTION),
    _choice(
        "children_association_policy",
        "Who may put nodes into this one",
        {"owners": "Its owners", "whitelist": "Those on the whitelist", "all": "Anyone"},
        COLLECTION,
    ),
    _Field(
        "children_association_whitelist",
        "jid-multi",
        "Who may put nodes into this one",
        _jids,
        of=COLLECTION,
    ),
    _line("children_max", "How many nodes may be in this one", _children, COLLECTION),
)
_BY_VAR = {each.var: each for each in FIELDS}
_ENUMS: Mapping[str, Callable[[str], Any]] = {
    "access_model": AccessModel,
    "publish_model": PublishModel,
}


def read(
    form: Form, base: NodeConfig, limits: Limits, models: Iterable[AccessModel] = AccessModel
) -> NodeConfig:
    """Return a configuration with what a submitted form changes (§8.1.3, §8.2.4).

    base: what fields that are absent keep; models: the access models there are. Fields that are
    not known are ignored (XEP-0004 §3.2). Raises StanzaError not-acceptable for a wrong value.
    """
    return _read(form, base, limits, models, strict=False)


def _read(
    form: Form, base: NodeConfig, limits: Limits, models: Iterable[AccessModel], strict: bool
) -> NodeConfig:
    changes: dict[str, Any] = {}
    for var, given in form.fields.items():
        known = _BY_VAR.get(var)
        if known is None:
            if strict:
                raise refusal("precondition-not-met", f"there is no field {var}")
            continue
        changes[known.name] = _value(known, tuple(given.values), limits)
    found = changes.get("access_model")
    if found is not None and found not in models:
        raise refusal("unsupported-access-model")
    return attrs.evolve(base, **changes)


def _value(known: _Field, values: tuple[str, ...], limits: Limits) -> Any:
    try:
        value = known.read(tuple(map(str, values)), limits)
    except (ValueError, KeyError, StanzaError):
        if known.name == "access_model":
            raise refusal("unsupported-access-model") from None
        why = f"the field {known.var} has a value that it can not have"
        raise StanzaError("not-acceptable", text=why) from None
    made = _ENUMS.get(known.name)
    return value if made is None else made(value)


def write(
    config: NodeConfig,
    type: str = "form",
    models: Iterable[AccessModel] = AccessModel,
    groups: Iterable[str] = (),
) -> Form:
    """Return the form of a configuration.

    type: "form" with labels and options, or "result"; models: the access models there are;
    groups: of the roster, to choose from.
    """
    shown = [_field(each, config, type, models, groups) for each in _fields(config)]
    return forms.make(type, NODE_CONFIG, shown)


def _fields(config: NodeConfig) -> Iterable[_Field]:
    return (each for each in FIELDS if each.of in ("", config.node_type))


def _field(
    known: _Field,
    config: NodeConfig,
    type: str,
    models: Iterable[AccessModel],
    groups: Iterable[str],
) -> Field:
    value = words(config, known.name)
    if type != "form":
        return forms.field(known.type, known.var, value)
    options: Mapping[str, str | None] = known.options
    if known.name == "access_model":
        options = {each: options[each] for each in models}
    elif known.name == "roster_groups_allowed":
        options = dict.fromkeys((*groups, *value))
    elif known.name == "language":
        options = dict.fromkeys((*options, *value))
    return forms.field(known.type, known.var, value, known.label, options)


def words(config: NodeConfig, name: str) -> tuple[str, ...]:
    """Return the value of a field as it stands in a form."""
    value = getattr(config, name)
    if value is None:
        return (MAX,) if name in ("max_items", "item_expire", "children_max") else ()
    if isinstance(value, tuple):
        return value
    if isinstance(value, bool):
        return ("true" if value else "false",)
    return (str(value),) if value != "" else ()


# publish-options (§7.1.5)


def check_preconditions(form: Form, config: NodeConfig, limits: Limits) -> None:
    """Raise StanzaError unless the options of a publish are those of the node.

    A field that is not known, or a value that none can have, is a condition that is not met.
    """
    for var, given in form.fields.items():
        known = _BY_VAR.get(var)
        if known is None or not _met(known, tuple(given.values), config, limits):
            raise refusal("precondition-not-met", f"{var} is not what the node has")


def _met(known: _Field, values: tuple[str, ...], config: NodeConfig, limits: Limits) -> bool:
    try:
        wanted = _value(known, values, limits)
    except StanzaError:
        return False
    has = getattr(config, known.name)
    if isinstance(has, tuple):
        return set(has) == set(wanted)
    return bool(has == wanted)


def from_preconditions(
    form: Form, base: NodeConfig, limits: Limits, models: Iterable[AccessModel] = AccessModel
) -> NodeConfig:
    """Return the configuration of a node that is made because something is published.

    Raises StanzaError for a field that is not known, and as `read` does.
    """
    return _read(form, base, limits, models, strict=True)


# storage


def dump(config: NodeConfig) -> str:
    """Return a configuration as JSON, whole: a default that changes later is for later nodes."""
    return json.dumps(attrs.asdict(config))


def load(text: str) -> NodeConfig:
    """Return the configuration that `dump` wrote; what is not known any more is left out."""
    known = {each.name for each in attrs.fields(NodeConfig)}
    values = {name: value for name, value in json.loads(text).items() if name in known}
    for name, value in values.items():
        if isinstance(value, list):
            values[name] = tuple(value)
        elif name in _ENUMS:
            values[name] = _ENUMS[name](value)
    return NodeConfig(**values)
