"""Flux.2 (families.md §4.9): a flow transformer over latents that are already packed.

Its autoencoder's 32 channels at an eighth become 128 at a sixteenth of the picture, in units of
the deviations that its batch norm has counted; so a latent pixel is a token. Text is three hidden
states of the encoder side by side, padding included, as the model was trained.

dev takes guidance as an input; klein samples with real guidance, unless it is a distilled one.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property, lru_cache
from typing import Any

import torch
from torch import Tensor

from trainer.catalog.families.flux2 import FACTS
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.models import load
from trainer.models.base import Family, TextEntry
from trainer.models.condition import Condition
from trainer.models.parts.diffusers_classes import diffusers_class, scheduler
from trainer.models.request import ImageRequest

LAYERS = {"Flux2Pipeline": (10, 20, 30), "Flux2KleinPipeline": (9, 18, 27)}


class Flux2(Family):
    facts = FACTS

    @property
    def max_tokens(self) -> int:
        return self.model.max_tokens or 512

    @property
    def text_layers(self) -> tuple[int, ...]:
        chosen = self.model.options.flux2.text_layers
        return tuple(chosen) if chosen is not None else LAYERS[self.source.pipeline_name]

    @property
    def traits(self) -> tuple[Any, ...]:
        return (self.max_tokens, self.text_layers)

    @cached_property
    def spatial_factor(self) -> int:
        return 2 * (load.spatial_factor(self.source) or self.facts.spatial_factor // 2)

    @cached_property
    def latent_channels(self) -> int:
        return 4 * (load.latent_channels(self.source) or self.facts.latent_channels // 4)

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        encoder: Any = self.modules["text_encoder"]
        check_layers(self.text_layers, encoder.config.get_text_config().num_hidden_layers)
        embeds, _ = self._pipeline(text=True).encode_prompt(
            list(captions),
            device=self.device,
            max_sequence_length=self.max_tokens,
            text_encoder_out_layers=self.text_layers,
        )
        return [{"prompt_embeds": row.cpu().clone()} for row in embeds]

    @torch.no_grad()
    def posterior(self, pixels: Tensor) -> tuple[Tensor, Tensor | None]:
        vae: Any = self.modules["vae"]
        found = vae.encode(pixels.to(self.device, vae.dtype)).latent_dist
        centre, width = statistics(vae)
        mean = (fold(found.mean.float()) - centre) / width
        return mean.cpu(), (fold(found.std.float()) / width).cpu()

    @torch.no_grad()
    def decode(self, latents: Tensor) -> Tensor:
        vae: Any = self.modules["vae"]
        centre, width = statistics(vae)
        raw = unfold(latents.to(self.device).float() * width + centre)
        return vae.decode(raw.to(vae.dtype), return_dict=False)[0]

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        height, width = noisy.shape[-2:]
        dtype, device = self.denoiser_dtype, noisy.device
        embeds = condition.text["prompt_embeds"].to(dtype)
        guidance = None
        if self.denoiser.config.guidance_embeds:
            scale = self.model.options.flux2.guidance
            guidance = torch.full((len(noisy),), scale, device=device)
        out = self.denoiser(
            hidden_states=noisy.to(dtype).flatten(2).transpose(1, 2),
            encoder_hidden_states=embeds,
            timestep=time,
            img_ids=image_ids(height, width, device),
            txt_ids=text_ids(embeds.shape[1], device),
            guidance=guidance,
            return_dict=False,
        )[0]
        return out.transpose(1, 2).unflatten(2, (height, width))

    def probe_latents(self) -> tuple[int, int, int]:
        return (self.denoiser.config.in_channels, 4, 4)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.joint_attention_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    @property
    def klein(self) -> bool:
        return self.source.pipeline_name == "Flux2KleinPipeline"

    def _pipeline(self, *, text: bool) -> Any:
        distilled = self.source.pipeline_config.get("is_distilled", False)
        return diffusers_class(self.source.pipeline_name)(
            scheduler=scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            vae=None if text else self.modules.get("vae"),
            text_encoder=self.modules["text_encoder"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            transformer=None if text else self.denoiser,
            **({"is_distilled": distilled} if self.klein else {}),
        )

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "guidance_scale": request.guidance,
        }
        if self.klein and request.guidance > 1 and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
        elif self.klein:  # it would encode an empty text, with no encoder
            kwargs["guidance_scale"] = 1.0
        return kwargs


def check_layers(wanted: Sequence[int], number: int) -> None:
    """State 0 is the embedding, state `number` the last."""
    if max(wanted) > number or min(wanted) < 0:
        raise ConfigError(
            finding(
                "CFG251",
                f"the text encoder has {number} layers, and of {list(wanted)} one is none of them",
                where="model.options.flux2.text_layers",
                fix=f"name three numbers from 0 to {number}, or remove the option",
            )
        )


def fold(latents: Tensor) -> Tensor:
    """[B, C, h, w] -> [B, 4C, h/2, w/2], channels slowest, then rows of a 2x2 patch."""
    patches = latents.unflatten(3, (-1, 2)).unflatten(2, (-1, 2))
    return patches.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def unfold(latents: Tensor) -> Tensor:
    """Inverse of `fold`."""
    patches = latents.unflatten(1, (-1, 2, 2)).permute(0, 1, 4, 2, 5, 3)
    return patches.flatten(4, 5).flatten(2, 3)


def statistics(vae: Any) -> tuple[Tensor, Tensor]:
    """Mean and deviation of the folded latents by channel, [4C, 1, 1]."""
    mean = vae.bn.running_mean.float().view(-1, 1, 1)
    variance = vae.bn.running_var.float().view(-1, 1, 1)
    return mean, (variance + vae.config.batch_norm_eps).sqrt()


@lru_cache(maxsize=64)
def image_ids(height: int, width: int, device: torch.device) -> Tensor:
    """Position ids [S, 4] with rows (0, y, x, 0)."""
    ids = torch.zeros(height, width, 4, dtype=torch.long)
    ids[..., 1] = torch.arange(height)[:, None]
    ids[..., 2] = torch.arange(width)[None, :]
    return ids.view(-1, 4).to(device)


@lru_cache(maxsize=64)
def text_ids(length: int, device: torch.device) -> Tensor:
    """Position ids [L, 4] with rows (0, 0, 0, l)."""
    ids = torch.zeros(length, 4, dtype=torch.long)
    ids[:, 3] = torch.arange(length)
    return ids.to(device)
