"""The exact state of a training before its teardown and after its reload, compared bit for bit."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor

from trainer.ckpt.state import TrainingState
from trainer.ckpt.tree import flatten
from trainer.data.batch import Batch
from trainer.findings import Finding, finding

SHOWN = 5
GPU_TOLERANCE = 1e-3  # of the largest output: kernels may be chosen anew


@dataclass(frozen=True, slots=True)
class Kept:
    """All that must be the same: tensors on the CPU, plain values, and what the model predicts."""

    tensors: dict[str, Tensor]
    values: dict[str, Any]
    prediction: Tensor


def keep(state: TrainingState, following: Batch, prediction: Tensor) -> Kept:
    """`following` is the batch after the checkpoint."""
    tensors = dict(_copied("trainable", state.trainable))
    tensors |= dict(_copied("ema", state.ema or {}))
    tensors |= dict(_copied("batch", batch_tensors(following)))
    loose: dict[str, Tensor] = {}
    document = flatten(state.optimizer, loose, "optimizer")
    tensors |= dict(_copied("", loose))
    drawn = {"samples": following.sample_ids, "visits": following.visits}
    return Kept(
        tensors, {"optimizer": document, "batch": drawn, **asdict(state.progress)}, prediction
    )


def _copied(name: str, tensors: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    for key, tensor in tensors.items():
        yield f"{name}/{key}" if name else key, tensor.detach().to("cpu", copy=True)


def batch_tensors(batch: Batch) -> dict[str, Tensor]:
    """The tensors of a batch by name."""
    found = {f"text/{key}": tensor for key, tensor in batch.text.items()}
    found |= {f"reference {n}": tensor for n, tensor in enumerate(batch.conditioning)}
    found |= {"latents": batch.latents, "sizes": batch.sizes}
    loose = {"masks": batch.masks, "image embeds": batch.image_embeds}
    return found | {name: tensor for name, tensor in loose.items() if tensor is not None}


def compare(before: Kept, after: Kept, *, exact: bool) -> Finding | None:
    """RUN031 with the names of what differs; predictions may differ a little unless `exact`."""
    names = before.tensors.keys() | after.tensors.keys()
    other = sorted(n for n in names if not _equal(before.tensors.get(n), after.tensors.get(n)))
    other += [name for name, value in before.values.items() if after.values.get(name) != value]
    limit = 0.0 if exact else GPU_TOLERANCE * float(before.prediction.abs().max())
    gap = float((before.prediction - after.prediction).abs().max())
    if not gap <= limit:  # true for NaN too
        other.append(f"prediction, by {gap:.2g}")
    if not other:
        return None
    more = f" and {len(other) - SHOWN} more" if len(other) > SHOWN else ""
    return finding(
        "RUN031",
        f"the reloaded state differs from the one that was saved: {', '.join(other[:SHOWN])}{more}",
        where="checkpoint",
        why="a run that is resumed would not go on as if nothing had happened",
        fix="please report it with the job file: a resumed run must equal an undisturbed one",
        differing=other,
    )


def _equal(first: Tensor | None, second: Tensor | None) -> bool:
    if first is None or second is None or first.dtype != second.dtype:
        return False
    return torch.equal(first, second)
