"""The optimiser: which one here comes nearest, its rate, arguments and clipping."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

from trainer import catalog
from trainer.config.importers import values
from trainer.config.importers.draft import refused
from trainer.config.importers.simpletuner.settings.length import Batch
from trainer.config.importers.simpletuner.translation import Translation

_NO_DECAY = {"weight_decay": 0.0}
_SOFT = {"eps": 1e-6}
_OPTIMI = {"betas": [0.9, 0.99], "eps": 1e-6, "weight_decay": 0.0}


@dataclass(frozen=True, slots=True)
class Match:
    """An optimiser of ours, what is different about it, and SimpleTuner's own arguments."""

    name: str
    note: str = ""
    args: dict[str, Any] = field(default_factory=dict)


_WHOLE = "the same rule by torch"
_FREE = "schedule-free AdamW without Kahan summation, on fp32 weights"
_BF16 = "the first moment is corrected for its bias here"

MATCHES: dict[str, Match] = {
    "adamw_bf16": Match("adamw_bf16", _BF16, _SOFT),
    "adam_bfloat16": Match("adamw_bf16", _BF16, _SOFT),
    "torch-adamw": Match("adamw"),
    "optimi-adamw": Match("adamw", "AdamW on fp32 weights, without Kahan summation", _OPTIMI),
    "bnb-adamw": Match("adamw", _WHOLE, _SOFT),
    "bnb-adamw-paged": Match("adamw", _WHOLE, _SOFT),
    "bnb-adamw8bit": Match("adamw8bit", args=_SOFT),
    "bnb-adamw8bit-paged": Match("adamw8bit_paged", args=_SOFT),
    "ao-adamw8bit": Match("ao_adamw8bit", args=_SOFT),
    "ao-adamw4bit": Match("ao_adamw4bit", args=_SOFT),
    "ao-adamwfp8": Match("ao_adamwfp8", args=_SOFT),
    "bnb-lion8bit": Match("lion8bit", args=_NO_DECAY),
    "adamw_schedulefree": Match("schedulefree", _FREE, {"weight_decay": 0.01}),
    "adamw_schedulefree+aggressive": Match("schedulefree", _FREE, {"weight_decay": 1e-3, **_SOFT}),
    "adamw_schedulefree+no_kahan": Match(
        "schedulefree", "schedule-free AdamW", {"weight_decay": 1e-3, **_SOFT}
    ),
    "prodigy": Match(
        "prodigy",
        "plain Prodigy, without the schedule-free averaging of ProdigyPlus",
        {**_NO_DECAY, "use_bias_correction": False},
    ),
}


def optimizer(t: Translation, batch: Batch) -> None:
    chosen = t.read("optimizer", "text").strip()
    match = MATCHES.get(chosen.lower())
    if match is None:
        t.source.unsupported("optimizer", f"{chosen} is not offered here")
        t.tell(
            "IMP007",
            f"the optimizer {chosen} is not offered here",
            about="optimizer",
            why="learning rate and arguments belong to it",
            fix=f"choose optimizer.name and optimizer.lr: {', '.join(catalog.OPTIMIZERS)}",
        )
        names = ["optimizer_config", "optimizer_beta1", "optimizer_beta2", "prodigy_steps"]
        t.ignore(names, f"an argument of {chosen}")
    else:
        t.put("optimizer", "optimizer.name", match.name, note=match.note, approx=bool(match.note))
        _arguments(t, match)
    _rate(t, batch)
    _clip(t)


