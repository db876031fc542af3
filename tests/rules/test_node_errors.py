"""XEP-0060: application-specific conditions."""

import pytest

from imsuite.rules.node_errors import NS_ERRORS, REFUSALS, not_subscribed, refusal, unsupported
from imsuite.xmpp.errors import CONDITIONS
from imsuite.xmpp.stanza import Stanza, error
from tests.helpers import holds

ASKED = Stanza.parse(b"<iq type='get' id='q' from='a@b/c' to='d'><q xmlns='urn:q'/></iq>")


@pytest.mark.parametrize("word", REFUSALS)
def test_refusal_has_both_conditions(word):
    """§12: a condition of RFC 6120, with a type, and beside it the one of this protocol."""
    why = refusal(word)
    assert why.condition in CONDITIONS
    assert why.app == (NS_ERRORS, word)
    said = error(ASKED, why).raw.decode()
    assert holds(said, f"<iq><error type='{why.type}'><{word} xmlns='{NS_ERRORS}'/></error></iq>")


def test_what_is_not_supported_is_named():
    """§6.1.3.10"""
    said = error(ASKED, unsupported("persistent-items")).raw.decode()
    assert holds(
        said,
        "<iq type='error'><error type='cancel'>"
        "<feature-not-implemented xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/>"
        f"<unsupported xmlns='{NS_ERRORS}' feature='persistent-items'/></error></iq>",
    )


def test_not_being_subscribed_is_another_error_for_items():
    """§6.2.3.2 and §6.5.9.3 have the same word and different conditions."""
    assert refusal("not-subscribed").condition == "unexpected-request"
    assert not_subscribed().condition == "not-authorized"
