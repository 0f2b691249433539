"""The LyCORIS adapter of `lycoris_config`: algorithm, size, settings and the classes it acts on.

What the library leaves to its own defaults is written out, as ours differ. Class names are those
of the models as SimpleTuner's examples have them; where a family's class is another one that ends
in the same word (`Attention`, `FluxAttention`), the name is written with a star.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer.catalog.lycoris import ALGORITHMS
from trainer.config.importers import values
from trainer.config.importers.draft import refused
from trainer.config.importers.simpletuner.translation import Translation

_TABLE = "adapter.lycoris"
_NAMES = {"locon": "lora"}
# In effect only when on; then the change would be another one.
_LACKING = (
    *("use_tucker", "use_cp", "use_conv_cp", "use_scalar", "train_norm", "rank_dropout"),
    *("module_dropout", "unbalanced_factorization"),
)
_READ = (
    *("algo", "multiplier", "linear_dim", "linear_alpha", "dropout", "dora_wd", "apply_preset"),
    *("factor", "full_matrix", "decompose_both", "block_size", "constraint", "rescaled"),
)
_IDLE = ("bypass_mode", "disable_conv_cp", "preset", "rs_lora", "warn_on_unmatched")


class Lycoris:
    """`left` collects what has no counterpart, in words."""

    def __init__(self, t: Translation, config: Mapping[str, Any]) -> None:
        self.t = t
        self.config = config
        self.left: list[str] = []

    def enter(self, path: str, value: Any) -> None:
        reason = refused(path, value)
        if reason:
            self.left.append(f"{path.rpartition('.')[2]}: {reason}")
        else:
            self.t.draft.set(path, value)

    def number(self, name: str, default: float) -> float:
        value = self.config.get(name)
        found = default if value is None else values.number(value)
        if found is None:
            self.left.append(f"{name}: it cannot be read")
        return float(default if found is None else found)

    def on(self, name: str) -> bool:
        return bool(values.boolean(self.config.get(name, False)))


def algorithm(config: Any) -> str | None:
    """Ours by the name in a configuration; None when it is not trained here."""
    name = str(config.get("algo") or "lora").lower() if isinstance(config, dict) else None
    name = _NAMES.get(name or "", name)
    return name if name in ALGORITHMS else None


def lycoris(t: Translation, config: Mapping[str, Any]) -> None:
    """A configuration whose algorithm is trained here."""
    algo = algorithm(config)
    assert algo is not None
    read = Lycoris(t, config)
    t.put("lora_type", "adapter.kind", "lycoris")
    read.enter(f"{_TABLE}.algo", algo)
    _size(read, algo)
    _settings(read, algo)
    _targets(read)
    _rest(read)
    _noise(t, algo)
    note = f"without {'; '.join(read.left)}" if read.left else ""
    t.source.settle("lycoris_config", "approximated" if note else "mapped", _TABLE, note)


def _size(read: Lycoris, algo: str) -> None:
    """Rank and alpha where the algorithm has them; a rank beyond all layers means whole factors."""
    rank = int(read.number("linear_dim", 4))
    alpha = read.number("linear_alpha", 1)
    whole = algo == "lokr" and (read.on("full_matrix") or rank > 1024)
    if algo == "lokr":
        read.enter(f"{_TABLE}.full_matrix", whole)
    settings = ALGORITHMS[algo].settings
    if whole or "rank" not in settings:
        _without_scale(read)
        return
    read.enter("adapter.rank", rank)
    if "alpha" not in settings:
        _without_scale(read)
        return
    alpha = alpha or float(rank)
    if algo == "dylora":  # the library divides by the blocks in use, not by their ranks
        alpha *= int(read.number("block_size", 4))
    read.enter("adapter.alpha", alpha * read.number("multiplier", 1.0))


def _without_scale(read: Lycoris) -> None:
    if read.number("multiplier", 1.0) != 1.0:
        read.left.append("multiplier: this algorithm has no scale to put it into")


def _settings(read: Lycoris, algo: str) -> None:
    if algo == "lokr":
        read.enter(f"{_TABLE}.factor", int(read.number("factor", -1)))
        if read.on("decompose_both") and not read.t.draft.get(f"{_TABLE}.full_matrix"):
            read.enter(f"{_TABLE}.decompose_both", True)
    if algo == "dylora":
        read.enter(f"{_TABLE}.block_size", int(read.number("block_size", 4)))
    if algo in ("diag-oft", "boft"):
        if (limit := read.number("constraint", 0.0)) > 0:
            read.enter(f"{_TABLE}.constraint", limit)
        if read.on("rescaled"):
            read.enter(f"{_TABLE}.rescaled", True)
    if read.on("dora_wd") and "dora" in ALGORITHMS[algo].settings:
        read.enter("adapter.dora", True)
    if algo == "lora" and (dropout := read.number("dropout", 0.0)):
        read.enter("adapter.dropout", dropout)  # the library drops nothing in the others


def _targets(read: Lycoris) -> None:
    """Classes of the preset; without one the library adapts every linear and 2D layer."""
    preset = values.structure(read.config.get("apply_preset")) or {}
    names = preset.get("target_module")
    unet = read.t.facts is not None and read.t.facts.denoiser_slot == "unet"
    if not names and not preset.get("module_algo_map"):
        names = ["Linear", "Conv2d"] if unet else ["Linear"]
    if isinstance(names, list) and names:
        read.enter(f"{_TABLE}.modules", [_class(read, str(name)) for name in names])
    own = preset.get("module_algo_map")
    if isinstance(own, dict) and own:
        tables = [_override(read, name, entry) for name, entry in own.items()]
        for index, table in enumerate(tables):
            for key, value in table.items():
                read.enter(f"{_TABLE}.overrides[{index}].{key}", value)
        if not names:  # only these are adapted
            read.enter(f"{_TABLE}.modules", [table["module"] for table in tables])
    known = ("target_module", "module_algo_map", "enable_conv", "lora_prefix")
    read.left += [name for name in preset if name not in known and preset[name]]


def _class(read: Lycoris, name: str) -> str:
    """The name as it is if the family has it, or any that ends like it."""
    presets = read.t.facts.lycoris_presets if read.t.facts else {}
    here = {known for classes in presets.values() for known in classes}
    alike = any(known != name and known.endswith(name) for known in here)
    return f"*{name}" if alike and name not in here else name


def _override(read: Lycoris, name: str, entry: Any) -> dict[str, Any]:
    entry = entry if isinstance(entry, dict) else {}
    kind = algorithm(entry) if "algo" in entry else read.t.draft.get(f"{_TABLE}.algo")
    whole = kind == "lokr" and bool(read.t.draft.get(f"{_TABLE}.full_matrix"))
    out: dict[str, Any] = {"module": _class(read, name)}
    for key, value in entry.items():
        match key:
            case "algo":
                if kind is None:
                    read.left.append(f"{name}: algorithm {value}")
                else:
                    out["algo"] = kind
            case "factor":
                out["factor"] = values.whole(value)
            case "dim" | "linear_dim" | "lora_dim" if not whole:
                out["rank"] = values.whole(value)
            case "alpha" | "linear_alpha" if not whole:
                out["alpha"] = float(values.number(value) or 1)
            case "dim" | "linear_dim" | "lora_dim" | "alpha" | "linear_alpha":
                pass  # whole factors have neither
            case _:
                read.left.append(f"{name}: {key}")
    return out


def _rest(read: Lycoris) -> None:
    config = read.config
    rank, alpha = config.get("linear_dim"), config.get("linear_alpha")
    for name, usual in (("conv_dim", rank), ("conv_alpha", alpha)):
        if name in config and not values.same(config[name], usual):
            read.left.append(f"{name}: convolutions are as the other layers")
    if "wd_on_output" in config and not read.on("wd_on_output") and read.on("dora_wd"):
        read.left.append("wd_on_output: rows are what has a length")
    read.left += [
        name for name in _LACKING if config.get(name) and values.number(config[name]) != 0
    ]
    known = {*_READ, *_LACKING, *_IDLE, "conv_dim", "conv_alpha", "wd_on_output"}
    read.left += [name for name in config if name not in known]


def _noise(t: Translation, algo: str) -> None:
    """SimpleTuner's start from noise fills whole factors."""
    if not t.given("init_lokr_norm"):
        return
    if algo == "lokr" and t.draft.get(f"{_TABLE}.full_matrix"):
        t.carry("init_lokr_norm", f"{_TABLE}.init_norm", "float", float)
    else:
        t.refuse("init_lokr_norm", "it fills whole factors, and these are split by rank")
