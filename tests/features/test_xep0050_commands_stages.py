"""XEP-0050: commands of several stages, their sessions, and the commands of other features."""

import pytest
from zope.interface import implementer

from imsuite.core.feature import At, Feature
from imsuite.core.interfaces import ICommands
from imsuite.rules.adhoc import AdHoc, Done, Page
from imsuite.xmpp import forms
from tests.admins import (
    COMMANDS,
    completed,
    field,
    form,
    nodes,
    refusal,
    says,
    session,
    shown,
)
from tests.helpers import holds, value

INFO = "http://jabber.org/protocol/disco#info"
ITEMS = "http://jabber.org/protocol/disco#items"


@implementer(ICommands)
class Wizard(Feature):
    """Commands of several stages, for everybody."""

    spec = "XEP-0000"

    @classmethod
    def word(cls):
        return "wizard"

    def commands(self, passing, at):
        if at is At.HOST:
            yield AdHoc("wizard", "Wizard", self.first, may=lambda passing: True)
            yield AdHoc("secret", "Secret", self.first, may=lambda passing: False)
            yield AdHoc("hidden", "Hidden", self.first, may=self.may_later, listed=False)
        if at is At.ACCOUNT:
            yield AdHoc("nudge", "Nudge", self.nudge, may=lambda passing: True)

    async def may_later(self, passing):
        return True

    async def nudge(self, passing):
        return Done((("info", f"{passing.account.bare} was nudged."),))

    async def first(self, passing):
        made = forms.make("form", None, [forms.field("text-single", "service", required=True)])
        return Page(self.second, made, last=False)

    async def second(self, passing, form):
        service = forms.text(form, "service")
        made = forms.make("form", None, [forms.field("boolean", "on")], title=service)

        async def third(passing, form):
            return Done((("info", f"{service}: {forms.boolean(form, 'on')}"),))

        return Page(third, made)


wizardry = pytest.mark.server(features=["default", Wizard])


# --- sessions ---------------------------------------------------------------------------------


@wizardry
def test_a_command_of_several_stages(juliet):
    """§2.4.2: forth, back with what was filled in, and forth to the end."""
    answer = says(juliet, "wizard")
    assert holds(
        answer,
        f"<iq><command xmlns='{COMMANDS}' status='executing'>"
        "<actions execute='next'><next/></actions></command></iq>",
    )
    id = session(answer)
    answer = says(juliet, "wizard", form(field("service", "httpd")), sessionid=id)
    assert holds(
        answer,
        f"<iq><command xmlns='{COMMANDS}' sessionid='{id}' status='executing'>"
        "<actions execute='complete'><prev/><complete/></actions>"
        "<x xmlns='jabber:x:data'><title>httpd</title></x></command></iq>",
    )
    answer = says(juliet, "wizard", action="prev", sessionid=id)
    assert shown(answer, "service") == ["httpd"]
    assert "<prev/>" not in answer
    says(juliet, "wizard", form(field("service", "ftpd")), action="next", sessionid=id)
    answer = says(juliet, "wizard", form(field("on", "true")), action="complete", sessionid=id)
    assert completed(answer)
    assert "ftpd: True" in answer


@wizardry
def test_a_command_is_cancelled(juliet):
    """§2.4.3: at any stage; then it is over."""
    id = session(says(juliet, "wizard"))
    answer = says(juliet, "wizard", action="cancel", sessionid=id)
    assert holds(
        answer, f"<iq><command xmlns='{COMMANDS}' sessionid='{id}' status='canceled'/></iq>"
    )
    again = says(juliet, "wizard", action="cancel", sessionid=id)
    assert refusal(again, "not-allowed", "session-expired", "cancel")


@wizardry
@pytest.mark.parametrize(
    ("given", "app"),
    [
        ({"action": "dance"}, "malformed-action"),
        ({"action": "prev"}, "bad-action"),
        ({"action": "complete"}, "bad-action"),
        ({"sessionid": "0" * 48}, "bad-sessionid"),
        ({"sessionid": ""}, "bad-sessionid"),
        ({"sessionid": "é"}, "bad-sessionid"),
    ],
)
def test_what_is_wrong_is_named(juliet, given, app):
    """§4.4"""
    id = session(says(juliet, "wizard"))
    answer = says(juliet, "wizard", form(field("service", "x")), **{"sessionid": id, **given})
    assert refusal(answer, "bad-request", app, "modify")


@wizardry
def test_a_submission_is_needed_for_the_next_stage(juliet):
    """§4.4"""
    id = session(says(juliet, "wizard"))
    answer = says(juliet, "wizard", action="next", sessionid=id)
    assert refusal(answer, "bad-request", "bad-payload", "modify")


