"""XEP-0050: Ad-Hoc Commands."""

import pytest

from imsuite.testing.memory import now
from tests.admins import (
    COMMANDS,
    completed,
    field,
    form,
    nodes,
    refusal,
    runs,
    says,
    session,
    shown,
)
from tests.helpers import holds, iq_error

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


@pytest.fixture
def admin(server):
    """An administrator of the first domain."""
    server.account("romeo@example.org", admin=True)
    return server.login("romeo@example.org/orchard")


# --- discovery --------------------------------------------------------------------------------


def test_support_is_advertised(romeo):
    """§2.1: at the domain and at one's own account."""
    for to in ("to='example.org'", ""):
        (answer,) = romeo.says(f"<iq type='get' id='i' {to}><query xmlns='{INFO}'/></iq>")
        pattern = (
            f"<iq type='result'><query xmlns='{INFO}'><feature var='{COMMANDS}'/></query></iq>"
        )
        assert holds(answer, pattern)


def test_the_list_of_commands_is_a_node(romeo):
    """§2.2"""
    (answer,) = romeo.says(
        f"<iq type='get' id='i' to='example.org'><query xmlns='{INFO}' node='{COMMANDS}'/></iq>"
    )
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{INFO}' node='{COMMANDS}'>"
        "<identity category='automation' type='command-list'/></query></iq>",
    )


def test_to_each_is_shown_what_they_may_run(admin, juliet):
    """§2.2: administrators see the commands of the domain, everybody those of their account."""
    assert "imsuite#status" in nodes(admin)
    assert nodes(juliet) == []
    assert nodes(juliet, None) == nodes(admin, None) == ["imsuite#sessions", "imsuite#kick"]


def test_commands_of_the_operator_are_shown_to_nobody(admin):
    """Many accounts at once are for the machine of the server."""
    assert "imsuite#addusers" not in nodes(admin)
    assert refusal(says(admin, "imsuite#addusers"), "item-not-found")


@pytest.mark.server(domains=("example.org", "example.net"))
def test_what_concerns_the_whole_server_is_for_who_administers_all_of_it(server, admin):
    assert "imsuite#status" not in nodes(admin)
    assert refusal(says(admin, "imsuite#status"), "forbidden", type="cancel")
    server.hosts[1].users.named = frozenset(("romeo@example.org",))
    assert "imsuite#status" in nodes(admin)
    assert completed(says(admin, "imsuite#status"))


def test_a_node_tells_what_it_is(admin, juliet):
    """§2.2: to those who may run it; to others it is forbidden."""
    ask = (
        f"<iq type='get' id='i' to='example.org'><query xmlns='{INFO}' node='imsuite#status'/></iq>"
    )
    (answer,) = admin.says(ask)
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{INFO}' node='imsuite#status'>"
        "<identity category='automation' type='command-node' name='{_}'/>"
        f"<feature var='{COMMANDS}'/><feature var='jabber:x:data'/></query></iq>",
    )
    (answer,) = juliet.says(ask)
    assert refusal(answer, "forbidden", type="cancel")


def test_a_node_has_no_items(admin):
    (answer,) = admin.says(
        "<iq type='get' id='i' to='example.org'>"
        f"<query xmlns='{ITEMS}' node='imsuite#status'/></iq>"
    )
    assert "<item" not in answer
    assert holds(answer, "<iq type='result'/>")


def test_what_is_no_node_is_not_found(admin):
    (answer,) = admin.says(
        f"<iq type='get' id='i' to='example.org'><query xmlns='{INFO}' node='imsuite#no'/></iq>"
    )
    assert holds(answer, iq_error("i", "item-not-found"))


# --- execution --------------------------------------------------------------------------------


def test_a_command_without_arguments_is_run_at_once(admin):
    """§2.4.1: with its result in a form, and the language."""
    answer = says(admin, "imsuite#status", action="execute")
    assert completed(answer)
    assert holds(
        answer,
        f"<iq type='result' from='example.org'><command xmlns='{COMMANDS}' node='imsuite#status'"
        " sessionid='{_}' status='completed' xml:lang='en'><x xmlns='jabber:x:data' type='result'>"
        "<reported><field var='what' label='what'/><field var='value'/></reported>"
        "<item><field var='what'><value>hosts</value></field>"
        "<field var='value'><value>example.org</value></field></item></x></command></iq>",
    )


def test_arguments_are_a_form(admin):
    """§2.4.2; XEP-0004 §3.3: what kind each is, what it is for, what it must be."""
    answer = says(admin, "imsuite#online")
    assert holds(
        answer,
        f"<iq type='result'><command xmlns='{COMMANDS}' status='executing'>"
        "<actions execute='complete'><complete/></actions><x xmlns='jabber:x:data' type='form'>"
        "<field type='list-single' var='only'><desc>{_}</desc><value>all</value>"
        "<option><value>active</value></option></field></x></command></iq>",
    )
    assert "var='domain'" not in answer  # which the address says
    assert "var='after'" not in answer
    answer = says(admin, "imsuite#adduser")
    assert holds(
        answer,
        f"<iq><command xmlns='{COMMANDS}'><x xmlns='jabber:x:data'>"
        "<field type='jid-single' var='jid'><required/></field>"
        "<field type='text-private' var='password'><required/></field>"
        "<field type='boolean' var='admin'><value>false</value></field></x></command></iq>",
    )
    answer = says(admin, "imsuite#stop")
    assert holds(
        answer,
        f"<iq><command xmlns='{COMMANDS}'><x xmlns='jabber:x:data'>"
        "<field type='text-single' var='delay'>"
        "<validate xmlns='http://jabber.org/protocol/xdata-validate' datatype='xs:integer'>"
        "<range min='0' max='86400'/></validate></field>"
        "<field type='text-multi' var='text'/></x></command></iq>",
    )
    assert "type='jid-multi'" in says(admin, "imsuite#blacklist")


