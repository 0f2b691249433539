"""A dataset of ten million rows: opening it, planning, and the first batch.

The rows are synthetic and stand in an index as a scan would have left them; their latents are not
there, only those of the first batch are asked for. Budgets (data.md §12): less than 15 s and less
than 1.5 GB for opening, plan and first batch together.

    python bench/rows.py [--rows 10000000] [--keep FOLDER]
"""

from __future__ import annotations

import argparse
import itertools
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

BUDGET_S, BUDGET_GB = 15.0, 1.5
SIZES = [(512 + 64 * (n % 9), 512 + 64 * (n % 7)) for n in range(63)]


def synthetic(count: int) -> Iterator[tuple]:
    for number in range(count):
        width, height = SIZES[number % len(SIZES)]
        content = number.to_bytes(8, "little") + b"\0" * 8
        name = f"{number // 10_000:05d}/{number:09d}.jpg"
        caption = f"a photograph number {number} of a thing on a table in the morning light"
        yield name, width, height, content, caption


def fill(index, count: int) -> None:
    """As a scan would have left it."""
    from contextlib import closing

    from trainer.cache.database import transaction
    from trainer.data.index import CHANGED

    put = (
        "INSERT INTO file (relpath, locator, size, mtime_ns, inode, width, height, frames, fps, "
        "duration_s, channels, rate, content, text) "
        "VALUES (?, '', 1, 1, 1, ?, ?, 0, 0, 0, 0, 0, substr(?, 1), ?)"
    )
    with closing(index._connect()) as db, transaction(db):
        db.executemany(put, synthetic(count))
        db.execute(CHANGED)


def open_and_draw(folder: Path) -> None:
    """What a start does with an index that is up to date; prints seconds and peak memory."""
    from trainer.config.schema.captions import CaptionConfig
    from trainer.data import scanning
    from trainer.data.dataset import Dataset
    from trainer.data.geometry import GeometrySpec
    from trainer.data.plan import make_plan, remarks
    from trainer.data.sampler import Sampler

    index = the_index(folder)
    dataset = Dataset(
        id="bench",
        source=index.source,
        geometry=GeometrySpec(area=512 * 512),
        caption=CaptionConfig(),
        missing_caption="fail",
        background="ffffff",
        seed=0,
    )
    marks = [("", time.perf_counter())]
    index.hash_contents(1, lambda done: None)
    table, _ = scanning.table_of(index, dataset)
    marks.append(("open", time.perf_counter()))
    plan = make_plan([table])
    marks.append(("plan", time.perf_counter()))
    remarks(plan, 8)
    marks.append(("remarks", time.perf_counter()))
    draw = Sampler(plan.pools, seed=0, batch_size=8).draw(0)
    items = [plan.item(draw.pool, row) for row in draw.rows]
    marks.append(("first batch", time.perf_counter()))
    assert len(items) == 8
    steps = [f"{n} {b - a:.1f}" for (_, a), (n, b) in itertools.pairwise(marks)]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20
    total = marks[-1][1] - marks[0][1]
    sys.stdout.write(f"{len(table)} rows: {', '.join(steps)}; all {total:.1f} s, {peak:.2f} GB\n")


def the_index(folder: Path):
    from trainer.data.captions import CaptionFile, parse_text
    from trainer.data.index import Index
    from trainer.data.sources.local import Folder

    source = Folder(folder / "set", "image", CaptionFile(".txt", ".txt", parse_text))
    return Index(source, "image", folder / "index" / "rows.db")


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--keep", type=Path, help="folder of the index, made once")
    parser.add_argument("--open", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.open:
        open_and_draw(given.open)
        return 0
    with tempfile.TemporaryDirectory(prefix="bench-rows-") as name:
        folder = given.keep or Path(name)
        if not (folder / "index").exists():
            fill(the_index(folder), given.rows)
        again = [sys.executable, __file__, "--open", str(folder)]
        for label in ("first start (the table is frozen)", "second start"):
            sys.stdout.write(f"{label}: ")
            sys.stdout.flush()
            subprocess.run(again, check=True, env=os.environ)
        sys.stdout.write(f"budget of the second: {BUDGET_S} s, {BUDGET_GB} GB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
