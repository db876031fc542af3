"""XEP-0203: Delayed Delivery, as far as it concerns who may say that something was delayed."""

from __future__ import annotations

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import INCOMING, OUTGOING, Passing, Stage
from imsuite.xmpp import ns as NS
from imsuite.xmpp.address import normalised
from imsuite.xmpp.stanza import Stanza, children

DELAY = (NS.DELAY, "delay")


class Delay(Feature):
    """Let nobody say in the name of the domain that a stanza was delayed."""

    spec = "XEP-0203 2.0"

    @on(OUTGOING, Stage.AMEND, kind=("message", "presence"), child=DELAY)
    @on(INCOMING, Stage.AMEND, kind=("message", "presence"), child=DELAY)
    def take_away(self, passing: Passing) -> Stanza | None:
        """§7: what claims to be of this server is forged; what others say passes."""
        if passing.vouched:
            return None
        forged = [
            element
            for element in children(passing.stanza.element, *DELAY)
            if self._is_ours(normalised(element.getAttribute("from")))
        ]
        return passing.stanza.without(forged) if forged else None

    def _is_ours(self, address: str | None) -> bool:
        """Tell whether an address is the server's, with or without a resource."""
        return address is not None and address.partition("/")[0] == self.host.domain
