"""Kolors (families.md §4.3): SDXL's UNet and conditions behind another text encoder.

ChatGLM3 reads 256 tokens, padded on the left, and is told their positions; the tokenizer gives
both and the pipeline passes them on. The text is the last state but one of all 256 tokens, padding
included, as the UNet was trained on it; the pooled text is the last state of the last token. The
UNet itself brings the width of the text to that of its attention. The schedule has 1100 times.
"""

from __future__ import annotations

from typing import Any

from trainer.catalog.families.kolors import FACTS
from trainer.models.parts.diffusers_classes import diffusers_class
from trainer.models.sdxl import SAMPLER, SDXL


class Kolors(SDXL):
    facts = FACTS
    empty_is_zeros = False  # unless the checkpoint says so, as in its pipeline

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return super().probe_text() | {"prompt_embeds": (8, self.denoiser.config.encoder_hid_dim)}

    def _pipeline(self, *, text: bool) -> Any:
        return diffusers_class("KolorsPipeline")(
            vae=None if text else self.modules.get("vae"),
            text_encoder=self.modules["text_encoder"] if text else None,
            tokenizer=self.tokenizers["tokenizer"] if text else None,
            unet=None if text else self.denoiser,
            scheduler=self.sampler(SAMPLER),
            force_zeros_for_empty_prompt=self.zeros_for_empty,
        )
