"""OmniGen's rotary positions without asking the device how long the sequence is.

The class compares the largest position, a value on the device, with the length up to which its
short factors hold. Here the shape decides, and tables of both kinds are kept: it is the class that
computes them, for the positions 0, 1, 2 and so on, of which a shorter sequence takes the first.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

Table = tuple[Tensor, Tensor]


class KnownLengthRope(nn.Module):
    """In place of `OmniGenSuScaledRotaryEmbedding`; positions have to count from 0."""

    def __init__(self, rope: Any) -> None:
        super().__init__()
        self.rope = rope
        self._tables: dict[tuple[int, torch.device], Table] = {}

    def forward(self, hidden_states: Tensor, position_ids: Tensor) -> Table:
        length, device = position_ids.shape[-1], hidden_states.device
        limit = self.rope.original_max_position_embeddings
        rows = -(-length // limit) * limit  # of the same kind as `length`
        if (rows, device) not in self._tables:
            counted = torch.arange(rows, device=device)[None]
            self._tables[rows, device] = self.rope(hidden_states, counted)
        cos, sin = self._tables[rows, device]
        return cos[:length], sin[:length]
