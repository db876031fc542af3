"""XEP-0202: Entity Time."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import attrs
from twisted.words.xish.domish import Element

from imsuite.core.feature import At, Feature, answers
from imsuite.core.hooks import Passing
from imsuite.core.options import option
from imsuite.xmpp.stanza import Stanza, result
from imsuite.xmpp.times import SECOND, format_datetime, format_zone

NS_TIME = "urn:xmpp:time"


@attrs.frozen
class Options:
    """[features.time]"""

    show_zone: bool = option(
        False, "Tell the time zone of this machine, and with it roughly where it is, not just UTC."
    )


class Time(Feature):
    """Tell the time of this server."""

    spec = "XEP-0202 2.0"
    advertises = {At.HOST | At.SELF: (NS_TIME,)}
    options: Options

    @answers("get", NS_TIME, "time", At.HOST | At.SELF)
    def time(self, passing: Passing) -> Stanza:
        """§2; §6: no zone unless the operator wants it known."""
        seconds = int(self.host.clock.seconds())
        answer = Element((NS_TIME, "time"))
        ahead = _zone(seconds) if self.options.show_zone else 0
        answer.addElement("tzo", content=format_zone(ahead))
        answer.addElement("utc", content=format_datetime(seconds * SECOND))
        return result(passing.stanza, answer)


def _zone(seconds: int) -> int:
    """Return by how many minutes the zone of this machine is ahead of UTC at a moment."""
    offset = datetime.fromtimestamp(seconds, UTC).astimezone().utcoffset()
    return (offset or timedelta()) // timedelta(minutes=1)
