"""XEP-0433: public rooms are found by what they say of themselves."""

import re

import pytest

from tests.covens import meets

SERVICE = "conference.example.org"
NS = "urn:xmpp:channel-search:0"
KEY = "{{{}:order}}{}".format


@pytest.fixture
def rooms(server, romeo, juliet):
    """Three rooms that can be found, with two, one and nobody inside, and one that can not."""
    made = {}
    for name, who, config in (
        (
            "coven",
            (romeo, juliet),
            {"name": "The Coven", "description": "Hags and cats", "lang": "en"},
        ),
        ("heath", (juliet,), {"name": "Upon the heath", "description": "", "whois": "anyone"}),
        (
            "vault",
            (romeo,),
            {"name": "Crypt", "description": "cats not allowed", "members_only": True},
        ),
        ("secret", (romeo,), {"name": "Hidden cats", "public": False}),
    ):
        made[name] = meets(server, *who, room=f"{name}@{SERVICE}")
        configure(who[0], f"{name}@{SERVICE}", {"persistent": True, **config})
    romeo.says(f"<presence type='unavailable' to='vault@{SERVICE}/orchard'/>")
    romeo.forget()
    return made


VARS = {
    "name": "roomname",
    "description": "roomdesc",
    "lang": "lang",
    "whois": "whois",
    "members_only": "membersonly",
    "public": "publicroom",
    "persistent": "persistentroom",
}


def configure(client, room, config):
    fields = (
        "".join(
            f"<field var='muc#roomconfig_{VARS[name]}'><value>{value!s}</value></field>"
            for name, value in config.items()
        )
        .replace("True", "1")
        .replace("False", "0")
    )
    (answer, *_) = (
        text
        for text in client.says(
            f"<iq type='set' id='c' to='{room}'><query xmlns='http://jabber.org/protocol/muc#owner'>"
            "<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'>"
            f"<value>http://jabber.org/protocol/muc#roomconfig</value></field>{fields}</x></query></iq>"
        )
        if text.startswith("<iq")
    )
    assert "type='result'" in answer


def search(client, rsm="", **fields):
    """Let a client search; return the answer."""
    inner = "".join(
        f"<field var='{name}'>{''.join(f'<value>{each}</value>' for each in values)}</field>"
        for name, value in fields.items()
        for values in [value if isinstance(value, tuple) else (value,)]
    )
    form = (
        f"<x xmlns='jabber:x:data' type='submit'><field var='FORM_TYPE'><value>{NS}:search-params"
        f"</value></field>{inner}</x>"
    )
    page = f"<set xmlns='http://jabber.org/protocol/rsm'>{rsm}</set>" if rsm else ""
    inner = f"<search xmlns='{NS}:search'>{page}{form}</search>"
    (answer,) = client.says(f"<iq type='get' id='s' to='{SERVICE}'>{inner}</iq>")
    return answer


def names(answer):
    """Return the localparts of what was found, in order."""
    assert "type='result'" in answer, answer
    return re.findall("address='([a-z]+)@", answer)


def failed(answer, condition, app, type):
    return (
        f"<error type='{type}'><{condition} " in answer and f"<{app} xmlns='{NS}:error'/>" in answer
    )


def test_a_service_says_that_it_can(romeo):
    """§4.1"""
    query = "<query xmlns='http://jabber.org/protocol/disco#info'/>"
    (answer,) = romeo.says(f"<iq type='get' id='d' to='{SERVICE}'>{query}</iq>")
    assert f"<feature var='{NS}:search'/>" in answer


def test_the_form_has_all_that_is_known(romeo):
    """§4.2.1, §5: with its defaults."""
    (answer,) = romeo.says(
        f"<iq type='get' id='f' to='{SERVICE}'><search xmlns='{NS}:search'/></iq>"
    )
    for var in ("q", "all", "sinname", "sindescription", "sinaddr", "min_users", "types", "key"):
        assert f"var='{var}'" in answer
    assert f"<value>{NS}:search-params</value>" in answer


def test_words_are_found(rooms, romeo):
    """§4.2.2: all of them, in name, description or address; public rooms only."""
    assert names(search(romeo, q="cats")) == ["coven", "vault"]
    assert names(search(romeo, q="CATS hags")) == ["coven"]
    assert names(search(romeo, q="heath")) == ["heath"]
    assert names(search(romeo, q="vault")) == ["vault"]
    assert names(search(romeo, q="nothing like it")) == []


def test_where_to_search(rooms, romeo):
    """§5.1"""
    assert names(search(romeo, q="cats", sindescription="0")) == []
    assert names(search(romeo, q="vault", sinaddr="0")) == []
    assert names(search(romeo, q="vault", sinaddress="false")) == []
    assert names(search(romeo, q="crypt", sinname="0")) == []
    assert names(search(romeo, q="crypt", sinaddr="0", sindescription="0")) == ["vault"]


