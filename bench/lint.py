"""Linter of datasets: pictures per second for the first look, for a second one, and its parts.

Distinct pictures of 256 px, half PNG, half JPEG, each with a caption. Budget (beyond.md B14): 2 000
of them in 30 s on two cores. Beside it: decoding every file with Pillow in one plain loop. On a
busy machine look at the processor seconds.

    python bench/lint.py [--pictures 2000]
"""

from __future__ import annotations

import argparse
import resource
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.procedural import picture  # noqa: E402
from trainer.data.lint.near import near_pairs  # noqa: E402
from trainer.data.lint.run import lint  # noqa: E402
from trainer.data.survey.scan import scan_all  # noqa: E402
from trainer.data.survey.subject import open_subject  # noqa: E402
from trainer.data.survey.watch import Watch  # noqa: E402

BUDGET_S = 30.0
MANY_HASHES = 1_000_000


def make_pictures(folder: Path, count: int) -> None:
    for number in range(count):
        ending = "png" if number % 2 else "jpg"
        picture(number).save(folder / f"{number:05d}.{ending}", quality=88)
        (folder / f"{number:05d}.txt").write_text(f"a drawing of shapes, number {number}")


def timed(function: Callable[[], object]) -> tuple[float, float]:
    """Wall and processor seconds."""
    start, busy = time.perf_counter(), time.process_time()
    function()
    return time.perf_counter() - start, time.process_time() - busy


def plain_loop(folder: Path) -> None:
    for path in sorted(folder.iterdir()):
        if path.suffix != ".txt":
            with Image.open(path) as image:
                image.convert("RGB")


def look(folder: Path, cache: Path) -> None:
    """Scan and lint, as `stune data lint` does."""
    watch = Watch(lambda line: None)
    override = [f'cache.root="{cache}"']
    subject = open_subject(folder, resolution="256px2", overrides=override)
    document, _ = lint(subject, scan_all(subject, watch), watch)
    assert document["datasets"][0]["samples"], "there is something to look at"


def search(count: int) -> None:
    hashes = np.random.default_rng(0).integers(0, 2**64, count, dtype=np.uint64)
    near_pairs(hashes[: count // 10], hashes, 6)


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--pictures", type=int, default=2000)
    count = parser.parse_args().pictures
    with tempfile.TemporaryDirectory(prefix="bench-lint-") as name:
        folder, cache = Path(name) / "set", Path(name) / "cache"
        folder.mkdir()
        make_pictures(folder, count)
        rows = [
            ("plain Pillow loop", timed(lambda: plain_loop(folder)), None),
            ("first lint", timed(lambda: look(folder, cache)), BUDGET_S * count / 2000),
            ("second lint", timed(lambda: look(folder, cache)), None),
        ]
    sys.stdout.write(f"{'step':<22}{'seconds':>9}{'CPU s':>9}{'pictures/s':>12}{'budget s':>10}\n")
    for step, (wall, busy), budget in rows:
        figures = f"{wall:>9.2f}{busy:>9.2f}{count / wall:>12.0f}{budget or '':>10}"
        sys.stdout.write(f"{step:<22}{figures}\n")
    wall, busy = timed(lambda: search(MANY_HASHES))
    text = f"{MANY_HASHES // 10:,} hashes looked up in {MANY_HASHES:,}"
    sys.stdout.write(f"{text}: {wall:.2f} s ({busy:.2f} CPU s)\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"peak memory {peak:.0f} MiB for {count} pictures\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
