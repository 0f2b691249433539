"""The adapter: kind, size, targets and start."""

from __future__ import annotations

from typing import Any

from trainer.config.importers import values
from trainer.config.importers.simpletuner import lenient
from trainer.config.importers.simpletuner.options.training import ADAPTER
from trainer.config.importers.simpletuner.settings.lycoris import algorithm, lycoris
from trainer.config.importers.simpletuner.translation import Translation
from trainer.errors import ConfigError

_LYCORIS_DECIDES = "lycoris_config decides"


def adapter(t: Translation) -> None:
    if not t.trains_adapter:
        t.ignore([*ADAPTER, "flux_lora_target"], "no adapter is trained")
        return
    t.carry("init_lora", "adapter.init_from", "text", t.places.written)
    if t.read("lora_type", "text").strip().lower() == "lycoris":
        _lycoris(t)
        t.ignore(["peft_lora_target_modules", "flux_lora_target"], _LYCORIS_DECIDES)
    else:
        _lora(t)
        _targets(t)
    _assistant(t)


def _assistant(t: Translation) -> None:
    """A flavour that needs an assistant has it there as here, unless it is switched off."""
    if t.read("disable_assistant_lora", "bool"):
        t.put("disable_assistant_lora", "model.assistant.enabled", False)
        rest = ("path", "strength", "inference_strength")
        t.ignore([f"assistant_lora_{name}" for name in rest], "disable_assistant_lora is on")
        return
    t.source.ignored("disable_assistant_lora", "it is off, as it is here")
    t.carry("assistant_lora_path", "model.assistant.path", "text", t.places.model)
    for name in ("strength", "inference_strength"):
        t.carry(f"assistant_lora_{name}", f"model.assistant.{name}", "float", float)


def _lora(t: Translation) -> None:
    if t.given("lora_type"):
        t.put("lora_type", "adapter.kind", "lora")
    t.carry("lora_rank", "adapter.rank", "int")
    t.carry("lora_alpha", "adapter.alpha", "float", float)
    t.put("lora_dropout", "adapter.dropout", float(t.read("lora_dropout", "float")))
    if t.read("use_dora", "bool"):
        t.put("use_dora", "adapter.dora", True)
    t.ignore(["lycoris_config", "init_lokr_norm"], "lora_type is standard")
    if t.draft.get("adapter.init_from"):
        t.source.ignored("lora_init_type", "init_lora supplies the weights")
    elif t.draft.get("adapter.dora"):
        t.source.ignored("lora_init_type", "DoRA starts in the usual way")
    else:
        t.carry("lora_init_type", "adapter.init", "text")
    t.carry("lora_format", "adapter.formats", "text", lambda layout: [layout])


def _lycoris(t: Translation) -> None:
    config = load(t, t.source.value("lycoris_config", ADAPTER["lycoris_config"].default))
    found = algorithm(config)
    if found is not None:
        lycoris(t, config)
    else:
        named = config.get("algo") if isinstance(config, dict) else None
        what = f"LyCORIS {named}" if named else "LyCORIS (its configuration is not there)"
        t.source.unsupported("lora_type", f"{what} is not trained here")
        t.source.unsupported("lycoris_config", f"{what} is not trained here")
        t.tell(
            "IMP007",
            f"{what} is not trained here",
            about="lora_type",
            why="the job would train a plain LoRA of rank 16 instead",
            fix='choose adapter.kind, or adapter.lycoris.algo with kind = "lycoris", yourself',
        )
    names = ["lora_rank", "lora_alpha", "lora_dropout", "lora_init_type", "use_dora", "lora_format"]
    t.ignore([*names, "init_lokr_norm"], _LYCORIS_DECIDES)


def _targets(t: Translation) -> None:
    if t.given("peft_lora_target_modules"):
        value = t.source.value("peft_lora_target_modules")
        modules = load(t, value) if isinstance(value, str) else value
        if isinstance(modules, list) and modules and all(isinstance(m, str) for m in modules):
            if t.put("peft_lora_target_modules", "adapter.targets", modules):
                t.ignore(["flux_lora_target"], "peft_lora_target_modules counts")
        else:
            t.refuse("peft_lora_target_modules", "it is neither a list of names nor a file of one")
    if t.given("flux_lora_target") and t.facts and not t.draft.get("adapter.targets"):
        preset = t.read("flux_lora_target", "text")
        if preset in t.facts.lora_targets:
            t.put("flux_lora_target", "adapter.preset", preset)
        else:
            usual = t.facts.default_targets
            t.refuse(
                "flux_lora_target", f"there is no such set; {usual!r}, the usual one, is taken"
            )


def load(t: Translation, value: Any) -> Any:
    """A table or list that is written inline or lies in a JSON file; None when it is neither."""
    found = values.structure(value)
    if found is not None or not isinstance(value, str):
        return found
    path = t.places.found(value)
    try:
        data, _, told = lenient.parse(path.read_text(encoding="utf-8-sig"), str(path))
    except (OSError, ValueError, ConfigError):
        return None
    t.findings += told
    return data
