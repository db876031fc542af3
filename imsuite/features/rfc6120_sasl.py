"""RFC 6120 §6: SASL negotiation; XEP-0440: which channel bindings there are."""

from __future__ import annotations

from typing import Any

import attrs

from imsuite.auth.mechanisms import Authenticator, Channel, Mechanism, Outcome, Success
from imsuite.core.feature import StreamFeature, negotiates
from imsuite.core.options import each, ge, one_of, option
from imsuite.rules.sasl import (
    BINDINGS,
    HASHES,
    Challenge,
    Failure,
    Offer,
    SaslOptions,
    decode,
    encode,
)
from imsuite.rules.stream import Phase
from imsuite.streams.c2s import ClientStream
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StreamError
from imsuite.xmpp.stanza import Stanza, text_of

NS_BINDINGS = "urn:xmpp:sasl-cb:0"


@attrs.frozen
class Options:
    """[features.sasl]"""

    hashes: tuple[str, ...] = option(
        HASHES, "Hashes of SCRAM to offer; none turns SCRAM off.", each(one_of(*HASHES))
    )
    plain: bool = option(True, "Offer PLAIN inside TLS.")
    anonymous: bool = option(False, "Let people in without an account (XEP-0175).")
    plaintext: bool = option(False, "Let clients log in without TLS, by SCRAM only.")
    bindings: tuple[str, ...] = option(
        BINDINGS,
        "Channel bindings to offer; none behind a proxy that ends TLS.",
        each(one_of(*BINDINGS)),
    )
    tries: int = option(5, "Failed attempts after which a stream ends.", ge(1))


@attrs.define
class Exchange:
    """One negotiation on one stream. mechanism: None before <auth/>."""

    channel: Channel
    offer: Offer
    mechanism: Mechanism | None = None


class Sasl(StreamFeature):
    """Let clients prove who they are."""

    spec = "RFC 6120"
    options: Options
    forbids = Phase.AUTHENTICATED
    rank = 20

    @property
    def sasl_options(self) -> SaslOptions:
        """What the authenticator of this host may do."""
        chosen = self.options
        return SaslOptions(
            hashes=chosen.hashes,
            plain=chosen.plain,
            anonymous=chosen.anonymous,
            tls_required=not chosen.plaintext,
            bindings=chosen.bindings,
        )

    @property
    def _authenticator(self) -> Authenticator:
        found: Authenticator = self.host.authenticator
        return found

    def offer(self, stream: ClientStream) -> bytes | None:
        """§6.4.1; XEP-0440 §3"""
        channel = Channel.over(stream.link.address, stream.link.tls if stream.secure else None)
        offer = self._authenticator.offer(channel)
        stream.mechanism = Exchange(channel, offer)
        if not offer.mechanisms:
            return None
        names = "".join(f"<mechanism>{name}</mechanism>" for name in offer.mechanisms)
        bindings = "".join(f"<channel-binding type='{kind}'/>" for kind in offer.bindings)
        if bindings:
            bindings = (
                f"<sasl-channel-binding xmlns='{NS_BINDINGS}'>{bindings}</sasl-channel-binding>"
            )
        return f"<mechanisms xmlns='{NS.SASL}'>{names}</mechanisms>{bindings}".encode()

    @negotiates(NS.SASL, "auth")
    async def auth(self, stream: ClientStream, element: Stanza) -> None:
        """§6.4.2"""
        exchange = _exchange(stream)
        name = element.attrs.get("mechanism", "")
        begun = self._authenticator.begin(name, exchange.channel, exchange.offer)
        if isinstance(begun, Failure):
            self._failed(stream, begun.condition)
            return
        exchange.mechanism = begun
        initial = decode(text_of(element.element))
        if isinstance(initial, Failure):
            self._failed(stream, initial.condition)
            return
        self._answer(stream, await begun.start(initial))

    @negotiates(NS.SASL, "response")
    async def response(self, stream: ClientStream, element: Stanza) -> None:
        """§6.4.3"""
        mechanism = _exchange(stream).mechanism
        data = decode(text_of(element.element))
        if mechanism is None:
            self._failed(stream, "malformed-request")
        elif isinstance(data, Failure):
            self._failed(stream, data.condition)
        else:
            self._answer(stream, await mechanism.respond(data))

    @negotiates(NS.SASL, "abort")
    def abort(self, stream: ClientStream, element: Stanza) -> None:
        """§6.4.4"""
        self._failed(stream, "aborted")

    def _answer(self, stream: ClientStream, outcome: Outcome) -> None:
        if isinstance(outcome, Challenge):
            data = encode(outcome.data)
            stream.write(f"<challenge xmlns='{NS.SASL}'>{data}</challenge>".encode())
        elif isinstance(outcome, Success):
            self._succeeded(stream, outcome)
        else:
            self._failed(stream, outcome.condition)

    def _succeeded(self, stream: ClientStream, outcome: Success) -> None:
        """§6.4.6"""
        if stream.ended:
            outcome.logout()
            return
        if not stream.only_then():
            # §6.4.6: the stream is replaced, and what came on the old one with it
            outcome.logout()
            raise StreamError("policy-violation", "data after the last message of SASL")
        data = "" if outcome.data is None else encode(outcome.data)
        stream.write(f"<success xmlns='{NS.SASL}'>{data}</success>".encode())
        account: Any = outcome.avatar
        mechanism = _exchange(stream).mechanism
        name = "" if mechanism is None else mechanism.name
        stream.authenticated(account, outcome.logout, name)

    def _failed(self, stream: ClientStream, condition: str) -> None:
        """§6.4.5: the client may try again, a few times."""
        _exchange(stream).mechanism = None
        stream.tries += 1
        stream.write(f"<failure xmlns='{NS.SASL}'><{condition}/></failure>".encode())
        if stream.tries >= self.options.tries:
            stream.fail(StreamError("policy-violation", "too many failed attempts to log in"))


def _exchange(stream: ClientStream) -> Exchange:
    found = stream.mechanism
    assert isinstance(found, Exchange)  # made when the features were sent
    return found
