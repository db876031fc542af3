"""XEP-0436: MUC presence versioning."""

from __future__ import annotations

import secrets

import attrs
from zope.interface import implementer

from imsuite.core.feature import At, Feature
from imsuite.core.options import ge, option
from imsuite.core.service_interfaces import IPresenceLogs, IRooms
from imsuite.rules.presence_log import PresenceLog

NS_VERSIONS = "urn:xmpp:muc-presence-versioning:0"


@attrs.frozen
class Options:
    """[features.versions]"""

    gone: int = option(
        1000, "How many occupants of a room who left it are remembered for who comes back.", ge(0)
    )


@implementer(IPresenceLogs)
class PresenceVersions(Feature):
    """Tell who comes back to a room only of those who changed since."""

    spec = "XEP-0436 0.2.0"
    advertises = {At.ROOM: (NS_VERSIONS,)}
    requires = (IRooms,)
    options: Options

    def begin(self) -> PresenceLog:
        """Return the log of a room that was loaded now; versions of before mean nothing to it."""
        return PresenceLog(secrets.token_hex(4), self.options.gone)
