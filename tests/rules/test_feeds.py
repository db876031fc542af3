"""XEP-0472: what a social feed holds."""

import pytest

from imsuite.rules import feeds
from imsuite.rules.feeds import FEED, GALLERY, MICROBLOG
from imsuite.xmpp.build import build


def entry(inner="", ns=feeds.NS_ATOM, name="entry"):
    """Return a payload."""
    return build(f"<{name} xmlns='{ns}'><title>t</title>{inner}</{name}>".encode(), ns)


PICTURE = "<link rel='enclosure' type='image/jpeg' href='https://x.example/a'/>"


@pytest.mark.parametrize(
    ("type", "payload", "fits"),
    [
        ("", None, True),
        ("urn:x", entry(ns="urn:x"), True),
        (FEED, entry(), True),
        (MICROBLOG, entry(PICTURE), True),
        (FEED, None, False),
        (FEED, entry(ns="urn:x"), False),
        (MICROBLOG, entry(name="feed"), False),
        (GALLERY, entry(PICTURE), True),
        (GALLERY, entry("<link rel='enclosure' href='https://x.example/a'/>"), True),
        (GALLERY, entry(), False),
        (GALLERY, entry("<link rel='enclosure' type='image/png'/>"), False),
        (GALLERY, entry("<link rel='enclosure' type='video/mp4' href='https://x'/>"), False),
        (GALLERY, entry("<link rel='alternate' type='image/png' href='https://x'/>"), False),
        (GALLERY, entry("<link xmlns='urn:x' rel='enclosure' href='https://x'/>"), False),
        (GALLERY, None, False),
    ],
)
def test_what_belongs_into_a_feed(type, payload, fits):
    """§4.2: a post; §6.3: in a gallery with a picture."""
    assert feeds.fits(type, payload) is fits
