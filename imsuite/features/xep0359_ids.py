"""XEP-0359: Unique and Stable Stanza IDs, as far as they concern who may give them."""

from __future__ import annotations

from imsuite.core.feature import At, Feature, on
from imsuite.core.hooks import INCOMING, OUTGOING, Passing, Stage
from imsuite.xmpp.address import normalised
from imsuite.xmpp.stanza import Stanza, children

NS_SID = "urn:xmpp:sid:0"
STANZA_ID = (NS_SID, "stanza-id")


class StanzaIds(Feature):
    """Let nobody but an account's own server give ids in the name of the account."""

    spec = "XEP-0359 0.7.0"
    # §5: the account is what stands in "by", so the account says that it obeys the rules
    advertises = {At.ADDRESS: (NS_SID,)}

    @on(OUTGOING, Stage.AMEND, kind="message", child=STANZA_ID)
    @on(INCOMING, Stage.AMEND, kind="message", child=STANZA_ID)
    def take_away(self, passing: Passing) -> Stanza | None:
        """§3.2, §3.7: ids that only this server may give in this account's name are forged."""
        if passing.vouched:
            return None
        ours = (passing.account.bare, self.host.domain)
        forged = [
            element
            for element in children(passing.stanza.element, *STANZA_ID)
            if normalised(element.getAttribute("by")) in ours
        ]
        return passing.stanza.without(forged) if forged else None
