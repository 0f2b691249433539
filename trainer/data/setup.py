"""All that the order of samples depends on, in one record."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from hashlib import blake2b

from trainer.data.course import Pool
from trainer.data.part import Mix, Part


@dataclass(frozen=True, slots=True, kw_only=True)
class Setup:
    """Datasets and how they are mixed; `sizes` are samples of a global batch, by pool."""

    pools: tuple[Pool, ...]
    sizes: tuple[int, ...]
    parts: Mapping[int, Part]
    mix: Mix
    seed: int
    accumulate: int

    def part(self, dataset: int) -> Part:
        return self.parts.get(dataset, Part())

    @property
    def digest(self) -> str:
        """The same for two runs whose order is the same."""
        used = [replace(self.part(pool.dataset), batch_size=None) for pool in self.pools]
        spans = [(part.active.from_step, part.active.to_step) for part in used]
        stepped = any(span != (0, None) for span in spans)
        text = repr((self.pools, self.sizes, used, self.mix, self.accumulate if stepped else 1))
        return blake2b(f"order/1:{self.seed}:{text}".encode(), digest_size=8).hexdigest()

    @property
    def main(self) -> int:
        """The dataset whose rounds are the epochs of mix "stream": the first one trained on."""
        filled = zip(self.pools, self.sizes, strict=True)
        able = sorted({pool.dataset for pool, size in filled if pool.fills(size)})
        return next((d for d in able if self.part(d).role == "train"), able[0] if able else -1)
