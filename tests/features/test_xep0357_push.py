"""XEP-0357: Push Notifications."""

import imsuite._compat  # noqa: F401  isort: skip
import pytest
from twisted.words.protocols.jabber.error import StanzaError
from twisted.words.xish import domish
from wokkel.subprotocols import XMPPHandler

from imsuite.core.feature import At
from imsuite.core.hooks import STOPPING
from imsuite.store.dialect import StoreFull
from imsuite.streams.mount import mount
from imsuite.testing.memory import now
from tests.helpers import fitting, holds, iq_error
from tests.paced import Pace

NS = "urn:xmpp:push:0"
JULIET = "juliet@example.org"
APP = "push.example.com"
PUBLISH = "/iq[@type='set']/pubsub[@xmlns='http://jabber.org/protocol/pubsub']/publish"
SUMMARY = (
    "<pubsub xmlns='http://jabber.org/protocol/pubsub'><publish node='{node}'><item>"
    f"<notification xmlns='{NS}'><x xmlns='jabber:x:data' type='submit'>"
    "<field var='FORM_TYPE'><value>urn:xmpp:push:summary</value></field>"
    "<field var='message-count'><value>{count}</value></field></x></notification>"
    "</item></publish></pubsub>"
)
SECRET = (
    "<x xmlns='jabber:x:data' type='submit'>"
    "<field var='FORM_TYPE'><value>http://jabber.org/protocol/pubsub#publish-options</value></field>"
    "<field var='secret'><value>eruio234vzxc2kla-91</value></field></x>"
)
CSI = "<{} xmlns='urn:xmpp:csi:0'/>"


class AppServer(XMPPHandler):
    """The service of an app: notes what is published, and answers as it is told.

    condition: of the error that it answers; silent: it does not answer at all.
    """

    def __init__(self):
        super().__init__()
        self.published = []
        self.condition = None
        self.silent = False

    def connectionInitialized(self):
        self.xmlstream.addObserver(PUBLISH, self.take)

    def take(self, request):
        """Take one publication."""
        request.handled = True
        self.published.append(request.toXml())
        if self.condition is not None:
            self.send(StanzaError(self.condition).toResponse(request))
        elif not self.silent:
            answer = domish.Element((None, "iq"))
            answer["type"], answer["id"] = "result", request["id"]
            answer["from"], answer["to"] = request["to"], request["from"]
            self.send(answer)

    def told(self):
        """Return how many publications there were, and forget them."""
        count, self.published = len(self.published), []
        return count


@pytest.fixture
def app(server):
    """The service of an app, mounted on a domain of the server."""
    handler = AppServer()
    service = mount(server.router, server.host, APP, [handler])
    service.startService()
    yield handler
    service.stopService()


@pytest.fixture
def romeo(server):
    return server.login("romeo@example.org/orchard")


def enables(client, node="n", form="", jid=APP, word="enable"):
    """Enable push notifications; return the answer."""
    attribute = f" node='{node}'" if node else ""
    inner = f"<{word} xmlns='{NS}' jid='{jid}'{attribute}>{form}</{word}>"
    (answer,) = client.says(f"<iq type='set' id='e'>{inner}</iq>")
    return answer


def disables(client, node=""):
    return enables(client, node, word="disable")


def has_phone(server, node="n", form=""):
    """Let Juliet enable push on her phone and leave."""
    phone = server.login(f"{JULIET}/phone")
    assert holds(enables(phone, node, form), "<iq type='result' id='e'/>")
    phone.closes()


def says(client, body="hello", to=JULIET, type="chat", more=""):
    return client.says(f"<message to='{to}' type='{type}'><body>{body}</body>{more}</message>")


def published(app, node="n", count="{}"):
    """Return the publications of that shape."""
    pattern = "<iq type='set' from='example.org'>" + SUMMARY.format(node=node, count=count)
    return fitting(app.published, pattern + "</iq>")


# what a client may ask for


def test_account_says_that_it_can(host):
    """§4.1: to its owner."""
    assert NS in host.advertised(At.SELF)
    assert NS not in host.advertised(At.ACCOUNT)


def test_a_message_is_published_when_nobody_is_there(server, app, romeo):
    """§7: from the server, to the node, nothing but how many there are."""
    has_phone(server)
    says(romeo)
    (publication,) = app.published
    assert published(app, count=1) == [publication]
    assert "hello" not in publication
    assert "romeo" not in publication
    says(romeo)
    assert len(published(app, count=2)) == 1
    assert len(app.published) == 2


