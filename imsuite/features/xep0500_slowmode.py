"""XEP-0500: MUC Slow Mode."""

from __future__ import annotations

from collections.abc import Iterable

from zope.interface import implementer

from imsuite.core.feature import Feature, on
from imsuite.core.hooks import ROOM_MESSAGE, Passing, Stage
from imsuite.core.service_interfaces import IRooms, IRoomSettings
from imsuite.rules.affiliations import Affiliation
from imsuite.rules.room_config import Setting
from imsuite.xmpp import ns as NS
from imsuite.xmpp.errors import StanzaError

NAME = "slow_mode"
LONGEST = 86_400  # seconds
_MANY = 1000  # people in one room whose last message is remembered before the old ones go


@implementer(IRoomSettings)
class SlowMode(Feature):
    """Let owners say how long everybody waits between two messages to a room."""

    spec = "XEP-0500 0.1.1"
    requires = (IRooms,)

    def settings(self) -> Iterable[Setting]:
        """§5.1"""
        yield Setting(
            "muc#roomconfig_slow_mode_duration",
            NAME,
            "text-single",
            "Seconds between Two Messages of One Person",
            0,
            most=LONGEST,
            info=("muc#roominfo_slow_mode_duration",),
            desc="0: as many as they like.",
        )

    @on(ROOM_MESSAGE, Stage.GUARD, kind="message", child=(NS.CLIENT, "body"))
    def slow_down(self, passing: Passing) -> None:
        """§6: too soon is refused; admins and owners never wait, nor do chat states."""
        room, occupant = passing.room, passing.occupant
        seconds = room.config[NAME]
        if not seconds or occupant.affiliation >= Affiliation.ADMIN:
            return
        now = self.host.clock.seconds()
        last: dict[str, float] = room.extra.setdefault(NAME, {})
        left = last.get(occupant.bare, -seconds) + seconds - now
        if left > 0:
            text = f"wait for {left:.0f} s, then send it again"
            raise StanzaError("policy-violation", type="wait", text=text, by=room.bare)
        if len(last) >= _MANY:
            for bare in [bare for bare, then in last.items() if then + seconds <= now]:
                del last[bare]
        last[occupant.bare] = now
