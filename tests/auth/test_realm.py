"""The realm, the portal and the checkers of a host (twisted.cred; architecture §7)."""

import attrs
import pytest
from twisted.cred.checkers import (
    ANONYMOUS,
    AllowAnonymousAccess,
    ICredentialsChecker,
    InMemoryUsernamePasswordDatabaseDontUse,
)
from twisted.cred.credentials import IAnonymous, IUsernamePassword, UsernamePassword
from twisted.cred.error import UnauthorizedLogin
from twisted.cred.portal import IRealm
from twisted.internet.defer import Deferred
from twisted.logger import globalLogPublisher
from zope.interface import Interface
from zope.interface.verify import verifyObject

from imsuite.auth.checkers import AnonymousCredentials, PlainCredentials, ScramCredentials
from imsuite.auth.iauth import IAccounts, IScramChecker, IScramCredentials
from imsuite.auth.realm import Claim, HostRealm, LoginRefused, TwoCheckers, make_portal
from imsuite.rules.scram import Finished
from imsuite.xmpp.address import InvalidAddress


class IAvatar(Interface):
    """An account."""


def result(deferred):
    results = []
    deferred.addBoth(results.append)
    (found,) = results
    if hasattr(found, "raiseException"):
        found.raiseException()
    return found


@pytest.fixture
def realm():
    async def make_account(localpart, *, temporary):
        return (localpart, temporary), lambda: None

    return HostRealm("example.org", IAvatar, make_account, lambda size: b"\0" * size)


@pytest.fixture
def store(host):
    return host.auth.portal.checkers[IScramCredentials]


def test_interfaces_are_what_they_promise(realm, host, store):
    """House rule 8"""
    verifyObject(IRealm, realm)
    verifyObject(IScramChecker, store)
    verifyObject(ICredentialsChecker, store)
    verifyObject(IAccounts, host.accounts)
    verifyObject(IUsernamePassword, PlainCredentials(b"romeo", b"pencil"))
    verifyObject(IScramCredentials, ScramCredentials("romeo", Finished(), b""))
    verifyObject(IAnonymous, AnonymousCredentials())


@pytest.mark.parametrize("name", [b"romeo", "romeo", b"ROMEO"])
def test_a_proved_name_becomes_an_account(realm, name):
    """Architecture §7: what a checker returns is a localpart"""
    claim = Claim("romeo@example.org")
    interface, avatar, _ = result(realm.requestAvatar(name, claim, IAvatar))
    assert (interface, avatar, claim.localpart) == (IAvatar, ("romeo", False), "romeo")


def test_without_a_claim_the_realm_works_too(realm):
    """An HTTP resource has no authzid."""
    _, avatar, _ = result(realm.requestAvatar(b"romeo", None, IAvatar))
    assert avatar == ("romeo", False)


def test_anonymous_becomes_a_uuid(realm):
    """XEP-0175 §3"""
    _, avatar, _ = result(realm.requestAvatar(ANONYMOUS, Claim(), IAvatar))
    assert avatar == ("00000000-0000-4000-8000-000000000000", True)


@pytest.mark.parametrize(
    ("name", "mind", "interface", "error"),
    [
        (b"romeo", Claim("juliet@example.org"), IAvatar, LoginRefused),
        (b"romeo", None, IRealm, NotImplementedError),
        (b"", None, IAvatar, InvalidAddress),
        (b"ro meo", None, IAvatar, InvalidAddress),
        (b"romeo@example.org", None, IAvatar, InvalidAddress),
    ],
)
def test_other_claims_and_names_are_no_accounts(realm, name, mind, interface, error):
    """RFC 6120 §6.3.8"""
    with pytest.raises(error):
        result(realm.requestAvatar(name, mind, interface))


def test_two_checkers_of_one_kind_are_a_mistake(realm, store):
    """twisted.cred would take the last one without a word."""
    other = InMemoryUsernamePasswordDatabaseDontUse()
    with pytest.raises(TwoCheckers, match="both check IUsernamePassword"):
        make_portal(realm, (store, other))
    assert make_portal(realm, (store, AllowAnonymousAccess())).realm is realm


def test_store_checks_what_any_other_part_of_twisted_asks(store):
    """A web page with its own UsernamePassword"""
    assert result(store.requestAvatarId(UsernamePassword(b"Romeo", b"pencil"))) == b"romeo"
    for username in (b"romeo", b"tybalt", b"\xff", b"ro meo"):
        with pytest.raises(UnauthorizedLogin):
            result(store.requestAvatarId(UsernamePassword(username, b"wrong")))
    with pytest.raises(UnauthorizedLogin):
        result(store.requestAvatarId(UsernamePassword(b"romeo", b"\xff")))


def test_scram_credentials_prove_nothing_by_themselves(store):
    """Whoever makes up credentials has no challenge they answer."""
    with pytest.raises(UnauthorizedLogin):
        result(store.requestAvatarId(ScramCredentials("romeo", Finished(), b"")))


def test_account_without_the_hash_looks_unknown(host, store):
    """RFC 5802 §9: an imported account in a mechanism it has no verifier for"""
    text = next(part for part in host_text(store) if part.startswith("SCRAM-SHA-1$"))
    host.accounts.texts["romeo"] = text
    verifier, known = result(Deferred.fromCoroutine(store.verifier("romeo", "SHA-256")))
    assert not known
    assert len(verifier.salt) == 16
    assert host.scram("SCRAM-SHA-1")[0].localpart == "romeo"
    assert host.plain().localpart == "romeo"


def test_unknown_name_has_another_salt_on_another_host(host, store):
    """RFC 5802 §9: the same salt twice would say that neither account exists"""
    other = attrs.evolve(store, domain="example.com")
    salts = [
        result(Deferred.fromCoroutine(checker.verifier("tybalt", "SHA-256")))[0].salt
        for checker in (store, other)
    ]
    assert salts[0] != salts[1]


def host_text(store):
    text = result(Deferred.fromCoroutine(store.accounts.verifiers("romeo")))
    return text.split(" ")


def test_broken_verifiers_are_an_unknown_account_and_an_error_in_the_log(host):
    """The operator should act; the client learns nothing."""
    host.accounts.texts["romeo"] = "rubbish"
    events = []
    globalLogPublisher.addObserver(events.append)
    outcome = host.plain()
    globalLogPublisher.removeObserver(events.append)
    assert outcome.condition == "not-authorized"
    assert [event["log_level"].name for event in events if "why" in event] == ["error"]


def test_plain_credentials_compare_and_do_not_show():
    """Constant time, no secret in a log."""
    credentials = PlainCredentials(b"romeo", b"pencil")
    assert credentials.checkPassword(b"pencil")
    assert not credentials.checkPassword(b"pencils")
    assert "pencil" not in repr(credentials)
