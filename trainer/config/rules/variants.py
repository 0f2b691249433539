"""Rules on variants of LoRA and on LyCORIS: settings that act together, and those that do not."""

from __future__ import annotations

import re
from collections.abc import Iterator

from trainer.catalog import OPTIMIZERS
from trainer.catalog.facts import FamilyFacts
from trainer.catalog.lycoris import ADAPTER_SETTINGS, ALGORITHMS
from trainer.config.rules.problem import Problem
from trainer.config.schema.adapter import AdapterConfig
from trainer.config.schema.root import JobConfig


def algorithms(adapter: AdapterConfig) -> list[str]:
    """Every LyCORIS algorithm that the job uses."""
    own = (override.algo for override in adapter.lycoris.overrides)
    return list(dict.fromkeys([adapter.lycoris.algo, *(algo for algo in own if algo)]))


def lycoris_needs_its_kind(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    if adapter.kind != "lycoris" and "lycoris" in adapter.model_fields_set:
        yield Problem(
            code="CFG260",
            key="adapter.lycoris",
            idle=True,
            message="adapter.kind is lora, so [adapter.lycoris] has no effect",
            fix='set adapter.kind = "lycoris", or remove [adapter.lycoris]',
            patch={"adapter.lycoris": None},
        )


def settings_of_another_algorithm(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    """Of adapter.lycoris, and rank, alpha, rslora and dora, which not every algorithm has."""
    adapter = config.adapter
    if adapter.kind != "lycoris":
        return
    used = algorithms(adapter)
    read = frozenset[str]().union(*(ALGORITHMS[algo].settings for algo in used))
    special = frozenset[str]().union(*(a.settings for a in ALGORITHMS.values()))
    set_here = {f"adapter.lycoris.{n}": n for n in adapter.lycoris.model_fields_set}
    set_here |= {f"adapter.{n}": n for n in ADAPTER_SETTINGS if n in adapter.model_fields_set}
    for index, own in enumerate(adapter.overrides):
        set_here |= {f"adapter.overrides[{index}].{n}": n for n in own.model_fields_set}
    for key, name in sorted(set_here.items()):
        if name in special and name not in read:
            takers = [algo for algo, about in ALGORITHMS.items() if name in about.settings]
            yield Problem(
                code="CFG261",
                key=key,
                idle=True,
                message=f"{' and '.join(used)} takes no {name}, so {key} has no effect",
                fix=f"remove it, or choose one of {', '.join(takers)}",
                patch={key: None},
            )


def whole_factors_have_no_rank(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    if adapter.kind != "lycoris" or algorithms(adapter) != ["lokr"]:
        return
    if not adapter.lycoris.full_matrix:
        return
    for name in ("rank", "alpha", "rslora", "overrides", "lycoris.decompose_both"):
        given = adapter.lycoris if name.startswith("lycoris.") else adapter
        if name.rpartition(".")[2] in given.model_fields_set:
            yield Problem(
                code="CFG262",
                key=f"adapter.{name}",
                idle=True,
                message=f"lokr with full_matrix has no rank, so adapter.{name} has no effect",
                fix="remove it, or full_matrix",
                patch={f"adapter.{name}": None},
            )


def settings_of_lora_alone(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    if adapter.kind == "lora":
        return
    for name in ("init", "lora_plus_ratio"):
        if name in adapter.model_fields_set:
            yield Problem(
                code="CFG263",
                key=f"adapter.{name}",
                idle=True,
                message=f"only adapter.kind = lora reads adapter.{name}",
                fix=f"remove adapter.{name}",
                patch={f"adapter.{name}": None},
            )


def formats_of_the_kind(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    lycoris = adapter.kind == "lycoris"
    wrong = [f for f in adapter.formats or () if (f == "lycoris") is not lycoris]
    if wrong:
        told = (
            "a LyCORIS adapter is written in one layout, lycoris, which ComfyUI reads as well"
            if lycoris
            else "a LoRA is written as diffusers, comfyui or both"
        )
        yield Problem(
            code="CFG264",
            key="adapter.formats",
            message=f"{wrong[0]} cannot hold an adapter of kind {adapter.kind}",
            why=told,
            fix="remove adapter.formats",
            patch={"adapter.formats": None},
        )


def one_start(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    if adapter.kind == "lora" and adapter.dora and adapter.init not in ("default", "gaussian"):
        yield Problem(
            code="CFG265",
            key="adapter.init",
            message=f"DoRA cannot start as {adapter.init}",
            why="its row lengths are those of the base weight with no change added",
            fix='use adapter.init = "default", or dora = false',
            patch={"adapter.init": None},
        )


def orthogonal_is_even(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    ranks = {"adapter.rank": adapter.rank}
    ranks |= {f"adapter.overrides[{i}].rank": o.rank or 2 for i, o in enumerate(adapter.overrides)}
    for key, rank in ranks.items():
        if adapter.kind == "lora" and adapter.init == "orthogonal" and rank % 2:
            yield Problem(
                code="CFG266",
                key=key,
                message=f"the orthogonal start needs an even rank, not {rank}",
                why="each matrix starts from one half of an orthogonal basis",
                fix=f"use {rank + 1}",
                patch={key: rank + 1},
            )


def one_rate_for_prodigy(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    if config.adapter.lora_plus_ratio is not None and config.optimizer.name == "prodigy":
        yield Problem(
            code="CFG267",
            key="adapter.lora_plus_ratio",
            message="prodigy estimates one step size for all weights",
            why="it refuses groups with rates of their own",
            fix="remove adapter.lora_plus_ratio, or use adamw",
            patch={"adapter.lora_plus_ratio": None},
        )


def ratio_is_sane(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    ratio = config.adapter.lora_plus_ratio
    if config.adapter.kind == "lora" and ratio is not None and not 1 < ratio <= 64:
        yield Problem(
            code="CFG268",
            key="adapter.lora_plus_ratio",
            level="warn",
            message=f"the up-projections would learn at {ratio:g} times the rate",
            why="LoRA+ is about making them faster: 2 to 16 is usual",
            fix="use 16 with optimizer.lr as for the down-projections",
        )


def noise_needs_whole_factors(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    asked = adapter.kind == "lycoris" and adapter.lycoris.init_norm is not None
    if asked and "lokr" in algorithms(adapter) and not adapter.lycoris.full_matrix:
        yield Problem(
            code="CFG269",
            key="adapter.lycoris.init_norm",
            message="init_norm gives noise to a whole factor, but lokr splits it by rank",
            fix="set adapter.lycoris.full_matrix = true",
            patch={"adapter.lycoris.full_matrix": True},
        )


def blocks_divide_the_rank(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    if adapter.kind != "lycoris" or "dylora" not in algorithms(adapter):
        return
    size = adapter.lycoris.block_size
    own = [o.rank for o in (*adapter.overrides, *adapter.lycoris.overrides) if o.rank]
    for rank in (adapter.rank, *own):
        if rank % size:
            yield Problem(
                code="CFG270",
                key="adapter.lycoris.block_size",
                message=f"blocks of {size} do not divide rank {rank}",
                fix="use a block size that divides every rank",
            )


def patterns_are_readable(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    adapter = config.adapter
    patterns = {f"adapter.overrides[{i}].module": o.module for i, o in enumerate(adapter.overrides)}
    patterns |= {f"adapter.exclude[{i}]": p for i, p in enumerate(adapter.exclude)}
    for key, pattern in patterns.items():
        try:
            re.compile(pattern)
        except re.error as error:
            yield Problem(
                code="CFG271",
                key=key,
                message=f"{pattern!r} is no regular expression: {error}",
                fix="write the end of a module name, such as attn.to_q",
            )


def lengths_in_bf16(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    entry = OPTIMIZERS.get(config.optimizer.name)
    if config.model.mode == "adapter" and config.adapter.dora and entry and entry.bf16_weights:
        yield Problem(
            code="CFG272",
            key="adapter.dora",
            level="warn",
            message=f"{config.optimizer.name} keeps DoRA's row lengths in bf16",
            why="they have three digits then, so the start is not quite the base model",
            fix='use optimizer.name = "adamw"',
            patch={"optimizer.name": "adamw"},
        )


RULES = (
    lycoris_needs_its_kind,
    settings_of_another_algorithm,
    whole_factors_have_no_rank,
    settings_of_lora_alone,
    formats_of_the_kind,
    one_start,
    orthogonal_is_even,
    one_rate_for_prodigy,
    ratio_is_sane,
    noise_needs_whole_factors,
    blocks_divide_the_rank,
    patterns_are_readable,
    lengths_in_bf16,
)
