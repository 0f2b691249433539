"""How many real tokens each text of a batch has, known to the host.

A denoiser that takes a list of texts, or places the picture right behind each of them, cuts by
numbers that Python must know. Reading them from a mask would wait for the device at every step;
so collating keeps them beside the text, on the host (`condition.HOST`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor


def with_lengths(
    text: dict[str, Tensor], items: Sequence[Mapping[str, Tensor]]
) -> dict[str, Tensor]:
    """The collated `text` of `items`, with their lengths."""
    counts = [item["prompt_embeds"].shape[0] for item in items]
    return text | {"lengths": torch.tensor(counts)}


def lengths_of(text: Mapping[str, Tensor]) -> list[int]:
    """Of every text; where nobody counted, all tokens are real."""
    embeds = text["prompt_embeds"]
    if "lengths" not in text:
        return [embeds.shape[1]] * embeds.shape[0]
    return text["lengths"].tolist()
