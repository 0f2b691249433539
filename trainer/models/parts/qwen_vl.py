"""Captions read by Qwen2.5-VL within a chat template.

The pipelines put a caption between a system message and the beginning of an answer, and drop the
hidden states of what stands before it. They hold the number of those tokens as a constant; here it
is counted with the tokenizer at hand, which gives the same for the published vocabulary and keeps
the caption whole with any other. Only real tokens are kept of an entry; the mask is made when
entries of different length meet in a batch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor


def prefix_tokens(tokenizer: Any, template: str) -> int:
    """Tokens of a template before what is kept: its caption, or a picture in front of that."""
    before = template.partition("{}")[0].partition("<|vision_start|>")[0]
    return len(tokenizer(before).input_ids)


def shortened(tokenizer: Any, caption: str, limit: int) -> str:
    """The caption in at most `limit` tokens. The edit pipelines cut none, or cut the picture."""
    ids = tokenizer(caption).input_ids
    return caption if len(ids) <= limit else tokenizer.decode(ids[:limit])


def real_tokens(embeds: Tensor, mask: Tensor | None) -> list[Tensor]:
    """Rows [L, D] of a padded batch [B, L', D] without their padding, on CPU."""
    if mask is None:
        return [row.clone() for row in embeds.cpu()]
    lengths = mask.sum(1).tolist()
    return [row[:length].clone() for row, length in zip(embeds.cpu(), lengths, strict=True)]


def padding_mask(items: Sequence[Mapping[str, Tensor]], key: str) -> Tensor | None:
    """Boolean mask [B, L] of entries side by side; None when all are equally long.

    Attention without a mask is faster, and batches of one, the usual ones of large models, never
    need one.
    """
    lengths = [item[key].shape[0] for item in items]
    if len(set(lengths)) == 1:
        return None
    return torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
