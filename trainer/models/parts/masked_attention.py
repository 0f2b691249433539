"""CogView4's attention with a text mask that hides.

The processor of diffusers that samples takes a mask, but turns it into numbers that are added to
the scores and hide nothing; the one that trains hides, but builds a mask of all pairs even where
there is none. This one goes to either.
"""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn


class MaskedAttention:
    """`text_attn_mask` [B, L], int32: 1 for text, 0 for padding; without one nothing is hidden."""

    def __init__(self) -> None:
        from diffusers.models.transformers import transformer_cogview4 as diffusers_own

        self.plain = diffusers_own.CogView4AttnProcessor()
        self.masked = diffusers_own.CogView4TrainingAttnProcessor()

    def __call__(
        self,
        attn: Any,
        hidden_states: Tensor,
        encoder_hidden_states: Tensor,
        attention_mask: Tensor | None = None,
        image_rotary_emb: tuple[Tensor, Tensor] | None = None,
        text_attn_mask: Tensor | None = None,
    ) -> tuple[Tensor, Tensor]:
        if text_attn_mask is None:
            return self.plain(
                attn, hidden_states, encoder_hidden_states, attention_mask, image_rotary_emb
            )
        return self.masked(
            attn,
            hidden_states,
            encoder_hidden_states,
            text_attn_mask=text_attn_mask,
            image_rotary_emb=image_rotary_emb,
        )


def hide_text_padding(denoiser: nn.Module) -> None:
    """Put it into every block."""
    for block in denoiser.transformer_blocks:  # type: ignore[union-attr]
        block.attn1.set_processor(MaskedAttention())