def test_it_is_published_once_with_archive_and_offline_store(server, app, romeo):
    """Pitfall Push: one publication for a message and client, however often it is kept."""
    has_phone(server)
    says(romeo)
    assert len(now(server.store.query("SELECT * FROM offline"))) == 1
    assert app.told() == 1
    server.login(f"{JULIET}/phone")
    assert app.told() == 0


def test_publish_options_are_passed_on(server, app, romeo):
    """§5, §7: as they were given."""
    has_phone(server, form=SECRET)
    says(romeo)
    (publication,) = app.published
    options = f"<publish-options>{SECRET}</publish-options>"
    ns = "http://jabber.org/protocol/pubsub"
    assert holds(publication, f"<iq type='set'><pubsub xmlns='{ns}'>{options}</pubsub></iq>")


def test_the_last_request_holds(server, app, romeo):
    """§5: for the same service and node."""
    has_phone(server)
    has_phone(server, form=SECRET)
    says(romeo)
    assert "eruio234vzxc2kla-91" in app.published[0]
    assert app.told() == 1


def test_each_node_is_told(server, app, romeo):
    """§5: a service may be enabled several times with different nodes."""
    has_phone(server, "one")
    has_phone(server, "two")
    says(romeo)
    assert [len(published(app, node)) for node in ("one", "two")] == [1, 1]


def test_one_node_is_disabled(server, app, romeo):
    """§6"""
    has_phone(server, "one")
    has_phone(server, "two")
    phone = server.login(f"{JULIET}/phone")
    assert holds(disables(phone, "one"), "<iq type='result' id='e'/>")
    phone.closes()
    says(romeo)
    assert len(published(app, "two")) == app.told() == 1


def test_a_service_is_disabled(server, app, romeo):
    """§6: all its nodes, and nothing is published any more; also after a restart."""
    has_phone(server, "one")
    has_phone(server, "two")
    phone = server.login(f"{JULIET}/phone")
    disables(phone)
    phone.closes()
    server.host.forget("juliet")
    says(romeo)
    assert app.told() == 0


def test_what_is_enabled_is_known_after_a_restart(server, host, app, romeo):
    """The account is loaded with it."""
    has_phone(server, form=SECRET)
    host.forget("juliet")
    says(romeo)
    assert "eruio234vzxc2kla-91" in app.published[0]


@pytest.mark.parametrize(
    "inner",
    [
        f"<enable xmlns='{NS}' node='n'/>",
        f"<disable xmlns='{NS}'/>",
        f"<enable xmlns='{NS}' jid='{APP}'><x xmlns='jabber:x:data' type='submit'/></enable>",
        f"<enable xmlns='{NS}' jid='{APP}'><x xmlns='jabber:x:data' type='nonsense'/></enable>",
    ],
)
def test_a_request_that_says_nothing_is_refused(romeo, inner):
    """§5, §6: a service has a JID, and a form is of publish options."""
    (answer,) = romeo.says(f"<iq type='set' id='e'>{inner}</iq>")
    assert holds(answer, iq_error("e", "bad-request"))


def test_a_service_that_is_no_address_is_refused(romeo):
    """RFC 6120 §8.3.3.8"""
    assert holds(enables(romeo, jid="@"), iq_error("e", "jid-malformed"))


def test_options_that_are_too_long_are_refused(romeo):
    """What an account may keep is bounded."""
    long = SECRET.replace("eruio", "x" * 5000)
    assert holds(enables(romeo, form=long), iq_error("e", "policy-violation"))
    assert holds(enables(romeo, "x" * 2000), iq_error("e", "policy-violation"))


@pytest.mark.server(options={"push": {"most": 2}})
def test_more_services_than_allowed_are_refused(romeo):
    """What an account may keep is bounded; those it has it may change."""
    for node in ("one", "two", "two"):
        assert holds(enables(romeo, node), "<iq type='result'/>")
    assert holds(enables(romeo, "three"), iq_error("e", "resource-constraint"))


def test_nobody_enables_for_another(romeo, server):
    """§5: it is the account's owner who asks."""
    server.account(JULIET)
    (answer,) = romeo.says(
        f"<iq type='set' id='e' to='{JULIET}'><enable xmlns='{NS}' jid='{APP}' node='n'/></iq>"
    )
    assert holds(answer, iq_error("e", "service-unavailable"))


