"""States in few bits: near plain AdamW, small, and told by name when the package is missing."""

from __future__ import annotations

import sys

import pytest
import torch

from tests.unit.trainer.optim.test_optimizers import make, take
from trainer import catalog
from trainer.config.schema.optimizer import OptimizerConfig
from trainer.errors import ConfigError
from trainer.memory.resident import stored_tensors
from trainer.optim.build import build_optimizer

LOW = ("adamw8bit", "adamw8bit_paged", "ao_adamw8bit", "ao_adamw4bit", "ao_adamwfp8")


@pytest.fixture(autouse=True)
def _uncompiled():
    torch.compiler.set_stance("force_eager")
    yield
    torch.compiler.set_stance("default")


def state_bytes(optimizer, parameter) -> int:
    """Of what grows with the parameter, so without tables of codes."""
    values = optimizer.state[parameter].values()
    tensors = [t for v in values if isinstance(v, torch.Tensor) for t in stored_tensors(v)]
    return sum(t.nbytes for t in tensors if t.numel() > 256 or t.numel() <= 64)


@pytest.mark.parametrize("name", LOW)
def test_near_plain_adamw_with_small_states(name):
    """After 20 steps the weights differ by little and the large states are a quarter or less; the
    small ones are of full precision."""
    plain, adamw = make("adamw")
    low, optimizer = make(name)
    take(plain, adamw, 20)
    take(low, optimizer, 20)
    for p, q in zip(plain, low, strict=True):
        assert float((p - q).abs().mean()) < (0.25 if "4bit" in name else 0.05)
        assert float((p - 3.0).abs().mean()) > 0.3  # neither is there yet
    assert not torch.equal(plain[2], low[2])
    assert state_bytes(optimizer, low[2]) < 0.3 * state_bytes(adamw, plain[2])
    torch.testing.assert_close(low[0], plain[0], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("name", LOW)
def test_the_rate_of_a_schedule_counts(name):
    """A rate of nothing moves nothing; torchao wants a tensor, schedules write numbers."""
    params, optimizer = make(name)
    take(params, optimizer, 1)
    before = [p.detach().clone() for p in params]
    for group in optimizer.param_groups:
        group["lr"] = 0.0
    take(params, optimizer, 1)
    assert all(torch.equal(p, q) for p, q in zip(params, before, strict=True))


@pytest.mark.parametrize("name", [*LOW, "lion8bit"])
def test_an_absent_package_is_told_with_its_extra(name, monkeypatch):
    """These are not part of the usual installation."""
    (package,) = catalog.OPTIMIZERS[name].packages
    for module in [m for m in sys.modules if m.split(".")[0] == package]:
        monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(ConfigError) as caught:
        build_optimizer(OptimizerConfig(name=name), "adapter", [{"params": make("adamw")[0]}])
    assert caught.value.finding.code == "RUN013"
    assert package in caught.value.finding.message
    assert "[quant]" in caught.value.finding.fix
