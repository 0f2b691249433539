"""What a batch asks of the step: masks, priors, sliders and moved times do what they say."""

from __future__ import annotations

import itertools
from dataclasses import replace
from typing import Any

import pytest
import torch

from bench.floor import our_parts
from tests.support.adapters import trained
from tests.support.families import KINDS, random_latents, some_times, told
from tests.unit.trainer.loop.test_step import SyncCounter
from trainer.config.schema.loss import MaskConfig
from trainer.data.batch import Batch
from trainer.data.prepare import make_loader
from trainer.loop.parts import Parts
from trainer.loop.scalars import ScalarBuffer
from trainer.loop.session import Session
from trainer.loop.step import micro_batch_loss, optimiser_step
from trainer.optim.build import build_schedule
from trainer.optim.schedules import Schedule
from trainer.runs.layout import RunDir
from trainer.runs.metrics import read_metrics


def parts_and_batch(kind: str, tiny_model, tmp_path, **train: int) -> tuple[Parts, Batch]:
    """A job ready to step, and one of its batches."""
    parts = our_parts(tiny_model(kind), kind, tmp_path, 64)
    if train:
        changed = parts.config.train.model_copy(update=train)
        parts.config = parts.config.model_copy(update={"train": changed})
    batch = next(iter(make_loader(parts.prepared, parts.family, parts.config, 0)))
    parts.family.denoiser.train()
    return parts, batch


def with_values(parts: Parts, seed: int = 3) -> None:
    """Adapter weights as if trained: both halves act."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in parts.parameters:
        parameter.data.normal_(0.0, 0.2, generator=generator)


def gradients(parts: Parts) -> list[torch.Tensor]:
    found = [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in parts.parameters]
    for parameter in parts.parameters:
        parameter.grad = None
    return found


def set_mask(parts: Parts, **values: Any) -> None:
    loss = parts.config.loss.model_copy(update={"mask": MaskConfig(**values)})
    parts.config = parts.config.model_copy(update={"loss": loss})


# --- masks -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_full_mask_is_no_mask_and_an_empty_one_no_loss(kind, tiny_model, tmp_path):
    """Ones: the plain loss to the bit. Zeros: loss 0 and every gradient exactly 0."""
    parts, batch = parts_and_batch(kind, tiny_model, tmp_path)
    with_values(parts)
    shape = (len(batch.sample_ids), 1, *batch.latents.shape[-2:])
    plain = micro_batch_loss(parts, batch)
    assert torch.equal(plain, micro_batch_loss(parts, replace(batch, masks=torch.ones(shape))))
    empty = micro_batch_loss(parts, replace(batch, masks=torch.zeros(shape)))
    assert empty.item() == 0.0
    empty.backward()
    assert not any(g.any() for g in gradients(parts))


def test_the_loss_of_a_prediction_ignores_what_the_mask_hides(tiny_model, tmp_path):
    """Gradient by pixel: exactly zero where the mask is zero, not zero elsewhere."""
    parts, batch = parts_and_batch("sd1x", tiny_model, tmp_path)
    mask = torch.zeros(len(batch.sample_ids), 1, *batch.latents.shape[-2:])
    mask[..., : mask.shape[-1] // 2] = 1.0
    objective = parts.objective
    draw = objective.draw(batch.latents, 1, batch.sample_ids, batch.visits)
    corrupted = objective.corrupt(batch.latents, draw.noise, draw.time)
    prediction = torch.randn_like(batch.latents).requires_grad_()
    objective.loss(prediction, corrupted, mask).backward()
    kept = mask.expand_as(prediction).bool()
    assert prediction.grad is not None
    assert prediction.grad[kept].all()
    assert not prediction.grad[~kept].any()


# --- prior -----------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("kind", KINDS)
def test_an_untrained_adapter_has_no_prior_loss(kind, dtype, tiny_model, tmp_path):
    """It is the base model: loss and all gradients are exactly 0, and nothing moves."""
    parts, batch = parts_and_batch(kind, tiny_model, tmp_path)
    parts.autocast_dtype = dtype
    before = [p.detach().clone() for p in parts.parameters]
    for group in parts.optimizer.param_groups:
        group["weight_decay"] = 0.0  # it acts without gradients
    scalars = optimiser_step(parts, itertools.repeat(replace(batch, prior=True)), 0)
    assert scalars.loss is None
    assert scalars.prior_loss is not None
    assert scalars.prior_loss.item() == 0.0
    assert scalars.grad_norm.item() == 0.0
    assert all(torch.equal(a, b) for a, b in zip(before, parts.parameters, strict=True))


def test_a_trained_adapter_is_pulled_back(tiny_model, tmp_path):
    """The prior loss falls when nothing else is trained, and the target is not the picture."""
    parts, batch = parts_and_batch("flux", tiny_model, tmp_path)
    with_values(parts)
    parts.schedule = at_rate(parts, 1e-2)
    prior = replace(batch, prior=True)
    losses = [optimiser_step(parts, itertools.repeat(prior), s).prior_loss for s in range(30)]
    assert losses[0] > 0.0  # type: ignore[operator]
    assert losses[-1] < 0.5 * losses[0]  # type: ignore[operator]
    assert micro_batch_loss(parts, prior) < 0.1 * micro_batch_loss(parts, batch)


def at_rate(parts: Parts, rate: float) -> Schedule:
    return build_schedule(parts.config.schedule, rate, parts.total_steps)


def test_the_prior_target_is_the_base_models_prediction(tiny_model, tmp_path):
    """Whatever the adapter's weights are, the target is what the model says without them."""
    parts, batch = parts_and_batch("sdxl", tiny_model, tmp_path)
    with parts.trainable.base_scope(), torch.no_grad():
        base = prediction(parts, batch)
    targets = []
    original = parts.objective.loss

    def watch(predicted, corrupted, mask=None):
        targets.append(corrupted.target)
        return original(predicted, corrupted, mask)

    parts.objective.loss = watch  # type: ignore[method-assign]
    for seed in (1, 2):
        with_values(parts, seed)
        micro_batch_loss(parts, replace(batch, prior=True)).backward()
        assert any(g.any() for g in gradients(parts))
    assert torch.equal(targets[0], base)
    assert torch.equal(targets[1], base)
    assert not targets[0].requires_grad


