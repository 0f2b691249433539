"""What is wrong with an adapter file: every fault is a finding, and none is passed over.

Faults of many layers are one finding that names the first and lists the rest in its evidence.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from trainer.adapters.keys.names import diffusers_names
from trainer.adapters.tools.problems import unknown_family
from trainer.adapters.tools.read import incomplete, load
from trainer.adapters.tools.record import DENOISER, DORA, DOWN, MID, UP, Adapter, Part
from trainer.findings import Finding, Level, finding

LARGE_SCALE = 16.0
# What carries all of a change: where it is zero, the layer does nothing.
_CARRIERS = (UP, "hada_w1_a", "hada_w2_a", "lokr_w1", "lokr_w2", "lokr_w2_b", "diff", "oft_blocks")
# Tensors whose axes must agree: name, axis, name, axis.
_FITS = (
    (UP, 1, DOWN, 0),
    (MID, 0, UP, 1),
    (MID, 1, DOWN, 0),
    (DORA, 0, UP, 0),
    ("hada_w1_a", 1, "hada_w1_b", 0),
    ("hada_w2_a", 1, "hada_w2_b", 0),
    ("hada_w1_a", 0, "hada_w2_a", 0),
    ("hada_w1_b", 1, "hada_w2_b", 1),
    ("lokr_w1_a", 1, "lokr_w1_b", 0),
    ("lokr_w2_a", 1, "lokr_w2_b", 0),
)


def check(file: Path, family: str | None = None) -> tuple[Adapter, list[Finding]]:
    adapter, findings = load(file, family)
    return adapter, findings + faults(adapter, str(file))


def faults(adapter: Adapter, where: str) -> list[Finding]:
    found = [incomplete(where, part) for part in adapter.parts if part.missing]
    for make in (_not_finite, _zero, _misshapen, _alphas, _strangers):
        found += make(adapter, where)
    if any(part.component == DENOISER for part in adapter.parts) and adapter.family is None:
        found.append(unknown_family(where, adapter.families).model_copy(update={"level": "warn"}))
    return found + _header(adapter, where)


def _listed(
    code: str, names: Sequence[str], message: str, where: str, level: Level, why: str, fix: str
) -> list[Finding]:
    if not names:
        return []
    more = f" and {len(names) - 1} more" if len(names) > 1 else ""
    text = f"{names[0]}{more}: {message}"
    return [
        finding(code, text, where=where, level=level, why=why, fix=fix, layers=list(names)[:100])
    ]


def _named(adapter: Adapter, wrong: Callable[[Part], bool]) -> list[str]:
    return [part.name for part in adapter.parts if wrong(part)]


def _not_finite(adapter: Adapter, where: str) -> list[Finding]:
    def wrong(part: Part) -> bool:
        floats = [t for t in part.tensors.values() if t.is_floating_point()]
        return any(not bool(t.float().isfinite().all()) for t in floats)

    return _listed(
        "LOR025",
        _named(adapter, wrong),
        "NaN or infinity",
        where,
        "error",
        "one such value turns the whole picture black",
        "use an earlier checkpoint; a lower learning rate or bf16 avoids it",
    )


def _does_nothing(part: Part) -> bool:
    held = [part.tensors[name] for name in _CARRIERS if name in part.tensors]
    return any(not bool(tensor.any()) for tensor in held)


def _zero(adapter: Adapter, where: str) -> list[Finding]:
    names = _named(adapter, _does_nothing)
    every = len(names) == len(adapter.parts)
    return _listed(
        "LOR026",
        names,
        "no effect, its up-projection is zero" + (" (all layers)" if every else ""),
        where,
        "error" if every else "warn",
        "such layers were not trained, or were cleared",
        "train further, or take them out with stune lora prune --below 1e-12",
    )


def _misfits(part: Part) -> bool:
    for name, axis, other, side in _FITS:
        if name not in part.tensors or other not in part.tensors:
            continue
        one, two = part.tensors[name], part.tensors[other]
        if one.ndim <= axis or two.ndim <= side or one.shape[axis] != two.shape[side]:
            if name == DORA and one.numel() == part.tensors[DOWN].shape[1]:
                continue  # older files have the lengths of inputs
            return True
    if DOWN in part.tensors and UP in part.tensors:
        return part.tensors[DOWN].ndim != part.tensors[UP].ndim
    return False


def _misshapen(adapter: Adapter, where: str) -> list[Finding]:
    return _listed(
        "LOR027",
        _named(adapter, _misfits),
        "its tensors have shapes that do not fit each other",
        where,
        "error",
        "no program can multiply them",
        "get the file again",
    )


def _alphas(adapter: Adapter, where: str) -> list[Finding]:
    def broken(part: Part) -> bool:
        scale = part.scale
        turning = part.algo in ("diag-oft", "boft")
        return not turning and (not math.isfinite(scale) or scale == 0.0)

    def odd(part: Part) -> bool:
        return math.isfinite(part.scale) and (part.scale < 0 or part.scale > LARGE_SCALE)

    why = "changes are multiplied by alpha over rank"
    fix = "get the file again; a scale can be folded in with stune lora merge FILE=WEIGHT"
    zero = _listed(
        "LOR028", _named(adapter, broken), "alpha is zero or not finite", where, "error", why, fix
    )
    large = _named(adapter, odd)
    text = f"alpha over rank is below 0 or above {LARGE_SCALE:g}"
    return zero + _listed("LOR028", large, text, where, "warn", why, fix)


def _strangers(adapter: Adapter, where: str) -> list[Finding]:
    if not adapter.families:
        return []
    tables = [diffusers_names(family) for family in adapter.families]
    return _listed(
        "LOR029",
        _named(
            adapter,
            lambda part: (
                part.component == DENOISER and not any(t.read(part.module) for t in tables)
            ),
        ),
        f"no layer of {' or '.join(adapter.families)}",
        where,
        "warn",
        "loaders leave out, or refuse, what their model does not have",
        "name the family with --family if it was guessed wrongly",
    )


def _header(adapter: Adapter, where: str) -> list[Finding]:
    """Whether kohya's header tells another rank or alpha than the tensors."""
    found = []
    pairs = [part for part in adapter.parts if part.algo == "lora" and part.component == DENOISER]
    for key, values in (
        ("ss_network_dim", [float(part.rank) for part in pairs]),
        ("ss_network_alpha", [float(part.alpha) for part in pairs if part.alpha is not None]),
    ):
        told = adapter.metadata.get(key, "")
        try:
            number = float(told)
        except ValueError:
            continue
        if values and number not in values:
            usual = Counter(values).most_common(1)[0][0]
            text = f"the header says {key} {told}, the tensors say {usual:g}"
            fix = "the tensors act; a resized file keeps the header of its source"
            found.append(finding("LOR028", text, where=where, level="info", fix=fix))
    return found
