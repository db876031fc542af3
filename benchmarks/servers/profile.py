"""What a load asks of every server beyond plain chat: the same of all, and nothing else."""

import attrs

# features of imsuite that no other server here has in any load, and those a profile turns on;
# words of the configuration, which is what the file of a feature is called after its number
NEVER = ("carbons", "csi", "push")
ARCHIVING = ("archive",)
MANAGING = ("management",)
KEEPING = ("offline",)


@attrs.frozen
class Profile:
    """Which of the costly features run. What is not named here never differs between loads."""

    name: str
    archive: bool = False  # XEP-0313, in SQLite, for every account
    search: bool = False  # XEP-0431, with an index of words: imsuite alone has one
    management: bool = False  # XEP-0198, enabled with resumption by every session
    offline: bool = False  # XEP-0160
    sql: bool = False  # offline messages in SQLite, not in what the server does by itself

    def __str__(self) -> str:
        return self.name

    @property
    def kept(self) -> bool:
        """Something is written of messages."""
        return self.archive or self.management or self.offline

    @property
    def left_out(self) -> tuple[str, ...]:
        """Words of imsuite's features that must not run."""
        return (
            *NEVER,
            *(() if self.archive else ARCHIVING),
            *(() if self.management else MANAGING),
            *(() if self.offline else KEEPING),
        )


BARE = Profile("bare")
ARCHIVE = Profile("archive", archive=True)
SEARCH = Profile("search", archive=True, search=True)
MANAGEMENT = Profile("management", management=True)
OFFLINE = Profile("offline", offline=True)
OFFLINE_SQL = Profile("offline-sql", offline=True, sql=True)
