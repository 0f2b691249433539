"""A family whose encoders are a few lines: deterministic, counted, and able to fail on request."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from hashlib import blake2b
from pathlib import Path
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from trainer.catalog import family_facts
from trainer.catalog.facts import ImageEncoderFact
from trainer.config.schema.root import JobConfig
from trainer.rng import normal


class FakeFamily:
    """Latents are means of 8 x 8 blocks plus keyed noise; text is the hash of the caption."""

    def __init__(self, *, embeds_of: str | None = None, **identity: str) -> None:
        encoder = embeds_of and ImageEncoderFact(
            slot="image_encoder",
            model_class="none",
            processor_slot="feature_extractor",
            processor_class="none",
            of=embeds_of,  # type: ignore[arg-type]
        )
        self.facts = replace(
            family_facts("flux"),
            pixel_multiple=16,
            default_resolution=64,
            image_encoder=encoder or None,
        )
        self.image_embeds_share = 1.0 if encoder else 0.0
        self.num_embedded = 0
        self.sees_pictures = False
        self.reference_form = "latents"
        self.device = torch.device("cpu")
        self.spatial_factor, self.latent_channels = 8, 3
        known = {"text": "text-1", "image": "image-1", "vae": "vae-1", "denoiser": "denoiser-1"}
        self.identities = known | identity
        self.largest_side: int | None = None
        self.loaded: set[str] = set()
        self.loads: Counter[str] = Counter()
        self.captions: list[str] = []
        self.num_pictures = 0
        self.batch_matters = False  # as with kernels that sum differently for other batch sizes
        self.log: Path | None = None  # one line per encoded picture, across processes

    def load(self, which: str) -> None:
        if which not in self.loaded:
            self.loads[which] += 1
            self.loaded.add(which)

    def unload(self, which: str) -> None:
        self.loaded.discard(which)

    def identity(self, which: str) -> str:
        return self.identities[which]

    def describe(self, which: str) -> dict[str, str]:
        return {"weights": self.identities[which], "dtype": "float32"}

    def captions_at_once(self, batch_size: int) -> int:
        return batch_size

    def encode_captions(self, captions: Sequence[str], batch_size: int) -> list[dict[str, Tensor]]:
        self.load("text")
        return self.encode_text(captions)

    def encode_text(self, captions: Sequence[str]) -> list[dict[str, Tensor]]:
        assert "text" in self.loaded
        self.captions += captions
        entries = []
        for caption in captions:
            embed = self.embed(caption)
            length = 1 + len(caption) % 3
            entries.append(
                {
                    "embeds": embed.repeat(length, 1),
                    "mask": torch.ones(length, dtype=torch.bool),
                }
            )
        return entries

    @staticmethod
    def embed(text: str) -> Tensor:
        digest = blake2b(text.encode(), digest_size=6).digest()
        return torch.tensor(list(digest)).to(torch.bfloat16)

    def encode_seen(
        self, captions: Sequence[str], pictures: Sequence[Sequence[Image]]
    ) -> list[dict[str, Tensor]]:
        """The caption, and the mean colours of its pictures behind it."""
        assert "text" in self.loaded
        self.captions += captions
        return [
            {
                "embeds": self.embed(caption)[None],
                "seen": torch.stack([self.colour(picture) for picture in shown]),
            }
            for caption, shown in zip(captions, pictures, strict=True)
        ]

    @staticmethod
    def colour(picture: Image) -> Tensor:
        return torch.tensor(list(picture.resize((1, 1), 4).getpixel((0, 0)))).float()

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
        pad = torch.nn.utils.rnn.pad_sequence
        return {key: pad([item[key] for item in items], batch_first=True) for key in items[0]}

    def encode_images(self, pictures: Sequence[Image]) -> Tensor:
        """Mean colour of each picture."""
        assert "image" in self.loaded
        self.num_embedded += len(pictures)
        return torch.stack([self.colour(picture) for picture in pictures]) + 1.0

    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        assert "vae" in self.loaded
        self.num_pictures += len(pixels)
        if self.log is not None:
            with self.log.open("a") as file:
                file.writelines(f"{_name(picture)}\n" for picture in pixels)
        latents = torch.nn.functional.avg_pool2d(pixels, 8)
        if self.batch_matters:
            latents = latents + 0.001 * pixels.mean()
        black = pixels.flatten(1).amax(1) == -1  # an all-black picture makes NaN, as fp16 VAEs do
        mean = torch.where(black[:, None, None, None], torch.nan, latents)
        return mean, torch.full_like(mean, 0.01)

    def encode_media(self, pixels: Tensor, seeds: Sequence[int]) -> Tensor:
        mean, std = self.posterior(pixels)
        return mean + std * normal(seeds, mean.shape[1:])


def _name(picture: Tensor) -> str:
    return blake2b(picture.numpy().tobytes(), digest_size=8).hexdigest()


def job(root: Path, *datasets: dict[str, Any], **sections: dict[str, Any]) -> JobConfig:
    """A job on `datasets` (id and path at least) with its cache below `root`."""
    data = {"defaults": {"resolution": "64px2"}} | sections.pop("data", {})
    return JobConfig.model_validate(
        {
            "model": {"family": "flux", "path": "fake"},
            "data": data | {"datasets": list(datasets)},
            "cache": {"root": str(root / "cache"), "batch_size": 3},
            "train": {"steps": 1, "batch_size": 2},
        }
        | sections
    )
