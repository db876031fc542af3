"""XEP-0317: hats of occupants."""

import pytest

from imsuite.core.service_interfaces import IRooms
from imsuite.features.xep0045_muc import storage
from imsuite.rules.affiliations import Affiliation
from imsuite.testing.memory import now
from imsuite.xmpp import ns as NS
from imsuite.xmpp.stanza import child, children, text_of
from tests.admins import COMMANDS, field, form, runs, says
from tests.covens import COVEN, affiliates, enters, heard, meets, the_room
from tests.helpers import holds

NS_HATS = "urn:xmpp:hats:0"
OF = "urn:xmpp:hats:commands"
HOST = "https://example.org/hats#host"
SCRIBE = "https://example.org/hats#scribe"
JULIET = "juliet@example.org"
REMOVE = "<iq type='set' id='r'><query xmlns='jabber:iq:register'><remove/></query></iq>"


@pytest.fixture
def room(server, romeo, juliet):
    """Romeo's room that lasts; Juliet is in it."""
    room = meets(server, romeo, juliet, persistent=True)
    now(server.host.store.transaction(storage.save, storage.values(room), {}))
    return room


def filled(**values):
    """Return a submission; names without hats#."""
    return form(*(field(f"hats#{name}", value) for name, value in values.items()), of=OF)


def does(client, name, **values):
    """Run a command at once with its form; return the answer."""
    return says(client, f"{OF}:{name}", filled(**values) if values else "", to=COVEN)


def makes(client, uri=HOST, title="Host", **more):
    """Let somebody make a hat, and return the answer."""
    return does(client, "create", title=title, uri=uri, **more)


def gives(client, uri=HOST, to=JULIET):
    """Let somebody give somebody a hat, and return the answer."""
    return does(client, "assign", jid=to, uri=uri)


def is_done(answer):
    done = f"<iq type='result'><command xmlns='{COMMANDS}' status='completed'/></iq>"
    return holds(answer, done)


def hats(stanza):
    """Return (title, uri, hue) of the hats in a presence, None if it shows none."""
    found = stanza.child(NS_HATS, "hats")
    if found is None:
        return None
    return [
        (hat["title"], hat["uri"], hat.getAttribute("hue"))
        for hat in children(found, NS_HATS, "hat")
    ]


def seen(client, nick="balcony"):
    """Return the hats of each presence of somebody that a client got; and forget them."""
    found = [
        hats(stanza)
        for stanza in client.stanzas
        if stanza.kind == "presence" and stanza.sender == f"{COVEN}/{nick}"
    ]
    client.forget()
    return found


def rows(answer_of):
    """Return the items of the table that a command gave."""
    stanza = answer_of.stanzas[-1]
    table = child(stanza.payload, NS.DATA, "x")
    return [
        {
            each["var"].removeprefix("hats#"): text_of(child(each, NS.DATA, "value"))
            for each in children(item, NS.DATA, "field")
        }
        for item in children(table, NS.DATA, "item")
    ]


def hash_of(client):
    """Return what disco says of the list of hats, None if nothing."""
    client.says(f"<iq type='get' id='d' to='{COVEN}'><query xmlns='{NS.DISCO_INFO}'/></iq>")
    query = client.stanzas[-1].payload
    assert NS_HATS in [each["var"] for each in children(query, NS.DISCO_INFO, "feature")]
    fields = children(child(query, NS.DATA, "x"), NS.DATA, "field")
    found = [text_of(child(f, NS.DATA, "value")) for f in fields if f["var"] == "hats#hash"]
    return found[0] if found else None


def test_hats_are_in_presence(server, room, romeo, juliet):
    """§3.1: as soon as they are given, also for who enters later, and in the order given."""
    makes(romeo, SCRIBE, "Scribe", hue="171.430664")
    makes(romeo)
    romeo.forget()
    assert is_done(gives(romeo))
    both = [("Host", HOST, None), ("Scribe", SCRIBE, "171.430664")]
    assert seen(romeo) == [both[:1]]
    assert seen(juliet) == [both[:1]]
    assert is_done(gives(romeo, SCRIBE))
    assert seen(romeo) == [both]
    nurse = server.login("nurse@example.org/kitchen")
    enters(nurse)
    assert seen(nurse) == [both]
    juliet.says(f"<presence to='{COVEN}/balcony'><show>away</show></presence>")
    assert seen(nurse) == [both]
    assert seen(juliet, "kitchen") == [None]


