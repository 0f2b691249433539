"""Changes that rotate the outputs: Diag-OFT in blocks, BOFT in stages like a butterfly.

A block is a skew matrix Q, and `(I + Q) (I - Q)^-1` is the rotation it stands for (Cayley).
"""

from __future__ import annotations

import torch
from torch import Tensor

from trainer.adapters.lycoris.change import Algorithm, Change, Dense, Form
from trainer.adapters.lycoris.layer import Layer
from trainer.errors import ConfigError
from trainer.findings import finding


def rotation(change: Change) -> Tensor:
    """Of the trained blocks, less a part where they exceed the constraint. No wait for the device:
    neither the limit nor the inverse is checked on the host."""
    blocks = change["oft_blocks"].float()
    skew = blocks - blocks.transpose(-1, -2)
    if change.constraint:
        limit = change.constraint * change.layer.shape[0]
        skew = skew * (limit / (skew.norm() + 1e-8)).clamp(max=1.0)
    unit = torch.eye(skew.shape[-1], device=skew.device)
    inverse, _ = torch.linalg.inv_ex(unit - skew)
    return (unit + skew) @ inverse


def rescaled(change: Change, turned: Tensor) -> Dense:
    """The turned weight, each row by its factor if there is one, as a change of the base's."""
    layer = change.layer
    turned = turned.view(layer.shape)
    if "rescale" in change.tensors:
        turned = turned * layer.per_output(change["rescale"].float())
    return turned - layer.weight, None


def _rescale(layer: Layer, form: Form) -> dict[str, Tensor]:
    return {"rescale": layer.per_output(torch.ones(layer.shape[0]))} if form.rescaled else {}


# --- Diag-OFT --------------------------------------------------------------------------------


def start_diagonal(layer: Layer, form: Form) -> dict[str, Tensor]:
    from lycoris.functional import factorization

    size, count = factorization(layer.shape[0], form.rank)
    return {"oft_blocks": torch.zeros(count, size, size)} | _rescale(layer, form)


def dense_diagonal(change: Change) -> Dense:
    turn = rotation(change)
    rows = change.layer.weight.flatten(1).view(turn.shape[0], turn.shape[1], -1)
    return rescaled(change, turn.transpose(1, 2) @ rows)


# --- BOFT ------------------------------------------------------------------------------------


def start_butterfly(layer: Layer, form: Form) -> dict[str, Tensor]:
    from lycoris.functional import power2factorization

    size, count = power2factorization(layer.shape[0], form.rank)
    if not count:
        raise ConfigError(
            finding(
                "LOR012",
                f"boft cannot divide the {layer.shape[0]} outputs of {layer.name} into a power of "
                f"two of even blocks of at most {form.rank}",
                where="adapter.rank",
                fix="use a larger rank, exclude the layer, or use diag-oft",
            )
        )
    stages = count.bit_length()  # one for each doubling, and one
    return {"oft_blocks": torch.zeros(stages, count, size, size)} | _rescale(layer, form)


def dense_butterfly(change: Change) -> Dense:
    turn = rotation(change)
    stages, count, size, _ = turn.shape
    rows = change.layer.weight.flatten(1)
    outputs, width = rows.shape
    for stage in range(stages):
        reach = 2**stage * size // 2
        paired = rows.view(-1, 2, reach, width).transpose(1, 2)  # partners side by side
        mixed = turn[stage] @ paired.reshape(count, size, width)
        rows = mixed.view(-1, reach, 2, width).transpose(1, 2).reshape(outputs, width)
    return rescaled(change, rows)


DIAG_OFT = Algorithm(start=start_diagonal, dense=dense_diagonal)
BOFT = Algorithm(start=start_butterfly, dense=dense_butterfly)
