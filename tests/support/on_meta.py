"""A step on a device without values: whoever asks for one is found out.

On a GPU such a question makes the host wait; on the CPU it costs nothing and shows nowhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor

from tests.support.families import random_latents, some_sizes, some_times
from trainer.data.batch import Batch


def on_meta(family: Any, text: Mapping[str, Tensor]) -> Tensor:
    """Prediction for a batch of these texts, moved as the loop moves it."""
    count = len(next(iter(text.values())))
    batch = Batch(
        latents=random_latents(family, count),
        text=text,
        sizes=some_sizes(count),
        sample_ids=(1,) * count,
        visits=(0,) * count,
        dataset="a",
    )
    family.denoiser.to("meta")
    there = batch.to("meta")  # type: ignore[arg-type]
    time = some_times(family, count).to("meta")
    return family.forward(there.latents, time, there.condition)
