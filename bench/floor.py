"""Step time beside a hand-written loop on the same module and batch.

    python -m bench.floor [MODEL_FOLDER FAMILY] [--steps N]

CPU time per optimiser step on one thread; both loops run in turns in one process, so a drifting
machine hits them alike. Without a folder the tiny models of the tests are used. The floor is what
a careful person would write: PEFT LoRA on the bare diffusers module, fused AdamW, no logging.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import torch

from tests.support.pictures import make_folder
from tests.support.tiny import make_tiny
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.data.batch import Batch
from trainer.data.prepare import make_loader, prepare
from trainer.loop.build import assemble
from trainer.loop.parts import Parts
from trainer.loop.step import optimiser_step
from trainer.models.base import build_family

BLOCK = 8  # steps of one loop before the other has its turn


def our_parts(folder: Path, family_name: str, work: Path, size: int) -> Parts:
    """The product's own parts, prepared as a job would."""
    make_folder(work / "pictures", 8, sizes=((size, size),))
    tokens = "max_tokens = 77\n" if family_name == "flux" else ""
    text = f"""
model.family = "{family_name}"
model.path = "{folder}"
{f"model.{tokens}" if tokens else ""}
train.steps = 100000
train.batch_size = 2
compute.device = "cpu"
compute.precision.dtype = "fp32"
compute.checkpointing.enabled = false
cache.root = "{work / "cache"}"
data.workers = 0
[[data.datasets]]
id = "a"
path = "{work / "pictures"}"
resolution = "{size}px2"
"""
    resolved = resolve(text)
    assert resolved.config is not None, resolved.findings
    config = resolved.config
    device = torch.device("cpu")
    family = build_family(config, device, torch.float32)
    prepared = prepare(config, family, on_event=lambda *a, **k: None, should_stop=lambda: False)
    family.load("denoiser")
    trainable = build_trainable(config, family, torch.float32)
    return assemble(config, device, family, prepared, trainable)


def floor_step(folder: Path, parts: Parts) -> Callable[[], None]:
    """A minimal loop on a second copy of the module with the same adapter and batch."""
    from peft import LoraConfig

    family = build_family(parts.config, parts.device, torch.float32)
    family.load("denoiser")
    module = family.denoiser
    targets = list(family.facts.lora_targets[family.facts.default_targets])
    module.add_adapter(LoraConfig(r=16, lora_alpha=16, target_modules=targets))
    module.train()
    parameters = [p for p in module.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(parameters, lr=1e-4, fused=True)
    batch = next(iter(make_loader(parts.prepared, family, parts.config, 0)))
    text, x0 = batch.text, batch.latents
    generator = torch.Generator().manual_seed(0)
    abar = family.alphas_cumprod

    def step() -> None:
        noise = torch.randn(x0.shape, generator=generator)
        if abar is None:
            time_ = torch.sigmoid(torch.randn(len(x0), generator=generator))
            s = time_.view(-1, 1, 1, 1)
            noisy, target = (1 - s) * x0 + s * noise, noise - x0
        else:
            time_ = torch.randint(0, len(abar), (len(x0),), generator=generator)
            a = abar[time_].view(-1, 1, 1, 1)
            noisy, target = a.sqrt() * x0 + (1 - a).sqrt() * noise, noise
        prediction = family.forward(noisy, time_, text, batch.sizes)
        loss = torch.nn.functional.mse_loss(prediction, target)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=True)
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return step


def our_step(parts: Parts) -> Callable[[], None]:
    loader = make_loader(parts.prepared, parts.family, parts.config, 0)
    batches: Iterator[Batch] = itertools.repeat(next(iter(loader)))  # the floor's batch too
    parts.family.denoiser.train()
    number = 0

    def step() -> None:
        nonlocal number
        optimiser_step(parts, batches, number)
        number += 1

    return step


def timed(step: Callable[[], None], count: int) -> float:
    started = time.process_time()
    for _ in range(count):
        step()
    return (time.process_time() - started) / count


def measure(folder: Path, family: str, steps: int, size: int) -> tuple[float, float, float]:
    """Milliseconds per step of floor and product, and floor / product (1 = as fast)."""
    with tempfile.TemporaryDirectory() as name:
        parts = our_parts(folder, family, Path(name), size)
        ours, floor = our_step(parts), floor_step(folder, parts)
        for step in (ours, floor):
            timed(step, 3)
        pairs = [(timed(floor, BLOCK), timed(ours, BLOCK)) for _ in range(max(2, steps // BLOCK))]
        ratio = statistics.median(f / o for f, o in pairs)
        return (
            1e3 * statistics.median(f for f, _ in pairs),
            1e3 * statistics.median(o for _, o in pairs),
            ratio,
        )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", nargs="?", type=Path)
    parser.add_argument("family", nargs="?")
    parser.add_argument("--steps", type=int, default=160)
    parser.add_argument("--size", type=int, default=64, help="picture edge in pixels")
    args = parser.parse_args()
    torch.set_num_threads(1)
    print(f"{'family':<8} {'floor ms':>9} {'ours ms':>9} {'floor/ours':>11}")
    with tempfile.TemporaryDirectory() as name:
        cases = (
            [(args.model, args.family)]
            if args.model
            else [(make_tiny(kind, Path(name) / kind), kind) for kind in ("sd1x", "sdxl", "flux")]
        )
        for folder, family in cases:
            floor, ours, ratio = measure(folder.resolve(), family, args.steps, args.size)
            print(f"{family:<8} {floor:>9.2f} {ours:>9.2f} {ratio:>11.3f}")


if __name__ == "__main__":
    main()
