"""The step waits for nothing, and the numbers it reports are those of the mathematics."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from bench.floor import our_parts
from tests.support.families import KINDS
from trainer.data.prepare import make_loader
from trainer.errors import NumericFailure
from trainer.loop.scalars import ScalarBuffer
from trainer.loop.session import Session
from trainer.loop.step import optimiser_step
from trainer.optim.clip import clip_by_norm
from trainer.runs.layout import RunDir
from trainer.runs.metrics import read_metrics


class SyncCounter(TorchDispatchMode):
    """Counts operations that make the host wait for the device."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default:
            self.count += 1
        return func(*args, **(kwargs or {}))


@pytest.mark.conformance("sync")
@pytest.mark.parametrize("kind", KINDS)
def test_no_host_sync_in_a_step(kind, tiny_model, tmp_path):
    """Ten steps, and reading the scalars afterwards: not one `_local_scalar_dense`."""
    parts = our_parts(tiny_model(kind), kind, tmp_path, 64)
    session = Session(RunDir(tmp_path / "run").create(), name="r", attempt=1)
    buffer = ScalarBuffer(session, loss_ema=None, samples=0)
    batches = itertools.repeat(
        next(iter(make_loader(parts.prepared, parts.family, parts.config, 0)))
    )
    parts.family.denoiser.train()
    optimiser_step(parts, batches, 0)
    with SyncCounter() as counter:
        for step in range(1, 11):
            buffer.add(step, 0, optimiser_step(parts, batches, step))
        buffer.flush()
        assert float(torch.ones(())) == 1.0
    assert counter.count == 1  # the line above, which shows that the counter counts
    assert len(list(read_metrics(tmp_path / "run" / "metrics.jsonl"))) == 10


def test_not_a_number_ends_the_run_and_stays_visible(tmp_path):
    """NaN reaches the metrics as it is, and the run stops before anything is saved."""
    from trainer.loop.step import StepScalars

    session = Session(RunDir(tmp_path / "run").create(), name="r", attempt=1)
    buffer = ScalarBuffer(session, loss_ema=None, samples=0)
    for step, loss in enumerate([1.0, float("nan"), 0.5], 1):
        scalars = StepScalars(torch.tensor(loss), torch.tensor(1.0), 1e-4, 2)
        buffer.add(step, 0, scalars)
    with pytest.raises(NumericFailure, match="step 2"):
        buffer.flush()
    rows = list(read_metrics(tmp_path / "run" / "metrics.jsonl"))
    assert [r["samples"] for r in rows] == [2, 4, 6]
    assert rows[1]["loss"] != rows[1]["loss"]


def test_clipping_is_by_norm():
    """Gradients above the limit are scaled to it together, smaller ones are left alone."""
    parameters = [torch.nn.Parameter(torch.zeros(3)), torch.nn.Parameter(torch.zeros(2))]
    for p, value in zip(parameters, (3.0, 4.0), strict=True):
        p.grad = torch.zeros_like(p)
        p.grad[0] = value
    assert clip_by_norm(parameters, 1.0).item() == pytest.approx(5.0)
    torch.testing.assert_close(parameters[0].grad[0], torch.tensor(0.6), atol=1e-5, rtol=1e-5)
    assert clip_by_norm(parameters, 10.0).item() == pytest.approx(1.0, abs=1e-4)
    torch.testing.assert_close(parameters[1].grad[0], torch.tensor(0.8), atol=1e-5, rtol=1e-5)
    assert clip_by_norm(parameters, None).item() == pytest.approx(1.0, abs=1e-4)


def test_accumulation_is_one_big_batch(tiny_model, tmp_path):
    """Two micro-batches of the same samples give the gradient of one."""
    parts = our_parts(tiny_model("flux"), "flux", Path(tmp_path), 64)
    batch = next(iter(make_loader(parts.prepared, parts.family, parts.config, 0)))
    parts.family.denoiser.train()
    once = optimiser_step(parts, itertools.repeat(batch), 0)
    twice_parts = our_parts(tiny_model("flux"), "flux", Path(tmp_path), 64)
    train = twice_parts.config.train.model_copy(update={"accumulate": 2})
    twice_parts.config = twice_parts.config.model_copy(update={"train": train})
    twice_parts.family.denoiser.train()
    twice = optimiser_step(twice_parts, itertools.repeat(batch), 0)
    torch.testing.assert_close(once.loss, twice.loss)
    torch.testing.assert_close(once.grad_norm, twice.grad_norm, atol=1e-5, rtol=1e-4)
    assert twice.samples == 2 * once.samples
