"""XEP-0424 §4: what was retracted leaves a tombstone in the archives of local accounts.

A body is stored once, so the tombstone is in the archives of both sides at once. It becomes
durable together with the message that retracts it.
"""

from __future__ import annotations

from typing import Any

import attrs

from imsuite.core.host import Host
from imsuite.core.record import Record
from imsuite.features.xep0313_archive.search import Search
from imsuite.features.xep0313_archive.storage import CHUNK, bodies
from imsuite.rules.archive import NEWEST, is_retracted_by, may_have_id, tombstone

CONVERSATION = (
    "SELECT id FROM archive WHERE owner = ? AND peer = ? AND id <= ? ORDER BY id DESC LIMIT ?"
)
MOST_OPENED = 20  # messages of that id which it is not; a client could make all of them so
MOST_BYTES = 4_194_304  # of messages that are looked at
REPLACE = "UPDATE message SET raw = ? WHERE id = ?"


@attrs.frozen
class Retraction:
    """A message that retracts another one.

    owner, peer: bare JIDs, whose archive and with whom; author: who may retract, as is_retracted_by
    wants it; id: of the retracted message; by: id of the message that retracts it.
    """

    owner: str
    peer: str
    author: str
    id: str
    by: str

    def find(self, cursor: Any, most: int) -> tuple[int, bytes] | None:
        """Return id and raw of the message, None if it is not among the latest so many."""
        greatest, opened, size = NEWEST, 0, 0
        while most > 0 and size < MOST_BYTES:
            cursor.execute(CONVERSATION, (self.owner, self.peer, greatest, min(CHUNK, most)))
            ids = [id for (id,) in cursor.fetchall()]
            for id, _, raw in bodies(cursor, ids):
                size += len(raw)
                if not may_have_id(raw, self.id):
                    continue
                if is_retracted_by(raw, self.id, self.author):
                    return id, raw
                opened += 1
                if opened == MOST_OPENED:
                    return None
            if len(ids) < CHUNK:
                break
            most -= len(ids)
            greatest = ids[-1] - 1
        return None


async def bury(
    host: Host, search: Search, record: Record, retraction: Retraction, most: int
) -> None:
    """Put a tombstone in the place of a retracted message, if it is found.

    record: of the message that retracts it; most: messages that are looked at.
    """
    await host.store.settled()
    found = await host.store.read(retraction.find, most)
    if found is None:
        return
    id, raw = found
    record.write(REPLACE, tombstone(raw, retraction.by, record.id), id)
    if search.exists:
        record.write(search.kind.drop, id)
    record.note("XEP-0424 §4: a tombstone takes the place of what it retracts", retraction.owner)
