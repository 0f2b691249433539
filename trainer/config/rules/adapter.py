"""Rules on the adapter."""

from __future__ import annotations

import os
from collections.abc import Iterator

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig
from trainer.config.suggest import nearest


def adapter_only_in_adapter_mode(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    mode = config.model.mode
    if mode != "adapter" and "adapter" in config.model_fields_set:
        yield Problem(
            code="CFG030",
            key="adapter",
            idle=True,
            message=f"model.mode is {mode}, so [adapter] has no effect",
            fix='remove [adapter], or set model.mode = "adapter"',
            patch={"adapter": None},
        )


def preset_known(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    preset = config.adapter.preset
    lycoris = config.adapter.kind == "lycoris"
    known = facts.lycoris_presets if lycoris else facts.lora_targets
    if preset is not None and preset not in known:
        near = nearest(preset, known)
        kind = " for LyCORIS" if lycoris else ""
        yield Problem(
            code="CFG031",
            key="adapter.preset",
            message=f"{facts.display_name} has no target preset {preset!r}{kind}",
            fix=f"known: {', '.join(known)}",
            patch={"adapter.preset": near[0]} if near else None,
        )


def preset_or_targets(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    named = {"adapter.targets": adapter.targets}
    if adapter.kind == "lycoris":
        named["adapter.lycoris.modules"] = adapter.lycoris.modules
    given = [key for key, value in named.items() if value]
    if adapter.preset is not None:
        given.append("adapter.preset")
    if len(given) > 1:
        yield Problem(
            code="CFG032",
            key=given[0],
            message=f"{given[0]} overrides {' and '.join(given[1:])}",
            why="only one of them can take effect",
            fix="remove the others",
        )


def layouts_are_loaded(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if "formats" not in config.adapter.model_fields_set:
        return
    formats = config.adapter.formats or []
    for layout in sorted(set(formats) - {"lycoris", *facts.layouts}):
        rest = [f for f in formats if f != layout]
        yield Problem(
            code="CFG224",
            key="adapter.formats",
            idle=True,
            message=f"no file is written for {layout}, which does not load {facts.display_name}",
            fix=f"{' and '.join(facts.layouts)} can be written",
            patch={"adapter.formats": rest or None},
        )


def scale_is_sane(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    alpha = config.adapter.alpha
    if alpha is not None and config.model.mode == "adapter" and alpha / config.adapter.rank > 8:
        yield Problem(
            code="CFG033",
            key="adapter.alpha",
            level="warn",
            message=f"alpha / rank is {alpha / config.adapter.rank:g}",
            why="the adapter's output and its effective learning rate are multiplied by it",
            fix="use alpha between rank / 2 and 2 * rank",
        )


def rank_is_sane(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.model.mode == "adapter" and config.adapter.rank > 256:
        yield Problem(
            code="CFG034",
            key="adapter.rank",
            level="warn",
            message=f"rank {config.adapter.rank} is close to full training in size",
            fix="16 to 128 serves most subjects and styles",
        )


def formats_unique(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    formats = config.adapter.formats or []
    if len(set(formats)) != len(formats):
        unique = list(dict.fromkeys(formats))
        yield Problem(
            code="CFG035",
            key="adapter.formats",
            level="warn",
            message="a layout is named twice",
            fix=f"write {unique}",
            patch={"adapter.formats": unique},
        )


def start_exists(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    start = config.adapter.init_from
    if start is not None and not os.path.exists(start):
        yield Problem(
            code="CFG036",
            key="adapter.init_from",
            message=f"{start} does not exist",
            fix="name an adapter file in diffusers, ComfyUI or LyCORIS layout",
        )


def start_is_one(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.adapter.init_from is not None and "init" in config.adapter.model_fields_set:
        yield Problem(
            code="CFG037",
            key="adapter.init",
            idle=True,
            message="adapter.init_from supplies the weights, so adapter.init has no effect",
            fix="remove one of the two",
            patch={"adapter.init": None},
        )


def dropout_leaves_signal(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.model.mode == "adapter" and config.adapter.dropout > 0.5:
        yield Problem(
            code="CFG038",
            key="adapter.dropout",
            level="warn",
            message=f"{config.adapter.dropout:.0%} of the adapter's inputs are dropped",
            why="most of each step is lost",
            fix="0.05 to 0.2 is usual",
        )


def fused_layers_whole(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    """Where ComfyUI has one layer for several, its file needs an adapter on each of these."""
    adapter, native = config.adapter, facts.comfyui_native
    written = adapter.formats or facts.layouts
    if native is None or config.model.mode != "adapter" or "comfyui" not in written:
        return
    for parts in native.fused.values():
        wanted = {part.rpartition(".")[2] for part in parts}
        chosen: dict[str, set[str]] = {}
        for target in adapter.targets:
            place, _, name = target.rpartition(".")
            if name in wanted:
                chosen.setdefault(place, set()).add(name)
        for place, names in sorted(chosen.items()):
            missing = sorted(wanted - names)
            if missing:
                dot = f"{place}." if place else ""
                yield Problem(
                    code="CFG214",
                    key="adapter.targets",
                    message=f"ComfyUI has one layer for {', '.join(sorted(wanted))}, and "
                    f"{', '.join(dot + name for name in missing)} is left out",
                    why="its file could not be written",
                    fix='train them together, or set adapter.formats = ["diffusers"]',
                    patch={"adapter.formats": ["diffusers"]},
                )


RULES = (
    adapter_only_in_adapter_mode,
    preset_known,
    preset_or_targets,
    layouts_are_loaded,
    scale_is_sane,
    rank_is_sane,
    formats_unique,
    start_exists,
    start_is_one,
    dropout_leaves_signal,
    fused_layers_whole,
)
