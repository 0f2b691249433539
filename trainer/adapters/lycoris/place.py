"""Which layers a LyCORIS adapter acts on, and in which form.

Modules are found by the name of their class (`*` matches anything, so that a family without an
entry of its own is served by `*Attention`); all linear and convolutional layers inside are adapted.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase

from torch import nn

from trainer.adapters.lycoris.change import Form
from trainer.adapters.lycoris.layer import Layer, adaptable
from trainer.adapters.patterns import kept, override, refuse_dead
from trainer.adapters.targets import ends_in, target_modules
from trainer.catalog.lycoris import ALGORITHMS
from trainer.config.schema.adapter import AdapterConfig
from trainer.config.schema.lycoris import LycorisOverride
from trainer.errors import ConfigError
from trainer.findings import finding
from trainer.models.base import Family


@dataclass(frozen=True, slots=True)
class Place:
    layer: Layer
    form: Form


def places(config: AdapterConfig, family: Family) -> list[Place]:
    """Every adapted layer with its form, in the order of the model."""
    if config.targets:
        endings = target_modules(config, family)
        classes: list[str] = []
    else:
        endings, classes = [], class_names(config, family)
    found = {
        name: module
        for name, module, around in layers(family.denoiser)
        if any(ends_in(name, e) for e in endings) or any(_is(c, around) for c in classes)
    }
    names = kept(found, config)
    refuse_dead([o.module for o in config.overrides], names, "adapter.overrides")
    if not names:
        raise _nothing(config, family, classes)
    around = {name: classes for name, _, classes in layers(family.denoiser)}
    return [Place(Layer(n, found[n]), form(config, n, around[n])) for n in names]


def class_names(config: AdapterConfig, family: Family) -> list[str]:
    """From the configuration or the family's preset; one that the user names must be there."""
    presets = family.facts.lycoris_presets
    preset = config.preset or family.facts.default_lycoris
    own = [override.module for override in config.lycoris.overrides]
    wanted = [*config.lycoris.modules, *own]
    here = {type(m).__name__ for m in family.denoiser.modules()}
    dead = [w for w in wanted if not any(fnmatchcase(name, w) for name in here)]
    if dead:
        raise _nothing(config, family, dead)
    return (config.lycoris.modules or list(presets[preset])) + own


def layers(denoiser: nn.Module) -> Iterator[tuple[str, nn.Module, list[str]]]:
    """Adaptable layers with the classes around them, from their own to the whole model's."""
    classes = {name: type(m).__name__ for name, m in denoiser.named_modules()}
    for name, module in denoiser.named_modules():
        if adaptable(module):
            parts = name.split(".")
            above = (".".join(parts[:n]) for n in range(len(parts), -1, -1))
            yield name, module, [classes[path] for path in above]


def _is(pattern: str, around: list[str]) -> bool:
    return any(fnmatchcase(name, pattern) for name in around)


def form(config: AdapterConfig, name: str, around: list[str]) -> Form:
    """Rank and alpha by module name win over those by class, these over those of the adapter."""
    lycoris = config.lycoris
    found = (o for c in around for o in lycoris.overrides if fnmatchcase(c, o.module))
    own = next(found, LycorisOverride(module="*"))
    named = override(name, config)
    rank = named.rank or own.rank or config.rank
    alpha = named.alpha or own.alpha or config.alpha or float(rank)
    algo = own.algo or lycoris.algo
    takes = ALGORITHMS[algo].settings  # beside a form that takes more, when classes differ
    return Form(
        algo=algo,
        rank=rank,
        alpha=float(alpha),
        rslora=config.rslora and "rslora" in takes,
        dora=config.dora and "dora" in takes,
        factor=lycoris.factor if own.factor is None else own.factor,
        full_matrix=lycoris.full_matrix,
        decompose_both=lycoris.decompose_both,
        init_norm=lycoris.init_norm,
        block_size=lycoris.block_size,
        constraint=lycoris.constraint,
        rescaled=lycoris.rescaled,
    )


def _nothing(config: AdapterConfig, family: Family, classes: list[str]) -> ConfigError:
    here = {type(m).__name__ for m in family.denoiser.modules() if any(True for _ in m.children())}
    named = bool(config.lycoris.modules or config.lycoris.overrides)
    return ConfigError(
        finding(
            "LOR011",
            f"no layer of the model is inside a module of class {', '.join(classes)}"
            if classes
            else "every targeted layer is left out",
            where="adapter.lycoris.modules" if named else "adapter.preset",
            why="the adapter would have nothing to act on",
            fix=f"classes of this model: {', '.join(sorted(here))}",
        )
    )
