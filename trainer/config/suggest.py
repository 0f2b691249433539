"""Did you mean: the nearest known name, and names that other trainers use for the same thing."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable

ALIASES: dict[str, str] = {
    "accumulate_grad_batches": "train.accumulate",
    "adam_weight_decay": "optimizer.args.weight_decay",
    "base_model": "model.path",
    "caption_dropout_probability": "data.defaults.caption.dropout",
    "caption_dropout_rate": "data.defaults.caption.dropout",
    "caption_strategy": "data.defaults.caption.source",
    "checkpoint_step_interval": "checkpoint.every_steps",
    "checkpointing_steps": "checkpoint.every_steps",
    "checkpoints_total_limit": "checkpoint.keep",
    "ema_decay": "ema.decay",
    "flow_schedule_shift": "noise.shift",
    "gradient_accumulation": "train.accumulate",
    "gradient_accumulation_steps": "train.accumulate",
    "gradient_checkpointing": "compute.checkpointing.enabled",
    "grad_accum": "train.accumulate",
    "instance_data_dir": "data.datasets[].path",
    "instance_prompt": "data.defaults.caption.prompt",
    "learning_rate": "optimizer.lr",
    "lora_alpha": "adapter.alpha",
    "lora_dropout": "adapter.dropout",
    "lora_rank": "adapter.rank",
    "lr_scheduler": "schedule.name",
    "lr_warmup_steps": "schedule.warmup",
    "max_grad_norm": "optimizer.clip",
    "max_train_epochs": "train.epochs",
    "max_train_steps": "train.steps",
    "micro_batch_size": "train.batch_size",
    "mixed_precision": "compute.precision.dtype",
    "model_family": "model.family",
    "model_flavour": "model.flavour",
    "model_type": "model.mode",
    "network_alpha": "adapter.alpha",
    "network_dim": "adapter.rank",
    "num_repeats": "data.datasets[].repeats",
    "num_train_epochs": "train.epochs",
    "optimizer_type": "optimizer.name",
    "output_dir": "job.output_dir",
    "pretrained_model_name_or_path": "model.path",
    "resume_from_checkpoint": "checkpoint.resume",
    "sample_prompts": "validation.prompts",
    "save_every": "checkpoint.every_steps",
    "save_total_limit": "checkpoint.keep",
    "seed": "job.seed",
    "snr_gamma": "loss.snr.gamma",
    "train_batch_size": "train.batch_size",
    "use_ema": "ema.enabled",
    "validation_guidance": "validation.guidance",
    "validation_negative_prompt": "validation.negative",
    "validation_num_inference_steps": "validation.steps",
    "validation_prompt": "validation.prompts",
    "validation_step_interval": "validation.every_steps",
    "validation_steps": "validation.every_steps",
}


def distance(a: str, b: str) -> int:
    """Edits between two words; a swap of neighbours counts once (optimal string alignment)."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            cost = min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                cost = min(cost, rows[-2][j - 2] + 1)
            row.append(cost)
        rows.append(row)
    return rows[-1][-1]


def _tokens(name: str) -> set[str]:
    return set(re.split(r"[_.\-\s]+", name.lower())) - {""}


def nearest(word: str, known: Iterable[str], limit: int = 3) -> list[str]:
    """Up to `limit` known names: within two edits, or sharing most of their words.

    A name that is equal but for case and dashes stands alone; two edits of a very short name
    would leave nothing of it, so at least one letter has to remain.
    """
    low = word.lower().replace("-", "_")
    scored = []
    for name in known:
        edits = distance(low, name.lower())
        ours, theirs = _tokens(low), _tokens(name)
        shared = len(ours & theirs) / max(1, len(ours | theirs))
        ratio = difflib.SequenceMatcher(None, low, name.lower()).ratio()
        close = edits <= 2 and edits < min(len(low), len(name))
        if edits == 0 or close or (edits == 1 and len(low) > 1) or max(shared, ratio) >= 0.8:
            scored.append((edits, -shared, -ratio, name))
    scored.sort()
    if scored and scored[0][0] == 0:
        scored = scored[:1]
    return [name for *_, name in scored[:limit]]
