"""Put a trained transformer into the model folder that ships.

    python -m bench.demo_model.finish SHELL_DIR RUN_DIR OUT_DIR

Takes everything but the transformer from the shell that was trained, and the averaged weights
(`artifacts/transformer-ema`) from the run, rounded to bfloat16.
"""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import torch
from diffusers import FluxTransformer2DModel


def main(shell: Path, run: Path, out: Path) -> None:
    trained = FluxTransformer2DModel.from_pretrained(
        run / "artifacts" / "transformer-ema", torch_dtype=torch.bfloat16
    )
    out.mkdir(parents=True, exist_ok=True)
    trained.register_to_config(_name_or_path="")  # the run's folder says nothing to others
    for part in sorted(shell.iterdir()):
        if part.is_file():
            shutil.copy(part, out / part.name)
        elif part.name != "transformer":
            shutil.copytree(part, out / part.name, dirs_exist_ok=True)
    trained.save_pretrained(out / "transformer")
    for weights in out.rglob("*.safetensors"):
        weights.chmod(0o644)


if __name__ == "__main__":
    main(*(Path(a) for a in sys.argv[1:4]))
