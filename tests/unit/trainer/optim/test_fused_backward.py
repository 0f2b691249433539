"""Updates within the backward pass: the same numbers, without all gradients in memory at once."""

from __future__ import annotations

import itertools
import json

import pytest
import torch

from bench.floor import our_parts
from trainer import catalog
from trainer.ckpt.tree import flatten, restore
from trainer.config.schema.optimizer import OptimizerConfig
from trainer.data.prepare import make_loader
from trainer.loop.step import optimiser_step
from trainer.optim.build import averaging, build_optimizer
from trainer.optim.fused_backward import FusedBackward

ABLE = sorted(name for name, entry in catalog.OPTIMIZERS.items() if entry.one_by_one)


@pytest.fixture(autouse=True)
def _uncompiled():
    torch.compiler.set_stance("force_eager")
    yield
    torch.compiler.set_stance("default")


def network():
    torch.manual_seed(0)
    return torch.nn.Sequential(
        torch.nn.Linear(64, 96), torch.nn.GELU(), torch.nn.Linear(96, 64), torch.nn.Linear(64, 4)
    )


def made(name: str, *, fused: bool):
    model = network()
    config = OptimizerConfig(name=name, lr=1e-2, clip=None, fused_backward=fused)
    return model, build_optimizer(config, "adapter", [{"params": list(model.parameters())}])


def step(model, optimizer, seed: int) -> None:
    for group in optimizer.param_groups:
        group["lr"] = 1e-2 / (1 + seed)
    generator = torch.Generator().manual_seed(seed)
    model(torch.randn(8, 64, generator=generator)).pow(2).mean().backward()
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


def equal(one, other) -> bool:
    return all(torch.equal(p, q) for p, q in zip(one.parameters(), other.parameters(), strict=True))


@pytest.mark.parametrize("name", ABLE)
def test_equal_to_ordinary_steps_and_through_a_checkpoint(name):
    """Five steps under a changing rate, then three more from the stored state, bit for bit."""
    plain, optimizer = made(name, fused=False)
    fused, within = made(name, fused=True)
    start = network()
    for seed in range(5):
        step(plain, optimizer, seed)
        step(fused, within, seed)
    assert equal(plain, fused)
    assert not equal(fused, start)
    tensors: dict[str, torch.Tensor] = {}
    document = json.loads(json.dumps(flatten(within.state_dict(), tensors)))
    tensors = {k: v.clone() for k, v in tensors.items()}
    again, fresh = made(name, fused=True)
    again.load_state_dict(fused.state_dict())
    fresh.load_state_dict(restore(document, tensors))
    for seed in range(5, 8):
        step(plain, optimizer, seed)
        step(again, fresh, seed)
    assert equal(plain, again)


def test_gradients_are_never_there_together():
    """When a weight's gradient arrives, those of later layers are gone."""
    model, _ = made("adamw", fused=True)
    alive: list[int] = []
    for parameter in model.parameters():
        parameter.register_hook(
            lambda grad: alive.append(sum(p.grad is not None for p in model.parameters()))
        )
    model(torch.randn(8, 64)).pow(2).mean().backward()
    assert len(alive) == 6
    assert max(alive) <= 1
    assert all(p.grad is None for p in model.parameters())


def test_the_loop_trains_with_it(tiny_model, tmp_path):
    """Whole steps of the product on a tiny model: weights and the reported norm are the same."""
    results = []
    for fused in (False, True):
        parts = our_parts(tiny_model("flux"), "flux", tmp_path / str(fused), 64)
        config = parts.config.optimizer.model_copy(
            update={"clip": None, "fused_backward": fused, "lr": 1e-3}
        )
        parts.config = parts.config.model_copy(update={"optimizer": config})
        parts.optimizer = build_optimizer(config, "adapter", [{"params": parts.parameters}])
        assert isinstance(parts.optimizer, FusedBackward) is fused
        assert not averaging(parts.optimizer)
        batches = itertools.repeat(
            next(iter(make_loader(parts.prepared, parts.family, parts.config, 0)))
        )
        norms = [float(optimiser_step(parts, batches, n).grad_norm) for n in range(3)]
        results.append((norms, [p.detach() for p in parts.parameters]))
    (norms, weights), (within, updated) = results
    assert norms == pytest.approx(within, rel=1e-5)
    assert all(torch.equal(p, q) for p, q in zip(weights, updated, strict=True))
