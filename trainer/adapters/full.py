"""Full rank: all weights of the denoiser are trained, and saved as its diffusers folder."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from torch.nn import Parameter

from trainer.adapters.base import SavedFile, copy_into, swapped
from trainer.adapters.verify import quarantine
from trainer.findings import Finding, finding
from trainer.models.base import Family


class FullRank:
    """Every parameter of `family`'s denoiser."""

    def __init__(self, family: Family, *, dtype: torch.dtype) -> None:
        self.family = family
        family.denoiser.to(dtype).requires_grad_(True).train()
        self._parameters: dict[str, Parameter] = dict(family.denoiser.named_parameters())
        self._start: dict[str, Tensor] | None = None

    def parameters(self) -> dict[str, Parameter]:
        return self._parameters

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self._parameters.values())}]

    def traits(self) -> str:
        return "full"

    def prepare(self, step: int) -> None:
        """Nothing changes from step to step."""

    def state_dict(self) -> dict[str, Tensor]:
        return {name: p.detach() for name, p in self._parameters.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        copy_into(self._parameters, tensors)

    def save(
        self,
        folder: Path,
        *,
        step: int,
        tensors: Mapping[str, Tensor] | None = None,
        suffix: str = "",
    ) -> list[SavedFile]:
        path = folder / f"{self.family.facts.denoiser_slot}{suffix}"
        with swapped(self._parameters, tensors):
            self.family.denoiser.save_pretrained(path)
            problems = verify_folder(path, self.state_dict())
        if problems:
            path = quarantine(path)
        return [SavedFile(path, "diffusers", len(self._parameters), not problems, problems)]

    @contextmanager
    def base_scope(self) -> Iterator[None]:
        """The weights before training, read again from where they came from."""
        from trainer.models import load

        if self._start is None:
            base = load.denoiser(self.family.source, next(iter(self._parameters.values())).dtype)
            self._start = {k: v.to(self.family.device) for k, v in base.named_parameters()}
        with swapped(self._parameters, self._start):
            yield

    def at_strength(self, strength: float) -> AbstractContextManager[None]:
        raise AssertionError("a whole model has no strength; lint refuses sliders outside adapters")

    def for_use(self) -> AbstractContextManager[None]:
        return nullcontext()


def verify_folder(path: Path, expected: Mapping[str, Tensor]) -> list[Finding]:
    """Every tensor present, finite and bit-equal in the files of the folder."""
    seen: set[str] = set()
    wrong: list[str] = []
    for file in sorted(path.glob("*.safetensors")):
        with safe_open(file, framework="pt") as stream:
            for name in stream.keys():  # noqa: SIM118
                value = stream.get_tensor(name)
                seen.add(name)
                known = expected.get(name)
                if known is not None and not torch.equal(value, known.cpu()):
                    wrong.append(name)
                if not torch.isfinite(value).all():
                    wrong.append(name)
    wrong += sorted(expected.keys() - seen)
    if not wrong:
        return []
    return [
        finding(
            "LOR001",
            f"{path.name}: {len(wrong)} tensors are missing, damaged or not finite, first "
            f"{wrong[0]}",
            where=str(path),
            fix="the training state is intact: resume the run to write it again",
        )
    ]