def prediction(parts: Parts, batch: Batch) -> torch.Tensor:
    """What the model says about the batch's own noise and times."""
    seed = parts.config.job.seed
    draw = parts.objective.draw(batch.latents, seed, batch.sample_ids, batch.visits)
    corrupted = parts.objective.corrupt(batch.latents, draw.noise, draw.time)
    return parts.family.forward(corrupted.noisy, corrupted.time, batch.condition)


def test_the_adapter_is_back_after_an_error_in_the_base_pass(tiny_model, tmp_path, monkeypatch):
    """A failing base pass must not leave the run training nothing."""
    parts, batch = parts_and_batch("flux", tiny_model, tmp_path)
    with_values(parts)
    before = prediction(parts, batch).detach()
    with monkeypatch.context() as patched:
        patched.setattr(parts.family, "forward", lambda *a: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            micro_batch_loss(parts, replace(batch, prior=True))
    assert torch.equal(prediction(parts, batch).detach(), before)


def test_both_losses_of_a_mixed_step_are_told(tiny_model, tmp_path):
    """loss is the mean of the ordinary batches alone; metrics rows carry what the step had."""
    parts, batch = parts_and_batch("sd1x", tiny_model, tmp_path, accumulate=3)
    with_values(parts)
    ordinary = micro_batch_loss(parts, batch).detach()
    prior = micro_batch_loss(parts, replace(batch, prior=True)).detach()
    session = Session(RunDir(tmp_path / "run").create(), name="r", attempt=1)
    buffer = ScalarBuffer(session, loss_ema=None, samples=0)
    order = iter([batch, replace(batch, prior=True), batch])
    scalars = optimiser_step(parts, order, 0)
    assert scalars.loss is not None
    assert scalars.prior_loss is not None
    torch.testing.assert_close(scalars.loss, ordinary)
    torch.testing.assert_close(scalars.prior_loss, prior)
    buffer.add(1, 0, scalars)
    buffer.add(2, 0, optimiser_step(parts, itertools.repeat(replace(batch, prior=True)), 1))
    buffer.flush()
    first, second = read_metrics(session.run.metrics)
    assert first["loss"] == pytest.approx(ordinary.item(), rel=1e-5)
    assert first["prior_loss"] == pytest.approx(prior.item(), rel=1e-5)
    assert list(second) == ["step", "epoch", "prior_loss", "lr", "grad_norm", "samples"]
    assert buffer.loss_ema == first["loss"]


# --- slider ----------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_strength_scales_what_each_layer_adds(kind, tiny_model):
    """-1 turns the adapter's part of a layer round, 0.5 halves it, 0 leaves the base model."""
    family, lora = trained(kind, tiny_model(kind), alpha=2.0)
    layer = lora._layers[0]
    x = torch.randn(5, layer.base_layer.in_features, requires_grad=True)

    def part(strength: float) -> torch.Tensor:
        with lora.at_strength(strength):
            return layer(x) - layer.base_layer(x)

    torch.testing.assert_close(part(-1.0), -part(1.0), atol=1e-5, rtol=1e-4)
    torch.testing.assert_close(part(0.5), 0.5 * part(1.0), atol=1e-5, rtol=1e-4)
    text = family.probe_entry(lambda shape: torch.ones(2, *shape))

    def call() -> torch.Tensor:
        return family.forward(random_latents(family), some_times(family), told(text))

    with lora.base_scope(), torch.no_grad():
        base = call()
    with lora.at_strength(0.0):
        torch.testing.assert_close(call(), base, atol=1e-6, rtol=1e-5)
    assert (call() - base).abs().max() > 1e-3


@pytest.mark.parametrize("kind", KINDS)
def test_short_and_long_way_agree_at_any_strength(kind, tiny_model):
    """Lean forward and PEFT's own give the same at strength -0.7, with and without gradients."""
    family, lora = trained(kind, tiny_model(kind), alpha=2.0)
    text = family.probe_entry(lambda shape: torch.ones(2, *shape))

    def call() -> torch.Tensor:
        return family.forward(random_latents(family), some_times(family), told(text))

    with lora.at_strength(-0.7):
        short = call().detach()
        with torch.no_grad():
            torch.testing.assert_close(call(), short, atol=1e-5, rtol=1e-4)
        for module in family.denoiser.modules():
            module.__dict__.pop("forward", None)
        torch.testing.assert_close(call().detach(), short, atol=1e-5, rtol=1e-4)


def test_strength_is_put_back_to_the_bit(tiny_model):
    """Also after an error, and although a third has no exact inverse."""
    _, lora = trained("flux", tiny_model("flux"), alpha=3.0)
    before = [layer.scaling["default"] for layer in lora._layers]
    assert before

    def fail() -> None:
        with lora.at_strength(1 / 3):
            assert [layer.scaling["default"] for layer in lora._layers] != before
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    assert [layer.scaling["default"] for layer in lora._layers] == before


@pytest.mark.parametrize("kind", ["sdxl", "flux"])
def test_checkpointing_sees_the_same_strength(kind, tiny_model, tmp_path):
    """Gradients of a slider batch are the same with and without gradient checkpointing.

    Restoring the strength before backward would change them by half.
    """
    parts, batch = parts_and_batch(kind, tiny_model, tmp_path)
    with_values(parts)
    parts.optimizer.step = lambda: None  # type: ignore[method-assign]
    kept: list[list[torch.Tensor]] = []
    for checkpointing in (False, True):
        if checkpointing:
            parts.family.enable_checkpointing()
        norms = optimiser_step(parts, itertools.repeat(replace(batch, slider=-0.5)), 0)
        kept.append([norms.loss, norms.grad_norm])  # type: ignore[list-item]
    for plain, checkpointed in zip(*kept, strict=True):
        torch.testing.assert_close(plain, checkpointed, atol=1e-6, rtol=1e-4)


def test_a_neutral_batch_trains_nothing(tiny_model, tmp_path):
    """Strength 0: a loss, but no gradient."""
    parts, batch = parts_and_batch("flux", tiny_model, tmp_path)
    with_values(parts)
    scalars = optimiser_step(parts, itertools.repeat(replace(batch, slider=0.0)), 0)
    assert scalars.loss is not None
    assert scalars.loss.item() > 0.0
    assert scalars.grad_norm.item() == 0.0


def test_a_slider_learns_two_directions(tiny_model, tmp_path):
    """Positive samples at +1, negative ones at -1: each is known better at its own end."""
    parts, batch = parts_and_batch("flux", tiny_model, tmp_path)
    parts.schedule = at_rate(parts, 3e-2)
    plus = replace(batch, slider=1.0, latents=torch.full_like(batch.latents, 1.0))
    minus = replace(batch, slider=-1.0, latents=torch.full_like(batch.latents, -1.0))

    def loss(of: Batch, strength: float) -> float:
        with parts.trainable.at_strength(strength), torch.no_grad():
            return micro_batch_loss(parts, of).item()

    for step in range(60):
        optimiser_step(parts, itertools.repeat(plus if step % 2 == 0 else minus), step)
    assert loss(plus, 1.0) < 0.8 * loss(plus, 0.0)
    assert loss(plus, 1.0) < 0.95 * loss(plus, -1.0)
    assert loss(minus, -1.0) < 0.8 * loss(minus, 0.0)
    assert loss(minus, -1.0) < 0.95 * loss(minus, 1.0)


# --- all of them together --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["sdxl", "flux"])
def test_no_kind_of_batch_makes_the_host_wait(kind, tiny_model, tmp_path):
    """Masks drawn by chance, priors, sliders and moved times: no `_local_scalar_dense`."""
    parts, batch = parts_and_batch(kind, tiny_model, tmp_path, accumulate=2)
    set_mask(parts, probability=0.5, normalise=True, unmasked_weight=0.1)
    masks = torch.rand(len(batch.sample_ids), 1, *batch.latents.shape[-2:])
    kinds = itertools.cycle(
        [
            replace(batch, masks=masks),
            replace(batch, prior=True, masks=masks),
            replace(batch, slider=-1.0, timestep_offset=0.5),
        ]
    )
    session = Session(RunDir(tmp_path / "run").create(), name="r", attempt=1)
    buffer = ScalarBuffer(session, loss_ema=None, samples=0)
    optimiser_step(parts, kinds, 0)
    with SyncCounter() as counter:
        for step in range(1, 7):
            buffer.add(step, 0, optimiser_step(parts, kinds, step))
        buffer.flush()
    assert counter.count == 0
    rows = list(read_metrics(session.run.metrics))
    assert any("prior_loss" in row for row in rows)
    assert all("loss" in row for row in rows)


def test_moved_times_reach_the_model(tiny_model, tmp_path):
    """The same batch with an offset is trained at noisier times."""
    parts, batch = parts_and_batch("flux", tiny_model, tmp_path)
    seen: list[torch.Tensor] = []
    original = parts.objective.corrupt

    def watch(latents, noise, time):
        seen.append(time)
        return original(latents, noise, time)

    parts.objective.corrupt = watch  # type: ignore[method-assign]
    for offset in (0.0, 1.5, -1.5):
        micro_batch_loss(parts, replace(batch, timestep_offset=offset))
    plain, later, earlier = seen
    assert (later > plain).all()
    assert (earlier < plain).all()