@wizardry
def test_a_language_that_is_not_spoken(juliet):
    """§3.7: only where the command itself asks for it; streams of every language are served."""
    (answer,) = juliet.says(
        "<iq type='set' id='l' to='example.org'>"
        f"<command xmlns='{COMMANDS}' node='wizard' xml:lang='fr-ca'/></iq>"
    )
    assert refusal(answer, "bad-request", "bad-locale", "modify")
    (answer,) = juliet.says(
        "<iq type='set' id='m' to='example.org' xml:lang='it'>"
        f"<command xmlns='{COMMANDS}' node='wizard'/></iq>"
    )
    assert holds(answer, f"<iq type='result'><command xmlns='{COMMANDS}' xml:lang='en'/></iq>")


@wizardry
def test_a_session_is_of_one_client_one_node_and_one_address(server, juliet):
    """§3.3"""
    id = session(says(juliet, "wizard"))
    other = server.login("juliet@example.org/chamber")
    filled = form(field("service", "x"))
    wrong = ("bad-request", "bad-sessionid", "modify")
    assert refusal(says(other, "wizard", filled, sessionid=id), *wrong)
    assert refusal(says(juliet, "hidden", filled, sessionid=id), *wrong)


@wizardry
def test_a_session_ends_with_its_client(server, juliet):
    """§3.3"""
    id = session(says(juliet, "wizard"))
    juliet.closes()
    again = server.login("juliet@example.org/balcony")
    answer = says(again, "wizard", form(field("service", "x")), sessionid=id)
    assert refusal(answer, "not-allowed", "session-expired", "cancel")


@pytest.mark.server(features=["default", Wizard], options={"commands": {"lifetime": 60}})
def test_a_session_expires(server, juliet):
    """§3.3, §4.4: some time after its last stage."""
    id = session(says(juliet, "wizard"))
    server.advance(59)
    says(juliet, "wizard", form(field("service", "x")), sessionid=id)
    server.advance(59)
    assert holds(says(juliet, "wizard", action="prev", sessionid=id), "<iq type='result'/>")
    server.advance(61)
    answer = says(juliet, "wizard", form(field("service", "x")), sessionid=id)
    assert refusal(answer, "not-allowed", "session-expired", "cancel")


@pytest.mark.server(features=["default", Wizard], options={"commands": {"most": 3, "most_each": 2}})
def test_sessions_are_bounded(server, romeo, juliet):
    """The oldest of an account makes room; of everybody there is an end."""
    chamber = server.login("juliet@example.org/chamber")
    first = session(says(juliet, "wizard"))
    session(says(chamber, "wizard"))
    second, third = (session(says(juliet, "wizard")) for _ in range(2))
    answer = says(juliet, "wizard", action="cancel", sessionid=first)
    assert refusal(answer, "not-allowed", "session-expired")
    session(says(romeo, "wizard"))
    assert refusal(says(romeo, "wizard"), "resource-constraint")
    for id in (second, third):
        answer = says(juliet, "wizard", action="cancel", sessionid=id)
        assert holds(answer, "<iq type='result'/>")
    assert holds(says(romeo, "wizard"), "<iq type='result'/>")


@wizardry
def test_ids_are_not_guessed(juliet):
    """§3.3: each another one."""
    ids = {session(says(juliet, "wizard")) for _ in range(5)}
    assert len({id[:24] for id in ids}) == 5


# --- commands of features ---------------------------------------------------------------------


@wizardry
def test_features_offer_commands(juliet):
    """To whom they like, listed or not."""
    assert nodes(juliet) == ["wizard"]
    assert refusal(says(juliet, "secret"), "forbidden", type="cancel")
    assert holds(says(juliet, "hidden"), "<iq type='result'/>")


@wizardry
def test_accounts_have_commands_for_those_they_trust(friends, server):
    """XEP-0030 §8: to others there is no such thing."""
    _, juliet = friends
    answer = says(juliet, "nudge", to="romeo@example.org")
    assert completed(answer)
    assert value(
        answer, f"<iq><command xmlns='{COMMANDS}'><note type='info'>{{text}}</note></command></iq>"
    ) == ("romeo@example.org was nudged.")
    paris = server.login("paris@example.org/yard")
    for to in ("romeo@example.org", "nobody@example.org"):
        assert refusal(says(paris, "nudge", to=to), "service-unavailable")


def test_accounts_without_commands_have_none(friends):
    _, juliet = friends
    assert refusal(says(juliet, "nudge", to="romeo@example.org"), "service-unavailable")
