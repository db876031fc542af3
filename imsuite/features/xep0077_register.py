"""XEP-0077: In-Band Registration."""

from __future__ import annotations

import re
from typing import Any, ClassVar

import attrs
from twisted.logger import Logger
from twisted.words.xish.domish import Element

from imsuite.auth.limits import Levels, block
from imsuite.auth.secrets import TooBusy
from imsuite.core.account import Account
from imsuite.core.feature import At, StreamFeature, answers, negotiates
from imsuite.core.hooks import Passing
from imsuite.core.host import Host
from imsuite.core.options import Check, WrongValue, ge, option
from imsuite.core.session import Session
from imsuite.rules.sasl import InvalidPassword
from imsuite.rules.stream import Phase
from imsuite.streams.c2s import ClientStream
from imsuite.xmpp import forms
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import InvalidAddress, localpart, parse
from imsuite.xmpp.errors import ImsuiteError, StanzaError, StreamError
from imsuite.xmpp.stanza import Stanza, child, error, result, text_of

NS_REGISTER = "jabber:iq:register"
NS_CHANGE = "jabber:iq:register:changepassword"
NS_FEATURE = "http://jabber.org/features/iq-register"
NS_OOB = "jabber:x:oob"
OFFER = b"<register xmlns='%s'/>" % NS_FEATURE.encode()
HOUR = 3600.0  # seconds
ADDRESSES = 50_000  # that are remembered for their registrations

# names that look as if the server itself spoke (RFC 2142, and what people take for it)
OFFICIAL = (
    "abuse|admin|administrator|announce|billing|contact|help|hostmaster|info|moderator|news|noc|"
    "nobody|operator|postmaster|register|root|sales|security|server|staff|support|system|"
    "webmaster|xmpp"
)


def _compiles(pattern: str) -> str:
    try:
        re.compile(pattern)
    except re.error as why:
        raise WrongValue(f"must be a regular expression ({why})") from None
    return pattern


@attrs.frozen
class Options:
    """[features.register]"""

    open: bool = option(False, "Let anybody make an account.")
    refused: str = option(
        OFFICIAL,
        "Names that nobody can register: a regular expression for the whole name.",
        Check(_compiles),
    )
    shortest_password: int = option(8, "Characters that a new password must have.", ge(1))
    per_address: int = option(
        5, "Registrations from one address (IPv6: one /64) in an hour, also those that fail.", ge(1)
    )
    per_hour: int = option(100, "Registrations from everywhere in an hour.", ge(1))
    url: str | None = option(
        None,
        "Page where people register instead, which clients show where registration is not open.",
        example="https://example.org/register",
    )


