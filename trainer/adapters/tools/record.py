"""An adapter file apart from its layout: parts by layer, with tensors under LyCORIS' names.

A part is what a file says of one layer. Its alpha stays the tensor that the file has, or None where
it has none (then alpha is the rank and the scale 1), so that a file written again in its own layout
is equal to the bit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

from torch import Tensor

from trainer.adapters.lycoris.algorithms import ALGORITHMS, recognised

DENOISER = "denoiser"  # the component that families call unet, transformer or prior
DOWN, UP, MID, DORA = "lora_down.weight", "lora_up.weight", "lora_mid.weight", "dora_scale"

# Tensors that belong together: all of a row, or none.
_COMPLETE = (
    {DOWN, UP},
    {"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"},
    {"lokr_w1_a", "lokr_w1_b"},
    {"lokr_w2_a", "lokr_w2_b"},
    {"a1.weight", "a2.weight", "b1.weight", "b2.weight"},
)


@dataclass(frozen=True, slots=True)
class Part:
    """What a file says of one layer; `module` is its name in diffusers' model."""

    component: str
    module: str
    tensors: Mapping[str, Tensor]
    alpha: Tensor | None = None

    @property
    def name(self) -> str:
        return self.module if self.component == DENOISER else f"{self.component}: {self.module}"

    @property
    def algo(self) -> str:
        return recognised(self.tensors) or "incomplete"

    @property
    def rank(self) -> int:
        if self.algo == "lora" and DOWN in self.tensors:
            return self.tensors[DOWN].shape[0]
        return ALGORITHMS[self.algo].rank(self.tensors) if self.algo in ALGORITHMS else 0

    @property
    def ranked(self) -> bool:
        """Whether readers divide alpha by a rank."""
        if self.algo not in ALGORITHMS:
            return False
        return any(name in self.tensors for name, _ in ALGORITHMS[self.algo].inner)

    @property
    def scale(self) -> float:
        """What readers multiply the product by."""
        if self.alpha is None or not self.ranked or not self.rank:
            return 1.0
        return float(self.alpha) / self.rank

    @property
    def missing(self) -> list[str]:
        """Tensors without which the others mean nothing."""
        held = self.tensors.keys()
        gaps = [name for group in _COMPLETE if held & group for name in sorted(group - held)]
        if any(name.startswith("lokr_w1") for name in held) and not any(
            name.startswith("lokr_w2") for name in held
        ):
            gaps.append("lokr_w2")
        if not gaps and self.algo == "incomplete":
            gaps.append("weights")
        return gaps

    def mapped(self, change: Callable[[Tensor], Tensor]) -> Part:
        return replace(self, tensors={name: change(t) for name, t in self.tensors.items()})


@dataclass(frozen=True, slots=True)
class Adapter:
    """All parts of a file in its order, its header, and what it was found to be."""

    parts: tuple[Part, ...]
    metadata: Mapping[str, str] = field(default_factory=dict)
    layout: str = ""
    families: tuple[str, ...] = ()  # that it may be of, the likeliest first

    @property
    def family(self) -> str | None:
        """Only when there is no doubt."""
        return self.families[0] if len(self.families) == 1 else None

    def by_name(self) -> dict[tuple[str, str], Part]:
        return {(part.component, part.module): part for part in self.parts}

    def with_parts(self, parts: list[Part]) -> Adapter:
        return replace(self, parts=tuple(parts))
