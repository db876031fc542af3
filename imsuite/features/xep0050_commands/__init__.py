"""XEP-0050: Ad-Hoc Commands.

What is offered at an address comes from features that provide ICommands and, at the domain and at
one's own account, from the commands of imsuitectl (`host.commands`). Who may run which is decided
in rules/administration.py, again at each stage.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property
from inspect import isawaitable
from typing import Any, ClassVar

import attrs
from twisted.logger import Logger
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import UNBOUND, Passing
from imsuite.core.host import Host
from imsuite.core.interfaces import ICommands, IDiscoNodes
from imsuite.core.options import ge, le, option
from imsuite.core.session import Session
from imsuite.features.xep0050_commands.server_commands import ServerCommands
from imsuite.features.xep0050_commands.stages import Running, Stages
from imsuite.rules.adhoc import (
    NS_COMMANDS,
    AdHoc,
    Done,
    Note,
    Page,
    check_locale,
    first_action,
    forbidden,
    next_action,
    shown,
    submitted,
    values,
)
from imsuite.rules.administration import permits
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import parse
from imsuite.xmpp.errors import ImsuiteError, StanzaError
from imsuite.xmpp.stanza import Stanza, result

LANG = (NS.XML, "lang")


@attrs.frozen
class Options:
    """[features.commands]"""

    lifetime: int = option(
        600, "How long a command that was begun waits for its next stage, seconds.", ge(10)
    )
    most: int = option(1000, "Most commands that are begun and not finished, of everybody.", ge(1))
    most_each: int = option(10, "Of these, most of one account; the oldest makes room.", ge(1))
    page: int = option(50, "Rows that a command shows at once.", ge(1), le(1000), live=True)


@implementer(IDiscoNodes)
class Commands(Feature):
    """Let users run the commands of the server and of its services from their clients."""

    log: ClassVar[Logger] = Logger()

    spec = "XEP-0050 1.3.0"
    advertises = {At.HOST | At.SELF | At.PUBSUB: (NS_COMMANDS,)}
    options: Options

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._stages = Stages(host.clock, options.lifetime, options.most, options.most_each)
        self._server = ServerCommands(host, self)

    @cached_property
    def _offering(self) -> list[Any]:  # what provides ICommands
        return [each for each in self.host.features.values() if ICommands.providedBy(each)]

    # what is offered

    def _offered(self, passing: Passing, at: At) -> dict[str, AdHoc]:
        """Return the commands of an address, by node, whoever may run them."""
        found: dict[str, AdHoc] = {}
        for feature in self._offering:
            for command in feature.commands(passing, at):
                found.setdefault(command.node, command)
        covered = {command.covers for command in found.values()}
        for command in self._server.commands(at, covered):
            found.setdefault(command.node, command)
        return found

    async def _may(self, command: AdHoc, passing: Passing, at: At) -> bool:
        """Tell whether whoever sent a request may run a command."""
        if command.may is not None:
            answer = command.may(passing)
            return bool(await answer if isawaitable(answer) else answer)
        desk = self.host.commands
        if desk is None:
            return False
        own = at in At.ADDRESS
        return permits(command.who, desk.actor(self.host, passing.sender, own=own))

    # discovery

    async def node_info(self, passing: Passing, at: At, node: str) -> Element | None:
        """§2.2"""
        if node == NS_COMMANDS:
            return _info("command-list", None)
        command = self._offered(passing, at).get(node)
        if command is None:
            return None
        if not await self._may(command, passing, at):
            raise forbidden()
        return _info("command-node", command.name)

    async def node_items(
        self, passing: Passing, at: At, node: str
    ) -> Iterable[tuple[str, str, str | None]] | None:
        """§2.2: to each what they may run."""
        offered = self._offered(passing, at) if node else {}
        if node != NS_COMMANDS:
            return () if node in offered else None
        return [
            (_address(passing), command.node, command.name)
            for command in offered.values()
            if command.listed and await self._may(command, passing, at)
        ]

    # requests

    @answers("set", NS_COMMANDS, "command", At.HOST)
    async def of_host(self, passing: Passing) -> Stanza:
        """§2.4: the server's own, and those of its features."""
        return await self._answer(passing, At.HOST)

    @answers("set", NS_COMMANDS, "command", At.SELF)
    async def of_oneself(self, passing: Passing) -> Stanza:
        """§2.4: about one's own account."""
        return await self._answer(passing, At.SELF)

    @answers("set", NS_COMMANDS, "command", At.ACCOUNT)
    async def of_account(self, passing: Passing) -> Stanza:
        """§2.4; XEP-0030 §8: an account says to strangers that there is nothing."""
        if not self.host.trusts(passing.account, passing.sender):
            raise StanzaError("service-unavailable")
        if not self._offered(passing, At.ACCOUNT):
            raise StanzaError("service-unavailable")
        return await self._answer(passing, At.ACCOUNT)

    @answers("set", NS_COMMANDS, "command", At.ROOMS)
    async def of_rooms(self, passing: Passing) -> Stanza:
        """§2.4"""
        return await self._answer(passing, At.ROOMS)

    @answers("set", NS_COMMANDS, "command", At.ROOM)
    async def of_room(self, passing: Passing) -> Stanza:
        """§2.4"""
        return await self._answer(passing, At.ROOM)

    @answers("set", NS_COMMANDS, "command", At.PUBSUB)
    async def of_nodes(self, passing: Passing) -> Stanza:
        """§2.4"""
        return await self._answer(passing, At.PUBSUB)

    async def _answer(self, passing: Passing, at: At) -> Stanza:
        request = passing.stanza.payload
        assert request is not None
        node = request.getAttribute("node", "")
        if not node:
            raise StanzaError("bad-request", text="a command has a node")
        command = self._offered(passing, at).get(node)
        if command is None:
            raise StanzaError("item-not-found")
        if not await self._may(command, passing, at):
            raise forbidden()
        asker, where = passing.sender.full, (_address(passing), node)
        id = request.getAttribute("sessionid")
        if id is None:
            check_locale(request.getAttribute(LANG))
            first_action(request.getAttribute("action"))
            id = self._stages.new_id(asker, where)
            outcome = await self._do(command.begin(passing))
            return self._show(passing, id, None, outcome)
        running = self._stages.find(asker, where, id)
        return await self._go_on(passing, id, running, request)

    async def _go_on(self, passing: Passing, id: str, running: Running, request: Element) -> Stanza:
        """Take the next step of a command that was begun (§2.4.2, §2.4.3)."""
        page = running.pages[-1]
        action = next_action(request.getAttribute("action"), page, len(running.pages))
        if action == "cancel":
            self._stages.end(id)
            return _command(passing, id, "canceled")
        if action == "prev":
            running.pages.pop()
            running.filled.pop()
            return self._show(passing, id, running, None)
        if action == "complete" and not page.last:
            self._stages.end(id)
            return _command(passing, id, "completed")
        form = submitted(request, page)
        with self._stages.at_work(running):
            outcome = await self._do(page.then(passing, form))
        running.filled[-1] = {} if form is None else values(form)
        return self._show(passing, id, running, outcome)

    async def _do(self, work: Any) -> Page | Done:
        """Return what a command gives; what it is refused by goes to the asker."""
        try:
            outcome: Page | Done = await work
        except StanzaError:
            raise
        except ImsuiteError as why:  # §3.6: it was run, and failed
            return Done((("error", str(why) or "it failed"),))
        return outcome

    def _show(
        self, passing: Passing, id: str, running: Running | None, outcome: Page | Done | None
    ) -> Stanza:
        """Return the answer that shows what is next, and remember where a command is.

        outcome: None to show the page before once more.
        """
        if isinstance(outcome, Done):
            self._stages.end(id)
            return _command(passing, id, "completed", outcome.notes, outcome.payload)
        running = self._stages.keep(passing.sender.full, id, running)
        if outcome is not None:
            running.add(outcome)
        page = running.pages[-1]
        actions = _actions(page, len(running.pages))
        payload = (actions, *shown(page, running.filled[-1]))
        return _command(passing, id, "executing", page.notes, payload)

    @on(UNBOUND)
    def gone(self, session: Session) -> None:
        """§3.3: nobody else goes on with what a client has begun."""
        self._stages.forget(session.full)


