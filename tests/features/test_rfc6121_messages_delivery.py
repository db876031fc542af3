"""RFC 6121 §8: every cell of the delivery rules, through a whole host."""

import pytest

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import DELIVERING, UNDELIVERED
from imsuite.rules.delivery import VERDICTS, Action, Address, verdict
from imsuite.testing.memory import MemoryServer, befriend
from imsuite.testing.patterns import read
from imsuite.xmpp.errors import Dropped
from tests.helpers import holds

CORE = ["bind", "roster", "presence", "messages"]
STANZAS = "urn:ietf:params:xml:ns:xmpp-stanzas"
DEVICES = {"phone": 5, "laptop": 0, "camera": -1, "starting": None}  # None: sent no presence
CAMERA = {"camera": -1, "starting": None}
STARTING = {"starting": None}

# what an address is: the resources of juliet and the addresses to try
SCENES = {
    Address.BARE: [(DEVICES, "juliet@example.org")],
    Address.BARE_NEGATIVE: [(CAMERA, "juliet@example.org")],
    Address.BARE_NOBODY: [(STARTING, "juliet@example.org"), ({}, "juliet@example.org")],
    Address.FULL: [(DEVICES, f"juliet@example.org/{name}") for name in DEVICES],
    Address.FULL_NOBODY: [
        (DEVICES, "juliet@example.org/gone"),
        (CAMERA, "juliet@example.org/gone"),
        ({}, "juliet@example.org/gone"),
    ],
    Address.NO_ACCOUNT: [({}, "nobody@example.org"), ({}, "nobody@example.org/gone")],
    Address.DOMAIN: [({}, "example.org"), ({}, "example.org/gone")],
}
CELLS = [
    pytest.param(address, kind, type, *scene, id=f"{kind}-{type}-{address.name}-{number}")
    for address, kind, type in VERDICTS
    for number, scene in enumerate(SCENES[address])
]


class Stage:
    """A server with romeo, and juliet on some resources. DELIVERING and UNDELIVERED: features."""

    def __init__(self, priorities, *features):
        self.server = MemoryServer(features=[*CORE, *features])
        self.server.account("juliet@example.org")
        self.romeo = self.server.login("romeo@example.org/orchard", roster=False)
        self.devices = {}
        for name, priority in priorities.items():
            client = self.server.login(f"juliet@example.org/{name}", available=False, roster=False)
            if priority is not None:
                client.says(f"<presence><priority>{priority}</priority></presence>")
            self.devices[name] = client
        self.forget()

    def forget(self):
        for client in (self.romeo, *self.devices.values()):
            client.forget()

    def received(self):
        """Return what each resource received."""
        return {name: list(client.received) for name, client in self.devices.items()}

    def stop(self):
        self.server.stop()
        assert self.server.failures.take() == []


@pytest.fixture
def play():
    stages = []

    def play(priorities, *features):
        stages.append(Stage(priorities, *features))
        return stages[-1]

    yield play
    for stage in stages:
        stage.stop()


def written(kind, type, to):
    inner = "<body>hi</body>" if kind == "message" else ""
    if kind == "iq" and type != "error":
        inner = "<q xmlns='urn:unknown'/>"
    elif type == "error":
        inner = f"<error type='cancel'><gone xmlns='{STANZAS}'/></error>"
    attribute = "" if type is None else f" type='{type}'"
    return f"<{kind} id='1' to='{to}'{attribute}>{inner}</{kind}>"


def expected(decided, kind, type, to, priorities, shares):
    """Return who of juliet's resources receives the stanza, and the error that romeo does."""
    available = [name for name, priority in priorities.items() if priority is not None]
    if decided.action is Action.THIS:
        if decided.shared and not shares:
            return [], "service-unavailable"
        return [to.partition("/")[2]], None
    if decided.action is Action.NON_NEGATIVE:
        return [name for name in available if priorities[name] >= 0], None
    if decided.action is Action.AVAILABLE:
        return available, None
    if decided.action is Action.SUBSCRIPTION:
        return (available if type == "subscribe" else []), None
    if decided.action is Action.STORE:
        return [], "service-unavailable"  # nothing here keeps messages
    if decided.action is Action.SERVER:
        asks = kind == "message" or type in ("get", "set")
        return [], "service-unavailable" if asks else None
    return [], decided.condition


