"""XEP-0313: what is archived, and what of it is asked for."""

import pytest

from imsuite.core.feature import At
from imsuite.core.interfaces import IArchive
from imsuite.testing.memory import now
from tests.archives import MAM, Answer, ask, ask_for, fill, form, rows, rsm
from tests.helpers import holds, iq_error, value, values

JULIET, ROMEO = "juliet@example.org", "romeo@example.org"
SID = "<stanza-id xmlns='urn:xmpp:sid:0' by='{}' id='{{id}}'/>"
NO_STORE = "<no-store xmlns='urn:xmpp:hints'/>"
METADATA = f"<iq type='get' id='m'><metadata xmlns='{MAM}'/></iq>"


# what is archived


def test_a_message_is_in_both_archives(romeo, juliet):
    """§6.1.1"""
    fill(romeo, JULIET, ["hello"])
    assert ask(romeo).bodies == ["hello"]
    assert ask(juliet).bodies == ["hello"]


def test_its_body_is_stored_once(host, romeo, juliet):
    """Architecture §6"""
    fill(romeo, JULIET, ["hello"])
    ((refs, raw),) = rows(host, "message", "refs, raw")
    assert refs == 2
    assert b"hello" in raw
    assert b"stanza-id" not in raw


def test_it_is_archived_once_however_many_get_it(server, host, romeo, juliet):
    """§6.1.1"""
    chamber = server.login("juliet@example.org/chamber")
    juliet.forget()
    fill(romeo, JULIET, ["hello"])
    assert len(chamber.received) == len(juliet.received) == 1
    assert ask(juliet).bodies == ["hello"]
    assert len(rows(host, "archive")) == 2


@pytest.mark.parametrize("to", [" to='romeo@example.org'", " to='romeo@example.org/garden'", ""])
def test_a_message_to_oneself_is_archived_once(server, host, romeo, to):
    """§6.1.1, §3.5"""
    garden = server.login("romeo@example.org/garden")
    romeo.says(f"<message type='chat'{to}><body>a note</body></message>")
    assert ask(romeo).bodies == ["a note"]
    assert len(rows(host, "archive")) == 1
    assert value(garden.received[0], f"<message>{SID.format(ROMEO)}</message>") == ask(romeo).ids[0]


def test_who_receives_it_learns_its_id(romeo, juliet):
    """§3.5"""
    fill(romeo, JULIET, ["hello"])
    id = value(juliet.received[0], f"<message>{SID.format(JULIET)}</message>")
    assert ask(juliet).ids == [id]


def test_contacts_do_not_learn_the_id_of_the_sender(romeo, juliet):
    """§3.5: MUST NOT"""
    fill(romeo, JULIET, ["hello"])
    assert juliet.received[0].count("<stanza-id") == 1
    assert f"by='{ROMEO}'" not in juliet.received[0]


@pytest.mark.parametrize(
    "inner",
    [
        "<body>hi</body>",
        "<encrypted xmlns='eu.siacs.conversations.axolotl'><payload/></encrypted>",
        "<displayed xmlns='urn:xmpp:chat-markers:0' id='1'/>",
        "<received xmlns='urn:xmpp:receipts' id='1'/>",
        "<propose xmlns='urn:xmpp:jingle-message:0' id='1'/>",
        "<reactions xmlns='urn:xmpp:reactions:0' id='1'><reaction>+</reaction></reactions>",
        "<store xmlns='urn:xmpp:hints'/>",
    ],
)
def test_what_has_content_is_archived(romeo, juliet, inner):
    """§3: all messages that hold meaningful content"""
    romeo.says(f"<message to='{JULIET}' type='chat' id='1'>{inner}</message>")
    (result,) = ask(juliet).results
    assert holds(
        result,
        f"<message><result xmlns='{MAM}'><forwarded xmlns='urn:xmpp:forward:0'>"
        f"<message xmlns='jabber:client'>{inner}</message></forwarded></result></message>",
    )