def test_own_presence_shows_them_with_110(room, romeo, juliet):
    """§3.1; XEP-0045 §7.2.2"""
    makes(romeo)
    juliet.forget()
    gives(romeo)
    own = juliet.stanzas[-1].child("http://jabber.org/protocol/muc#user", "x")
    assert [status["code"] for status in children(own, own.uri, "status")] == ["110"]


def test_form_comes_first(room, romeo):
    """§3.2, §3.5, §3.6, §3.3: with the hats that there are"""
    fields = [field("hats#title", "Host"), field("hats#uri", HOST), field("hats#hue", "")]
    assert is_done(runs(romeo, f"{OF}:create", *fields, to=COVEN, of=OF))
    worn = [field("hats#jid", JULIET), field("hats#uri", HOST)]
    for name in ("assign", "unassign"):
        offered = says(romeo, f"{OF}:{name}", to=COVEN)
        assert "<field type='jid-single' var='hats#jid'" in offered, offered
        assert f"<option label='Host'><value>{HOST}</value></option>" in offered
        assert is_done(runs(romeo, f"{OF}:{name}", *worn, to=COVEN, of=OF))
    assert is_done(runs(romeo, f"{OF}:destroy", field("hats#uri", HOST), to=COVEN, of=OF))


def test_they_outlive_the_server(server, room, romeo, juliet):
    """§3.1: a room that is loaded anew has its hats"""
    makes(romeo, SCRIBE, "Scribe")
    makes(romeo, hue="10")
    gives(romeo, HOST)
    gives(romeo, SCRIBE)
    for client in (romeo, juliet):
        client.says(f"<presence to='{COVEN}/{client.jid.resource}' type='unavailable'/>")
    server.advance(700)
    assert server.host.find_feature(IRooms).find(COVEN) is None
    juliet.forget()
    enters(juliet)
    assert seen(juliet) == [[("Host", HOST, "10"), ("Scribe", SCRIBE, None)]]


def test_changed_hat_is_shown(room, romeo, juliet):
    """§3.2: the room says that its configuration changed, and shows who wears it."""
    makes(romeo)
    assert "<status code='104'/>" in juliet.received[-1]
    gives(romeo)
    juliet.forget()
    assert is_done(makes(romeo, title="Hostess", hue="3.5"))
    (message,) = [stanza for stanza in juliet.stanzas if stanza.kind == "message"]
    assert message.sender == COVEN
    assert message.type == "groupchat"
    assert seen(juliet) == [[("Hostess", HOST, "3.5")]]
    assert is_done(makes(romeo, title="Hostess", hue="3.5"))
    assert heard(juliet) == []  # nothing changed


def test_destroyed_hat_is_taken_from_everybody(room, romeo, juliet):
    """§3.3"""
    makes(romeo)
    makes(romeo, SCRIBE, "Scribe")
    gives(romeo)
    gives(romeo, SCRIBE)
    juliet.forget()
    assert is_done(does(romeo, "destroy", uri=HOST))
    assert "<status code='104'/>" in juliet.received[-1]
    assert seen(juliet) == [[("Scribe", SCRIBE, None)]]
    assert is_done(does(romeo, "destroy", uri=SCRIBE))
    assert seen(juliet) == [None]
    does(romeo, "list-assigned")
    assert rows(romeo) == []


def test_hat_is_taken_from_one(room, romeo, juliet):
    """§3.6"""
    makes(romeo)
    gives(romeo)
    gives(romeo, to="romeo@example.org")
    juliet.forget()
    assert is_done(does(romeo, "unassign", jid=JULIET, uri=HOST))
    assert seen(juliet) == [None]
    assert "item-not-found" in does(romeo, "unassign", jid=JULIET, uri=HOST)
    does(romeo, "list-assigned")
    assert [row["jid"] for row in rows(romeo)] == ["romeo@example.org"]


