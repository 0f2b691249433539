"""What the loop knows of the weights it trains, be it an adapter or a whole model."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from torch import Tensor
from torch.nn import Parameter

from trainer.findings import Finding


@dataclass(frozen=True, slots=True)
class SavedFile:
    """One written file (or folder) and whether it read back as it should."""

    path: Path
    layout: str
    keys: int
    verified: bool
    findings: list[Finding] = field(default_factory=list)


class Trainable(Protocol):
    """Trained weights: named parameters, exact state, files for use."""

    def parameters(self) -> dict[str, Parameter]: ...

    def groups(self) -> list[dict[str, Any]]:
        """All parameters as optimiser groups; `lr_factor` multiplies the rate of a group."""
        ...

    def traits(self) -> str:
        """What else than names and shapes a run must share with the one it continues."""
        ...

    def prepare(self, step: int) -> None:
        """Called before each optimiser step: what is drawn in it depends on its number alone."""
        ...

    def state_dict(self) -> dict[str, Tensor]: ...

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None: ...

    def save(
        self,
        folder: Path,
        *,
        step: int,
        tensors: Mapping[str, Tensor] | None = None,
        suffix: str = "",
    ) -> list[SavedFile]:
        """Write the files that users load; `tensors` replaces the live values (an average)."""
        ...

    def base_scope(self) -> AbstractContextManager[None]:
        """Within the block the model computes without what was trained."""
        ...

    def at_strength(self, strength: float) -> AbstractContextManager[None]:
        """Within the block what was trained acts `strength` times as much.

        The block must enclose backward as well: gradient checkpointing computes forward again.
        """
        ...

    def for_use(self) -> AbstractContextManager[None]:
        """Within the block the model acts as its users will have it: what only helps training is
        off."""
        ...


def copy_into(parameters: Mapping[str, Tensor], tensors: Mapping[str, Tensor]) -> None:
    """Overwrite parameters in place; names and shapes must agree."""
    assert parameters.keys() == tensors.keys(), "checkpoint and model have other parameters"
    for name, parameter in parameters.items():
        parameter.data.copy_(tensors[name])


@contextmanager
def swapped(
    parameters: Mapping[str, Parameter], tensors: Mapping[str, Tensor] | None
) -> Iterator[None]:
    """Within the block the parameters hold `tensors`; None leaves them as they are."""
    if tensors is None:
        yield
        return
    kept = {name: p.data for name, p in parameters.items()}
    for name, p in parameters.items():
        p.data = tensors[name].to(p.device, p.dtype)
    try:
        yield
    finally:
        for name, p in parameters.items():
            p.data = kept[name]