@pytest.mark.parametrize(
    "message",
    [
        "<message to='{}' type='chat'><composing xmlns='http://jabber.org/protocol/chatstates'/></message>",
        f"<message to='{{}}' type='chat'><body>hi</body>{NO_STORE}</message>",
        "<message to='{}' type='headline'><body>hi</body></message>",
        "<message to='{}' type='error'><body>hi</body></message>",
    ],
)
def test_what_has_none_is_not_archived(host, romeo, juliet, message):
    """§3; XEP-0334 §4"""
    romeo.says(message.format("juliet@example.org/balcony"))
    assert juliet.received
    assert "stanza-id" not in juliet.received[0]
    assert rows(host, "archive") == rows(host, "message") == []


def test_what_is_refused_is_in_no_archive(host, romeo, juliet):
    """§6.1: only messages accepted for delivery"""
    juliet.says(
        "<iq type='set' id='b'><block xmlns='urn:xmpp:blocking'>"
        "<item jid='romeo@example.org'/></block></iq>"
    )
    fill(romeo, JULIET, ["hello"])
    romeo.says("<message to='nobody@example.org'><body>hi</body></message>")
    assert rows(host, "archive") == rows(host, "message") == []


# results


def test_a_result_holds_the_message_as_it_came(server, romeo, juliet):
    """§4.2: forwarded, with the time it was received"""
    server.advance(1.5)
    fill(romeo, JULIET, ["Call me but love"])
    (result,) = ask(juliet).results
    uid = value(
        result,
        f"""<message from='juliet@example.org' to='juliet@example.org/balcony'>
        <result xmlns='{MAM}' queryid='f27' id='{{id}}'>
        <forwarded xmlns='urn:xmpp:forward:0'>
        <delay xmlns='urn:xmpp:delay' stamp='2026-01-01T00:00:01.500000Z'/>
        <message xmlns='jabber:client' from='romeo@example.org/orchard' to='juliet@example.org'
        type='chat'><body>Call me but love</body></message></forwarded></result></message>""",
    )
    assert uid == ask(juliet).ids[0]


def test_the_answer_comes_last_and_names_both_ends(romeo, juliet):
    """§4: after the last result"""
    fill(romeo, JULIET, "abc")
    answer = ask(romeo)
    assert holds(
        answer.fin,
        f"<iq type='result' id='q'><fin xmlns='{MAM}' complete='true'>"
        f"<set xmlns='http://jabber.org/protocol/rsm'><first index='0'>{answer.ids[0]}</first>"
        f"<last>{answer.ids[-1]}</last><count>3</count></set></fin></iq>",
    )


def test_no_queryid_where_none_was_given(romeo, juliet):
    """§4.2: only if the client gave one"""
    fill(romeo, JULIET, "a")
    result, _ = romeo.says(f"<iq type='set' id='q'><query xmlns='{MAM}'/></iq>")
    assert "queryid" not in result


def test_an_empty_archive_is_complete(romeo):
    """§4.1: still considered successful"""
    answer = ask(romeo)
    assert (answer.results, answer.complete, answer.first) == ([], True, None)


def test_ids_are_unique_and_sort_as_they_came(server, host, romeo, juliet):
    """§6.2: also when the clock stands still or goes back"""
    fill(romeo, JULIET, "abc")
    server.clock.rightNow -= 100
    fill(juliet, ROMEO, "def")
    answer = ask(romeo)
    assert answer.bodies == list("abcdef")
    assert answer.ids == sorted(set(answer.ids))


# filters


def test_with_a_bare_address(server, romeo, juliet):
    """§4.1.1: to or from any resource"""
    server.login("juliet@example.org/chamber")
    server.login("nurse@example.org/house")
    fill(romeo, "juliet@example.org/chamber", ["one"])
    fill(romeo, "nurse@example.org", ["two"])
    fill(juliet, "romeo@example.org/orchard", ["three"])
    assert ask(romeo, with_="juliet@example.org").bodies == ["one", "three"]
    assert ask(romeo, with_="JULIET@example.org").bodies == ["one", "three"]
    assert ask(romeo, with_="tybalt@example.org").bodies == []


def test_with_a_full_address(server, romeo, juliet):
    """§4.1.1: no other resource"""
    fill(romeo, "juliet@example.org/balcony", ["one"])
    fill(romeo, "juliet@example.org", ["two"])
    fill(juliet, "romeo@example.org/orchard", ["three"])
    assert ask(romeo, with_="juliet@example.org/balcony").bodies == ["one", "three"]


