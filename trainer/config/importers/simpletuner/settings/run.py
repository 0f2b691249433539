"""Checkpoints, precision and what else a run needs."""

from __future__ import annotations

from trainer.config.importers.simpletuner.translation import Translation


def checkpoints(t: Translation) -> None:
    t.carry("checkpoint_step_interval", "checkpoint.every_steps", "int")
    t.carry("checkpoints_total_limit", "checkpoint.keep", "int")
    if t.given("resume_from_checkpoint"):
        if t.read("resume_from_checkpoint", "text") == "latest":
            t.put("resume_from_checkpoint", "checkpoint.resume", "auto")
        else:
            t.refuse("resume_from_checkpoint", "a checkpoint of SimpleTuner cannot be continued")


def precision(t: Translation) -> None:
    if not t.given("mixed_precision"):
        return
    if t.facts is not None and t.facts.fp32_weights:
        t.source.ignored("mixed_precision", "this family is trained in fp32")
        return
    path, kind = "compute.precision.dtype", t.read("mixed_precision", "text").strip().lower()
    if kind in ("bf16", "no", "fp32"):
        t.put("mixed_precision", path, "bf16" if kind == "bf16" else "fp32")
    elif kind in ("fp16", "fp8"):
        note = f"SimpleTuner computes in {kind}; bf16 has a wider range"
        t.put("mixed_precision", path, "bf16", note=note, approx=True)
    else:
        t.refuse("mixed_precision", "bf16 and fp32 are known")


def loader(t: Translation) -> None:
    if t.read("dataloader_prefetch", "bool"):
        length = min(64, max(1, t.read("dataloader_prefetch_qlen", "int")))
        t.put("dataloader_prefetch", "data.prefetch", length)
        t.source.mapped("dataloader_prefetch_qlen", "data.prefetch")
    t.ignore(["dataloader_prefetch"], "batches are always prepared ahead")
    t.ignore(["dataloader_prefetch_qlen"], "it has no effect without dataloader_prefetch")
