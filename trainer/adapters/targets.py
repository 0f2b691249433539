"""Which modules of the denoiser an adapter acts on."""

from __future__ import annotations

from trainer.adapters.patterns import kept
from trainer.config.schema.adapter import AdapterConfig
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.models.base import Family


def target_modules(config: AdapterConfig, family: Family) -> list[str]:
    """Module name endings, from the configuration or the family's preset."""
    facts = family.facts
    endings = list(config.targets or facts.lora_targets[config.preset or facts.default_targets])
    names = [name for name, _ in family.denoiser.named_modules()]
    dead = [e for e in endings if not any(ends_in(n, e) for n in names)]
    if len(dead) == len(endings) or (config.targets and dead):
        raise ConfigError(
            finding(
                "LOR002",
                f"no module of the model ends in {', '.join(dead)}",
                where="adapter.targets" if config.targets else "adapter.preset",
                why="the adapter would have nothing to act on",
                fix=f"known presets: {', '.join(facts.lora_targets)}",
            )
        )
    return endings


def adapted_modules(config: AdapterConfig, family: Family) -> list[str]:
    """Full names of the modules that LoRA is put into."""
    endings = target_modules(config, family)
    names = [name for name, _ in family.denoiser.named_modules()]
    found = kept([n for n in names if any(ends_in(n, e) for e in endings)], config)
    if not found:
        raise ConfigError(
            finding(
                "LOR002",
                "adapter.exclude leaves out every module that is targeted",
                where="adapter.exclude",
                why="the adapter would have nothing to act on",
                fix="exclude less",
            )
        )
    return found


def ends_in(name: str, ending: str) -> bool:
    return name == ending or name.endswith(f".{ending}")