def test_with_oneself(romeo, juliet):
    """§4.1.1: only notes to oneself"""
    fill(romeo, JULIET, ["one"])
    romeo.says("<message type='chat'><body>two</body></message>")
    fill(romeo, "romeo@example.org/orchard", ["three"])
    assert ask(romeo, with_=ROMEO).bodies == ["two", "three"]


def test_start_and_end_are_included(server, romeo, juliet):
    """§4.1.2: equal or later, equal or earlier"""
    for text in "abc":
        server.advance(1)
        fill(romeo, JULIET, text)
    assert ask(romeo, start="2026-01-01T00:00:02Z").bodies == ["b", "c"]
    assert ask(romeo, end="2026-01-01T00:00:02Z").bodies == ["a", "b"]
    assert ask(romeo, start="2026-01-01T01:00:02+01:00", end="2026-01-01T00:00:02.000Z").bodies == [
        "b"
    ]
    assert ask(romeo, start="2026-01-01T00:00:03Z", end="2026-01-01T00:00:02Z").bodies == []
    assert ask(romeo, start="0001-01-01T00:00:00Z", end="9999-12-31T23:59:59Z").bodies == [*"abc"]


def test_between_ids(romeo, juliet):
    """§4.1.3: neither end is included"""
    fill(romeo, JULIET, "abcde")
    ids = ask(romeo).ids
    assert ask(romeo, after_id=ids[1]).bodies == ["c", "d", "e"]
    assert ask(romeo, before_id=ids[1]).bodies == ["a"]
    answer = ask(romeo, after_id=ids[0], before_id=ids[4])
    assert (answer.bodies, answer.complete) == (["b", "c", "d"], True)


def test_pages_within_bounds(romeo, juliet):
    """§4.1.3, §4.3: before-id does not turn the direction"""
    fill(romeo, JULIET, "abcdef")
    ids = ask(romeo).ids
    first = ask(romeo, "<max>2</max>", before_id=ids[5])
    assert (first.bodies, first.complete) == (["a", "b"], False)
    last = ask(romeo, "<max>2</max><before/>", before_id=ids[5], after_id=ids[0])
    assert (last.bodies, last.complete) == (["d", "e"], False)


def test_by_ids(romeo, juliet):
    """§4.1.3: in the order of the archive, each once"""
    fill(romeo, JULIET, "abcde")
    ids = ask(romeo).ids
    answer = ask(romeo, ids=[ids[3], ids[1], ids[3]])
    assert (answer.bodies, answer.complete) == (["b", "d"], True)
    page = ask(romeo, "<max>1</max><before/>", ids=[ids[3], ids[1]])
    assert (page.bodies, page.complete) == (["d"], False)
    assert ask(romeo, ids=[ids[3], ids[1]], with_="nurse@example.org").bodies == []


@pytest.mark.parametrize("field", ["before-id", "after-id", "ids"])
def test_unknown_ids_are_not_found(romeo, juliet, field):
    """§4.1.3; nor is a guessed id, or one of another's archive"""
    fill(juliet, JULIET, "a")
    fill(romeo, JULIET, "b")
    (known,) = ask(romeo).ids
    (others, _) = ask(juliet).ids
    guessed = known[:-1] + ("0" if known[-1] != "0" else "1")
    for uid in ("28482-98726-73623", "", guessed, known.upper() + "x", others):
        answer = ask_for(romeo, {field: uid})
        assert holds(answer.fin, iq_error("q", "item-not-found")), uid
    assert not ask_for(romeo, {field: known}).error


def test_groupchat_may_be_left_out(romeo, juliet):
    """§4.1.4: there is none, and the field is known"""
    fill(romeo, JULIET, "a")
    assert ask(romeo, include_groupchat="false").bodies == ["a"]
    assert ask(romeo, include_groupchat="true").bodies == ["a"]


# what is wrong


