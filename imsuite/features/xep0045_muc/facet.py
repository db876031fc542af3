"""What the parts of XEP-0045 have in common that each answer something of their own."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from imsuite.core.feature import Feature
from imsuite.core.interfaces import IArchive
from imsuite.core.service_interfaces import IRoomDoor, IRoomKeeper, IRoomSettings
from imsuite.rules.room_config import Settings
from imsuite.rules.room_settings import SETTINGS


class Facet(Feature):
    """A part of the feature: its marked methods become methods of `Muc`.

    rooms: what holds the rooms; domain: theirs.
    """

    rooms: Any  # a Rooms: hints of headers are read at run time, and that imports this
    domain: str

    @cached_property
    def settings(self) -> Settings:
        """The settings that rooms have here."""
        more = [f for f in self.host.features.values() if IRoomSettings.providedBy(f)]
        return Settings([*SETTINGS, *(s for feature in more for s in feature.settings())])

    @cached_property
    def doors(self) -> list[Any]:
        """The features that make members of those who knock."""
        return [f for f in self.host.features.values() if IRoomDoor.providedBy(f)]

    @cached_property
    def keepers(self) -> dict[str, Any]:
        """The features that keep something of each room, by their config words."""
        features = self.host.features
        return {word: each for word, each in features.items() if IRoomKeeper.providedBy(each)}

    @cached_property
    def archive(self) -> Any:
        """What provides IArchive, or None."""
        return self.host.find_feature(IArchive)
