"""OmniGen v1 (families.md §4.15): one transformer reads the prompt and draws the picture.

There is no text to be encoded before, so the cache keeps token ids. The transformer hears
`1 - sigma` and answers `x0 - eps`. Pictures as a part of the prompt are not trained here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.omnigen import FACTS
from trainer.models.base import Family, TextEntry
from trainer.models.components import Which
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import scheduler
from trainer.models.parts.omnigen_rope import KnownLengthRope
from trainer.models.parts.omnigen_sampler import OmniGenSampler
from trainer.models.parts.omnigen_tokens import attention, left_padded, positions, token_ids
from trainer.models.request import ImageRequest


class OmniGen(Family):
    facts = FACTS

    def load(self, which: Which) -> None:
        fresh = which == "denoiser" and "denoiser" not in self.modules
        super().load(which)
        if fresh:
            self.denoiser.rope = KnownLengthRope(self.denoiser.rope)

    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        tokenizer = self.tokenizers["tokenizer"]
        return [{"input_ids": token_ids(tokenizer, caption)} for caption in captions]

    def collate_text(self, items: Sequence[Mapping[str, Tensor]]) -> TextEntry:
        ids, real = left_padded([item["input_ids"] for item in items])
        return {"input_ids": ids, "mask": real}

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        text = condition.text
        return -self._answer(noisy, 1 - time, text["input_ids"], text["mask"])

    def _answer(self, noisy: Tensor, time: Tensor, ids: Tensor, real: Tensor) -> Tensor:
        """In the transformer's own terms: time 0 is noise, the answer is `x0 - eps`."""
        patch = self.denoiser.config.patch_size
        tokens = (noisy.shape[-2] // patch) * (noisy.shape[-1] // patch)
        mask = attention(real, tokens)
        return self.denoiser(
            hidden_states=noisy.to(self.denoiser_dtype),
            timestep=time,
            input_ids=ids,
            input_img_latents=[],
            input_image_sizes={},
            attention_mask=mask,
            position_ids=positions(mask.shape[-1], noisy.device),
            return_dict=False,
        )[0]

    def probe_latents(self) -> tuple[int, int, int]:
        config = self.denoiser.config
        return (config.in_channels, 2 * config.patch_size, 2 * config.patch_size)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"input_ids": (8,)}

    def probe_entry(self, draw: Callable[[Sequence[int]], Tensor]) -> TextEntry:
        drawn = draw(self.probe_text()["input_ids"])
        ids = (drawn.abs() * 100).long() % self.denoiser.config.vocab_size
        return {"input_ids": ids, "mask": torch.ones_like(ids, dtype=torch.bool)}

    def pipeline(self) -> Any:
        def predict(latents: Tensor, time: Tensor, ids: Tensor) -> Tensor:
            return self._answer(latents, time, ids[None], torch.ones_like(ids[None]).bool())

        return OmniGenSampler(
            predict,
            scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            self.modules.get("vae"),
            (self.denoiser.config.in_channels, int(self.spatial_factor)),
            self.device,
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | {"input_ids": text["input_ids"].to(self.device)}
        if guided and negative is not None:
            kwargs["negative_input_ids"] = negative["input_ids"].to(self.device)
            kwargs["guidance_scale"] = request.guidance
        return kwargs
