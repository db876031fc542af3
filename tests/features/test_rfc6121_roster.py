"""RFC 6121 §2: the roster."""

import pytest

from imsuite.testing.memory import befriend, now
from imsuite.testing.patterns import read
from tests.helpers import fitting, holds, iq_error

FETCH = "<iq type='get' id='f'{}><query xmlns='jabber:iq:roster'/></iq>"
SET = "<iq type='set' id='s'><query xmlns='jabber:iq:roster'>{}</query></iq>"
JULIET = "<item jid='juliet@example.org'/>"
REMOVE = "<item jid='juliet@example.org' subscription='remove'/>"
PUSH = "<iq type='set'><query xmlns='jabber:iq:roster'>{}</query></iq>"
ITEM = "{jabber:iq:roster}item"
CORE = ["bind", "roster", "presence", "messages"]


def items(client):
    """Return the items of its roster as elements by JID."""
    (answer,) = client.says(FETCH.format(""))
    return {item.get("jid"): item for item in read(answer).iter(ITEM)}


def groups(item):
    return [group.text for group in item]


def test_an_empty_roster_is_a_result(romeo):
    """§2.1.4"""
    (got,) = romeo.says(FETCH.format(""))
    assert holds(got, "<iq type='result' id='f'><query xmlns='jabber:iq:roster'/></iq>")
    assert read(got).get("from") is None


def test_own_bare_address_means_oneself(romeo):
    """Pitfall 18"""
    (got,) = romeo.says(FETCH.format(" to='romeo@example.org'"))
    assert holds(got, "<iq type='result' id='f' from='romeo@example.org'/>")


def test_item_is_kept_with_name_and_groups(server, romeo):
    """§2.3, §2.4: a set replaces both."""
    inner = "<item jid='juliet@example.org' name='{}'><group>{}</group><group>Z</group></item>"
    romeo.says(SET.format(inner.format("Julia &lt;3", "Freunde &amp; Feinde")))
    server.host.forget("romeo")
    late = server.login("romeo@example.org/late")
    found = items(late)["juliet@example.org"]
    assert (found.get("name"), found.get("subscription")) == ("Julia <3", "none")
    assert groups(found) == ["Freunde & Feinde", "Z"]
    late.says(SET.format(JULIET))
    found = items(late)["juliet@example.org"]
    assert (found.get("name"), groups(found)) == (None, [])


@pytest.mark.parametrize("lie", ["both", "from", "to", "nonsense"])
def test_only_removal_counts_of_what_a_client_says_of_a_subscription(romeo, lie):
    """§2.1.2.5, §2.1.5, pitfall 21"""
    item = f"<item jid='juliet@example.org' subscription='{lie}' ask='subscribe' approved='true'/>"
    assert len(fitting(romeo.says(SET.format(item)), "<iq type='result' id='s'/>")) == 1
    assert dict(items(romeo)["juliet@example.org"].attrib) == {
        "jid": "juliet@example.org",
        "subscription": "none",
    }


@pytest.mark.parametrize(
    ("inner", "condition"),
    [
        ("", "bad-request"),
        (JULIET + "<item jid='tybalt@example.org'/>", "bad-request"),
        ("<item/>", "bad-request"),
        ("<item jid='juliet@example.org/balcony'/>", "bad-request"),
        ("<item jid='@'/>", "jid-malformed"),
        (
            "<item jid='juliet@example.org'><group>a</group><group>a</group></item>",
            "bad-request",
        ),
        ("<item jid='juliet@example.org'><group/></item>", "not-acceptable"),
        (
            f"<item jid='juliet@example.org'><group>{'g' * 1024}</group></item>",
            "not-acceptable",
        ),
        (f"<item jid='juliet@example.org' name='{'n' * 1024}'/>", "not-acceptable"),
        (
            "<item jid='juliet@example.org'>"
            + "".join(f"<group>{number}</group>" for number in range(65))
            + "</item>",
            "not-acceptable",
        ),
        (REMOVE, "item-not-found"),
        ("<item jid='romeo@example.org'/>", "not-allowed"),
    ],
)
def test_wrong_set_is_refused_and_changes_nothing(romeo, inner, condition):
    """§2.3.3, §2.5.3"""
    (got,) = romeo.says(SET.format(inner))
    assert holds(got, iq_error("s", condition))
    assert items(romeo) == {}


