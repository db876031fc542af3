"""XEP-0357: Push Notifications.

A client that is not there is told through the service of its app that something came. Nothing
is said about what, or by whom, unless the operator wants that to be said.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import cached_property, partial
from typing import Any

import attrs
from twisted.words.xish.domish import Element
from zope.interface import implementer

from imsuite.core.account import Account, Kept
from imsuite.core.feature import At, Feature, answers, on
from imsuite.core.hooks import (
    ACCOUNT_DELETED,
    BOUND,
    DETACHED,
    INCOMING,
    RESUMED,
    ROOM_MESSAGE,
    STARTED,
    STOPPING,
    Passing,
    Stage,
)
from imsuite.core.host import Host
from imsuite.core.interfaces import IBlocking, ICsi, ILoaded, IPush, Table
from imsuite.core.options import ge, option
from imsuite.core.session import Session
from imsuite.features.xep0357_push.publishing import (
    LONGEST,
    NS_PUBSUB,
    NS_PUSH,
    Device,
    Publisher,
)
from imsuite.rules.affiliations import Affiliation
from imsuite.rules.traffic import Traffic, classify
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import normalised, parse
from imsuite.xmpp.errors import Dropped, StanzaError
from imsuite.xmpp.stanza import Stanza, child, children, result, to_bytes

NS_OPTIONS = f"{NS_PUBSUB}#publish-options"
_THERE = "XEP-0357 §7: no push, the client is there"


@attrs.frozen
class Options:
    """[features.push]"""

    most: int = option(20, "Most push services that one account may have enabled.", ge(1))
    largest: int = option(
        4096, "Most bytes of what a client wants to be published with each notification.", ge(0)
    )
    errors: int = option(
        5, "So many failures in a row, and a push service is disabled for the account.", ge(1)
    )
    patience: int = option(60, "How long a push service has time to answer, seconds.", ge(1))
    sender: bool = option(
        False, "Whether push services are told who wrote; they belong to other people."
    )
    body: bool = option(False, "Whether push services are told what somebody wrote.")


Devices = dict[tuple[str, str], Device]  # by their keys


@implementer(ILoaded, IPush)
class Push(Feature):
    """Tell the services of apps when something comes for a client that is not there."""

    spec = "XEP-0357 0.4.1"
    advertises = {At.SELF: (NS_PUSH,)}
    options: Options
    tables = (
        Table(
            "push",
            (
                """CREATE TABLE push (
                    account TEXT NOT NULL,   -- bare JID
                    service TEXT NOT NULL,   -- its JID
                    node TEXT NOT NULL,      -- '' for none
                    resource TEXT NOT NULL,  -- of the client
                    since BIGINT NOT NULL,   -- when it was enabled, µs since 1970 UTC
                    form {blob} NOT NULL,    -- publish options, or nothing
                    PRIMARY KEY (account, service, node))""",
            ),
        ),
    )

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._kept: Kept[Devices] = host.keep(self)
        self._publisher = Publisher(host, options, self._remove)
        self._enabled: set[str] = set()  # bare JIDs of accounts with devices

    @on(STARTED)
    async def start(self, host: Host) -> None:
        """Learn which accounts have devices: in a room each message asks for all its members."""
        rows = await host.store.query("SELECT DISTINCT account FROM push")
        self._enabled |= {bare for (bare,) in rows if parse(bare).domain == host.domain}

    @cached_property
    def _csi(self) -> Any:  # what provides ICsi, or None
        return self.host.find_feature(ICsi)

    def load(self, cursor: Any, account: str) -> Devices:
        """Return what an account has enabled."""
        if cursor is None:
            return {}
        cursor.execute(
            "SELECT service, node, resource, since, form FROM push WHERE account = ?", (account,)
        )
        found = (
            Device(service, node, resource, since, bytes(form))
            for service, node, resource, since, form in cursor.fetchall()
        )
        return {device.key: device for device in found}

    # what a client wants

    @answers("set", NS_PUSH, "enable", At.SELF)
    async def enable(self, request: Passing) -> Stanza:
        """§5: the last request for a service and node holds."""
        account, session = request.account, request.session
        asked = _payload(request)
        device = Device(
            _service(asked),
            _node(asked),
            session.resource if session is not None else "",
            self.host.store.ids.next(),
            self._form(asked),
        )
        async with account.turn:
            devices = self._kept.of(account)
            if device.key not in devices and len(devices) >= self.options.most:
                raise StanzaError("resource-constraint", text="too many push services")
            if not account.temporary:
                await self.host.store.execute(
                    "INSERT INTO push (account, service, node, resource, since, form)"
                    " VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (account, service, node) DO UPDATE"
                    " SET resource = excluded.resource, since = excluded.since,"
                    " form = excluded.form",
                    account.bare,
                    *device.key,
                    device.resource,
                    device.since,
                    device.form,
                )
            devices[device.key] = device
            self._enabled.add(account.bare)
        return result(request.stanza)

    def _form(self, asked: Element) -> bytes:
        """Return the publish options of a request as bytes (§5). Raises StanzaError."""
        found = child(asked, NS.DATA, "x")
        if found is None:
            return b""
        if forms.read(found).formNamespace != NS_OPTIONS:
            raise StanzaError("bad-request", text="the form does not hold publish options")
        form = to_bytes(found)
        if len(form) > self.options.largest:
            raise StanzaError("policy-violation", text="the publish options are too long")
        return form

    @answers("set", NS_PUSH, "disable", At.SELF)
    async def disable(self, request: Passing) -> Stanza:
        """§6: without a node all of that service."""
        asked = _payload(request)
        service, node = _service(asked), _node(asked)
        account = request.account
        async with account.turn:
            gone = [
                device
                for device in self._kept.of(account).values()
                if device.service == service and node in ("", device.node)
            ]
            await self._remove(account, gone)
        return result(request.stanza)

    async def _remove(self, account: Account, gone: Iterable[Device]) -> None:
        """Forget devices, unless they were enabled anew meanwhile."""
        for device in gone:
            if not account.temporary:
                await self.host.store.execute(
                    "DELETE FROM push WHERE account = ? AND service = ? AND node = ? AND since = ?",
                    account.bare,
                    *device.key,
                    device.since,
                )
            loaded = self.host.accounts.get(account.jid.local, account)
            devices = self._kept.of(loaded)  # it may have been loaded anew
            found = devices.get(device.key)
            if found is not None and found.since == device.since:
                del devices[device.key]
            if not devices:
                self._enabled.discard(account.bare)

    @on(INCOMING, Stage.RECORD, kind="message", child=(NS_PUBSUB, "pubsub"))
    async def turned_off(self, passing: Passing) -> None:
        """§8: a service wants no more notifications for a node; nobody else has to know."""
        account = passing.account
        node = passing.stanza.child(NS_PUBSUB, "pubsub")
        device = None
        if node is not None:
            named = node.getAttribute("node", "")
            device = self._kept.of(account).get((passing.sender.full, named))
        if device is None or node is None:
            return
        ours = (account.bare, self.host.domain)
        for affiliation in children(node, NS_PUBSUB, "affiliation"):
            if (
                normalised(affiliation.getAttribute("jid")) in ours
                and affiliation.getAttribute("affiliation") == "none"
            ):
                await self._remove(account, (device,))
                raise Dropped

    @on(ACCOUNT_DELETED)
    def removed(self, account: Account) -> None:
        """Nothing is published for an account that is gone; its rows go with it."""
        self._kept.of(account).clear()
        self._enabled.discard(account.bare)

    @on(STOPPING)
    def stop(self, host: Host) -> None:
        """No service is to blame for what it can not answer any more."""
        self._publisher.stop()

    # what is published

    @on(INCOMING, Stage.COPY, kind="message")
    @on(INCOMING, Stage.COPY, kind="presence", type="subscribe")
    def notify(self, passing: Passing) -> None:
        """§7: one notification for each device whose client is not there, once it is durable."""
        devices = passing.account.kept[self._kept.place]
        if not devices:  # for every message: no call
            return
        passing.after(partial(self._decide, passing, classify(passing.stanza)))

    def _decide(self, passing: Passing, traffic: Traffic) -> None:
        account, stanza, record = passing.account, passing.stanza, passing.record
        if not traffic.notify:
            if record is not None:
                record.note(traffic.rules.notify, account.bare)
            return
        # another client is not in the room
        only = passing.target if stanza.type == "groupchat" else None
        for device in list(self._kept.of(account).values()):
            if only is not None and device.resource != only.resource:
                continue
            there = self._is_there(account.sessions.get(device.resource))
            if record is not None:
                rule = (
                    "XEP-0357 §7: no push, its client is there" if there else traffic.rules.notify
                )
                record.note(rule, f"{account.bare}/{device.resource}")
            if there:
                device.unseen = 0
            else:
                self._publisher.tell(account, device, stanza, 0 if record is None else record.id)

    # what is said in rooms

    @on(ROOM_MESSAGE, Stage.COPY, kind="message")
    def tell_absent(self, passing: Passing) -> None:
        """Members of a members-only room hear of it while no client of theirs is in the room."""
        room, enabled = passing.room, self._enabled
        if not enabled or not room.config.members_only or not classify(passing.stanza).notify:
            return
        few, many = sorted((enabled, room.entries), key=len)
        members = {
            bare for bare in few if bare in many and room.affiliation(bare) >= Affiliation.MEMBER
        }
        if members:
            members -= {occupant.bare for occupant in room.occupants.values()}
        if members:
            passing.after(partial(self._tell_members, members, passing))

    def _tell_members(self, members: Iterable[str], passing: Passing) -> None:
        record = passing.record
        if record is not None:
            record.note(classify(passing.stanza).rules.notify, passing.room.bare)
        self.tell(members, passing.stanza, 0 if record is None else record.id)

    def tell(self, accounts: Iterable[str], stanza: Stanza, id: int) -> None:
        """Notify devices of accounts to which a message does not go; see IPush."""
        for bare in accounts:
            if bare in self._enabled:
                self.host.spawn(self._tell(bare, stanza, id))

    async def _tell(self, bare: str, stanza: Stanza, id: int) -> None:
        account = await self.host.account(parse(bare).local)
        if account is None:
            return
        blocking, sender = self.host.find_feature(IBlocking), normalised(stanza.sender)
        if blocking is not None and sender is not None and blocking.blocks(account, parse(sender)):
            return
        for device in list(self._kept.of(account).values()):
            told = id and id in device.told
            if not told and not self._is_there(account.sessions.get(device.resource)):
                self._publisher.tell(account, device, stanza, id)

    @on(DETACHED)
    def left(self, session: Session) -> None:
        """What was sent to a client that was thought to be there, and that it has not got."""
        tracker, account = session.tracker, session.account
        if tracker is None:
            return
        devices = [
            device
            for device in self._kept.of(account).values()
            if device.resource == session.resource
        ]
        for place in list(tracker.unacked) if devices else ():
            if place.record is None or not classify(place.stanza).notify:
                continue
            for device in devices:
                if place.record.id not in device.told:
                    self._publisher.tell(account, device, place.stanza, place.record.id)

    def _is_there(self, session: Session | None) -> bool:
        """Tell whether a client has a link and somebody who looks at it (XEP-0352)."""
        if session is None or not session.attached:
            return False
        return self._csi is None or not self._csi.inactive(session)

    @on(BOUND)
    @on(RESUMED)
    def came(self, session: Session) -> None:
        """A client that comes sees for itself what there is."""
        for device in self._kept.of(session.account).values():
            if device.resource == session.resource:
                device.unseen = 0


def _payload(request: Passing) -> Element:
    payload = request.stanza.payload
    assert payload is not None
    return payload


def _service(asked: Element) -> str:
    """Return the address of a push service. Raises StanzaError."""
    jid = asked.getAttribute("jid")
    if jid is None:
        raise StanzaError("bad-request", text="there is no jid")
    return parse(jid).full


def _node(asked: Element) -> str:
    node: str = asked.getAttribute("node", "")
    if len(node) > LONGEST:
        raise StanzaError("policy-violation", text="the name of the node is too long")
    return node
