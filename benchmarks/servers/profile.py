"""What a load asks of every server beyond plain chat: the same of all, and nothing else."""

import attrs

# features of imsuite that no other server here has in any load, and those a profile turns on;
# words of the configuration, which is what the file of a feature is called after its number
NEVER = ("carbons", "csi", "push")
ARCHIVING = ("archive",)
MANAGING = ("management",)
KEEPING = ("offline",)
ROOMS = ("muc",)
NODES = ("pubsub", "pep")


@attrs.frozen
class Profile:
    """Which of the costly features run. What is not named here never differs between loads."""

    name: str
    archive: bool = False  # XEP-0313, in SQLite, for every account
    search: bool = False  # XEP-0431, with an index of words: imsuite alone has one
    management: bool = False  # XEP-0198, enabled with resumption by every session
    offline: bool = False  # XEP-0160
    sql: bool = False  # offline messages in SQLite, not in what the server does by itself
    rooms: bool = False  # XEP-0045, with the history a room has in memory
    room_archive: bool = False  # XEP-0313 for rooms, in SQLite
    nodes: bool = False  # XEP-0060 as a service, XEP-0163 on accounts

    def __str__(self) -> str:
        return self.name

    @property
    def kept(self) -> bool:
        """Something is written of messages."""
        return self.archive or self.management or self.offline or self.room_archive or self.nodes

    @property
    def left_out(self) -> tuple[str, ...]:
        """Words of imsuite's features that must not run."""
        return (
            *NEVER,
            *(() if self.archive or self.room_archive else ARCHIVING),
            *(() if self.management else MANAGING),
            *(() if self.offline else KEEPING),
            *(() if self.rooms else ROOMS),
            *(() if self.nodes else NODES),
        )


BARE = Profile("bare")
ARCHIVE = Profile("archive", archive=True)
SEARCH = Profile("search", archive=True, search=True)
MANAGEMENT = Profile("management", management=True)
OFFLINE = Profile("offline", offline=True)
OFFLINE_SQL = Profile("offline-sql", offline=True, sql=True)
ROOM = Profile("room", rooms=True)
ROOM_ARCHIVE = Profile("room-archive", rooms=True, room_archive=True)
NODE = Profile("node", nodes=True)