@pytest.mark.parametrize("to", ["juliet@example.org", "nobody@example.org"])
@pytest.mark.parametrize("type", ["get", "set"])
def test_the_roster_of_another_is_forbidden(romeo, juliet, type, to):
    """§2.1.3, §2.3.3; the answer does not tell whether there is such an account."""
    query = (
        f"<iq type='{type}' id='q' to='{to}'><query xmlns='jabber:iq:roster'>{JULIET}</query></iq>"
    )
    (got,) = romeo.says(query)
    assert holds(got, iq_error("q", "forbidden"))


@pytest.mark.server(features=CORE, options={"roster": {"items": 2}})
def test_a_roster_can_be_full(romeo, juliet):
    for name in ("a", "b"):
        romeo.says(SET.format(f"<item jid='{name}@example.org'/>"))
    (got,) = romeo.says(SET.format(JULIET))
    assert holds(got, iq_error("s", "resource-constraint"))
    assert romeo.says(SET.format("<item jid='a@example.org' name='still'/>"))
    got = romeo.says("<presence type='subscribe' to='juliet@example.org'/>")
    assert "resource-constraint" in got[0]
    assert juliet.received == []


def test_push_goes_to_the_resources_that_asked_for_the_roster(server, romeo):
    """§2.1.6, §2.2, pitfall 22: without presence too."""
    silent = server.login("romeo@example.org/silent", available=False)
    careless = server.login("romeo@example.org/careless", roster=False)
    romeo.forget()
    got = romeo.says(SET.format(JULIET))
    push = PUSH.format("<item jid='juliet@example.org' subscription='none'/>")
    assert len(fitting(got, push)) == 1
    assert len(fitting(silent.received, push)) == 1
    assert careless.received == []
    sent = read(silent.received[0])
    assert (sent.get("from"), sent.get("to")) == (None, "romeo@example.org/silent")
    assert silent.says(f"<iq type='result' id='{sent.get('id')}'/>") == []


def test_pushes_have_different_ids(server, romeo):
    ids = {
        read(push).get("id")
        for number in range(5)
        for push in fitting(
            romeo.says(SET.format(f"<item jid='{number}@example.org'/>")), "<iq type='set'/>"
        )
    }
    assert len(ids) == 5


def test_a_client_may_refuse_a_push(romeo):
    """§2.1.6: it is not answered, nor does it end anything."""
    assert romeo.says("<iq type='error' id='x'><error type='cancel'/></iq>") == []
    assert not romeo.gone


def test_set_gets_one_answer_although_a_server_is_not_found(romeo):
    """RFC 6120 §8.2.3: removing ends the subscription, and its failure is not the set's."""
    romeo.says("<presence type='subscribe' to='juliet@far.example'/>")
    romeo.forget()
    got = romeo.says(SET.format("<item jid='juliet@far.example' subscription='remove'/>"))
    answers = [each for each in map(read, got) if each.get("id") == "s"]
    assert [each.get("type") for each in answers] == ["result"]
    assert items(romeo) == {}


