"""What OmniGen's transformer is told of a prompt: token ids, who sees whom, positions.

The sequence is text, one token of the time, then the picture. Text and time look back only; the
picture sees all. Shorter prompts are filled up on the left; nobody sees the filling, which itself
sees everything, since a row of attention must not be empty.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

PADDING = 2
TEMPLATE = (
    "<|user|>\nGenerate an image according to the following instructions\n"
    "{}<|end|>\n<|assistant|>\n<|diffusion|>"
)


def token_ids(tokenizer: Any, caption: str) -> Tensor:
    """Ids [L] of a caption within the prompt that the model was trained on."""
    return torch.tensor(tokenizer(TEMPLATE.format(caption)).input_ids)


def left_padded(rows: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """Ids [B, L] of the longest length, and which of them are real [B, L]."""
    longest = max(len(row) for row in rows)
    ids = rows[0].new_full((len(rows), longest), PADDING)
    real = torch.zeros(len(rows), longest, dtype=torch.bool)
    for number, row in enumerate(rows):
        ids[number, longest - len(row) :] = row
        real[number, longest - len(row) :] = True
    return ids, real


def attention(real: Tensor, image_tokens: int) -> Tensor:
    """Who sees whom, [B, 1, N, N] with N = L + 1 + image tokens; rows look, columns are seen."""
    text = real.shape[1] + 1
    seen = torch.cat([real, real.new_ones(len(real), 1 + image_tokens)], 1)
    length = seen.shape[1]
    order = torch.arange(length, device=real.device)
    back = order[None, :] <= order[:, None]
    from_picture = order[:, None] >= text
    shape = (back & (order[None, :] < text)) | from_picture  # [N, N]
    return ((shape & seen[:, None, :]) | ~seen[:, :, None])[:, None]


@lru_cache(maxsize=64)
def positions(length: int, device: torch.device) -> Tensor:
    """Counted from the first place for every row, [1, N].

    Attention knows differences alone, so it does not matter that a row's own text begins later.
    """
    return torch.arange(length, device=device)[None]