@pytest.mark.parametrize(("address", "kind", "type", "priorities", "to"), CELLS)
def test_cell(play, address, kind, type, priorities, to):
    """§8.4, §8.5"""
    stage = play(priorities)
    decided = verdict(address, kind, type)
    if decided.action is Action.AS_BARE:
        values = [priority for priority in priorities.values() if priority is not None]
        bare = Address.BARE if any(value >= 0 for value in values) else Address.BARE_NOBODY
        decided = verdict(bare, kind, type)
    who, condition = expected(decided, kind, type, to, priorities, shares=False)
    answers = stage.romeo.says(written(kind, type, to))
    got = stage.received()
    assert {name: len(got[name]) for name in priorities} == {
        name: int(name in who) for name in priorities
    }
    for name in who:
        arrived = read(got[name][0])
        if decided.action is Action.SUBSCRIPTION:  # §3.1.2
            assert (arrived.get("from"), arrived.get("to")) == (
                "romeo@example.org",
                "juliet@example.org",
            )
        else:
            assert (arrived.get("from"), arrived.get("to")) == ("romeo@example.org/orchard", to)
        assert (arrived.get("type"), arrived.get("id")) == (type, "1")
    if condition is None:
        assert answers == []
    else:
        (answer,) = answers
        assert holds(
            answer,
            f"<{kind} type='error' id='1' from='{to}' to='romeo@example.org/orchard'>"
            f"<error type='cancel'><{condition} xmlns='{STANZAS}'/></error></{kind}>",
        )


@pytest.mark.parametrize("type", ["get", "set"])
@pytest.mark.parametrize("name", DEVICES)
def test_request_reaches_a_resource_that_shares_presence(play, type, name):
    """§8.5.3.1"""
    stage = play(DEVICES)
    befriend(stage.romeo, stage.devices["phone"])
    stage.forget()
    assert stage.romeo.says(written("iq", type, f"juliet@example.org/{name}")) == []
    assert len(stage.devices[name].received) == 1


def test_request_reaches_a_resource_that_directed_presence_at_the_sender(play):
    """§8.5.3.1, §4.6"""
    stage = play(DEVICES)
    phone = stage.devices["phone"]
    phone.says("<presence to='romeo@example.org/orchard'/>")
    stage.forget()
    assert stage.romeo.says(written("iq", "get", "juliet@example.org/phone")) == []
    assert len(phone.received) == 1
    (answer,) = stage.romeo.says(written("iq", "get", "juliet@example.org/laptop"))
    assert "service-unavailable" in answer
    phone.says("<presence to='romeo@example.org/orchard' type='unavailable'/>")
    stage.forget()
    (answer,) = stage.romeo.says(written("iq", "get", "juliet@example.org/phone"))
    assert "service-unavailable" in answer


def test_refused_request_looks_the_same_whether_the_resource_is_there_or_not(play):
    """§8.5.3.1, §8.5.1, pitfall 20: presence must not leak."""
    stage = play(DEVICES)
    answers = [
        stage.romeo.says(written("iq", "get", to))[0].replace(to, "X")
        for to in ("juliet@example.org/phone", "juliet@example.org/gone", "nobody@example.org/gone")
    ]
    assert len(set(answers)) == 1


def test_own_resources_may_ask_each_other(play):
    """§8.5.3.1"""
    stage = play(DEVICES)
    phone, laptop = stage.devices["phone"], stage.devices["laptop"]
    assert phone.says(written("iq", "get", "juliet@example.org/laptop")) == []
    assert len(laptop.received) == 1


@pytest.mark.parametrize("to", ["", " to='juliet@example.org'"])
def test_message_to_oneself_goes_to_ones_own_resources(play, to):
    """RFC 6120 §10.3.1: without "to" it is for the bare JID of the sender."""
    stage = play(DEVICES)
    stage.devices["phone"].says(f"<message type='chat'{to}><body>note</body></message>")
    assert {name: len(got) for name, got in stage.received().items()} == {
        "phone": 1,
        "laptop": 1,
        "camera": 0,
        "starting": 0,
    }


@pytest.mark.parametrize("type", ["shout", "", "get"])
def test_message_of_unknown_type_is_delivered_as_a_normal_one(play, type):
    """§5.2.2"""
    stage = play(DEVICES)
    stage.romeo.says(f"<message to='juliet@example.org' type='{type}'><body>x</body></message>")
    assert [len(got) for got in stage.received().values()] == [1, 1, 0, 0]
    (answer,) = stage.romeo.says(f"<message to='juliet@example.org/gone' type='{type}'/>")
    assert "service-unavailable" in answer


@pytest.mark.parametrize("to", ["juliet@example.org", "juliet@example.org/phone", "example.org"])
def test_presence_of_unknown_type_is_a_bad_request(play, to):
    """§4.7.1"""
    stage = play(DEVICES)
    (answer,) = stage.romeo.says(f"<presence to='{to}' type='shout'/>")
    assert holds(
        answer, f"<presence type='error'><error><bad-request xmlns='{STANZAS}'/></error></presence>"
    )
    assert not any(stage.received().values())


