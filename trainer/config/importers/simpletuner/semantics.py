"""What the run means, in figures: as SimpleTuner computes them, and as the imported job does.

The job's side is taken from the finished file, resolved with all defaults, so that it would show
a mistake of the translation.
"""

from __future__ import annotations

from typing import Any

from trainer.catalog.lycoris import ALGORITHMS
from trainer.config.importers.report import Meaning
from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.settings.length import Batch
from trainer.config.importers.simpletuner.translation import Translation
from trainer.config.schema.adapter import AdapterConfig
from trainer.config.schema.root import JobConfig


def semantics(
    t: Translation, batch: Batch, entries: list[Entry], job: JobConfig | None
) -> dict[str, Meaning]:
    """Figure by name; `job` is None when the file that came out is not valid."""
    return {
        "effective_batch": _batch(batch, entries, job),
        "total_steps": _steps(t, batch, job),
        "adapter_scale": _scale(t, job),
        "timesteps": _timesteps(t, job),
        "shift": _shift(t, job),
        "loss_weighting": _weighting(t, job),
        "learning_rate": _rate(t, batch, job),
        "bucket_rule": _buckets(t, job),
    }


def _batch(batch: Batch, entries: list[Entry], job: JobConfig | None) -> Meaning:
    here = job and job.train.batch_size * job.train.accumulate
    note = f"{batch.size} samples x {batch.accumulate} accumulated x {batch.devices} devices"
    if any(e.given("train_batch_size") for e in entries):
        note += "; some datasets have a batch size of their own"
    return Meaning(batch.effective, here, note)


def _steps(t: Translation, batch: Batch, job: JobConfig | None) -> Meaning:
    steps = t.read("max_train_steps", "int")
    if steps and steps > 0:
        return Meaning(steps, job and job.train.steps, "optimiser steps")
    epochs = max(0, t.read("num_train_epochs", "int"))
    form = (
        f"{epochs} epochs x ceil(sum over buckets of passes x ceil(samples / "
        f"{batch.size * batch.devices}) / {batch.accumulate}); depends on the data"
    )
    here = job and (f"{job.train.epochs} epochs" if job.train.epochs else job.train.steps)
    return Meaning(f"{epochs} epochs", here, form)


def _scale(t: Translation, job: JobConfig | None) -> Meaning:
    """Alpha over rank: what the adapter's output is multiplied by."""
    here: Any = None
    if job is not None and job.model.mode == "adapter":
        here = _acting(job.adapter)
    if not t.trains_adapter:
        return Meaning(None, here, "all weights are trained")
    if t.read("lora_type", "text").strip().lower() == "lycoris":
        rank, alpha = t.draft.get("adapter.rank"), t.draft.get("adapter.alpha")
        return Meaning(alpha / rank if rank and alpha else None, here, "of lycoris_config")
    rank, alpha = t.read("lora_rank", "int"), t.read("lora_alpha", "float")
    alpha = rank if alpha is None else alpha
    return Meaning(alpha / rank if rank else None, here, f"alpha {alpha:g} / rank {rank}")


def _acting(adapter: AdapterConfig) -> float | None:
    """Alpha over rank; None for LyCORIS algorithms that have no such scale."""
    whole = adapter.lycoris.algo == "lokr" and adapter.lycoris.full_matrix
    scaled = "alpha" in ALGORITHMS[adapter.lycoris.algo].settings and not whole
    if adapter.kind == "lycoris" and not scaled:
        return None
    return (adapter.alpha or adapter.rank) / adapter.rank


def _timesteps(t: Translation, job: JobConfig | None) -> Meaning:
    here: Any = "uniform" if job else None
    if t.facts is not None and t.facts.continuous_time:
        note = "its 1000 whole times are of another schedule than the model's, which is used here"
        return Meaning("uniform over whole times", here, note)
    if not t.is_flow:
        return Meaning("uniform", here, "over the times of the schedule")
    if t.read("flow_use_uniform_schedule", "bool"):
        source = "uniform"
    elif t.read("flow_use_beta_schedule", "bool"):
        alpha, beta = (t.read(f"flow_beta_schedule_{n}", "float") for n in ("alpha", "beta"))
        source = f"beta({alpha:g}, {beta:g})"
    else:
        source = f"sigmoid(scale {t.read('flow_sigmoid_scale', 'float'):g})"
    here = None
    if job is not None:
        noise = job.noise
        here = {
            "uniform": "uniform",
            "beta": f"beta({noise.beta.alpha:g}, {noise.beta.beta:g})",
            "sigmoid": f"sigmoid(scale {noise.sigmoid_scale:g})",
        }[noise.sampling or "sigmoid"]
    return Meaning(source, here, "density of noise levels before the shift")


def _shift(t: Translation, job: JobConfig | None) -> Meaning:
    if not t.is_flow:
        return Meaning(None, None, "the schedule of the model")
    shift = t.read("flow_schedule_shift", "float")
    auto = t.read("flow_schedule_auto_shift", "bool")
    source = float(shift) if shift > 0 else "auto" if auto else 1.0
    return Meaning(source, job and job.noise.shift, "k sigma / (1 + (k - 1) sigma)")


def _weighting(t: Translation, job: JobConfig | None) -> Meaning:
    kind = t.read("loss_type", "text")
    gamma = None if t.is_flow else t.read("snr_gamma", "float")
    source = kind + (f", min-SNR {gamma:g}" if gamma else "")
    here = None
    if job is not None:
        weight = job.loss.snr.gamma
        here = job.loss.kind + (f", min-SNR {weight:g}" if weight else "")
        if t.facts is not None and t.facts.continuous_time and not weight:
            here += f", P2 {job.model.options.stable_cascade.p2_gamma:g}"
    return Meaning(source, here, "element loss and weight of noise levels")


def _rate(t: Translation, batch: Batch, job: JobConfig | None) -> Meaning:
    """The rate that is reached after the warm-up."""
    rate = float(t.read("learning_rate", "float"))
    factor = 1.0
    if t.read("lr_scale", "bool"):
        root = t.given("lr_scale_sqrt") and t.read("lr_scale_sqrt", "bool")
        factor = batch.effective**0.5 if root else float(batch.effective)
    return Meaning(rate * factor, job and job.optimizer.lr, f"{rate:g} x {factor:g}")


def _buckets(t: Translation, job: JobConfig | None) -> Meaning:
    align = t.read("aspect_bucket_alignment", "int")
    source = f"as SimpleTuner, multiples of {align} pixels"
    here = None
    if job is not None:
        rule = "as SimpleTuner" if job.data.geometry == "reference" else "native"
        here = f"{rule}, multiples of {job.data.align} pixels"
    note = "sizes from the ratio rounded to two digits; buckets filled up by repetition"
    return Meaning(source, here, note)
