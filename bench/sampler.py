"""The order of samples at scale: first draw, many draws and far positions for 10 million samples.

No files and no pictures are needed: the order depends on counts alone. Budget: a permutation in
about a second, 4 bytes an entry. Beside it: one plain `numpy` permutation of all samples.

    python bench/sampler.py [--samples 10000000]
"""

from __future__ import annotations

import argparse
import resource
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT))

from trainer.data.course import Pool  # noqa: E402
from trainer.data.part import Active, Part  # noqa: E402
from trainer.data.sampler import Sampler  # noqa: E402

DRAWS = 1000
ODD = {0: Part(weight=0.123456789), 1: Part(weight=1.0), 2: Part(weight=3.3333)}
SHARES = (0.4, 0.35, 0.25)


def timed(function: Callable[[], object]) -> float:
    """Processor seconds."""
    start = time.process_time()
    function()
    return time.process_time() - start


def draws(sampler: Sampler, start: int) -> float:
    return timed(lambda: [sampler.draw(start + number) for number in range(DRAWS)])


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--samples", type=int, default=10_000_000)
    samples = parser.parse_args().samples
    rows = [int(samples * share) for share in SHARES]
    buckets = [Pool(0, f"a:{n}", count) for n, count in enumerate(rows)]
    datasets = [Pool(n, f"d{n}", count) for n, count in enumerate(rows)]
    steps = {n: Part(active=Active(from_step=1000 * n, to_step=400_000)) for n in (1, 2)}
    cases = [
        ("three buckets", Sampler(buckets, seed=0, batch_size=8), 0),
        ("three buckets, batch of 1", Sampler(buckets, seed=0, batch_size=1), 0),
        ("three buckets, far", Sampler(buckets, seed=0, batch_size=8), 5 * samples),
        (
            "three streams, odd weights, far",
            Sampler(datasets, seed=0, batch_size=8, parts=ODD, mix="stream"),
            10**9,
        ),
        (
            "three schedules, far",
            Sampler(datasets, seed=0, batch_size=8, parts=steps),
            5 * samples,
        ),
    ]
    words = np.random.PCG64(0).random_raw(samples)
    plain = timed(lambda: np.argsort(words, kind="stable"))
    sys.stdout.write(f"{'case':<34}{'first draw':>12}{DRAWS:>8} draws{'again':>9}  seconds\n")
    sys.stdout.write(f"{'plain numpy permutation':<34}{plain:>12.2f}\n")
    for name, sampler, position in cases:
        first = timed(lambda s=sampler, p=position: s.draw(p))
        after, again = draws(sampler, position), draws(sampler, position)
        sys.stdout.write(f"{name:<34}{first:>12.2f}{after:>14.2f}{again:>9.2f}\n")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    sys.stdout.write(f"peak memory {peak:.0f} MiB, all cases together\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