def test_what_is_said_of_a_room(rooms, romeo):
    """§5.2"""
    answer = search(romeo, q="coven")
    for text in (
        f"<item address='coven@{SERVICE}'>",
        "<name>The Coven</name>",
        "<description>Hags and cats</description>",
        "<language>en</language>",
        "<nusers>2</nusers>",
        "<service-type>xep-0045</service-type>",
        "<is-open>true</is-open>",
        "<anonymity-mode>muc_semianonymous</anonymity-mode>",
    ):
        assert text in answer
    answer = search(romeo, q="heath")
    assert f"<anonymity-mode>{{{NS}:anonymity}}none</anonymity-mode>" in answer
    assert "<description" not in answer
    assert "<is-open>false</is-open>" in search(romeo, q="crypt")


def test_all_in_order(rooms, romeo):
    """§5.1: by users, most first, or by address."""
    assert names(search(romeo, all="true")) == ["coven", "heath", "vault"]
    assert names(search(romeo, all="true", key=KEY(NS, "address"))) == ["coven", "heath", "vault"]
    configure(romeo, f"vault@{SERVICE}", {"members_only": False})
    for room in ("vault", "heath"):
        romeo.says(
            f"<presence to='{room}@{SERVICE}/r'><x xmlns='http://jabber.org/protocol/muc'/></presence>"
        )
    romeo.says(f"<presence type='unavailable' to='coven@{SERVICE}/orchard'/>")
    romeo.forget()
    assert names(search(romeo, all="1", key=KEY(NS, "nusers"))) == ["heath", "coven", "vault"]


def test_pages(rooms, romeo):
    """§4.2.2.1, XEP-0059: the same form with another page."""
    by = {"all": "1", "key": KEY(NS, "address")}
    first = search(romeo, "<max>2</max>", **by)
    assert names(first) == ["coven", "heath"]
    assert "<count>3</count>" in first
    assert f"<last>heath@{SERVICE}</last>" in first
    assert names(search(romeo, f"<max>2</max><after>heath@{SERVICE}</after>", **by)) == ["vault"]
    assert "<item-not-found" in search(romeo, "<after>x</after>", **by)


def test_users(rooms, romeo):
    """§4.2.1: at least so many."""
    assert names(search(romeo, all="1", min_users="1")) == ["coven", "heath"]
    assert names(search(romeo, all="1", min_users="3")) == []
    assert "<bad-request" in search(romeo, all="1", min_users="-1")


def test_types_of_services(rooms, romeo):
    """§5.2: nothing that was not asked for."""
    assert names(search(romeo, q="coven", types=("xep-0045", "xep-0369"))) == ["coven"]
    assert names(search(romeo, q="coven", types="xep-0369")) == []


def test_what_can_not_be_searched(rooms, romeo):
    """§4.2.2.2-§4.2.2.7"""
    found = search(romeo, q="cats", key="{urn:example}size")
    assert failed(found, "feature-not-implemented", "invalid-sort-key", "modify")
    for text in ("?!", "x" * 2000):
        assert failed(search(romeo, q=text), "bad-request", "invalid-search-terms", "modify")
    assert failed(search(romeo, q="a", all="1"), "bad-request", "conflicting-fields", "modify")
    for fields in ({}, {"all": "0"}, {"other": "x"}, {"q": ()}):
        assert failed(search(romeo, **fields), "bad-request", "no-search-conditions", "cancel")
    assert "<bad-request" in search(romeo, all="perhaps")
    inner = "<set xmlns='http://jabber.org/protocol/rsm'/>"
    (answer,) = romeo.says(
        f"<iq type='get' id='s' to='{SERVICE}'><search xmlns='{NS}:search'>{inner}</search></iq>"
    )
    assert failed(answer, "bad-request", "no-search-conditions", "cancel")


def test_fields_that_nobody_knows(rooms, romeo):
    """§5: are ignored."""
    assert names(search(romeo, q="coven", **{"{urn:example}x": "y"})) == ["coven"]


@pytest.mark.server(options={"channels": {"everything": False}})
def test_the_operator_may_hide_the_whole_list(rooms, romeo):
    """§4.2.2.5"""
    found = search(romeo, all="true")
    assert failed(found, "not-allowed", "full-set-retrieval-rejected", "cancel")
    assert names(search(romeo, q="coven")) == ["coven"]


def test_what_is_new_is_found_soon(server, rooms, romeo):
    """§5.2: it may be stale; the number of users is what it is."""
    assert names(search(romeo, q="cats")) == ["coven", "vault"]
    configure(romeo, f"secret@{SERVICE}", {"public": True})
    assert names(search(romeo, q="cats")) == ["coven", "vault"]
    server.advance(61)
    assert names(search(romeo, q="cats")) == ["coven", "secret", "vault"]