@pytest.mark.parametrize(
    ("fields", "condition"),
    [
        ({"start": "yesterday"}, "bad-request"),
        ({"end": "2026-02-30T00:00:00Z"}, "bad-request"),
        ({"start": ["2026-01-01T00:00:00Z", "2026-01-02T00:00:00Z"]}, "bad-request"),
        ({"with": "@"}, "jid-malformed"),
        ({"include-groupchat": "perhaps"}, "bad-request"),
        ({"{http://example.com/}mood": "lonely"}, "feature-not-implemented"),
        ({"with": JULIET, "without": ROMEO}, "feature-not-implemented"),
    ],
)
def test_bad_filters(romeo, fields, condition):
    """§4.1.2, §4.1.5"""
    assert holds(ask_for(romeo, fields).fin, iq_error("q", condition))


@pytest.mark.parametrize(
    "inner",
    [
        "<x xmlns='jabber:x:data' type='form'/>",
        "<x xmlns='jabber:x:data' type='cancel'/>",
        form({}).replace(MAM, "urn:xmpp:other"),
        form({"start": "2026-01-01T00:00:00Z"}) + rsm("<max>many</max>"),
        rsm("<max>-1</max>"),
        rsm("<max>1</max><after>x</after><before>y</before>"),
    ],
)
def test_bad_requests(romeo, inner):
    """XEP-0004 §3.2, XEP-0059 §2"""
    (answer,) = romeo.says(f"<iq type='set' id='q'><query xmlns='{MAM}'>{inner}</query></iq>")
    assert holds(answer, iq_error("q", "bad-request"))


def test_what_names_a_node_is_not_about_messages(romeo):
    """§6.1.3: XEP-0442 is asked, and finds no such node."""
    (answer,) = romeo.says(f"<iq type='set' id='q'><query xmlns='{MAM}' node='n'/></iq>")
    assert holds(answer, iq_error("q", "item-not-found"))


@pytest.mark.server(features=("default", "-nodearchives"))
def test_an_archive_has_no_nodes_without_0442(romeo):
    """§6.1.3: that is for pubsub"""
    (answer,) = romeo.says(f"<iq type='set' id='q'><query xmlns='{MAM}' node='n'/></iq>")
    assert holds(answer, iq_error("q", "feature-not-implemented"))


def test_too_many_ids(romeo):
    ids = [f"{number:032x}" for number in range(251)]
    assert holds(ask(romeo, ids=ids).fin, iq_error("q", "policy-violation"))


@pytest.mark.parametrize("to", ["romeo@example.org", "nobody@example.org"])
@pytest.mark.parametrize(("type", "name"), [
    ("set", "query"), ("get", "query"), ("get", "metadata"), ("get", "prefs"), ("set", "prefs"),
])  # fmt: skip
def test_nobody_reads_anothers_archive(romeo, juliet, to, type, name):
    """§8.1: forbidden, whether or not there is one"""
    (answer,) = juliet.says(f"<iq type='{type}' id='q' to='{to}'><{name} xmlns='{MAM}'/></iq>")
    assert holds(answer, iq_error("q", "forbidden"))


def test_results_come_from_the_archive_asked(romeo, juliet):
    """§8.2: also if it is named"""
    fill(romeo, JULIET, "a")
    answer = ask(romeo, to=" to='romeo@example.org'")
    assert answer.bodies == ["a"]
    assert holds(answer.fin, "<iq type='result' from='romeo@example.org'/>")


# the form, the metadata, the features


def test_the_form(romeo):
    """§4.1.5: every field, none of them required, ids open"""
    (answer,) = romeo.says(f"<iq type='get' id='f'><query xmlns='{MAM}'/></iq>")
    fields = {
        "with": "jid-single",
        "start": "text-single",
        "end": "text-single",
        "before-id": "text-single",
        "after-id": "text-single",
        "include-groupchat": "boolean",
        "{urn:xmpp:fulltext:0}fulltext": "text-single",
    }
    for name, type in fields.items():
        assert f"<field type='{type}' var='{name}'/>" in answer
    assert holds(
        answer,
        f"<iq type='result' id='f'><query xmlns='{MAM}'><x xmlns='jabber:x:data' type='form'>"
        f"<field type='hidden' var='FORM_TYPE'><value>{MAM}</value></field>"
        "<field type='list-multi' var='ids'>"
        "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:string'><open/>"
        "</validate></field></x></query></iq>",
    )
    assert "required" not in answer


def test_metadata_of_an_empty_archive_is_empty(romeo):
    """§5"""
    (answer,) = romeo.says(METADATA)
    assert f"<metadata xmlns='{MAM}'/>" in answer