# when something is published


def test_a_client_that_is_there_is_not_told(server, app, romeo):
    """Pitfall Push: it gets the message itself."""
    phone = server.login(f"{JULIET}/phone")
    enables(phone)
    says(romeo)
    assert app.told() == 0


def test_another_client_that_is_there_changes_nothing(server, app, romeo):
    """§7: what is enabled is for one client."""
    has_phone(server)
    server.login(f"{JULIET}/laptop")
    says(romeo)
    says(romeo, to=f"{JULIET}/laptop")
    assert app.told() == 2


def test_an_inactive_client_is_told(server, app, romeo):
    """XEP-0352 §1: nobody looks at it; once somebody does, it is not."""
    phone = server.login(f"{JULIET}/phone")
    enables(phone)
    phone.says(CSI.format("inactive"))
    says(romeo)
    assert app.told() == 1
    phone.says(CSI.format("active"))
    says(romeo)
    assert app.told() == 0


def test_a_client_that_lost_its_link_is_told(server, app, romeo):
    """XEP-0198 §5: it may come back for what waits."""
    phone = server.login(f"{JULIET}/phone")
    phone.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    enables(phone)
    phone.vanishes()
    says(romeo)
    assert app.told() == 1


def test_a_client_that_was_thought_to_be_there_is_told_late(server, app, romeo):
    """XEP-0198 §4: of what went into a link that was dead by then, and of nothing else."""
    phone = server.login(f"{JULIET}/phone")
    enables(phone)
    phone.says("<enable xmlns='urn:xmpp:sm:3' resume='true'/>")
    says(romeo, "acknowledged")
    phone.says("<a xmlns='urn:xmpp:sm:3' h='1'/>")
    phone.says(CSI.format("inactive"))
    says(romeo, "published before")
    assert app.told() == 1
    phone.says(CSI.format("active"))
    says(romeo, "never arrived")
    romeo.says(f"<message to='{JULIET}'><received xmlns='urn:xmpp:receipts' id='m'/></message>")
    assert app.told() == 0
    phone.vanishes()
    assert app.told() == 1


def test_the_count_begins_anew_when_the_client_comes(server, app, romeo):
    """§7: the number of messages that it has not seen."""
    has_phone(server)
    says(romeo)
    says(romeo)
    server.login(f"{JULIET}/phone").closes()
    app.told()
    says(romeo)
    assert len(published(app, count=1)) == 1


@pytest.mark.parametrize(
    "message",
    [
        "<message to='{}' type='chat'><active xmlns='http://jabber.org/protocol/chatstates'/></message>",
        "<message to='{}'><received xmlns='urn:xmpp:receipts' id='m'/></message>",
        "<message to='{}' type='headline'><body>news</body></message>",
    ],
)
def test_what_nobody_waits_for_is_not_published(server, app, romeo, message):
    """§7: the classification of rules/traffic.py decides."""
    has_phone(server)
    romeo.says(message.format(JULIET))
    assert app.told() == 0


def test_what_is_refused_is_not_published(server, app, romeo):
    """§7: as when the recipient blocks its sender."""
    has_phone(server)
    says(romeo, more="<no-store xmlns='urn:xmpp:hints'/>")
    assert fitting(romeo.received, "<message type='error'/>")
    assert app.told() == 0


def test_it_is_published_when_the_message_is_durable(server, host, app, romeo):
    """Architecture §6: a notification for what may still be lost would be a lie."""
    has_phone(server)
    now(host.account("juliet"))
    pace = Pace(host.store)
    pace.held = True
    says(romeo)
    assert app.told() == 0
    pace.go_on()
    assert app.told() == 1
    pace.held = True
    says(romeo)
    pace.step(StoreFull("there is no room"))
    pace.go_on()
    assert app.told() == 0


def test_a_room_concerns_the_client_that_is_in_it(server, app, romeo):
    """XEP-0045 §7.4: the others of the account are not."""
    has_phone(server)
    server.login(f"{JULIET}/laptop")
    says(romeo, to=f"{JULIET}/laptop", type="groupchat")
    assert app.told() == 0


