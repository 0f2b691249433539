"""What unchanged shards hold, remembered so that no start reads their headers again.

The one thing that a source keeps between runs: reading it anew would mean a pass over every
shard. Removing the file costs that pass and nothing else.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Set
from pathlib import Path

from trainer.cache.database import connect
from trainer.data.sources.members import Contents, Member
from trainer.data.sources.shards import Shard

SCHEMA = """
CREATE TABLE IF NOT EXISTS shard (
  name TEXT PRIMARY KEY, size INTEGER, modified_ns INTEGER, identity INTEGER, contents BLOB
) WITHOUT ROWID
"""


class KnownShards:
    """Contents of shards by name and stamp, kept in `database`; for one thread."""

    def __init__(self, database: Path) -> None:
        database.parent.mkdir(parents=True, exist_ok=True)
        self._db = connect(database, SCHEMA)

    def get(self, shard: Shard) -> Contents | None:
        row = self._db.execute(
            "SELECT contents FROM shard WHERE name = ? AND (size, modified_ns, identity) = "
            "(?, ?, ?)",
            (shard.name, *shard.stamp),
        ).fetchone()
        if row is None:
            return None
        members, fault = json.loads(zlib.decompress(row[0]))
        return Contents([Member(*m) for m in members], fault)

    def put(self, shard: Shard, contents: Contents) -> None:
        packed = zlib.compress(json.dumps([contents.members, contents.fault]).encode(), 1)
        self._db.execute(
            "INSERT OR REPLACE INTO shard VALUES (?, ?, ?, ?, ?)",
            (shard.name, *shard.stamp, packed),
        )

    def keep_only(self, names: Set[str]) -> None:
        """Forget the shards that are gone."""
        known = [name for (name,) in self._db.execute("SELECT name FROM shard")]
        self._db.executemany(
            "DELETE FROM shard WHERE name = ?", [(n,) for n in known if n not in names]
        )

    def close(self) -> None:
        self._db.close()
