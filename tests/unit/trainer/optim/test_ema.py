"""The average follows its closed form, in fp32, and comes back bit for bit."""

from __future__ import annotations

import torch
from torch.nn import Parameter

from trainer.optim.ema import EMA


def test_moves_although_weights_are_bf16():
    """A bf16 shadow would stand still at this decay; the fp32 one arrives."""
    p = Parameter(torch.full((4,), 1.0, dtype=torch.bfloat16))
    ema = EMA({"p": p}, decay=0.999, every=1)
    p.data.fill_(1.0078125)
    for step in range(1, 4001):
        ema.update(step)
    assert ema.shadow["p"].dtype == torch.float32
    assert (ema.shadow["p"] > 1.0075).all()


def test_scope_swaps_and_restores_exactly():
    """Inside the scope the model has the average, afterwards the very same storage as before."""
    p = Parameter(torch.randn(5))
    ema = EMA({"p": p}, decay=0.5, every=1)
    p.data.add_(1.0)
    before, pointer = p.detach().clone(), p.data_ptr()
    with ema.scope():
        assert torch.equal(p.data, ema.shadow["p"])
    assert torch.equal(p.data, before)
    assert p.data_ptr() == pointer


def test_interval_keeps_the_time_constant():
    """Every second step with decay squared lands where every step does, for constant weights."""
    p = Parameter(torch.zeros(1))
    one, two = EMA({"p": p}, decay=0.9, every=1), EMA({"p": p}, decay=0.9, every=2)
    one.count = two.count = 10_000  # past the warm-up of the decay
    p.data.fill_(1.0)
    for step in range(1, 21):
        one.update(step)
        two.update(step)
    torch.testing.assert_close(one.shadow["p"], two.shadow["p"])