def test_lists(room, romeo):
    """§3.4, §3.7"""
    makes(romeo, hue="327.255249")
    makes(romeo, SCRIBE, "Scribe")
    gives(romeo, SCRIBE, to="nurse@example.com")
    does(romeo, "list")
    scribe = {"title": "Scribe", "uri": SCRIBE}
    assert rows(romeo) == [{"title": "Host", "uri": HOST, "hue": "327.255249"}, scribe]
    does(romeo, "list-assigned")
    assert rows(romeo) == [{"jid": "nurse@example.com"} | scribe]


@pytest.mark.parametrize("affiliation", [Affiliation.NONE, Affiliation.MEMBER])
@pytest.mark.parametrize("name", ["create", "destroy", "assign", "unassign", "list-assigned"])
def test_only_owners_and_admins_give_hats(room, romeo, juliet, affiliation, name):
    """§3.2: "admin"; real addresses are not for everybody"""
    makes(romeo)
    affiliates(room, JULIET, affiliation)
    assert "<forbidden" in does(juliet, name, jid=JULIET, title="Queen", uri=HOST)
    assert is_done(does(juliet, "list"))


def test_admins_give_hats(room, juliet):
    """§3.2"""
    affiliates(room, JULIET, Affiliation.ADMIN)
    assert is_done(makes(juliet))
    assert is_done(gives(juliet, to="romeo@example.org"))


def test_who_is_no_admin_any_more_goes_no_further(room, romeo, juliet):
    """§3.2: also with a form that was begun before"""
    affiliates(room, JULIET, Affiliation.ADMIN)
    begun = says(juliet, f"{OF}:create", to=COVEN)
    affiliates(room, JULIET, Affiliation.MEMBER)
    session = begun.partition("sessionid='")[2].partition("'")[0]
    inner = filled(title="Host", uri=HOST)
    assert "<forbidden" in says(juliet, f"{OF}:create", inner, to=COVEN, sessionid=session)


def test_strangers_do_not_see_the_list(server, room, romeo):
    """§3.4: who is in sees the hats, and members may know them"""
    nurse = server.login("nurse@example.org/kitchen")
    assert "<forbidden" in does(nurse, "list")


@pytest.mark.parametrize(
    "values",
    [
        {"title": "", "uri": HOST},
        {"title": "x" * 101, "uri": HOST},
        {"title": "one\ntwo", "uri": HOST},
        {"title": "Host", "uri": "host"},
        {"title": "Host", "uri": "urn:a b"},
        {"title": "Host", "uri": "urn:" + "a" * 1000},
        {"title": "Host", "uri": HOST, "hue": "red"},
        {"title": "Host", "uri": HOST, "hue": "361"},
        {"title": "Host"},
    ],
)
def test_what_is_no_hat_is_refused(room, romeo, values):
    """§3.1; XEP-0050 §4.4"""
    answer = does(romeo, "create", **values)
    assert "<bad-request" in answer
    assert "<bad-payload" in answer
    does(romeo, "list")
    assert rows(romeo) == []


def test_unknown_hats_are_not_given(room, romeo):
    """§3.5: the form offers those that there are."""
    assert "<item-not-found" in gives(romeo)
    makes(romeo)
    assert "<bad-payload" in gives(romeo, SCRIBE)
    assert "<bad-payload" in gives(romeo, to="a@b@c")
    assert "<not-acceptable" in gives(romeo, to="example.org")
    assert "<item-not-found" in gives(romeo, to=f"{COVEN}/Rosaline")


def test_hat_that_goes_meanwhile_is_not_given(room, romeo):
    """§3.5: when the form was sent before"""
    makes(romeo)
    makes(romeo, SCRIBE, "Scribe")
    session = says(romeo, f"{OF}:assign", to=COVEN).partition("sessionid='")[2].partition("'")[0]
    does(romeo, "destroy", uri=HOST)
    inner = filled(jid=JULIET, uri=HOST)
    assert "<item-not-found" in says(romeo, f"{OF}:assign", inner, to=COVEN, sessionid=session)


def test_occupants_are_named_by_nicknames_too(room, romeo, juliet):
    """§3.5: the account wears it"""
    makes(romeo)
    assert is_done(gives(romeo, to=f"{COVEN}/balcony"))
    does(romeo, "list-assigned")
    assert [row["jid"] for row in rows(romeo)] == [JULIET]