def test_a_subscription_request_is_published(server, app, romeo):
    """§7: somebody waits for an answer."""
    has_phone(server)
    romeo.says(f"<presence type='subscribe' to='{JULIET}'/>")
    assert app.told() == 1


@pytest.mark.server(options={"push": {"sender": True, "body": True}})
def test_more_is_told_where_the_operator_wants_it(server, app, romeo):
    """§9: not by default."""
    has_phone(server)
    says(romeo, "wherefore")
    for var, value in (
        ("last-message-sender", "romeo@example.org/orchard"),
        ("last-message-body", "wherefore"),
    ):
        assert f"<field var='{var}'><value>{value}</value></field>" in app.published[0]


# what comes back


@pytest.mark.parametrize("condition", ["item-not-found", "forbidden", "not-authorized", "gone"])
def test_a_refusal_disables(server, app, romeo, condition):
    """§7.1: at once."""
    has_phone(server)
    app.condition = condition
    says(romeo)
    says(romeo)
    assert app.told() == 1
    assert now(server.store.query("SELECT * FROM push")) == []


@pytest.mark.server(options={"push": {"errors": 3}})
def test_failures_in_a_row_disable(server, app, romeo):
    """§7.1: what may be over soon is forgiven, some times."""
    has_phone(server)
    app.condition = "internal-server-error"
    says(romeo)
    says(romeo)
    app.condition = None
    says(romeo)
    app.condition = "internal-server-error"
    for _ in range(4):
        says(romeo)
    assert app.told() == 6
    assert now(server.store.query("SELECT * FROM push")) == []


@pytest.mark.server(options={"push": {"errors": 2, "patience": 10}})
def test_what_fails_together_is_one_failure(server, app, romeo):
    """§7.1: a service that is away for a moment misses several at once."""
    has_phone(server)
    app.silent = True
    for _ in range(5):
        says(romeo)
    server.advance(11)
    says(romeo)
    assert app.told() == 6
    server.advance(11)
    says(romeo)
    assert app.told() == 0


@pytest.mark.server(options={"push": {"errors": 2}})
def test_a_service_that_is_not_there_is_disabled_too(server, romeo):
    """§7.1: as one that answers so."""
    has_phone(server)
    says(romeo)
    assert len(now(server.store.query("SELECT * FROM push"))) == 1
    says(romeo)
    assert now(server.store.query("SELECT * FROM push")) == []


def test_an_old_failure_does_not_disable_what_is_new(server, app, romeo):
    """§5: it was enabled anew meanwhile."""
    has_phone(server)
    app.silent = True
    for _ in range(10):
        says(romeo)
        has_phone(server)
        server.advance(100)
    assert len(now(server.store.query("SELECT * FROM push"))) == 1


def test_a_service_that_does_not_answer_is_not_flooded(server, app, romeo):
    """What waits for an answer is bounded."""
    has_phone(server)
    app.silent = True
    for _ in range(60):
        says(romeo)
    assert app.told() == 50
    server.advance(100)
    app.silent = False
    says(romeo)
    assert len(published(app, count=61)) == 1


def test_the_end_of_the_server_disables_nothing(server, app, romeo):
    """Whoever waits for an answer then is not to blame."""
    has_phone(server)
    app.silent = True
    for _ in range(10):
        says(romeo)
    now(server.host.switch(STOPPING).tell(server.host))
    server.host.requests.stop()
    assert len(now(server.store.query("SELECT * FROM push"))) == 1


def test_a_service_takes_back_its_permission(server, app, romeo):
    """§8: for the account or for the server."""
    has_phone(server)
    notice = domish.Element((None, "message"))
    notice["from"], notice["to"] = APP, JULIET
    pubsub = notice.addElement(("http://jabber.org/protocol/pubsub", "pubsub"))
    pubsub["node"] = "n"
    affiliation = pubsub.addElement("affiliation")
    affiliation["jid"], affiliation["affiliation"] = JULIET, "none"
    app.send(notice)
    says(romeo)
    assert app.told() == 0


def test_nobody_else_takes_it_back(server, app, romeo):
    """§8: only the service that was enabled."""
    has_phone(server)
    romeo.says(
        f"<message to='{JULIET}'><pubsub xmlns='http://jabber.org/protocol/pubsub' node='n'>"
        f"<affiliation jid='{JULIET}' affiliation='none'/></pubsub></message>"
    )
    says(romeo)
    assert app.told() == 1
