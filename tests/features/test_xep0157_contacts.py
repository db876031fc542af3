"""XEP-0157: Contact Addresses for XMPP Services."""

import pytest

from imsuite.core.options import WrongValue
from imsuite.features.xep0157_contacts import Options
from tests.helpers import holds

INFO = "http://jabber.org/protocol/disco#info"
ADDRESSES = {
    "abuse": ("mailto:abuse@example.org", "xmpp:abuse@example.org"),
    "admin": ("xmpp:admin@example.org?message",),
    "feedback": ("https://example.org/feedback",),
    "sales": ("xmpp:bard@example.org",),
    "security": ("mailto:security@example.org",),
    "status": ("https://status.example.org",),
    "support": ("https://example.org/support",),
}


def info(client, to="example.org"):
    (answer,) = client.says(f"<iq type='get' id='i' to='{to}'><query xmlns='{INFO}'/></iq>")
    return answer


@pytest.mark.server(options={"contacts": ADDRESSES})
def test_addresses_are_in_the_form_of_the_domain(romeo):
    """§3: a field for each kind, with all its addresses."""
    fields = "".join(
        f"<field var='{kind}-addresses'>"
        + "".join(f"<value>{value}</value>" for value in values)
        + "</field>"
        for kind, values in ADDRESSES.items()
    )
    answer = info(romeo)
    assert holds(
        answer,
        f"<iq type='result'><query xmlns='{INFO}'><x xmlns='jabber:x:data' type='result'>"
        "<field var='FORM_TYPE' type='hidden'>"
        f"<value>http://jabber.org/network/serverinfo</value></field>{fields}</x></query></iq>",
    )


@pytest.mark.server(options={"contacts": {"abuse": ("mailto:abuse@example.org",)}})
def test_kinds_without_address_are_left_out(romeo):
    """§3"""
    answer = info(romeo)
    assert "abuse-addresses" in answer
    assert "admin-addresses" not in answer


@pytest.mark.server(options={"contacts": ADDRESSES})
def test_accounts_have_no_contacts(romeo):
    """§3: the form is the domain's."""
    assert "serverinfo" not in info(romeo, "romeo@example.org")


def test_nothing_is_published_unasked(romeo):
    """§5: the operator decides what is known."""
    assert "serverinfo" not in info(romeo)


@pytest.mark.parametrize("address", ["abuse@example.org", "mailto:", "xmpp:a b", ""])
def test_addresses_are_uris(address):
    """§3"""
    with pytest.raises(WrongValue):
        Options(abuse=(address,))
