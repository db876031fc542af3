"""XEP-0478: Stream Limits Advertisement."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from imsuite.core.feature import StreamFeature
from imsuite.core.host import Host
from imsuite.core.interfaces import IIdle
from imsuite.rules.stream import Phase
from imsuite.streams.c2s import ClientStream

NS_LIMITS = "urn:xmpp:stream-limits:0"


class Limits(StreamFeature):
    """Tell clients how much they may send at once, and how long they may be silent."""

    spec = "XEP-0478 0.2.0"
    rank = 95

    def __init__(self, host: Host, options: object) -> None:
        super().__init__(host, options)
        host.add_stream_feature(self)

    @cached_property
    def _idle(self) -> Any:  # what provides IIdle, or None
        return self.host.find_feature(IIdle)

    def offer(self, stream: ClientStream) -> bytes:
        """§3.1: what holds until other features are offered."""
        idle = ""
        if Phase.AUTHENTICATED in stream.phase and self._idle is not None and self._idle.idle:
            idle = f"<idle-seconds>{self._idle.idle}</idle-seconds>"
        most = f"<max-bytes>{stream.largest}</max-bytes>"
        return f"<limits xmlns='{NS_LIMITS}'>{most}{idle}</limits>".encode()
