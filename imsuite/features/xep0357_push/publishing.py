"""XEP-0357 §7: what is published to the service of an app, and what comes back."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, ClassVar

import attrs
from twisted.logger import Logger

from imsuite.core.account import Account
from imsuite.core.host import Host
from imsuite.core.requests import NoAnswer
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError
from imsuite.xmpp.stanza import Stanza, make, quoted, text_of, to_bytes

NS_PUSH = "urn:xmpp:push:0"
NS_SUMMARY = "urn:xmpp:push:summary"
NS_PUBSUB = "http://jabber.org/protocol/pubsub"
LONGEST = 1024  # characters of the name of a node; and of a body that is passed on
OPEN = 50  # publications to one node that may wait for their answers; more are left out

# §7.1: what says that the service is not to be had just now; any other error is its refusal
TRANSIENT = frozenset(
    (
        "internal-server-error",
        "recipient-unavailable",
        "remote-server-not-found",
        "remote-server-timeout",
        "resource-constraint",
        "service-unavailable",
        "undefined-condition",
        "unexpected-request",
    )
)


@attrs.define(eq=False)
class Device:
    """A push service that an account has enabled, for one client.

    service: its address; node: "" for none; resource: of the client that enabled it; since: when,
    µs since 1970 UTC, no other has the same; form: publish options as bytes, or nothing; errors:
    failures in a row; failed: when the last was known, seconds of the clock; unseen: what came
    since the client was there; open: publications without an answer; told: ids of the last
    messages that were published.
    """

    service: str
    node: str
    resource: str
    since: int
    form: bytes = b""
    errors: int = 0
    failed: float = 0.0
    unseen: int = 0
    open: int = 0
    told: deque[int] = attrs.field(factory=lambda: deque(maxlen=4 * OPEN))

    @property
    def key(self) -> tuple[str, str]:
        """What tells it from the others of the account (§5)."""
        return self.service, self.node


class Publisher:
    """Publishes notifications.

    options: of the feature; drop: forgets devices of an account.
    """

    log: ClassVar[Logger] = Logger()

    def __init__(
        self,
        host: Host,
        options: Any,  # the feature's Options
        drop: Callable[[Account, Iterable[Device]], Awaitable[None]],
    ) -> None:
        self._host = host
        self._options = options
        self._drop = drop
        self._stopping = False

    def stop(self) -> None:
        """Blame no service for what it can not answer any more."""
        self._stopping = True

    def tell(self, account: Account, device: Device, stanza: Stanza, id: int) -> None:
        """Publish that something came. id: of the message, 0 if it has none."""
        device.unseen += stanza.kind == "message"
        if device.open < OPEN:
            device.told.append(id)
            self._host.spawn(self._publish(account, device, self._item(device, stanza)))

    def _item(self, device: Device, stanza: Stanza) -> bytes:
        """Return the <pubsub/> of one notification (§7)."""
        fields = [forms.field(None, "message-count", device.unseen)]
        if stanza.kind == "message":
            if self._options.sender and stanza.sender is not None:
                fields.append(forms.field(None, "last-message-sender", stanza.sender))
            body = stanza.child(NS.CLIENT, "body")
            if self._options.body and body is not None:
                fields.append(forms.field(None, "last-message-body", text_of(body)[:LONGEST]))
        summary = to_bytes(forms.to_element(forms.make("submit", NS_SUMMARY, fields)))
        node = b" node=" + quoted(device.node) if device.node else b""
        options = b""
        if device.form:
            options = b"<publish-options>%s</publish-options>" % device.form
        return (
            b"<pubsub xmlns='%s'><publish%s><item><notification xmlns='%s'>%s</notification>"
            b"</item></publish>%s</pubsub>"
        ) % (NS_PUBSUB.encode(), node, NS_PUSH.encode(), summary, options)

    async def _publish(self, account: Account, device: Device, item: bytes) -> None:
        """Publish, and see what comes back (§7.1)."""
        host, options = self._host, self._options
        attributes = {"type": "set", "from": host.domain, "to": device.service}
        request = make("iq", attributes, item, f"{NS_PUBSUB}}}pubsub")
        begun = host.clock.seconds()
        device.open += 1
        try:
            await host.requests.ask(request, options.patience)
        except (StanzaError, NoAnswer) as why:
            if self._stopping:
                return
            if begun >= device.failed:  # what was under way together fails together
                device.errors += 1
                device.failed = host.clock.seconds()
            if why.condition in TRANSIENT and device.errors < options.errors:
                return
            self.log.info(
                "{account}: the push service {peer} is disabled, it said {condition}",
                account=account.bare,
                peer=device.service,
                condition=why.condition,
            )
            await self._drop(account, (device,))
        else:
            device.errors = 0
        finally:
            device.open -= 1
