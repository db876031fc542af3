"""RFC 6120 §7: Resource Binding, and the session of RFC 3921 that old clients still ask for."""

import secrets

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
        request = iq.child(NS.BIND, "bind")
        if request is None or iq.type != "set" or not iq.id:
            raise StreamError("not-authorized")
        iq = iq.amended({"to": None, "from": None})
        wanted = text_of(child(request, NS.BIND, "resource"))
        try:
            session = await self._session(stream, wanted)
        except StanzaError as why:
            stream.write(error(iq, why).raw)
            return
        if stream.ended:
            return
        stream.bound(session)
        bound = Element((NS.BIND, "bind"))
        bound.addElement("jid", content=session.full)
        stream.write(result(iq, bound).raw)
        stream.enter(session)

    async def _session(self, stream: ClientStream, wanted: str) -> Session:
        """Return a session whose full JID no other session has; raises StanzaError."""
        assert stream.account is not None
        while True:
            account = stream.account = await self.host.current(stream.account)
            jid = self._choose(account, wanted)
            if not await stream.vacate(account, jid):
                break
        if len(account.sessions) >= self.options.most:
            raise StanzaError("resource-constraint")
        return Session(account, jid, stream, stream.lang)

    def _choose(self, account: Account, wanted: str) -> JID:
        """Return the full JID for a client. Raises StanzaError (§7.6.2, §7.7.2)."""
        if not wanted:
            return account.jid.with_resource(secrets.token_urlsafe(8))
        try:
            jid = account.jid.with_resource(wanted)
        except InvalidAddress:
            raise StanzaError("bad-request") from None
        if jid.resource in account.sessions and self.options.conflict == "rename":
            # what was asked for may be as long as a resource can be
            return account.jid.with_resource(f"{jid.resource[:200]}.{secrets.token_urlsafe(6)}")
        return jid

    @answers("set", NS.SESSION, "session", At.SELF | At.HOST)
    def session(self, request: Passing) -> Stanza:
        """RFC 3921 §3: there is nothing left to do."""
        return result(request.stanza)
