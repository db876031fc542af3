"""XEP-0045 §10, §15.5: the configuration of a room, its form, and what disco shows of it.

A setting is one value with everything that follows from it. Those of XEP-0045 are in
`room_settings`; a feature that adds one to rooms has its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import imsuite._compat  # noqa: F401  makes wokkel importable

import attrs

# isort: split

from twisted.words.xish.domish import Element
from wokkel.data_form import Field, Form

from imsuite.rules.affiliations import Lists, Role
from imsuite.xmpp import forms
from imsuite.xmpp.errors import StanzaError

NS_ROOMCONFIG = "http://jabber.org/protocol/muc#roomconfig"
NS_ROOMINFO = "http://jabber.org/protocol/muc#roominfo"
NS_VALIDATE = "http://jabber.org/protocol/xdata-validate"
ADMINS = "muc#roomconfig_roomadmins"
OWNERS = "muc#roomconfig_roomowners"

Value = bool | int | str | tuple[str, ...]


@attrs.frozen
class Setting:
    """A setting of a room.

    var: of its field; name: in Python, `config.<name>`; type: of the field; default: of a room of
    which nothing else is known, never changed once it was shipped, and what says how the field is
    read: a bool, an int (most: greatest, least: least; nothing is an option "none", which is 0),
    a text (most: characters) or a tuple of options; options: what may be chosen, with labels;
    features: the disco features of a room by its value; info: names of the fields of disco's
    form that show the value, an empty text being left out; check: for a text, returns whether
    it is good.
    """

    var: str
    name: str
    type: str
    label: str
    default: Value
    options: Mapping[str, str] = attrs.field(factory=dict)
    least: int = 0
    most: int = 1000
    features: Callable[[Any], tuple[str, ...]] | None = None
    info: tuple[str, ...] = ()
    check: Callable[[str], bool] | None = None
    desc: str | None = None

    def admits(self, value: object) -> bool:
        """Return whether this can be the value."""
        if type(value) is not type(self.default):
            return False
        match value:
            case int() if not isinstance(value, bool):
                return self.least <= value <= self.most or ("none" in self.options and value == 0)
            case str() if self.options:
                return value in self.options
            case str():
                return len(value) <= self.most and (
                    not value or self.check is None or self.check(value)
                )
            case tuple():
                return all(each in self.options for each in value)
        return True

    def normal(self, value: Any) -> Any:
        """Return a value as it is kept: what was chosen stands in the order of the options."""
        if not isinstance(value, list | tuple):
            return value
        wrong = tuple(each for each in value if each not in self.options)
        return tuple(each for each in self.options if each in value) + wrong

    def read(self, form: Form, now: Value) -> Value:
        """Return the value that a submitted form has, or the present one if it has none.

        Raises StanzaError: bad-request for what is not of the type or was not offered,
        not-acceptable for what is of the type and is not allowed.
        """
        given = forms.texts(form, self.var)
        if given is None:
            return now
        value: Value | None
        if isinstance(self.default, bool):
            value = forms.boolean(form, self.var, bool(now))
        elif isinstance(self.default, int):
            if "none" in self.options and given in (("none",), ("",), ()):
                return 0
            value = forms.number(form, self.var, int(str(now)))
        elif isinstance(self.default, tuple):
            value = self.normal(forms.choices(form, self.var, self.options))
        elif self.options:
            value = forms.choice(form, self.var, self.options, str(now))
        elif self.type == "text-multi":
            value = forms.lines(form, self.var, "")
        else:
            value = forms.text(form, self.var, "")
        if value is None or not self.admits(value):
            raise StanzaError("not-acceptable", text=f"the field {self.var} has no good value")
        return value

    def shown(self, value: Value) -> str | bool | tuple[str, ...]:
        """Return a value as it stands in a form."""
        if isinstance(value, int) and not isinstance(value, bool):
            return "none" if not value and "none" in self.options else str(value)
        return value

    def field(self, value: Value) -> Element:
        """Return the field of the configuration form."""
        shown = self.shown(value)
        options = dict(self.options)
        if options and isinstance(shown, str):
            options.setdefault(shown, shown)  # a number that is none of those proposed
        if self.type == "text-multi" and isinstance(shown, str):
            shown = tuple(shown.split("\n")) if shown else ()
        given = None if shown in ("", ()) else shown
        made = forms.field(self.type, self.var, given, self.label, options, desc=self.desc)
        element: Element = made.toElement(asForm=True)
        if self.type == "text-single" and type(self.default) is int:
            _add_range(element, self.least, self.most)
        return element


def _add_range(field: Element, least: int, most: int) -> None:
    """Say in a field which numbers it takes (XEP-0122 §3.2.2)."""
    validate = field.addElement((NS_VALIDATE, "validate"))
    validate["datatype"] = "xs:integer"
    within = validate.addElement((NS_VALIDATE, "range"))
    within["min"], within["max"] = str(least), str(most)


# §15.5.4, and fields of the configuration that the same form may show (§6.4)
INFO_LABELS = {
    "muc#maxhistoryfetch": "Maximum Number of History Messages Returned by Room",
    "muc#roominfo_contactjid": "Contact Addresses",
    "muc#roominfo_description": "Short Description of Room",
    "muc#roominfo_lang": "Natural Language for Room Discussions",
    "muc#roominfo_logs": "URL for Archived Discussion Logs",
    "muc#roominfo_occupants": "Current Number of Occupants in Room",
    "muc#roominfo_subject": "Current Discussion Topic",
    "muc#roominfo_subjectmod": "The room subject can be modified by participants",
}


class Settings:
    """The settings that rooms have here, in the order of the form."""

    def __init__(self, settings: Iterable[Setting]) -> None:
        """settings: of XEP-0045 and of other features. Raises ValueError if two are alike."""
        self._by_var: dict[str, Setting] = {}
        self._by_name: dict[str, Setting] = {}
        for each in settings:
            if each.var in self._by_var or each.name in self._by_name:
                raise ValueError(f"two settings of rooms are called {each.var} or {each.name}")
            if not each.admits(each.default):
                raise ValueError(f"{each.var} has a default that it would refuse")
            self._by_var[each.var] = self._by_name[each.name] = each

    def __iter__(self) -> Iterator[Setting]:
        return iter(self._by_var.values())

    def __getitem__(self, key: str) -> Setting:
        """Return a setting by its var or its name. Raises KeyError."""
        found = self._by_var.get(key)
        return self._by_name[key] if found is None else found


@attrs.frozen(slots=False, auto_attribs=False, eq=False)
class Config:
    """The configuration of a room: `config.members_only`, `config["muc#roomconfig_membersonly"]`.

    Settings of other features are `config["…"]`, by var or name, where a value is as stored.
    `Config.of` makes it.
    """

    settings: Settings = attrs.field(repr=False)
    values: Mapping[str, Value] = attrs.field()  # by var, all settings
    unknown: Mapping[str, Any] = attrs.field(repr=False)  # stored, of features not in use

    # The settings of XEP-0045 by name; they stand in the instance's dict.
    name: str
    description: str
    lang: str
    logged: bool
    change_subject: bool
    allow_invites: bool
    allow_pm: str
    max_users: int  # occupants, 0 for no limit
    presence_broadcast: frozenset[Role]
    get_member_list: frozenset[Role]
    public: bool
    persistent: bool
    moderated: bool
    members_only: bool
    password_protected: bool
    secret: str
    whois: str
    max_history: int  # messages
    pubsub: str

    def __attrs_post_init__(self) -> None:
        own: dict[str, Any] = {each.name: self.values[each.var] for each in self.settings}
        for name in ("presence_broadcast", "get_member_list"):
            if name in own:
                own[name] = frozenset(map(Role, own[name]))
        self.__dict__.update(own)

    @classmethod
    def of(cls, settings: Settings, stored: Mapping[str, Any] | None = None) -> Config:
        """Return a configuration from what `stored` returned, or from initial values by var.

        A value that is not good any more is its default again.
        """
        stored = {} if stored is None else stored
        values = {}
        for each in settings:
            value = each.normal(stored.get(each.var, each.default))
            values[each.var] = value if each.admits(value) else each.default
        unknown = {var: value for var, value in stored.items() if var not in values}
        return cls(settings, values, unknown)

    def __getitem__(self, key: str) -> Any:
        """Return a value by var or name; its type is that of its default. Raises KeyError."""
        try:
            return self.values[key]
        except KeyError:
            return self.values[self.settings[key].var]

    def __eq__(self, other: object) -> bool:
        return self.values == other.values if isinstance(other, Config) else NotImplemented

    def __hash__(self) -> int:
        return hash(tuple(self.values.items()))

    @property
    def semi_anonymous(self) -> bool:
        """Whether only moderators may know who occupants are (§7.2.4)."""
        return self.whois != "anyone"

    def changed(self, values: Mapping[str, Value]) -> Config:
        """Return this with other values, by var or name.

        Raises KeyError for a setting there is not, ValueError for a value that cannot be.
        """
        new = dict(self.values)
        for key, value in values.items():
            setting = self.settings[key]
            value = setting.normal(value)
            if not setting.admits(value):
                raise ValueError(f"{setting.var} cannot be {value!r}")
            new[setting.var] = value
        return Config(self.settings, new, self.unknown)

    def stored(self) -> dict[str, Any]:
        """Return what differs from the defaults, as JSON has it."""
        return dict(self.unknown) | {
            each.var: list(value) if isinstance(value, tuple) else value
            for each in self.settings
            if (value := self.values[each.var]) != each.default
        }

    def differences(self, other: Config) -> frozenset[str]:
        """Return the vars of the settings in which another one differs."""
        return frozenset(
            var for var, value in self.values.items() if other.values.get(var) != value
        )


def form(config: Config, lists: Lists, title: str, instructions: Iterable[str] = ()) -> Element:
    """Return the configuration form with the present values (§10.1.3, §10.2).

    lists: owners and admins as they are; None leaves a field out.
    """
    element = forms.to_element(
        forms.make("form", NS_ROOMCONFIG, title=title, instructions=tuple(instructions))
    )
    for each in config.settings:
        element.addChild(each.field(config.values[each.var]))
    for var, label, jids in (
        (ADMINS, "Full List of Room Admins", lists.admins),
        (OWNERS, "Full List of Room Owners", lists.owners),
    ):
        if jids is not None:
            element.addChild(forms.field("jid-multi", var, jids, label).toElement(asForm=True))
    return element


@attrs.frozen
class Submitted:
    """What an owner asks for with a form: the new configuration, what of it is new, and lists."""

    config: Config
    changed: frozenset[str]  # vars
    lists: Lists


def read(config: Config, query: Element) -> Submitted | None:
    """Return what a submitted configuration form asks for, None if it was cancelled (§10.1.3).

    config: as it is, which stays where the form says nothing; an empty form thus accepts it
    (§10.1.2). Fields that are unknown are ignored (XEP-0004 §3.2). Raises StanzaError:
    bad-request or jid-malformed for what is not what its field takes, not-acceptable for what
    is not allowed, such as no password where one is required.
    """
    submission = forms.submitted(query, NS_ROOMCONFIG)
    if submission is None:
        return None
    values = {each.var: each.read(submission, config.values[each.var]) for each in config.settings}
    new = Config(config.settings, values, config.unknown)
    if new.password_protected and not new.secret:
        raise StanzaError("not-acceptable", text="a room with a password needs a password")
    lists = Lists(_jids(submission, OWNERS), _jids(submission, ADMINS))
    return Submitted(new, config.differences(new), lists)


def _jids(form: Form, var: str) -> tuple[str, ...] | None:
    """Return the bare JIDs of a field, a full JID counting as its bare one (§10.3)."""
    found = forms.jids(form, var)
    return None if found is None else tuple(dict.fromkeys(jid.bare for jid in found))


def disco_features(config: Config) -> tuple[str, ...]:
    """Return the features that tell what kind of room it is (§6.4, §15.3)."""
    return tuple(
        feature
        for each in config.settings
        if each.features is not None
        for feature in each.features(config.values[each.var])
    )


def roominfo(
    config: Config,
    occupants: int,
    subject: str = "",
    contacts: Iterable[str] = (),
    logs: str = "",
    others: Iterable[Field] = (),
) -> Element:
    """Return the form with which disco describes a room (§6.4, §15.5.4).

    occupants: how many; contacts: JIDs that may be known to anyone; logs: URL of an archive;
    others: fields of other features.
    """
    fields = []
    for each in config.settings:
        value = config.values[each.var]
        if value == "":
            continue
        for var in each.info:
            kind = "text-single" if each.type == "text-private" else each.type
            label = INFO_LABELS.get(var, each.label)
            fields.append(forms.field(kind, var, each.shown(value), label))
    fields.append(_info("text-single", "muc#roominfo_occupants", (str(occupants),)))
    if subject:
        fields.append(_info("text-single", "muc#roominfo_subject", (subject,)))
    if contacts := tuple(contacts):
        fields.append(_info("jid-multi", "muc#roominfo_contactjid", contacts))
    if logs:
        fields.append(_info("text-single", "muc#roominfo_logs", (logs,)))
    return forms.to_element(forms.make("result", NS_ROOMINFO, [*fields, *others]))


def _info(type: str, var: str, values: tuple[str, ...]) -> Field:
    return forms.field(type, var, values, INFO_LABELS[var])
