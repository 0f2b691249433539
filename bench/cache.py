"""Reads from the cache, and filling it: how much slower than the bare encoder?

Reads are entries of 128 KB per second from one process, files in the page cache, checksums
included (budget 10 000/s). Beside it: one safetensors file per sample, and one pickle per sample
with `torch.load`, the layouts it replaces; and the warm look-up of all keys. On a busy machine
look at the rate per CPU second.

Filling is file to shard on the VAE of the demo model in batches of 8, one thread for the encoder
and the rest of the machine for decoding and writing. Its share is encoder time / wall time (budget
0.9); both run in turns. "of thread" is the same in CPU time of the encoding thread, which a busy
machine leaves alone; "CPU beside" is what the other threads used, as a part of the encoder's:
below 1, a second core hides it.

    python -m bench.cache [--entries 2000] [--pictures 160] [--size 128] [--threads 1]
"""

from __future__ import annotations

import argparse
import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from tests.support.pictures import make_folder  # noqa: E402
from trainer.cache.keys import digest  # noqa: E402
from trainer.cache.latents import build_latents, item_key  # noqa: E402
from trainer.cache.store import Store  # noqa: E402
from trainer.config.presets import BUILT_IN  # noqa: E402
from trainer.config.schema.root import JobConfig  # noqa: E402
from trainer.data.datasets import datasets  # noqa: E402
from trainer.data.item import Item  # noqa: E402
from trainer.data.media import MediaReader  # noqa: E402
from trainer.data.scanning import scan_all  # noqa: E402
from trainer.data.task import Task  # noqa: E402
from trainer.models.base import Family, build_family  # noqa: E402

READ_BUDGET = 10_000
SHARE_BUDGET = 0.9
GROUP = 64
BATCH = 8
ROUNDS = 5
SHAPE = (16, 64, 64)  # bf16: 128 KB


Rates = tuple[float, float]


def rate(function: Callable[[int], object], order: list[int], *, repeat: int = 3) -> Rates:
    """Best calls per second, and per CPU second, of `repeat` passes over `order`."""
    wall, busy = [], []
    for _ in range(repeat):
        start, used = time.perf_counter(), time.process_time()
        for number in order:
            function(number)
        wall.append(len(order) / (time.perf_counter() - start))
        busy.append(len(order) / (time.process_time() - used))
    return max(wall), max(busy)


def once(function: Callable[[], object], count: int) -> Rates:
    start, used = time.perf_counter(), time.process_time()
    function()
    return count / (time.perf_counter() - start), count / (time.process_time() - used)


def reading(root: Path, count: int) -> None:
    order = list(range(count))
    random.Random(0).shuffle(order)
    latent = torch.randn(SHAPE).to(torch.bfloat16)
    keys = [digest("bench", n) for n in range(count)]
    store = Store(root, "latents", "bench")

    def write() -> None:
        for first in range(0, count, GROUP):
            store.put({key: {"latent": latent} for key in keys[first : first + GROUP]}, {})

    written = once(write, count)
    for number in range(count):
        torch.save(latent, root / f"{number}.pt")
        save_file({"latent": latent}, root / f"{number}.safetensors")
    again = Store(root, "latents", "bench")
    lookup = once(lambda: again.missing(keys), count)
    rows = [
        ("store, random order", rate(lambda n: again.get(keys[n]), order), READ_BUDGET),
        ("safetensors file each", rate(lambda n: load_file(root / f"{n}.safetensors"), order), 0),
        ("torch.load file each", rate(lambda n: torch.load(root / f"{n}.pt"), order), 0),
        ("store, writing (synced)", written, 0),
        ("keys looked up", lookup, 0),
    ]
    sys.stdout.write(f"{'128 KB entries':<26}{'per second':>12}{'per CPU s':>12}{'budget':>9}\n")
    for step, (wall, busy), budget in rows:
        sys.stdout.write(f"{step:<26}{wall:>12.0f}{busy:>12.0f}{budget or '':>9}\n")


def items_of(root: Path, count: int, size: int) -> tuple[dict[str, Item], Family]:
    """Pictures with texture, as photographs have it, and the family that encodes them."""
    make_folder(root / "pictures", count, sizes=((size * 3 // 2, size), (size, size * 3 // 2)))
    config = JobConfig.model_validate(
        {
            "model": {"family": "flux", "path": str(BUILT_IN / "demo" / "model")},
            "data": {"datasets": [{"id": "a", "path": str(root / "pictures")}]}
            | {"defaults": {"resolution": f"{size}px2"}},
            "train": {"steps": 1},
        }
    )
    family = build_family(config, torch.device("cpu"), torch.float32)
    task = Task(config, family, root, lambda kind, **fields: None, lambda: False)
    (table,) = scan_all(task, datasets(config, family.facts))
    return {item.relpath: item for item in table.items()}, family


def filling(root: Path, count: int, size: int) -> None:
    named, family = items_of(root, count, size)
    buckets: dict[tuple[float, ...], list[Item]] = {}
    for item in named.values():
        buckets.setdefault(item.shape, []).append(item)
    reader = MediaReader(torch.device("cpu"))
    batches = [
        torch.stack([reader.read(item) for item in items[first : first + BATCH]])
        for items in buckets.values()
        for first in range(0, len(items), BATCH)
    ]

    def bare() -> None:
        for pixels in batches:
            family.posterior(pixels)

    def fill(turn: int) -> None:
        store = Store(root / f"cache-{turn}", "latents", "bench")
        missing = {item_key(item, store.encoder): item for item in named.values()}
        assert build_latents(
            missing,
            family,
            store,
            batch_size=BATCH,
            on_progress=lambda done, total: None,
            should_stop=lambda: False,
        )
        store.close()

    walls, threads, others = [], [], []
    for turn in range(ROUNDS):
        family.load("vae")
        pure = timed(bare)
        whole = timed(lambda turn=turn: fill(turn))
        walls.append(pure[0] / whole[0])
        threads.append(pure[1] / whole[1])
        others.append((whole[2] - whole[1]) / pure[1])
    text = (
        f"{statistics.median(walls):>10.2f}{max(walls):>10.2f}{statistics.median(threads):>12.2f}"
        f"{statistics.median(others):>12.2f}{SHARE_BUDGET:>9}"
    )
    head = f"filling, {count} of {size}px2"
    columns = f"{'share':>10}{'best':>10}{'of thread':>12}{'CPU beside':>12}{'budget':>9}"
    sys.stdout.write(f"\n{head:<26}{columns}\n{f'batches of {BATCH}':<26}{text}\n")


def timed(function: Callable[[], object]) -> tuple[float, float, float]:
    """Seconds by the clock, of this thread, and of all threads."""
    start = time.perf_counter(), time.thread_time(), time.process_time()
    function()
    end = time.perf_counter(), time.thread_time(), time.process_time()
    return end[0] - start[0], end[1] - start[1], end[2] - start[2]


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=2000)
    parser.add_argument("--pictures", type=int, default=160)
    parser.add_argument("--size", type=int, default=128, help="training size in pixels")
    parser.add_argument("--threads", type=int, default=1, help="of the encoder")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory(prefix="bench-cache-") as name:
        reading(Path(name) / "reads", args.entries)
        filling(Path(name) / "fill", args.pictures, args.size)
    return 0


if __name__ == "__main__":
    sys.exit(main())