@pytest.mark.parametrize(
    "to",
    [
        "JULIET@Example.ORG/phone",
        "juliet@example.org./phone",
        "ＪＵＬＩＥＴ@example.org/phone",  # full-width letters (RFC 8265 §3.3.1)
    ],
)
def test_addresses_are_compared_in_their_prepared_form(play, to):
    """Pitfall 13, RFC 7622 §3; "to" arrives as it was written."""
    stage = play(DEVICES)
    assert stage.romeo.says(f"<message to='{to}'><body>hi</body></message>") == []
    (got,) = stage.devices["phone"].received
    assert read(got).get("to") == to


@pytest.mark.parametrize("to", ["@example.org", "juliet@", "a@b@c", "juliet@example.org/", ""])
@pytest.mark.parametrize("kind", ["message", "iq", "presence"])
def test_malformed_address_is_refused_and_the_stream_goes_on(play, kind, to):
    """RFC 6120 §8.3.3.8"""
    stage = play({})
    inner = "<q xmlns='u'/>" if kind == "iq" else ""
    type = " type='get'" if kind == "iq" else ""
    (answer,) = stage.romeo.says(f"<{kind} id='1' to='{to}'{type}>{inner}</{kind}>")
    assert holds(
        answer,
        f"<{kind} type='error' id='1'><error type='modify'>"
        f"<jid-malformed xmlns='{STANZAS}'/></error></{kind}>",
    )
    assert not stage.romeo.gone


def test_other_domains_are_told_apart(play):
    """RFC 6120 §10.4.3.1: without a way to other servers there is an error."""
    (answer,) = play({}).romeo.says(written("message", "chat", "juliet@far.example"))
    assert "remote-server-not-found" in answer


class Keeping(Feature):
    """Keeps what cannot be delivered, as offline storage does."""

    __module__ = "tests.xep0001_keeping"
    spec = "XEP-0001"

    @on(UNDELIVERED)
    def keep(self, passing):
        kept = self.host.__dict__.setdefault("kept", [])
        kept.append((passing.account.bare, passing.stanza.to))


@pytest.mark.parametrize("priorities", [CAMERA, STARTING, {}])
@pytest.mark.parametrize("type", ["chat", "normal"])
def test_what_nobody_takes_is_kept(play, priorities, type):
    """§8.5.2.2.1"""
    stage = play(priorities, Keeping)
    assert stage.romeo.says(written("message", type, "juliet@example.org")) == []
    assert stage.server.host.kept == [("juliet@example.org", "juliet@example.org")]


def test_what_somebody_takes_is_not_kept(play):
    stage = play(DEVICES, Keeping)
    for to in ("juliet@example.org", "juliet@example.org/camera"):
        stage.romeo.says(written("message", "chat", to))
    stage.romeo.says(written("message", "headline", "juliet@example.org/gone"))
    assert "kept" not in stage.server.host.__dict__


class Choosy(Feature):
    """Does something else for each resource at delivery."""

    __module__ = "tests.xep0002_choosy"
    spec = "XEP-0002"

    @on(DELIVERING)
    def mark(self, passing):
        name = passing.target.resource
        if name == self.host.__dict__.get("drops"):
            raise Dropped
        if name == self.host.__dict__.get("fails"):
            raise ZeroDivisionError
        return passing.stanza.plus(f"<{name} xmlns='urn:mark'/>".encode(), f"urn:mark}}{name}")


@pytest.mark.parametrize(
    "stanza",
    [
        "<message to='juliet@example.org'><body>hi</body></message>",
        "<presence to='juliet@example.org'/>",
    ],
)
def test_what_is_changed_for_one_resource_does_not_reach_another(play, stanza):
    """Architecture §4: DELIVERING is about one session."""
    stage = play({"phone": 5, "laptop": 0}, Choosy)
    stage.romeo.says(stanza)
    got = stage.received()
    assert [got["phone"][0].count("urn:mark"), got["laptop"][0].count("urn:mark")] == [1, 1]
    assert "<phone" in got["phone"][0]
    assert "<laptop" in got["laptop"][0]


@pytest.mark.parametrize(
    "stanza",
    [
        "<message to='juliet@example.org'><body>hi</body></message>",
        "<presence to='juliet@example.org'/>",
    ],
)
def test_what_one_resource_is_spared_the_others_get(play, stanza):
    stage = play({"phone": 5, "laptop": 0}, Choosy)
    stage.server.host.drops = "phone"
    assert stage.romeo.says(stanza) == []
    assert [len(got) for got in stage.received().values()] == [0, 1]
