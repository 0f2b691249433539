"""Reads from the cache: entries of 128 KB per second from one process, files in the page cache.

Budget: 10 000 reads/s, checksums included. Beside it: one safetensors file per sample, and one
pickle per sample with `torch.load`, the layouts it replaces; and the warm look-up of all keys. On
a busy machine look at the rate per CPU second.

    python bench/cache.py [--entries 2000]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from trainer.cache.keys import digest  # noqa: E402
from trainer.cache.store import Store  # noqa: E402

BUDGET = 10_000
GROUP = 64
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


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--entries", type=int, default=2000)
    count = parser.parse_args().entries
    torch.set_num_threads(1)
    order = list(range(count))
    random.Random(0).shuffle(order)
    with tempfile.TemporaryDirectory(prefix="bench-cache-") as name:
        root = Path(name)
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
            ("store, random order", rate(lambda n: again.get(keys[n]), order), BUDGET),
            (
                "safetensors file each",
                rate(lambda n: load_file(root / f"{n}.safetensors"), order),
                0,
            ),
            ("torch.load file each", rate(lambda n: torch.load(root / f"{n}.pt"), order), 0),
            ("store, writing (synced)", written, 0),
            ("keys looked up", lookup, 0),
        ]
    sys.stdout.write(f"{'128 KB entries':<26}{'per second':>12}{'per CPU s':>12}{'budget':>9}\n")
    for step, (wall, busy), budget in rows:
        sys.stdout.write(f"{step:<26}{wall:>12.0f}{busy:>12.0f}{budget or '':>9}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