def _rate(t: Translation, batch: Batch) -> None:
    """The learning rate, multiplied as SimpleTuner does with lr_scale."""
    rate = t.read("learning_rate", "float")
    scaled = t.given("lr_scale") and t.read("lr_scale", "bool")
    root = scaled and t.given("lr_scale_sqrt") and t.read("lr_scale_sqrt", "bool")
    if not scaled:
        t.put("learning_rate", "optimizer.lr", float(rate))
        t.ignore(["lr_scale", "lr_scale_sqrt"], "it is off, as it is here")
        return
    factor = math.sqrt(batch.effective) if root else batch.effective
    form = f"sqrt({batch.effective})" if root else str(batch.effective)
    note = f"{rate:g} x {form}: lr_scale multiplies by the effective batch"
    t.put("learning_rate", "optimizer.lr", rate * factor, note=note, approx=True)
    t.source.mapped("lr_scale", "optimizer.lr", note)
    if root:
        t.source.mapped("lr_scale_sqrt", "optimizer.lr", note)
    t.ignore(["lr_scale_sqrt"], "it is off, as it is here")


def _arguments(t: Translation, match: Match) -> None:
    """SimpleTuner's settings of the optimiser, where ours has others, and those of the user."""
    own = catalog.OPTIMIZERS[match.name].args
    args = {k: v for k, v in match.args.items() if v != own.get(k)}
    if t.given("optimizer_config"):
        args |= _configured(t, own)
        t.ignore(["optimizer_beta1", "optimizer_beta2"], "optimizer_config is set, which counts")
    betas = [t.read(f"optimizer_beta{n}", "float") for n in (1, 2)]
    if None not in betas and "betas" in own:
        if not t.given("optimizer_config"):
            args["betas"] = [float(b) for b in betas]
        for name in ("optimizer_beta1", "optimizer_beta2"):
            t.source.mapped(name, "optimizer.args.betas")
    t.ignore(["optimizer_beta1", "optimizer_beta2"], "both are needed")
    for name, value in args.items():
        t.draft.set(f"optimizer.args.{name}", value)
    if t.given("prodigy_steps"):
        if match.name == "prodigy" and t.read("prodigy_steps", "int"):
            t.refuse("prodigy_steps", "the estimate is never frozen here")
        t.source.ignored("prodigy_steps", "an argument of Prodigy")


def _configured(t: Translation, own: dict[str, Any]) -> dict[str, Any]:
    """The arguments of `optimizer_config`, written as name=value with commas between."""
    value = t.source.value("optimizer_config")
    given = values.structure(value)
    if not isinstance(given, dict):
        pairs = [part.partition("=") for part in str(value).split(",") if part.strip()]
        given = {name.strip(): text.strip() for name, _, text in pairs}
    taken: dict[str, Any] = {}
    lost: list[str] = []
    for name, raw in given.items():
        default = own.get(name)
        found = values.boolean(raw) if isinstance(default, bool) else values.number(raw)
        if name in own and found is not None and not refused(f"optimizer.args.{name}", found):
            taken[name] = float(found) if isinstance(default, float) else found
        else:
            lost.append(name)
    if not taken:
        t.refuse("optimizer_config", "none of it is an argument here")
    elif lost:
        note = f"without {', '.join(lost)}, which the optimiser here does not have"
        t.source.approximated("optimizer_config", "optimizer.args", note)
    t.source.mapped("optimizer_config", "optimizer.args")
    return taken


def _clip(t: Translation) -> None:
    """Clipping by norm is the same; clipping each element at such values practically never acts."""
    limit = t.read("max_grad_norm", "float")
    by_norm = t.read("grad_clip_method", "text") == "norm"
    if not limit or limit < 0:
        t.draft.set("optimizer.clip", False)
        t.source.mapped("max_grad_norm", "optimizer.clip", "0 turns clipping off")
        t.ignore(["grad_clip_method"], "clipping is off")
    elif by_norm:
        t.put("max_grad_norm", "optimizer.clip", float(limit))
        t.source.mapped("grad_clip_method", "optimizer.clip")
    else:
        note = f"off: SimpleTuner cuts each element at {limit:g}, which practically never acts"
        t.draft.set("optimizer.clip", False, note)
        for name in ("max_grad_norm", "grad_clip_method"):
            t.source.approximated(name, "optimizer.clip", note)