class Register(StreamFeature):
    """Let people make accounts, change their passwords and leave."""

    spec = "XEP-0077 2.4"
    advertises = {At.HOST: (NS_REGISTER,)}
    options: Options
    forbids = Phase.AUTHENTICATED
    rank = 25
    log: ClassVar[Logger] = Logger()

    def __init__(self, host: Host, options: Options) -> None:
        super().__init__(host, options)
        self._refused = re.compile(options.refused)
        self._by_address = Levels(HOUR / options.per_address, ADDRESSES)
        self._all = Levels(HOUR / options.per_hour, 1)

    # before authentication

    def offer(self, stream: ClientStream) -> bytes | None:
        """§8"""
        wanted = self.options.open or self.options.url is not None
        return OFFER if wanted and self._safe(stream) else None

    @negotiates(NS.CLIENT, "iq")
    async def register(self, stream: ClientStream, iq: Stanza) -> None:
        """§3.1.1; every other stanza must wait until the client is bound (RFC 6120 §4.9.3.12)."""
        query = iq.child(NS_REGISTER, "query")
        here = iq.to is None or iq.to == self.host.domain
        if query is None or not here or iq.type not in ("get", "set") or not iq.id:
            raise StreamError("not-authorized")
        try:
            if not self._safe(stream):
                raise StanzaError("not-authorized", text="not without TLS")
            if iq.type == "set":
                await self._create(stream, query)
                answer = None
            else:
                answer = self._fields()
        except StanzaError as why:
            stream.write(error(iq, why).raw)
            return
        stream.write(result(iq.amended({"to": None, "from": None}), answer).raw)

    def _fields(self) -> Element:
        """Return what a client has to fill in (§3.1), or where it has to go (§5)."""
        query = Element((NS_REGISTER, "query"))
        if not self.options.open:
            if self.options.url is None:
                raise StanzaError("service-unavailable")
            query.addElement("instructions", content=f"To register, visit {self.options.url}")
            query.addElement((NS_OOB, "x")).addElement("url", content=self.options.url)
            return query
        instructions = "Choose a name and a password for your account."
        query.addElement("instructions", content=instructions)
        query.addElement("username")
        query.addElement("password")
        fields = (
            forms.field("text-single", "username", label="Name", required=True),
            forms.field("text-private", "password", label="Password", required=True),
        )
        form = forms.make("form", NS_REGISTER, fields, instructions=[instructions])
        query.addChild(forms.to_element(form))
        return query

    async def _create(self, stream: ClientStream, query: Element) -> None:
        if not self.options.open:
            raise StanzaError("service-unavailable")
        if child(query, NS_REGISTER, "remove") is not None:
            raise StanzaError("unexpected-request", text="nobody is logged in")
        if stream.registered:
            raise StanzaError("not-acceptable", text="one account is enough")
        name, password = _filled_in(query, NS_REGISTER)
        if not name or not password:
            raise StanzaError("not-acceptable", text="a name and a password are required")
        try:
            local = localpart(name)
        except InvalidAddress:
            raise StanzaError("not-acceptable", text="this can not be a name") from None
        if self._refused.fullmatch(local):
            raise StanzaError("not-acceptable", text="this name is not for everybody")
        self._check_password(password)
        self._count(stream.link.address)
        jid = await self._registered(self.host.registrar.create(local, password))
        stream.registered = True
        self.log.info("{account} registered from {peer}", account=jid, peer=stream.peer)

    def _count(self, address: str) -> None:
        """Count an attempt. Raises StanzaError when there were too many (§3.1.1)."""
        now, key = self.host.clock.seconds(), block(address)
        options = self.options
        for levels, of, most in (
            (self._by_address, key, options.per_address),
            (self._all, "", options.per_hour),
        ):
            # a whole one must fit: what has sunk by a part does not make room
            if levels.get(of, now) + 1 > most:
                raise StanzaError("resource-constraint", text="too many registrations, try later")
        self._by_address.add(key, now)
        self._all.add("", now)

    # afterwards

    @answers("get", NS_REGISTER, "query", At.SELF | At.HOST)
    def get(self, request: Passing) -> Stanza:
        """§3.1: what is on file; the password is not."""
        account = self._own(request).account
        query = Element((NS_REGISTER, "query"))
        query.addElement("registered")
        query.addElement("username", content=account.jid.local)
        query.addElement("password")
        return result(request.stanza, query)

    @answers("set", NS_REGISTER, "query", At.SELF | At.HOST)
    async def set(self, request: Passing) -> Stanza | None:
        """§3.2, §3.3"""
        query = request.stanza.payload
        assert query is not None
        if child(query, NS_REGISTER, "remove") is None:
            session = self._own(request)
            await self._change_password(session, query)
            return result(request.stanza)
        session = self._own(request, "registration-required")
        if len(list(query.elements())) != 1:
            raise StanzaError("bad-request", text="remove stands alone")
        await self._remove(session, request)
        return None

    async def _change_password(self, session: Session, query: Element) -> None:
        """§3.3"""
        account = session.account
        if not self._safe(session.stream):
            raise StanzaError("not-authorized", text="not without TLS")
        name, password = _filled_in(query, NS_REGISTER, NS_CHANGE)
        if not name or not password:
            raise StanzaError("bad-request", text="a name and a password are required")
        if not _is_name_of(account, name):
            raise StanzaError("not-allowed", text="this is another's name")
        if not await self.host.users.verifiers(account.jid.local):
            raise StanzaError("not-allowed", text="the password is kept elsewhere")
        self._check_password(password)
        changing = self.host.registrar.set_password(account.jid.local, password, session.full)
        await self._registered(changing)
        self.log.info("{account} changed its password", account=account.bare)

    async def _remove(self, session: Session, request: Passing) -> None:
        """§3.2: all is gone when the client hears of it; then its stream ends."""
        account, stream = session.account, session.stream
        await self.host.registrar.delete(account.jid.local, session)
        self.log.info("{account} was removed by its owner", account=account.bare)
        if stream is not None:
            stream.write(result(request.stanza).raw)
            stream.fail(StreamError("not-authorized", "the account was removed"))
        session.abandon()

    # checks

    def _own(self, request: Passing, otherwise: str = "service-unavailable") -> Session:
        """Return the session of an account of this host that asks. Raises StanzaError."""
        session = request.session
        if session is None or session.account.host is not self.host or session.account.temporary:
            raise StanzaError(otherwise)
        return session

    def _safe(self, stream: Any) -> bool:  # a stream of whichever kind of link
        """Tell whether passwords may go over a stream: by TLS, or if logging in needs none."""
        return bool(stream.secure) or not self.host.authenticator.options.tls_required

    def _check_password(self, password: str) -> None:
        shortest = self.options.shortest_password
        if len(password) < shortest:
            text = f"the password must have {shortest} characters"
            raise StanzaError("not-acceptable", text=text)

    async def _registered(self, work: Any) -> Any:  # a coroutine of the registrar
        """Return what the registrar returns. Raises StanzaError."""
        try:
            return await work
        except InvalidPassword as why:
            raise StanzaError("not-acceptable", text=f"the password: {why}") from None
        except TooBusy:
            raise StanzaError("resource-constraint", text="try later") from None
        except StanzaError:
            raise
        except ImsuiteError as why:
            raise self.host.condition(why) from None


def _filled_in(query: Element, *form_types: str) -> tuple[str, str]:
    """Return name and password, "" where absent; a data form comes first (§4, §6)."""
    if child(query, NS.DATA, "x") is None:
        name, password = (child(query, NS_REGISTER, field) for field in ("username", "password"))
        return text_of(name), text_of(password)
    form = forms.submitted(query, None)
    if form is None:
        raise StanzaError("not-acceptable", text="the form was cancelled")
    if form.formNamespace not in (None, *form_types):
        raise StanzaError("bad-request", text="the data form is for something else")
    return forms.text(form, "username") or "", forms.text(form, "password") or ""


def _is_name_of(account: Account, name: str) -> bool:
    """Tell whether a name is an account's localpart, or its bare JID as in §3.3's form."""
    try:
        jid = parse(name) if "@" in name else parse(f"{name}@{account.jid.domain}")
    except InvalidAddress:
        return False
    return jid.full == account.bare
