"""XEP-0054: vcard-temp."""

from base64 import b64encode

import pytest

from imsuite.core.feature import At
from imsuite.core.keeping import IVCards
from imsuite.rules.avatars import Image
from imsuite.testing.memory import now
from imsuite.xmpp.errors import StanzaError
from tests.helpers import holds, iq_error

CARD = "<vCard xmlns='vcard-temp'><FN>Romeo Montague</FN><PHOTO><BINVAL>{}</BINVAL></PHOTO></vCard>"
SET = "<iq type='set' id='s'>{}</iq>"
GET = "<iq type='get' id='g'><vCard xmlns='vcard-temp'/></iq>"
GET_OF = "<iq type='get' id='g' to='{}'><vCard xmlns='vcard-temp'/></iq>"


def test_own_card_comes_back(romeo):
    """§3.1, §3.2"""
    *_, stored = romeo.says(SET.format(CARD.format("AAAA")))
    assert holds(stored, "<iq type='result' id='s'/>")
    (answer,) = romeo.says(GET)
    assert holds(answer, f"<iq type='result' id='g'>{CARD.format('AAAA')}</iq>")


def test_card_is_stored_as_it_was_written(romeo):
    """§3.2: also what this server knows nothing about, and white space."""
    card = "<vCard xmlns='vcard-temp' version='3.0'> <X-Y a='1'/>é &lt; <z xmlns='urn:z'/></vCard>"
    romeo.says(SET.format(card))
    romeo.says(GET)
    (vcard,) = romeo.stanzas[-1].element.elements()
    assert vcard["version"] == "3.0"
    assert [getattr(node, "uri", node) for node in vcard.children] == [
        " ",
        "vcard-temp",
        "é < ",
        "urn:z",
    ]


def test_whole_card_is_replaced(romeo):
    """§3.2: there are no partial updates."""
    romeo.says(SET.format(CARD.format("AAAA")))
    romeo.says(SET.format("<vCard xmlns='vcard-temp'><FN>R</FN></vCard>"))
    (answer,) = romeo.says(GET)
    assert "PHOTO" not in answer


def test_own_missing_card_is_not_found(romeo):
    """§3.1"""
    (answer,) = romeo.says(GET)
    assert holds(answer, iq_error("g", "item-not-found"))


def test_empty_card_takes_it_away(romeo):
    """§3.2"""
    romeo.says(SET.format(CARD.format("AAAA")))
    romeo.says(SET.format("<vCard xmlns='vcard-temp'/>"))
    (answer,) = romeo.says(GET)
    assert holds(answer, iq_error("g", "item-not-found"))


def test_others_see_the_card(romeo, juliet):
    """§3.3: the server answers, and the owner's client hears nothing of it."""
    romeo.says(SET.format(CARD.format("AAAA")))
    romeo.forget()
    (answer,) = juliet.says(GET_OF.format("romeo@example.org"))
    assert holds(answer, f"<iq type='result' from='romeo@example.org'>{CARD.format('AAAA')}</iq>")
    assert romeo.received == []


def test_card_of_somebody_offline_is_seen(romeo, juliet):
    """§3.3"""
    romeo.says(SET.format(CARD.format("AAAA")))
    romeo.closes()
    (answer,) = juliet.says(GET_OF.format("romeo@example.org"))
    assert "Montague" in answer


def test_no_card_and_no_account_look_alike(romeo, juliet):
    """§3.3: or one could look for accounts."""
    (without_card,) = juliet.says(GET_OF.format("romeo@example.org"))
    (without_account,) = juliet.says(GET_OF.format("nobody@example.org"))
    assert holds(without_card, iq_error("g", "service-unavailable"))
    assert without_card.replace("romeo", "nobody") == without_account


@pytest.mark.parametrize("whose", ["romeo@example.org", "nobody@example.org", "example.org"])
def test_card_of_another_cannot_be_written(romeo, juliet, whose):
    """§3.2"""
    stanza = SET.format(CARD.format("AAAA")).replace("id=", f"to='{whose}' id=")
    (answer,) = juliet.says(stanza)
    assert holds(answer, iq_error("s", "forbidden"))
    (answer,) = romeo.says(GET)
    assert holds(answer, iq_error("g", "item-not-found"))


@pytest.mark.server(options={"vcard": {"largest": 2000}})
def test_card_that_is_too_large_is_refused(romeo):
    """The option `largest`; the old card stays."""
    romeo.says(SET.format(CARD.format("AAAA")))
    (answer,) = romeo.says(SET.format(CARD.format("B" * 2000)))
    assert holds(answer, iq_error("s", "policy-violation"))
    (answer,) = romeo.says(GET)
    assert "AAAA" in answer


def test_nothing_is_kept_of_a_temporary_account(host, romeo):
    """XEP-0175 §3"""
    romeo.session.account.temporary = True
    (answer,) = romeo.says(SET.format(CARD.format("AAAA")))
    assert holds(answer, iq_error("s", "not-allowed"))


def test_support_is_advertised(host):
    """§4"""
    for at in (At.HOST, At.ACCOUNT, At.SELF):
        assert "vcard-temp" in host.advertised(at)


PNG = Image(b"\x89PNG\r\n\x1a\n a picture", "image/png")


def vcards(host, romeo):
    """Return the feature, and romeo's account."""
    return host.find_feature(IVCards), romeo.session.account


def test_another_feature_puts_a_photo_in(host, romeo, juliet):
    """XEP-0398 §3.1: the rest of the card stays, and the hash is known at once."""
    romeo.says(SET.format(CARD.format("AAAA")))
    cards, account = vcards(host, romeo)
    assert now(cards.set_photo(account, PNG)) is True
    assert cards.photo_hash(account) == PNG.id
    (answer,) = juliet.says(GET_OF.format("romeo@example.org"))
    assert holds(answer, f"<iq type='result'>{CARD.format(b64encode(PNG.data).decode())}</iq>")
    assert answer.count("<PHOTO>") == 1
    assert now(cards.set_photo(account, PNG)) is False


def test_photo_may_be_all_there_is(host, romeo):
    """XEP-0398 §3.1: the card is made, and goes with the photo."""
    cards, account = vcards(host, romeo)
    assert cards.photo_hash(account) is None
    assert now(cards.set_photo(account, PNG)) is True
    assert "BINVAL" in romeo.says(GET)[-1]
    assert now(cards.set_photo(account, None, only="0" * 40)) is False
    assert now(cards.set_photo(account, None, only=PNG.id)) is True
    assert cards.photo_hash(account) == ""
    assert holds(romeo.says(GET)[-1], iq_error("g", "item-not-found"))


@pytest.mark.server(options={"vcard": {"largest": 1024}})
def test_photo_that_makes_a_card_too_large_is_refused(host, romeo):
    """§3.2: the card stays as it was."""
    romeo.says(SET.format(CARD.format("AAAA")))
    cards, account = vcards(host, romeo)
    with pytest.raises(StanzaError) as caught:
        now(cards.set_photo(account, Image(bytes(1000))))
    assert caught.value.condition == "policy-violation"
    assert "AAAA" in romeo.says(GET)[-1]


def test_hash_is_known_after_a_restart(server, host, romeo):
    """XEP-0398 §4"""
    cards, account = vcards(host, romeo)
    now(cards.set_photo(account, PNG))
    romeo.closes()
    host.forget("romeo")
    again = now(host.account("romeo"))
    assert again is not account
    assert cards.photo_hash(again) == PNG.id
