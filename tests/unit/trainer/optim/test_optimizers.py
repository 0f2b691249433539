"""Every optimiser learns a quadratic, and continues bit for bit from its stored state."""

from __future__ import annotations

import pytest
import torch
from torch.nn import Parameter

from trainer import catalog
from trainer.ckpt.tree import flatten, restore
from trainer.optim.adamw_bf16 import AdamWBF16, round_stochastic


@pytest.fixture(autouse=True)
def _uncompiled():
    """torchao compiles its step, which takes longer here than all the tests."""
    torch.compiler.set_stance("force_eager")
    yield
    torch.compiler.set_stance("default")


SHAPES = ((8, 3), (5,), (64, 96), (96, 64))  # quantised states begin at 4096 numbers


def make(name: str, dtype: torch.dtype = torch.float32):
    entry = catalog.OPTIMIZERS[name]
    generator = torch.Generator().manual_seed(1)
    params = [Parameter(torch.randn(shape, generator=generator).to(dtype)) for shape in SHAPES]
    lr = 1.0 if name == "prodigy" else 0.05
    return params, catalog.load(entry.path)([{"params": params}], lr, dict(entry.args))


def take(params, optimizer, steps: int) -> float:
    for _ in range(steps):
        loss = sum(((p.float() - 3.0) ** 2).mean() for p in params)
        loss.backward()
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)
    return loss.item()


@pytest.mark.parametrize("name", sorted(catalog.OPTIMIZERS))
def test_reduces_a_quadratic(name):
    """Twenty steps lower the loss."""
    dtype = torch.bfloat16 if catalog.OPTIMIZERS[name].bf16_weights else torch.float32
    params, optimizer = make(name, dtype)
    first = take(params, optimizer, 1)
    assert take(params, optimizer, 40) < first


@pytest.mark.parametrize("name", sorted(catalog.OPTIMIZERS))
def test_state_survives_the_checkpoint_form(name):
    """State through JSON and tensors gives a bit-equal next step."""
    import json

    dtype = torch.bfloat16 if catalog.OPTIMIZERS[name].bf16_weights else torch.float32
    params, optimizer = make(name, dtype)
    take(params, optimizer, 5)
    tensors: dict[str, torch.Tensor] = {}
    document = json.loads(json.dumps(flatten(optimizer.state_dict(), tensors)))
    assert len({t.data_ptr() for t in tensors.values()}) == len(tensors)  # as safetensors wants it
    tensors = {k: v.clone() for k, v in tensors.items()}
    others, twin = make(name, dtype)
    for p, q in zip(params, others, strict=True):
        q.data = p.data.clone()
    twin.load_state_dict(restore(document, tensors))
    take(params, optimizer, 3)
    take(others, twin, 3)
    assert all(torch.equal(p, q) for p, q in zip(params, others, strict=True))


def test_stochastic_rounding_is_unbiased():
    """The mean of many roundings is the value; rounding to nearest would be off by 0.1 %."""
    value = torch.full((200_000,), 1.001)
    rounded = round_stochastic(value, torch.Generator().manual_seed(0)).float()
    assert set(rounded.unique().tolist()) == {1.0, 1.0078125}
    assert abs(rounded.mean().item() - 1.001) < 5e-5


def test_adamw_bf16_on_fp32_equals_torch():
    """Without rounding it is plain AdamW."""
    torch.manual_seed(0)
    a = [Parameter(torch.randn(6, 4)), Parameter(torch.randn(3))]
    b = [Parameter(p.detach().clone()) for p in a]
    args = {"lr": 1e-2, "betas": (0.9, 0.99), "eps": 1e-8, "weight_decay": 0.1}
    ours, theirs = AdamWBF16(a, **args), torch.optim.AdamW(b, **args)
    for _ in range(10):
        for params, optimizer in ((a, ours), (b, theirs)):
            sum((p**3).mean() for p in params).backward()
            optimizer.step()
            optimizer.zero_grad()
    for p, q in zip(a, b, strict=True):
        torch.testing.assert_close(p, q, atol=1e-6, rtol=1e-5)


def test_buckets_change_nothing(monkeypatch):
    """Small buckets take the same steps as one large one, up to the rounding stream."""
    import trainer.optim.adamw_bf16 as module

    def run(limit: int) -> list[torch.Tensor]:
        monkeypatch.setattr(module, "BUCKET", limit)
        params = [Parameter(torch.linspace(-1, 1, n)) for n in (5, 40, 3, 9)]
        optimizer = AdamWBF16(params, lr=1e-2, betas=(0.9, 0.99), eps=1e-8, weight_decay=0.1)
        assert len(module.buckets(list(params))) == (1 if limit > 100 else 3)
        for _ in range(3):
            sum((p**3).sum() for p in params).backward()
            optimizer.step()
            optimizer.zero_grad()
        return [p.detach() for p in params]

    assert all(torch.equal(a, b) for a, b in zip(run(1000), run(20), strict=True))


def test_small_bf16_steps_are_not_lost():
    """A step far below half a bf16 unit still moves the weight on average."""
    weights = [Parameter(torch.ones(20_000, dtype=torch.bfloat16))]
    optimizer = AdamWBF16(weights, lr=1e-4, betas=(0.9, 0.999), eps=1e-8, weight_decay=0.0)
    for _ in range(50):
        weights[0].grad = torch.ones_like(weights[0])
        optimizer.step()
    assert abs(weights[0].float().mean().item() - (1 - 50e-4)) < 5e-4
