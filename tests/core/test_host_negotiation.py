"""Which feature takes an element of a stream."""

import pytest

from imsuite.core.feature import StreamFeature, negotiates
from imsuite.core.host import FeatureConflict
from imsuite.rules.stream import Phase
from imsuite.testing.memory import MemoryServer


class Before(StreamFeature):
    spec = "RFC 6120"
    forbids = Phase.AUTHENTICATED

    @negotiates("urn:example", "thing")
    def take(self, stream, element):
        """Before authentication."""


class After(StreamFeature):
    spec = "RFC 6120"
    needs = Phase.AUTHENTICATED

    @negotiates("urn:example", "thing")
    def take(self, stream, element):
        """After it."""


class Always(StreamFeature):
    spec = "RFC 6120"

    @negotiates("urn:example", "thing")
    def take(self, stream, element):
        """Whenever."""


# a feature's word is the name of its module
Before.word = classmethod(lambda cls: "before")
After.word = classmethod(lambda cls: "after")
Always.word = classmethod(lambda cls: "always")


@pytest.mark.server(features=[Before, After])
def test_the_phase_decides(host):
    """RFC 6120 §4.3.2: what one feature may not take at a moment another one may."""
    name = "urn:example}thing"
    assert host.negotiator(name, Phase.SECURE) == host.features["before"].take
    after = Phase.SECURE | Phase.AUTHENTICATED
    assert host.negotiator(name, after) == host.features["after"].take
    assert host.negotiator("urn:example}other", after) is None


@pytest.mark.parametrize("other", [Before, After])
def test_two_at_the_same_time_are_a_conflict(other):
    """Architecture §3: a second owner of the same key stops the start."""
    with pytest.raises(FeatureConflict, match="negotiate"):
        MemoryServer(features=[Always, other])
