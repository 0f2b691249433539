"""Options that promise an effect, measured: what they changed, as a share of what to expect.

Below 2 % an option is as good as ignored, be it by a family that does not heed it or by settings
under which it has nothing to act on. Then it is told with the numbers.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from trainer.adapters.base import Trainable
from trainer.adapters.lora import LoRA
from trainer.adapters.targets import adapted_modules
from trainer.catalog.quants import QUANTS
from trainer.config.schema.adapter import AdapterConfig
from trainer.config.schema.root import JobConfig
from trainer.findings import Finding, finding
from trainer.memory.saved import saved_bytes
from trainer.models.base import Family
from trainer.rehearse.report import Effect

LEAST = 0.02
BITS = {"int8": 8, "fp8": 8, "int4": 4, "nf4": 4}
ENCODING = ("encode_captions", "encode_seen", "encode_images", "posterior")
CHOOSING = ("targets", "preset", "exclude")  # keys of the adapter that select modules


def effect(option: str, unit: str, before: float, after: float, expected: float) -> Effect:
    """`expected` is the whole change that was to be hoped for."""
    share = (before - after) / expected if expected else 0.0
    return Effect(option, unit, before, after, round(share, 4))


def remark(found: Effect) -> Finding | None:
    """RUN032 when an option has next to no effect."""
    if found.share is None or abs(found.share) >= LEAST:
        return None
    return finding(
        "RUN032",
        f"{found.option} has no effect: {found.unit} went from {found.before:,.0f} to "
        f"{found.after:,.0f}, {found.share:.1%} of what is to be expected",
        where=found.option,
        why=found.note or "the option is set, but the measurement is the same without it",
        fix=f"unset {found.option}, or report it: the model family does not heed it",
        level="warn",
        before=found.before,
        after=found.after,
        share=found.share,
    )


# --- activations -------------------------------------------------------------------------------


def kept_by_forward(family: Family) -> int:
    """Bytes that autograd keeps of the smallest input: the kind of effect shows on it, and even
    without checkpointing it fits."""
    family.denoiser.train()
    arguments = family.probe_input()
    return saved_bytes(lambda: family.forward(*arguments), family.denoiser.parameters())


def checkpointing_effect(config: JobConfig, before: int | None, family: Family) -> Iterator[Effect]:
    """`before` was measured when nothing was checkpointed yet."""
    asked, option = config.compute.checkpointing, "compute.checkpointing"
    if not asked.enabled:
        return
    if before is None:
        yield Effect(option, "bytes", note="not measured: swapped blocks need checkpointing")
        return
    yield effect(option, "bytes", before, kept_by_forward(family), before / asked.interval)


# --- weights -----------------------------------------------------------------------------------


def weight_effects(config: JobConfig, family: Family) -> Iterator[Effect]:
    """Quantised and swapped weights."""
    quant = config.compute.quant
    names = dict(
        zip([f.slot for f in family.facts.text_encoders], quant.text_encoders, strict=False)
    )
    names["denoiser"] = quant.base or "none"
    for slot, (before, after) in family.quantised.items():
        option = "base" if slot == "denoiser" else "text_encoders"
        bits = BITS[QUANTS[names[slot]].level]
        width = 8 * (family.denoiser_dtype if slot == "denoiser" else family.dtype).itemsize
        expected = before * (1 - bits / width)
        yield effect(f"compute.quant.{option}", "bytes", before, after, expected)
    if family.swap is not None:
        away = sum(block.host.nbytes for block in family.swap.blocks)
        ring = sum(slot.buffer.nbytes for slot in family.swap.slots)
        found = effect("compute.offload.blocks", "bytes", away, ring, away)
        found.note = "the ring of buffers on the device is as large as the blocks that are away"
        yield found


# --- targets -----------------------------------------------------------------------------------


def target_effects(config: JobConfig, family: Family, trainable: Trainable) -> Iterator[Effect]:
    """Each key that selects modules, against the same job without it."""
    if not isinstance(trainable, LoRA):
        return
    trained = len(trainable.sizes)
    for name in CHOOSING:
        default = AdapterConfig.model_fields[name].get_default(call_default_factory=True)
        usual = (default, family.facts.default_targets if name == "preset" else default)
        if getattr(config.adapter, name) in usual:
            continue
        without = adapted_modules(config.adapter.model_copy(update={name: default}), family)
        yield effect(f"adapter.{name}", "modules", len(without), trained, len(without))


# --- encoders ----------------------------------------------------------------------------------


class EncoderCalls:
    """Counts what the encoders of a family are given."""

    def __init__(self, family: Family) -> None:
        self.counted: Counter[str] = Counter()
        for name in ENCODING:
            setattr(family, name, self._counting(name, getattr(family, name)))

    def _counting(self, name: str, encode: Callable[..., Any]) -> Callable[..., Any]:
        def counted(samples: Any, *args: Any, **kwargs: Any) -> Any:
            self.counted[name] += len(samples)
            return encode(samples, *args, **kwargs)

        return counted

    @property
    def total(self) -> int:
        return self.counted.total()


def cache_effect(first: EncoderCalls, second: EncoderCalls) -> Effect:
    """The second preparation finds everything that the first one encoded."""
    return effect("cache", "samples encoded", first.total, second.total, first.total)
