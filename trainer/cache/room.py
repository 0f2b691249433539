"""Room for what is about to be encoded: on the disk, and under the quota of the cache.

It is asked for before the first encode, by estimate, and again before every shard. Over the quota
the longest unused entries that no resumable run needs make way; what is in use never does.
"""

from __future__ import annotations

import shutil
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from trainer.cache.gc import collect, needed_by, total_bytes
from trainer.cache.tables import open_index
from trainer.errors import TrainerError
from trainer.findings import finding

GB = 10**9


@dataclass(frozen=True, slots=True)
class Room:
    """How much the cache below `root` may hold; `quota` in bytes, None for no limit."""

    root: Path
    quota: int | None = None

    @classmethod
    def of(cls, root: Path, max_gb: float | None) -> Room:
        """From `cache.max_gb`."""
        return cls(root, None if max_gb is None else int(max_gb * GB))

    def demand(self, num_bytes: int, what: str = "") -> None:
        """See to it that `num_bytes` more fit; TrainerError DAT102 (disk) or DAT104 (quota).

        `what` says what they are made of, for people.
        """
        if self.quota is not None:
            self._under_quota(num_bytes, self.quota, what)
        if num_bytes > shutil.disk_usage(existing(self.root)).free:
            parts = f" ({what})" if what else ""
            raise no_room(self.root, f"{num_bytes / GB:.2f} GB are needed{parts}")

    def _under_quota(self, num_bytes: int, quota: int, what: str) -> None:
        with closing(open_index(self.root)) as db:
            if total_bytes(db) + num_bytes <= quota:
                return
        stays = collect(self.root, quota=max(0, quota - num_bytes)).bytes_after
        if stays + num_bytes <= quota:
            return
        with closing(open_index(self.root)) as db:
            runs = needed_by(db)
        parts = f" ({what})" if what else ""
        raise TrainerError(
            finding(
                "DAT104",
                f"the quota of the cache is {quota / GB:.2f} GB: {num_bytes / GB:.2f} GB are "
                f"needed{parts} beside {stays / GB:.2f} GB that are in use",
                where="cache.max_gb",
                why="entries that this run or other resumable runs use are never cleared away",
                fix="raise cache.max_gb, or remove the directories of runs that are not to go on",
                runs=runs,
            )
        )


def existing(folder: Path) -> Path:
    """The folder, or the nearest above it that is there."""
    return next(place for place in (folder, *folder.parents) if place.exists())


def no_room(folder: Path, why: str) -> TrainerError:
    """The error for a disk that cannot hold the cache."""
    free = shutil.disk_usage(existing(folder)).free / GB
    return TrainerError(
        finding(
            "DAT102",
            f"no room for the cache: {why}, {free:.2f} GB are free",
            where=str(folder),
            why="encoded samples are kept there; those already encoded stay valid",
            fix="free space (stune cache gc clears what no run needs), or set cache.root to "
            "another disk, and start again",
        )
    )