@pytest.mark.server(options={"hats": {"most": 2, "most_worn": 2, "most_each": 1}})
def test_limits(room, romeo):
    """Options of [features.hats]"""
    makes(romeo)
    makes(romeo, SCRIBE, "Scribe")
    assert "<resource-constraint" in makes(romeo, "urn:x:third", "Third")
    assert is_done(makes(romeo, title="Changed"))
    gives(romeo)
    assert is_done(gives(romeo))  # again
    assert "<resource-constraint" in gives(romeo, SCRIBE)
    gives(romeo, to="romeo@example.org")
    assert "<resource-constraint" in gives(romeo, to="nurse@example.org")


def test_hash_changes_with_the_list(room, romeo):
    """§2: and is not there without hats"""
    assert hash_of(romeo) is None
    makes(romeo)
    first = hash_of(romeo)
    makes(romeo, title="Hostess")
    second = hash_of(romeo)
    makes(romeo, SCRIBE, "Scribe")
    assert len({None, first, second, hash_of(romeo)}) == 4
    does(romeo, "destroy", uri=SCRIBE)
    assert hash_of(romeo) == second


def test_commands_are_found(room, romeo, juliet):
    """XEP-0050 §2.2: by those who may run them"""
    query = f"<query xmlns='{NS.DISCO_ITEMS}' node='{COMMANDS}'/>"
    names = {}
    for client in (romeo, juliet):
        client.says(f"<iq type='get' id='c' to='{COVEN}'>{query}</iq>")
        items = children(client.stanzas[-1].payload, NS.DISCO_ITEMS, "item")
        names[client] = [item["node"].removeprefix(f"{OF}:") for item in items]
        assert {item["jid"] for item in items} == {COVEN}
    assert names[romeo] == ["create", "destroy", "assign", "unassign", "list", "list-assigned"]
    assert names[juliet] == ["list"]
    query = f"<query xmlns='{NS.DISCO_INFO}' node='{OF}:list'/>"
    romeo.says(f"<iq type='get' id='c' to='{COVEN}'>{query}</iq>")
    assert "type='command-node'" in romeo.received[-1]
    romeo.says(f"<iq type='get' id='c' to='{COVEN}'>{query.replace('list', 'nothing')}</iq>")
    assert "<item-not-found" in romeo.received[-1]


def test_hats_go_with_the_account(server, room, romeo, juliet):
    """Who takes the name later wears none of them."""
    makes(romeo)
    gives(romeo)
    juliet.says(REMOVE)
    juliet = server.login("juliet@example.org/balcony")
    enters(juliet)
    assert seen(juliet) == [None]


def test_hats_go_with_the_room(server, room, romeo, juliet):
    """A room that is made anew has none."""
    makes(romeo)
    gives(romeo)
    romeo.says(
        f"<iq type='set' id='x' to='{COVEN}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
        "<destroy/></query></iq>"
    )
    store = server.host.store
    for table in ("room_hat", "room_hat_wearer"):
        assert now(store.query(f"SELECT * FROM {table}")) == []
    room = meets(server, romeo, juliet)
    assert room is the_room(server)
    does(romeo, "list")
    assert rows(romeo) == []


def test_what_a_crash_left_of_another_room_does_not_count(server, room, romeo, juliet):
    """The rows say which room of that name they belong to."""
    store, old = server.host.store, room.made - 1
    now(
        store.execute(
            "INSERT INTO room_hat (room, made, uri, title, hue, place)"
            " VALUES (?, ?, ?, 'Old', '', 1)",
            COVEN,
            old,
            HOST,
        )
    )
    makes(romeo)
    gives(romeo)
    assert seen(juliet)[-1] == [("Host", HOST, None)]
    assert now(store.query("SELECT made FROM room_hat")) == [(room.made,)]


def test_nobody_makes_hats_of_his_own(room, romeo, juliet):
    """§3.1: they come from the room"""
    romeo.forget()
    forged = f"<hats xmlns='{NS_HATS}'><hat title='King' uri='urn:x:king'/></hats>"
    juliet.says(f"<presence to='{COVEN}/balcony'>{forged}</presence>")
    assert seen(romeo) == [None]