def test_arguments_are_read(server, admin):
    jid, password = field("jid", "paris@example.org"), field("password", "pencil")
    answer = runs(admin, "imsuite#adduser", jid, password, field("admin", "1"))
    assert completed(answer)
    assert shown(answer, "account") is not None
    assert now(server.host.users.find("paris")).is_admin


def test_what_a_command_is_refused_by_is_a_note(admin):
    """§3.6: it completed, and failed."""
    answer = runs(
        admin,
        "imsuite#adduser",
        field("jid", "romeo@example.org"),
        field("password", "pencil"),
    )
    assert completed(answer, "error")
    assert "romeo@example.org exists" in answer


def test_wrong_arguments_are_a_bad_payload(admin):
    """§4.4: also those that only the command knows to be wrong; the stage stays."""
    begun = says(admin, "imsuite#retention")
    for days in ("soon", "12345678"):
        filled = form(field("jid", "romeo@example.org"), field("days", days))
        answer = says(admin, "imsuite#retention", filled, sessionid=session(begun))
        assert refusal(answer, "bad-request", "bad-payload", "modify")
    filled = form(field("jid", "romeo@example.org"), field("days", "30"))
    assert completed(says(admin, "imsuite#retention", filled, sessionid=session(begun)))


def test_long_results_come_in_pages(server, admin):
    """XEP-0004 §3.4: next shows more, complete is enough of it."""
    server.host.features["commands"].options = type(server.host.features["commands"].options)(
        page=2
    )
    for name in ("benvolio", "mercutio", "paris", "tybalt"):
        server.account(f"{name}@example.org")
    answer = runs(admin, "imsuite#users")
    accounts = []
    while "status='executing'" in answer:
        assert holds(
            answer,
            f"<iq><command xmlns='{COMMANDS}'><actions execute='next'><next/><complete/></actions>"
            "<x xmlns='jabber:x:data' type='result'/></command></iq>",
        )
        accounts += answer.count("<item>") * [1]
        last = session(answer)
        answer = says(admin, "imsuite#users", action="next", sessionid=last)
    accounts += answer.count("<item>") * [1]
    assert completed(answer)
    assert len(accounts) == 5
    answer = runs(admin, "imsuite#users")
    over = says(admin, "imsuite#users", action="complete", sessionid=session(answer))
    assert completed(over)
    assert "<x" not in over


def test_one_goes_back_some_pages(server, admin):
    """§2.4.2: not for ever, as each is kept."""
    commands = server.host.features["commands"]
    commands.options = type(commands.options)(page=1)
    for number in range(30):
        server.account(f"guest{number}@example.org")
    answer = runs(admin, "imsuite#users")
    for _ in range(28):
        answer = says(admin, "imsuite#users", action="next", sessionid=session(answer))
    back = 0
    while "<prev/>" in answer:
        answer = says(admin, "imsuite#users", action="prev", sessionid=session(answer))
        back += 1
    assert back == 19


def test_administrators_reach_their_own_domain_only(server):
    """One check: what is asked about another domain is forbidden, whatever the form says."""
    admin = server.host
    server.account("romeo@example.org", admin=True)
    romeo = server.login("romeo@example.org/orchard")
    answer = runs(
        romeo, "imsuite#adduser", field("jid", "a@example.net"), field("password", "pencil")
    )
    assert refusal(answer, "forbidden", type="cancel")
    assert admin.users is not None


def test_who_is_no_administrator_any_more_is_stopped_midway(server, admin):
    """Each stage is checked."""
    begun = says(admin, "imsuite#users")
    now(server.host.users.set_admin("romeo", False))
    assert refusal(says(admin, "imsuite#users", form(), sessionid=session(begun)), "forbidden")


def test_strangers_may_not(juliet):
    assert refusal(says(juliet, "imsuite#status"), "forbidden", type="cancel")


def test_everybody_looks_after_their_own_sessions(server, romeo, juliet):
    """At one's own address, about one's own account."""
    garden = server.login("romeo@example.org/garden")
    answer = says(romeo, "imsuite#sessions", to=None)
    assert completed(answer)
    assert "romeo@example.org/garden" in answer
    assert "juliet" not in answer
    other = runs(romeo, "imsuite#kick", field("jid", "juliet@example.org"), to=None)
    assert refusal(other, "forbidden")
    assert not juliet.gone
    assert completed(runs(romeo, "imsuite#kick", field("jid", "romeo@example.org/garden"), to=None))
    assert garden.gone


def test_what_an_administrator_does_is_logged(server, admin):
    """Without passwords."""
    from twisted.logger import capturedLogs, formatEvent

    with capturedLogs() as captured:
        runs(
            admin,
            "imsuite#adduser",
            field("jid", "paris@example.org"),
            field("password", "sesame"),
        )
    lines = [formatEvent(event) for event in captured]
    assert "romeo@example.org/orchard gave adduser jid='paris@example.org'" in lines
    assert not any("sesame" in line for line in lines)


def test_a_command_has_a_node(romeo):
    """§4.1"""
    (answer,) = romeo.says(
        f"<iq type='set' id='n' to='example.org'><command xmlns='{COMMANDS}'/></iq>"
    )
    assert refusal(answer, "bad-request")
