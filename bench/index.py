"""Index of a folder: files per second for the first scan, content hashes, and an unchanged scan.

Makes pictures with a real header and little content, so the figures are those of our own work and
not of the disk. Budget: 5 000 files/s for the first scan on two cores. Beside it: opening every
file with Pillow in one plain loop. On a busy machine look at the rate per CPU second.

    python bench/index.py [--files 20000]
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from trainer.config.schema.data import CaptionConfig  # noqa: E402
from trainer.data.captions import CaptionFile, parse_text  # noqa: E402
from trainer.data.dataset import Dataset  # noqa: E402
from trainer.data.funnel import Funnel  # noqa: E402
from trainer.data.geometry import GeometrySpec  # noqa: E402
from trainer.data.index import Index  # noqa: E402
from trainer.data.plan import make_plan  # noqa: E402
from trainer.data.sampler import Sampler  # noqa: E402
from trainer.data.selection import make_table  # noqa: E402
from trainer.data.sources.local import Folder  # noqa: E402

BUDGET = 5000


def make_files(folder: Path, count: int) -> None:
    """Pictures of eight sizes, 1 000 a folder, each with a caption; contents differ."""
    sizes = [(256 + 32 * n, 512 - 32 * n) for n in range(8)]
    bodies = []
    for number, size in enumerate(sizes):
        path = folder / f"{number}.jpg"
        Image.new("RGB", size, (number * 30, 90, 40)).save(path)
        bodies.append(path.read_bytes())
        path.unlink()
    for number in range(count):
        place = folder / f"{number // 1000:05d}"
        place.mkdir(exist_ok=True)
        tail = number.to_bytes(8, "little")  # after the end mark: ignored, but hashed
        (place / f"{number:08d}.jpg").write_bytes(bodies[number % 8] + tail)
        (place / f"{number:08d}.txt").write_text(f"picture number {number}")


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    start, busy = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - busy


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def plain_loop(folder: Path) -> None:
    for path in folder.rglob("*.jpg"):
        with Image.open(path) as image:
            assert image.size


def plan_and_draw(index: Index, folder: Path) -> None:
    dataset = Dataset(
        id="bench",
        source=index.source,
        geometry=GeometrySpec(area=512 * 512),
        caption=CaptionConfig(),
        missing_caption="fail",
        background="ffffff",
        seed=0,
    )
    plan = make_plan([make_table(dataset, index.rows(), Funnel("bench", str(folder)))])
    Sampler(plan.pools, seed=0, batch_size=8).draw(0)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--files", type=int, default=20_000)
    count = parser.parse_args().files
    with tempfile.TemporaryDirectory(prefix="bench-index-") as name:
        folder = Path(name) / "set"
        folder.mkdir()
        make_files(folder, count)
        source = Folder(folder, "image", CaptionFile(".txt", ".txt", parse_text))
        index = Index(source, "image", Path(name) / "index.db")
        rows = [
            ("plain Pillow loop", timed(lambda: plain_loop(folder)), None),
            ("first scan", timed(lambda: index.scan(lambda done: None)), BUDGET),
            ("content hashes", timed(lambda: index.hash_contents(1, lambda done: None)), None),
            ("unchanged scan", timed(lambda: index.scan(lambda done: None)), None),
        ]
        scanning = peak_mib()
        rows += [
            ("plan and first draw", timed(lambda: plan_and_draw(index, folder)), None),
        ]
    sys.stdout.write(f"{'step':<22}{'seconds':>9}{'files/s':>10}{'per CPU s':>11}{'budget':>9}\n")
    for step, (wall, busy), budget in rows:
        rates = f"{count / wall:>10.0f}{count / busy:>11.0f}"
        sys.stdout.write(f"{step:<22}{wall:>9.2f}{rates}{budget or '':>9}\n")
    sys.stdout.write(f"peak memory {scanning:.0f} MiB, with the plan {peak_mib():.0f} MiB\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