def test_metadata_name_both_ends(server, romeo, juliet):
    """§5"""
    fill(romeo, JULIET, "ab")
    server.advance(60)
    fill(romeo, JULIET, "c")
    found = values(
        romeo.says(METADATA)[0],
        f"<iq type='result' id='m'><metadata xmlns='{MAM}'>"
        "<start id='{start}' timestamp='2026-01-01T00:00:00Z'/>"
        "<end id='{end}' timestamp='2026-01-01T00:01:00Z'/></metadata></iq>",
    )
    ids = ask(romeo).ids
    assert found == {"start": ids[0], "end": ids[-1]}


def test_features_are_those_of_the_account(host):
    """§7; XEP-0431 §2.1; XEP-0424 §2, §4"""
    wanted = {
        MAM,
        f"{MAM}#extended",
        f"{MAM}#groupchat-field",
        "urn:xmpp:fulltext:0",
        "urn:xmpp:message-retract:1",
        "urn:xmpp:message-retract:1#tombstone",
    }
    assert wanted <= set(host.advertised(At.SELF))
    for at in (At.HOST, At.ACCOUNT, At.NOBODY):
        assert not wanted & set(host.advertised(at))


# who else wants to know


def test_whom_an_archive_has_given_what(server, host, romeo, juliet):
    """§6.1.1: what a client has found here, need not be delivered a second time."""
    archive = host.find_feature(IArchive)
    fill(romeo, JULIET, "abcdef")
    ids = [id for (id,) in rows(host, "message", "id")]
    balcony, chamber = juliet.session, server.login("juliet@example.org/chamber").session
    assert not archive.asked(balcony)
    ask(juliet, with_=ROMEO)  # that is no catching up
    assert not archive.asked(balcony)
    uids = ask(juliet, "<max>2</max>").ids
    assert [archive.asked(balcony, id) for id in ids] == [True, True, False, False, False, False]
    ask(juliet, "<max>1</max><before/>")
    assert [archive.asked(balcony, id) for id in ids] == [True, True, False, False, False, True]
    ask(juliet, f"<max>3</max><after>{uids[1]}</after>")
    assert all(archive.asked(balcony, id) for id in ids)
    assert not archive.asked(balcony, ids[-1] + 1)
    assert not archive.asked(chamber)
    kept = archive.freeze(balcony)
    archive.thaw(chamber, kept)
    assert all(archive.asked(chamber, id) for id in ids)
    assert archive.freeze(romeo.session) is None
    juliet.closes()
    assert not archive.asked(balcony)


def test_a_slow_reader_is_waited_for(server, host, romeo, juliet):
    """No page is read while the one before has not gone out."""
    fill(romeo, JULIET, "abc")
    romeo.forget()
    romeo.link.congested = True
    assert romeo.says(f"<iq type='set' id='q'><query xmlns='{MAM}'/></iq>") == []
    server.advance(5)
    assert romeo.received == []
    romeo.link.congested = False
    server.advance(1)
    assert len(romeo.received) == 4


def test_nothing_is_kept_of_who_is_gone(host, romeo, juliet):
    """XEP-0077 §3.2: the other side keeps what it has."""
    fill(romeo, JULIET, "abc")
    romeo.says("<message type='chat'><body>note</body></message>")
    now(host.registrar.delete("romeo"))
    assert ask(juliet).bodies == ["a", "b", "c"]
    assert {owner for (owner,) in rows(host, "archive", "owner")} == {JULIET}
    assert [refs for (refs,) in rows(host, "message", "refs")] == [1, 1, 1]
    now(host.registrar.delete("juliet"))
    assert rows(host, "archive") == rows(host, "message") == []
    assert rows(host, "archive_text") == []


def test_what_comes_from_elsewhere_is_archived_for_its_recipient(server, host, juliet):
    """§6.1.1: a message of the domain itself"""
    from imsuite.xmpp.stanza import make

    attributes = {"from": "example.org", "to": JULIET, "type": "normal"}
    host.send(make("message", attributes, b"<body>welcome</body>", "jabber:client}body"))
    server.settle()
    assert ask(juliet, with_="example.org").bodies == ["welcome"]
    assert Answer(juliet.received).ids == ask(juliet).ids