def test_removal_ends_both_subscriptions(server, friends):
    """§2.5.2"""
    romeo, juliet = friends
    got = romeo.says(SET.format(REMOVE))
    assert fitting(got, PUSH.format("<item jid='juliet@example.org' subscription='remove'/>"))
    told = [read(each) for each in juliet.received]
    seen = [(each.tag.partition("}")[2], each.get("type"), each.get("from")) for each in told]
    assert ("presence", "unsubscribe", "romeo@example.org") in seen
    assert ("presence", "unsubscribed", "romeo@example.org") in seen
    gone = ("presence", "unavailable", "romeo@example.org/orchard")
    assert seen.count(gone) == 1
    assert seen.index(gone) < seen.index(("presence", "unsubscribed", "romeo@example.org"))
    assert items(romeo) == {}
    assert items(juliet)["romeo@example.org"].get("subscription") == "none"
    assert fitting(got, "<presence type='unavailable' from='juliet@example.org/balcony'/>")


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("", []),
        ("u subscribe", ["unsubscribe"]),
        ("u subscribe, c subscribed", ["unsubscribe"]),
        ("c subscribe, u subscribed", ["unsubscribed"]),
        ("c subscribe", ["unsubscribed"]),
        ("u subscribe, c subscribe", ["unsubscribe", "unsubscribed"]),
        ("u subscribe, c subscribed, c subscribe", ["unsubscribe", "unsubscribed"]),
        ("c subscribe, u subscribed, u subscribe", ["unsubscribe", "unsubscribed"]),
    ],
)
@pytest.mark.server(features=CORE)
def test_removal_tells_the_contact_what_ended(server, romeo, before, told):
    """§2.5.2: according to the state; requests that wait end too."""
    sent = []

    class Remote:
        def receive(self, passing):
            sent.append(passing.stanza)

    server.router.remote = Remote()
    far = "juliet@far.example"
    romeo.says(SET.format(f"<item jid='{far}'/>"))
    for step in filter(None, before.split(", ")):
        who, kind = step.split()
        if who == "u":
            romeo.says(f"<presence type='{kind}' to='{far}'/>")
        else:
            arrive(server, kind, far)
    sent.clear()
    romeo.says(SET.format(f"<item jid='{far}' subscription='remove'/>"))
    kinds = [stanza.type for stanza in sent if stanza.type != "unavailable"]
    assert kinds == told
    # nothing is left of it
    arrive(server, "subscribed", far)
    assert items(romeo) == {}
    late = server.login("romeo@example.org/late", available=False)
    assert fitting(late.says("<presence/>"), "<presence type='subscribe'/>") == []


def arrive(server, kind, sender):
    from imsuite.core.hooks import Passing
    from imsuite.xmpp.address import parse
    from imsuite.xmpp.stanza import make

    stanza = make("presence", {"type": kind, "from": sender, "to": "romeo@example.org"})
    later = server.router.route(Passing(stanza, None, parse(sender)))
    if later is not None:
        now(later)
    server.settle()


def test_item_of_somebody_who_asked_does_not_lose_the_request(server, romeo, juliet):
    """§2.3.1: a set does not touch the subscription."""
    juliet.says("<presence type='subscribe' to='romeo@example.org'/>")
    romeo.says(SET.format(JULIET))
    romeo.says("<presence type='subscribed' to='juliet@example.org'/>")
    assert items(romeo)["juliet@example.org"].get("subscription") == "from"


def test_contact_may_be_a_domain_or_have_a_name_that_is_prepared(romeo):
    """§2.1.2.3, pitfall 13: the same contact in any spelling is one item."""
    for jid in ("Juliet@Example.ORG", "juliet@example.org.", "gateway.example.org"):
        romeo.says(SET.format(f"<item jid='{jid}'/>"))
    assert list(items(romeo)) == ["juliet@example.org", "gateway.example.org"]


def test_rosters_of_different_accounts_are_apart(romeo, juliet):
    romeo.says(SET.format("<item jid='tybalt@example.org'/>"))
    assert juliet.received == []
    assert items(juliet) == {}


def test_contacts_learn_that_an_account_is_gone(server, friends):
    """XEP-0077 §3.2; RFC 6121 §3.3"""
    _, juliet = friends
    tybalt = server.login("tybalt@example.org/x")
    tybalt.says("<presence type='subscribe' to='romeo@example.org'/>")
    tybalt.forget()
    now(server.host.registrar.delete("romeo"))
    for kind in ("unsubscribe", "unsubscribed"):
        assert fitting(juliet.received, f"<presence type='{kind}' from='romeo@example.org'/>")
    gone = "<presence type='unavailable' from='romeo@example.org/orchard'/>"
    assert len(fitting(juliet.received, gone)) == 1
    assert fitting(tybalt.received, "<presence type='unsubscribed' from='romeo@example.org'/>")
    assert items(juliet)["romeo@example.org"].get("subscription") == "none"


def test_roster_of_a_removed_account_is_not_found_again(server, friends):
    romeo, _ = friends
    now(server.host.registrar.delete("romeo"))
    assert romeo.gone
    again = server.login("romeo@example.org/orchard")
    assert items(again) == {}


def test_befriended_see_each_other(server, romeo, juliet):
    befriend(romeo, juliet)
    assert [items(each).popitem()[1].get("subscription") for each in (romeo, juliet)] == [
        "both",
        "both",
    ]
