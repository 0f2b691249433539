"""A control net is trained as a whole, the denoiser beside it stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from trainer.adapters.base import SavedFile, copy_into, swapped
from trainer.adapters.full import verify_folder
from trainer.adapters.verify import quarantine
from trainer.models.base import Family
from trainer.rng import stream_seed

FOLDER = "controlnet"


class ControlNetWeights:
    """Every parameter of the control net of `family`, saved as its diffusers folder.

    The layers that a new net copies from nowhere are drawn from the run's seed, which leaves the
    global generator as it was.
    """

    def __init__(self, family: Family, *, seed: int, dtype: torch.dtype) -> None:
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, 0, 0, "adapter-init"))
            self.control = family.attach_control(dtype)
        self.control.net.requires_grad_(True).train()
        family.denoiser.train()
        self._parameters: dict[str, Parameter] = dict(self.control.net.named_parameters())

    def parameters(self) -> dict[str, Parameter]:
        return self._parameters

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self._parameters.values())}]

    def traits(self) -> str:
        return FOLDER

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
        path = folder / f"{FOLDER}{suffix}"
        with swapped(self._parameters, tensors):
            self.control.net.save_pretrained(path)
            problems = verify_folder(path, self.state_dict())
        if problems:
            path = quarantine(path)
        return [SavedFile(path, "diffusers", len(self._parameters), not problems, problems)]

    def base_scope(self) -> AbstractContextManager[None]:
        return self.control.off()

    def for_use(self) -> AbstractContextManager[None]:
        return nullcontext()

    def at_strength(self, strength: float) -> AbstractContextManager[None]:
        raise AssertionError("a control net is no slider; lint refuses sliders outside adapters")
