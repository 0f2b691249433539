"""What is kept of the autoencoder's output, and the latent that a step makes of it."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from trainer.cache.estimate import Mode
from trainer.cache.tensors import Entry
from trainer.catalog.facts import FamilyFacts
from trainer.config.schema.cache import CacheConfig
from trainer.models.components import DTYPES
from trainer.rng import normal, stream_seed


@dataclass(frozen=True, slots=True)
class Kept:
    """One sample of the posterior, its mean, or both mean and spread; and their precision."""

    mode: Mode = "sample"
    dtype: str = "fp32"
    use: str = ""  # of a store beside that of the samples

    @classmethod
    def of(cls, config: CacheConfig, facts: FamilyFacts) -> Kept:
        """As configured; else what the family trains on."""
        chosen = config.latents or ("mean" if facts.latent_stat == "mean" else "sample")
        return cls(chosen, config.dtype)

    def encoder(self, identity: str) -> str:
        """Name of the store for an autoencoder of this identity; part of every key in it."""
        return "-".join(filter(None, (identity, self.mode, self.dtype, self.use)))

    def entry(self, mean: Tensor, std: Tensor | None, key: bytes) -> Entry:
        """What is stored; the sample of a posterior follows from the key alone."""
        dtype = DTYPES[self.dtype]
        if std is None or self.mode == "mean":
            return {"latent": mean.to(dtype)}
        if self.mode == "distribution":
            return {"mean": mean.to(dtype), "std": std.to(dtype)}
        seed = stream_seed(0, int.from_bytes(key, "little"), 0, "posterior")
        return {"latent": (mean + std * normal([seed], mean.shape)[0]).to(dtype)}


def latent_of(entry: Entry, *, seed: int, sample_id: int, visit: int) -> Tensor:
    """The latent to train on, fp32. From mean and spread every visit of a sample draws anew, the
    same in every process and after every resume; other entries are what they are."""
    if "latent" in entry:
        return entry["latent"].float()
    mean = entry["mean"].float()
    noise = normal([stream_seed(seed, sample_id, visit, "posterior")], mean.shape)[0]
    return mean + entry["std"].float() * noise
