"""Text encoders that share one place in memory: each is loaded when it is its turn.

A family encodes text through all of its encoders at once. Here stands take their places. Captions
go through in as many rounds as there are encoders: in round k the k-th is loaded and computes,
those before it answer with what they computed in their own round, and the first that comes after
ends the round's work on a batch. So an encoder is loaded once for many batches, and two of them
are never in memory, whatever the family does with them.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

import torch
from torch import nn
from torch.utils._pytree import tree_map_only

T = TypeVar("T")
BATCHES = 32  # batches between two loads of the same encoder


class _Later(Exception):
    """An encoder was called whose round has not come."""


class InTurn:
    """Encoders by slot, in the pipeline's order; `loaders` brings one into memory."""

    def __init__(
        self,
        loaders: Mapping[str, Callable[[], nn.Module]],
        *,
        device: torch.device,
        dtype: torch.dtype,
    ) -> None:
        self._loaders = dict(loaders)
        self._ranks = {slot: rank for rank, slot in enumerate(loaders)}
        self._present: tuple[str, nn.Module] | None = None
        self._round = len(loaders) - 1
        self._answers: dict[str, list[Any]] = {}  # of the batch at hand
        self._replay: dict[str, Iterator[Any]] = {}
        self.stands = {slot: Stand(self, slot, device, dtype) for slot in loaders}

    def encode(self, batches: Sequence[T], encode: Callable[[T], Any]) -> list[Any]:
        """`encode` of every batch."""
        answers: list[dict[str, list[Any]]] = [{} for _ in batches]
        for rank in range(len(self._loaders) - 1):
            self._round = rank
            for batch, known in zip(batches, answers, strict=True):
                self._begin(known)
                try:
                    encode(batch)
                except _Later:
                    continue
        self._round = len(self._loaders) - 1
        results = []
        for batch, known in zip(batches, answers, strict=True):
            self._begin(known)
            results.append(encode(batch))
        self._begin({})
        return results

    def _begin(self, known: dict[str, list[Any]]) -> None:
        self._answers = known
        self._replay = {slot: iter(list(calls)) for slot, calls in known.items()}

    def call(self, slot: str, *args: Any, **kwargs: Any) -> Any:
        rank = self._ranks[slot]
        if rank > self._round:
            raise _Later(slot)
        known = next(self._replay.get(slot, iter(())), None) if rank < self._round else None
        if known is not None:
            return _moved(known, self.stands[slot].device)
        answer = self.encoder(slot)(*args, **kwargs)
        if rank == self._round < len(self._loaders) - 1:
            self._answers.setdefault(slot, []).append(_moved(answer, torch.device("cpu")))
        return answer

    def encoder(self, slot: str) -> nn.Module:
        """The encoder itself; another one that is in memory leaves first."""
        if self._present is None or self._present[0] != slot:
            self.clear()
            self._present = slot, self._loaders[slot]()
        return self._present[1]

    def clear(self) -> None:
        """Nothing is in memory afterwards."""
        self._present = None
        gc.collect()  # modules of these libraries refer to themselves
        if torch.cuda.is_available():
            torch.cuda.empty_cache()


class Stand(nn.Module):
    """In place of one encoder: a call goes by rounds, everything else to the encoder."""

    def __init__(self, owner: InTurn, slot: str, device: torch.device, dtype: torch.dtype) -> None:
        super().__init__()
        self.owner, self.slot, self.device, self.dtype = owner, slot, device, dtype

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.owner.call(self.slot, *args, **kwargs)

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            if name.startswith("_"):  # libraries look for their own hooks on everything they meet
                raise
            return getattr(self.owner.encoder(self.slot), name)


def _moved(answer: Any, device: torch.device) -> Any:
    return tree_map_only(torch.Tensor, lambda t: t.to(device), answer)
