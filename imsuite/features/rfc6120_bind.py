"""RFC 6120 §7: Resource Binding, and the session of RFC 3921 that old clients still ask for."""

import secrets
from typing import Any

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.account import Account
from imsuite.core.feature import At, StreamFeature, answers, negotiates
from imsuite.core.hooks import Passing
from imsuite.core.options import ge, one_of, option
from imsuite.core.session import Session
from imsuite.rules.stream import Phase
from imsuite.streams.c2s import ClientStream
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import JID, InvalidAddress
from imsuite.xmpp.errors import StanzaError, StreamError
from imsuite.xmpp.stanza import Stanza, child, error, result, text_of

OFFER = b"<bind xmlns='%s'/><session xmlns='%s'><optional/></session>" % (
    NS.BIND.encode(),
    NS.SESSION.encode(),
)


@attrs.frozen
class Options:
    """[features.bind]"""

    conflict: str = option(
        "replace",
        "What happens when a resource is bound that is in use: the old session ends (replace), "
        "or the new one gets another resource (rename).",
        one_of("replace", "rename"),
    )
    most: int = option(50, "Most sessions that one account may have at once.", ge(1))


class Bind(StreamFeature):
    """Give an authenticated client a full JID."""

    spec = "RFC 6120"
    options: Options
    needs = Phase.AUTHENTICATED
    forbids = Phase.BOUND
    rank = 30

    def offer(self, stream: ClientStream) -> bytes:
        """§7.4"""
        return OFFER

    @negotiates(NS.CLIENT, "iq")
    async def bind(self, stream: ClientStream, iq: Stanza) -> None:
        """§7.6, §7.7"""
        assert stream.account is not None
        account = stream.account = await self.host.current(stream.account)
        request = iq.child(NS.BIND, "bind")
        if request is None or iq.type != "set" or not iq.id:
            raise StreamError("not-authorized")
        try:
            jid = self._choose(account, text_of(child(request, NS.BIND, "resource")))
        except StanzaError as why:
            stream.write(error(iq, why).raw)
            return
        await self._make_room(account, jid)
        if stream.ended:
            return
        session = Session(account, jid, stream, stream.lang)
        stream.bound(session)
        bound = Element((NS.BIND, "bind"))
        bound.addElement("jid", content=jid.full)
        stream.write(result(iq.amended({"to": None, "from": None}), bound).raw)
        await self.host.bind(session)

    def _choose(self, account: Account, wanted: str) -> JID:
        """Return the full JID for a client. Raises StanzaError (§7.6.2, §7.7.2)."""
        if not wanted:
            return account.jid.with_resource(secrets.token_urlsafe(8))
        try:
            jid = account.jid.with_resource(wanted)
        except InvalidAddress:
            raise StanzaError("bad-request") from None
        if jid.resource in account.sessions:
            if self.options.conflict == "rename":
                return account.jid.with_resource(f"{jid.resource}.{secrets.token_urlsafe(6)}")
        elif len(account.sessions) >= self.options.most:
            raise StanzaError("resource-constraint")
        return jid

    async def _make_room(self, account: Account, jid: JID) -> None:
        """End the session that holds the full JID (§7.7.2.2)."""
        old = account.sessions.get(jid.resource)
        if old is None:
            return
        stream: Any = old.stream
        if stream is not None:
            stream.release(old)
        await self.host.unbind(old)
        if stream is not None:
            stream.fail(StreamError("conflict"))

    @answers("set", NS.SESSION, "session", At.SELF | At.HOST)
    def session(self, request: Passing) -> Stanza:
        """RFC 3921 §3: there is nothing left to do."""
        return result(request.stanza)
