"""Defaults that depend on other choices: of the family, of its flavour, of the optimiser.

They are layers like any other, so that `config show --origin` says where each comes from. Values
that do not depend on anything stand in the schema only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trainer import catalog
from trainer.catalog.facts import FamilyFacts
from trainer.config.keys import all_keys
from trainer.config.layers import Layer, Origin, merge, nested, value_at


def default_layers(data: Mapping[str, Any]) -> list[Layer]:
    """The layers below `data`, which is what the user set in all."""
    return [_optimizer_layer(data), *_family_layers(data)]


def chosen(data: Mapping[str, Any], path: str) -> Any:
    """The value that a choice has: as set, else the schema's default."""
    value = value_at(data, path)
    return all_keys()[path].default if value is None else value


def _optimizer_layer(data: Mapping[str, Any]) -> Layer:
    """Learning rate and arguments by optimiser and mode."""
    name, mode = chosen(data, "optimizer.name"), chosen(data, "model.mode")
    entry = catalog.OPTIMIZERS.get(name) if isinstance(name, str) else None
    if entry is None:
        return Layer("built-in", {}, {})
    values = {"args": dict(entry.args)}
    if isinstance(mode, str) and mode in entry.default_lr:
        values["lr"] = entry.default_lr[mode]  # type: ignore[assignment]
    places = {"optimizer.args": f"({name})", "optimizer.lr": f"({name}, {mode})"}
    return Layer("built-in", {"optimizer": values}, places)


def _family_layers(data: Mapping[str, Any]) -> list[Layer]:
    family = value_at(data, "model.family")
    if not isinstance(family, str) or family not in catalog.FAMILIES:
        return []
    facts = catalog.family_facts(family)
    layers = [_layer(family_defaults(facts), family)]
    if chosen(data, "model.mode") == "adapter":
        layers += [_layer({"adapter.preset": p}, family) for p in _usual_preset(data, facts)]
    flavour = value_at(data, "model.flavour")
    if flavour is None and value_at(data, "model.path") is None:
        flavour = facts.default_flavour
        layers.append(_layer({"model.flavour": flavour}, family))
    entry = facts.flavours.get(flavour) if isinstance(flavour, str) else None
    if entry is not None:
        values = {"model.path": entry.repo, **entry.defaults}
        layers.append(_layer(values, f"{family} {flavour}"))
    return layers


def _usual_preset(data: Mapping[str, Any], facts: FamilyFacts) -> list[str]:
    """The family's set of targets for this kind of adapter; none where the user names targets."""
    lycoris = chosen(data, "adapter.kind") == "lycoris"
    named = ["adapter.targets", *(["adapter.lycoris.modules"] if lycoris else [])]
    if any(value_at(data, key) for key in named):
        return []
    return [facts.default_lycoris if lycoris else facts.default_targets]


def family_defaults(facts: FamilyFacts) -> dict[str, Any]:
    """Key path -> default of this family."""
    values = {
        "compute.precision.dtype": "fp32" if facts.fp32_weights else None,
        "data.defaults.resolution": f"{facts.default_resolution}px2",
        "noise.sampling": facts.sigma_sampling,
        "noise.shift": facts.shift,
        "validation.guidance": facts.guidance,
        "validation.steps": facts.validation_steps,
    }
    return {path: value for path, value in values.items() if value is not None}


def _layer(values: Mapping[str, Any], place: str) -> Layer:
    parts = [Layer("", nested(path, value), {}) for path, value in values.items()]
    return Layer("family", merge(parts)[0], {"": place})


def share_defaults(data: Mapping[str, Any], origins: dict[str, Origin]) -> None:
    """Fill captions and crops of datasets, in place, with what `data.defaults` says of them.

    A dataset that sets one key of a table keeps the others from the shared one.
    """
    datasets = value_at(data, "data.datasets")
    for index, dataset in enumerate(datasets if isinstance(datasets, list) else ()):
        for section in ("caption", "crop"):
            own, shared = value_at(dataset, section), value_at(data, f"data.defaults.{section}")
            if not (isinstance(own, dict) and isinstance(shared, Mapping)):
                continue
            for name in shared.keys() - own.keys():
                own[name] = shared[name]
                source = origins[f"data.defaults.{section}.{name}"]
                origins[f"data.datasets[{index}].{section}.{name}"] = source