def _address(passing: Passing) -> str:
    """Return the address that a request is for."""
    to = passing.stanza.to
    return passing.account.bare if to is None else parse(to).full


def _info(type: str, name: str | None) -> Element:
    """Return what disco#info shows of a node (§2.2)."""
    query = Element((NS.DISCO_INFO, "query"))
    identity = query.addElement("identity")
    identity["category"], identity["type"] = "automation", type
    if name is not None:
        identity["name"] = name
        for feature in (NS_COMMANDS, NS.DATA):
            query.addElement("feature")["var"] = feature
    return query


def _actions(page: Page, number: int) -> Element:
    """Return what may be done at a page (§4.2), in the order of the schema."""
    element = Element((NS_COMMANDS, "actions"))
    element["execute"] = page.actions[0]
    for name in (*(("prev",) if number > 1 else ()), *page.actions):
        element.addElement(name)
    return element


def _command(
    passing: Passing,
    id: str,
    status: str,
    notes: Iterable[Note] = (),
    payload: Iterable[Element] = (),
) -> Stanza:
    """Return the result of a request (§4.1). All texts are in English (§3.7)."""
    request = passing.stanza.payload
    assert request is not None
    command = Element((NS_COMMANDS, "command"))
    command["node"], command["sessionid"] = request["node"], id
    command["status"] = status
    command.attributes[LANG] = "en"
    elements = list(payload)
    for element in elements:
        if element.name == "actions":
            command.addChild(element)
    for type, text in notes:
        command.addElement("note", content=text)["type"] = type
    for element in elements:
        if element.name != "actions":
            command.addChild(element)
    return result(passing.stanza, command)
