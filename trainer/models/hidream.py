"""HiDream-I1 (families.md §4.14): a mixture of experts under four text encoders.

Each block of the denoiser hears another layer of Llama, so the cache keeps the layers that it
asks for, each once. It answers `x0 - eps`, and while it trains it leaves its answer in patches.
Pictures that are not square are filled up to the number of patches of its largest canvas, here
as in the pipeline. Which expert a token goes to is read back from the device inside the class.

The pipeline draws about a megapixel whatever it is asked for; here it draws what is asked.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache, cached_property
from math import sqrt
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.hidream import FACTS
from trainer.models import load
from trainer.models.base import Family, TextEntry
from trainer.models.components import Which
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.parts.expert_balance import ExpertBalance
from trainer.models.request import ImageRequest

TIMESTEPS = 1000  # what sigma = 1 is called by the transformer
SCHEDULERS = ("UniPCMultistepScheduler", "FlowMatchLCMScheduler")  # of full; of dev and fast


class HiDream(Family):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 128

    @cached_property
    def llama_layers(self) -> tuple[int, ...]:
        """Layers of Llama that some block asks for, each once."""
        return tuple(sorted(set(load.denoiser_config(self.source)["llama_layers"])))

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens, self.llama_layers)

    def load(self, which: Which) -> None:
        fresh = which == "denoiser" and "denoiser" not in self.modules
        super().load(which)
        if which == "text":  # its states are those of the plain way to compute attention
            self.modules["text_encoder_4"].set_attn_implementation("eager")  # type: ignore[operator]
        if fresh:
            self._canvas = self.denoiser.max_seq  # patches
            self._balance = ExpertBalance(self.denoiser, self.model.options.hidream.balance_weight)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        t5, _, llama, _, pooled, _ = self._pipeline(text=True).encode_prompt(
            list(captions),
            device=self.device,
            do_classifier_free_guidance=False,
            max_sequence_length=self.max_tokens,
        )
        layers = llama[list(self.llama_layers)].transpose(0, 1)  # [B, layers, L, D]
        return [
            {"t5": a.cpu().clone(), "llama": b.cpu().clone(), "pooled": c.cpu().clone()}
            for a, b, c in zip(t5, layers, pooled, strict=True)
        ]

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        dtype, text = self.denoiser_dtype, condition.text
        height, width = noisy.shape[-2:]
        self.fit(height, width)
        llama = text["llama"].to(dtype)
        with self._balance.watching():
            out = self.denoiser(
                hidden_states=noisy.to(dtype),
                timesteps=time * TIMESTEPS,
                encoder_hidden_states_t5=text["t5"].to(dtype),
                encoder_hidden_states_llama3=dict(
                    zip(self.llama_layers, llama.unbind(1), strict=True)
                ),
                pooled_embeds=text["pooled"].to(dtype),
                return_dict=False,
            )[0]
        return -(from_patches(out, height, width) if self.denoiser.training else out)

    def fit(self, height: int, width: int) -> None:
        """Room for latents of this size: a bucket may be a little larger than the canvas."""
        self.denoiser.max_seq = max(self._canvas, (height // 2) * (width // 2))

    def extra_loss(self) -> Tensor | None:
        return self._balance.loss()

    def probe_latents(self) -> tuple[int, int, int]:
        return (self.denoiser.config.in_channels, 4, 4)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        config = self.denoiser.config
        return {
            "t5": (8, config.caption_channels[0]),
            "llama": (len(self.llama_layers), 8, config.caption_channels[1]),
            "pooled": (config.text_emb_dim,),
        }

    def pipeline(self) -> Any:
        pipeline = self._pipeline(text=False)
        pipeline.stune_fit = self.fit
        return pipeline

    def _pipeline(self, *, text: bool) -> Any:
        config = self.scheduler_config
        known = config.get("_class_name") in SCHEDULERS
        name = config["_class_name"] if known else "FlowMatchEulerDiscreteScheduler"
        parts: dict[str, Any] = {}
        for fact in self.facts.text_encoders:
            parts[fact.slot] = self.modules[fact.slot] if text else None
            parts[fact.tokenizer_slot] = self.tokenizers[fact.tokenizer_slot] if text else None
        return _pipeline_of_any_size()(
            scheduler=scheduler(name, config),
            vae=None if text else self.modules.get("vae"),
            transformer=None if text else self.denoiser,
            **parts,
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        # without a negative text the pipeline would encode one, with no encoder
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | self._embeds(text, "")
        if guided and negative is not None:
            kwargs |= self._embeds(negative, "negative_")
        return kwargs | {"guidance_scale": request.guidance if guided else 1.0}

    def _embeds(self, entry: TextEntry, sign: str) -> dict[str, Tensor]:
        kept = self.batched(entry, "llama")[0]  # [layers, L, D]
        llama = kept.new_zeros(self.llama_layers[-1] + 1, 1, *kept.shape[1:])
        llama[list(self.llama_layers), 0] = kept
        return {
            f"{sign}prompt_embeds_t5": self.batched(entry, "t5"),
            f"{sign}prompt_embeds_llama3": llama,
            f"{sign}pooled_prompt_embeds": self.batched(entry, "pooled"),
        }


def from_patches(patches: Tensor, height: int, width: int) -> Tensor:
    """[B, C, S, 4] with S or more patches of 2x2, rows first, to [B, C, height, width]."""
    rows, columns = height // 2, width // 2
    grid = patches[:, :, : rows * columns].unflatten(2, (rows, columns)).unflatten(4, (2, 2))
    return grid.permute(0, 1, 2, 4, 3, 5).flatten(4, 5).flatten(2, 3)


@cache
def _pipeline_of_any_size() -> Any:
    """The pipeline class, with its own idea of the picture's area set to what is asked for."""
    base = diffusers_class("HiDreamImagePipeline")

    def call(self: Any, *, width: int, height: int, **kwargs: Any) -> Any:
        factor = self.vae_scale_factor
        # a hair more: it rounds down, and 1024 must not become 1023.99
        self.default_sample_size = sqrt(width * height) / factor * (1 + 1e-9)
        self.stune_fit(height // factor, width // factor)
        training = self.transformer.training
        self.transformer.eval()  # in training it answers in patches
        try:
            return base.__call__(self, width=width, height=height, **kwargs)
        finally:
            self.transformer.train(training)

    return type(base.__name__, (base,), {"__call__": call, "__module__": base.__module__})
