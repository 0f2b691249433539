"""Step time beside a hand-written loop on the same module and batch.

    make bench
    python -m bench.floor [MODEL_FOLDER ...] [--steps N] [--size PIXELS]

CPU time of the training thread per optimiser step; both loops run in turns in one process, so a
drifting machine hits them alike. Without a folder the tiny models of the tests are used. The floor
is what a careful person would write for one model: the bare diffusers module called directly with
inputs made beforehand, PEFT LoRA, fused AdamW, clipping, no seeds per sample, no schedule, no
logging. Batches are prepared beside the training thread, as in a run; what that costs is told in a
column of its own.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import torch

from tests.support.families import KINDS, kind_of, make_tiny
from tests.support.pictures import make_folder
from trainer import catalog
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.data.prepare import make_loader, prepare
from trainer.loop.build import assemble
from trainer.loop.parts import Parts
from trainer.loop.step import optimiser_step
from trainer.models.base import build_family
from trainer.models.load import unlike

BLOCK = 5  # steps of one loop before the other has its turn
RANK = 16

CONFIG = """
model.family = "{family}"
model.path = "{folder}"
train.steps = 100000
train.batch_size = 2
adapter.rank = {rank}
compute.device = "cpu"
compute.precision.dtype = "fp32"
compute.checkpointing.enabled = false
cache.root = "{work}/cache"
data.workers = 1
{extra}
[[data.datasets]]
id = "a"
path = "{work}/pictures"
resolution = "{size}px2"
"""


def family_of(folder: Path) -> str:
    """The family whose pipeline class the folder names, with the denoiser that it trains."""
    wanted = json.loads((folder / "model_index.json").read_text())["_class_name"]
    for key in catalog.FAMILIES:
        facts = catalog.family_facts(key)
        classes = {
            facts.pipeline_class.rpartition(".")[2],
            *(f.pipeline for f in facts.text_encoders),
        }
        if wanted in classes:
            config = json.loads((folder / facts.denoiser_slot / "config.json").read_text())
            if not unlike(config, facts.denoiser_config):
                return key
    raise SystemExit(f"{folder}: no family has the pipeline {wanted}")


def lines(path: str, options: Mapping[str, Any]) -> Iterator[str]:
    """Options as lines of a job file."""
    for key, value in options.items():
        if isinstance(value, Mapping):
            yield from lines(f"{path}.{key}", value)
        else:
            yield f"{path}.{key} = {json.dumps(value)}"


def our_parts(folder: Path, family_name: str, work: Path, size: int) -> Parts:
    """The product's own parts, prepared as a job would."""
    size = max(size, catalog.family_facts(family_name).pixel_multiple)
    make_folder(work / "pictures", 8, sizes=((size, size),))
    extra = "\n".join(lines("model", kind_of(family_name).model))
    text = CONFIG.format(
        family=family_name, folder=folder, work=work, size=size, rank=RANK, extra=extra
    )
    resolved = resolve(text)
    assert resolved.config is not None, resolved.findings
    config = resolved.config
    device = torch.device("cpu")
    family = build_family(config, device, torch.float32)
    prepared = prepare(config, family, on_event=lambda *a, **k: None, should_stop=lambda: False)
    family.load("denoiser")
    trainable = build_trainable(config, family, torch.float32)
    return assemble(config, family, prepared, trainable)


def floor_step(parts: Parts) -> Callable[[], None]:
    """A minimal loop on a second copy of the module with an equal adapter and batch."""
    from peft import LoraConfig

    family = build_family(parts.config, parts.device, torch.float32)
    family.load("denoiser")
    module = family.denoiser
    targets = list(family.facts.lora_targets[family.facts.default_targets])
    module.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, target_modules=targets))
    module.train()
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    batch = next(iter(make_loader(parts.prepared, family, parts.config, 0)))
    bare = kind_of(family.facts.key).call
    x0, abar, condition = batch.latents, family.alphas_cumprod, batch.condition

    def step() -> None:
        noise, weight = torch.randn_like(x0), None
        if family.facts.continuous_time:
            when = torch.rand(len(x0))
            a = ((when + 0.008) / 1.008 * torch.pi / 2).cos().square().clamp(1e-4, 1 - 1e-4)
            weight, a = 1 + a / (1 - a), a.view(-1, 1, 1, 1)
            noisy, target = a.sqrt() * x0 + (1 - a).sqrt() * noise, noise
        elif abar is None:
            when = torch.sigmoid(torch.randn(len(x0)))
            sigma = when.view(-1, 1, 1, 1)
            noisy, target = (1 - sigma) * x0 + sigma * noise, noise - x0
        else:
            when = torch.randint(0, len(abar), (len(x0),))
            a = abar[when].view(-1, 1, 1, 1)
            noisy, target = a.sqrt() * x0 + (1 - a).sqrt() * noise, noise
        made = bare(module, noisy, when, condition)
        if weight is None:
            loss = torch.nn.functional.mse_loss(made, target)
        else:  # P2, as the models with a continuous schedule were trained
            loss = ((made - target).square().flatten(1).mean(1) / weight).mean()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def our_step(parts: Parts) -> Callable[[], None]:
    batches: Iterator = iter(make_loader(parts.prepared, parts.family, parts.config, 0))
    parts.family.denoiser.train()
    number = 0

    def step() -> None:
        nonlocal number
        optimiser_step(parts, batches, number)
        number += 1

    return step


def timed(step: Callable[[], None], count: int) -> tuple[float, float]:
    """Seconds of CPU per step: of the training thread, and of all others."""
    here, everywhere = time.thread_time(), time.process_time()
    for _ in range(count):
        step()
    here, everywhere = time.thread_time() - here, time.process_time() - everywhere
    return here / count, (everywhere - here) / count


def measure(folder: Path, family: str, steps: int, size: int) -> tuple[float, ...]:
    """Milliseconds per step of floor and product in their best blocks, floor / product, and
    milliseconds that preparing a batch takes.

    The ratio comes twice: of the best blocks, which a busy machine disturbs least, and as the
    median over pairs of neighbouring blocks. 1 means as fast as the floor.
    """
    with tempfile.TemporaryDirectory() as name:
        parts = our_parts(folder, family, Path(name), size)
        ours, floor = our_step(parts), floor_step(parts)
        for step in (ours, floor):
            timed(step, 3)
        pairs = []
        for _ in range(max(2, steps // BLOCK)):
            alone, _ = timed(floor, BLOCK)
            pairs.append((alone, *timed(ours, BLOCK)))
        best_floor, best_ours, loader = (min(column) for column in zip(*pairs, strict=True))
        median = statistics.median(f / o for f, o, _ in pairs)
        return 1e3 * best_floor, 1e3 * best_ours, best_floor / best_ours, median, 1e3 * loader


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("models", nargs="*", type=Path, help="folders in diffusers layout")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--size", type=int, default=64, help="picture edge in pixels")
    args = parser.parse_args()
    torch.set_num_threads(1)
    head = "".join(
        f"{name:>12}" for name in ("floor ms", "ours ms", "floor/ours", "median", "batch ms")
    )
    print(f"{'model':<24}{head}")
    with tempfile.TemporaryDirectory() as name:
        for folder in args.models or [make_tiny(kind, Path(name) / kind) for kind in KINDS]:
            family = family_of(folder)
            figures = measure(folder.resolve(), family, args.steps, args.size)
            print(f"{folder.name[:24]:<24}" + "".join(f"{figure:>12.3f}" for figure in figures))


if __name__ == "__main__":
    main()
