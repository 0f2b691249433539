"""Rules on attention kernels and compilation."""

from __future__ import annotations

from collections.abc import Iterator

from trainer.catalog.attention import ATTENTION
from trainer.catalog.facts import FamilyFacts
from trainer.catalog.quants import QUANTS
from trainer.config.rules.problem import Problem
from trainer.config.schema.root import JobConfig


def attention_has_gradients(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    name, key = config.compute.attention.backend, "compute.attention.backend"
    if name is None:
        return
    if not facts.attention_kernels:
        yield Problem(
            code="CFG293",
            key=key,
            idle=True,
            message=f"the attention of {facts.display_name} takes no other kernel",
            why="its layers call torch directly, which chooses by itself",
            fix=f"remove {key}",
            patch={key: None},
        )
    elif not ATTENTION[name].gradients:
        yield Problem(
            code="CFG295",
            key=key,
            message=f"{name} has no backward pass",
            why="queries, keys and values would get no gradient and never learn",
            fix=f"remove {key}",
            patch={key: None},
        )
    elif ATTENTION[name].cuda and config.compute.device in ("cpu", "mps"):
        yield Problem(
            code="CFG295",
            key=key,
            message=f"{name} runs on CUDA devices only, compute.device is {config.compute.device}",
            fix=f"remove {key}",
            patch={key: None},
        )


def compilation_acts(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    settings, backend = config.compute.compile, config.compute.compile.backend
    for name in ("mode", "dynamic", "fullgraph"):
        if name in settings.model_fields_set and backend is None:
            yield Problem(
                code="CFG296",
                key=f"compute.compile.{name}",
                idle=True,
                message=f"nothing is compiled, so {name} has no effect",
                fix='set compute.compile.backend = "inductor", or remove it',
                patch={f"compute.compile.{name}": None},
            )
    if settings.mode is not None and backend not in (None, "inductor"):
        yield Problem(
            code="CFG296",
            key="compute.compile.mode",
            message=f"mode is a setting of inductor, the compiler is {backend}",
            fix='set compute.compile.backend = "inductor", or remove it',
            patch={"compute.compile.mode": None},
        )


def compiled_blocks_stay(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    compute = config.compute
    if compute.compile.backend is not None and compute.offload.blocks is not None:
        yield Problem(
            code="CFG297",
            key="compute.compile.backend",
            message="compiled blocks cannot be swapped",
            why="compiled code expects weights where they were when it was made",
            fix="remove compute.compile.backend or compute.offload.blocks",
            patch={"compute.compile.backend": None},
        )


def compiled_weights_are_plain(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    base = config.compute.quant.base
    if config.compute.compile.backend is None or base is None or QUANTS[base].plain_tensors:
        return
    yield Problem(
        code="CFG298",
        key="compute.compile.backend",
        message=f"blocks with weights in {base} cannot be compiled",
        why="they are tensors of tensors, with which torch's compiler fails on some models",
        fix='remove compute.compile.backend, or use compute.quant.base = "nf4-bnb"',
        patch={"compute.compile.backend": None},
    )


RULES = (
    attention_has_gradients,
    compilation_acts,
    compiled_blocks_stay,
    compiled_weights_are_plain,
)
