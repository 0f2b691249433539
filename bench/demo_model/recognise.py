"""Measure whether the demo model draws what it is asked for.

    python -m bench.demo_model.recognise [MODEL_DIR PICTURES_DIR [SHEET.png]]

Every caption is drawn once, with a seed of its own. A drawing counts as recognised when, of all
training pictures, the one of its own caption is nearest (mean squared error over pixels). Chance
is one in a hundred. The optional sheet shows all drawings.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from trainer.config.presets import BUILT_IN
from trainer.validate.gallery import grid

DEMO = BUILT_IN / "demo"
STEPS, GUIDANCE = 16, 2.5


def captioned(folder: Path) -> dict[str, Image.Image]:
    """First caption -> picture."""
    return {
        path.with_suffix(".txt").read_text().split("\n")[0]: Image.open(path).convert("RGB")
        for path in sorted(folder.glob("*.png"))
    }


def draw(pipeline: Any, captions: Sequence[str], *, seed: int = 0) -> list[Image.Image]:
    """One picture a caption, all in one batch."""
    generators = [torch.Generator().manual_seed(seed + i) for i in range(len(captions))]
    result = pipeline(
        list(captions),
        negative_prompt=[""] * len(captions),
        true_cfg_scale=GUIDANCE,
        num_inference_steps=STEPS,
        max_sequence_length=16,
        width=64,
        height=64,
        generator=generators,
    )
    return result.images


def nearest(drawings: Sequence[Image.Image], known: Sequence[Image.Image]) -> list[int]:
    """Index of the known picture nearest to each drawing."""
    distances = torch.cdist(_flat(drawings), _flat(known))
    return distances.argmin(1).tolist()


def _flat(pictures: Sequence[Image.Image]) -> torch.Tensor:
    return torch.from_numpy(np.stack([np.asarray(p, dtype=np.float32).ravel() for p in pictures]))


def main(model: Path, pictures: Path, sheet: Path | None) -> None:
    from diffusers import FluxPipeline

    known = captioned(pictures)
    pipeline = FluxPipeline.from_pretrained(model, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    captions = list(known)
    drawings = draw(pipeline, captions)
    found = nearest(drawings, list(known.values()))
    for index, other in enumerate(found):
        if other != index:
            print(f"{captions[index]!r} looks most like {captions[other]!r}")
    right = sum(index == other for index, other in enumerate(found))
    print(f"recognised {right} of {len(captions)}")
    if sheet is not None:
        grid(drawings, columns=13, labels=captions).save(sheet)


if __name__ == "__main__":
    given = [Path(a) for a in sys.argv[1:4]]
    main(
        given[0] if given else DEMO / "model",
        given[1] if len(given) > 1 else DEMO / "pictures" / "noto",
        given[2] if len(given) > 2 else None,
    )
