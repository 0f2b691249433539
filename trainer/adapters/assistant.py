"""A frozen adapter beside the trained one, for distilled checkpoints (techniques.md §7.5).

Training a distilled model on plain noise levels undoes its distillation, and an adapter trained
that way carries this along. The assistant undoes it first, so the trained adapter learns the
subject alone. It acts in every training forward, in prior predictions and in held-out losses; it
is off in pictures and in the check of saved files, is never trained and never saved.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from trainer.adapters.active import adapted_layers, without
from trainer.adapters.base import SavedFile, Trainable
from trainer.adapters.io import read_file
from trainer.adapters.verify import attach
from trainer.config.schema.assistant import AssistantConfig
from trainer.config.schema.model import ModelConfig
from trainer.errors import ConfigError, TrainerError
from trainer.findings import finding
from trainer.models.base import Family
from trainer.models.identity import fingerprint
from trainer.models.source import download

ASSISTANT = "assistant"
DOWNS = ("lora_A.weight", "lora_down.weight", "lora.down.weight")  # one for each layer of a file
TEXT = ("text_encoder", "lora_te")
WHERE = "model.assistant.path"


def assisted(inner: Trainable, family: Family, config: AssistantConfig) -> Trainable:
    """The adapter `inner` with its assistant, where one is asked for."""
    if not config.enabled or config.path is None:
        return inner
    return Assisted(inner, family, config)


class Assisted:
    """Trains `inner`; the assistant is none of its weights and none of its state."""

    def __init__(self, inner: Trainable, family: Family, config: AssistantConfig) -> None:
        self.inner = inner
        self.denoiser = family.denoiser
        self._inference = config.inference_strength
        self._training = config.strength
        trained = list(getattr(self.denoiser, "peft_config", ()))
        self._layers = _attach(locate(config), family)
        for layer in adapted_layers(self.denoiser):
            layer.set_adapter([n for n in (*trained, ASSISTANT) if n in layer.scaling])
        for layer in self._layers:
            layer.set_requires_grad(ASSISTANT, requires_grad=False)
            layer.lora_A[ASSISTANT].to(family.denoiser_dtype)
            layer.lora_B[ASSISTANT].to(family.denoiser_dtype)
        self._full = [layer.scaling[ASSISTANT] for layer in self._layers]
        self._scale(self._training)

    def _scale(self, strength: float) -> None:
        for layer, full in zip(self._layers, self._full, strict=True):
            layer.scaling[ASSISTANT] = full * strength

    def __getattr__(self, name: str) -> Any:
        """What is not said here is the trained adapter's own."""
        return getattr(self.inner, name)

    def parameters(self) -> dict[str, Parameter]:
        return self.inner.parameters()

    def state_dict(self) -> dict[str, Tensor]:
        return self.inner.state_dict()

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        self.inner.load_state_dict(tensors)

    def save(
        self,
        folder: Path,
        *,
        step: int,
        tensors: Mapping[str, Tensor] | None = None,
        suffix: str = "",
    ) -> list[SavedFile]:
        with without(self.denoiser, ASSISTANT):
            return self.inner.save(folder, step=step, tensors=tensors, suffix=suffix)

    def groups(self) -> list[dict[str, Any]]:
        return self.inner.groups()

    def traits(self) -> str:
        return self.inner.traits()

    def prepare(self, step: int) -> None:
        self.inner.prepare(step)

    def base_scope(self) -> AbstractContextManager[None]:
        """What the trained adapter is added to: the model with the assistant."""
        return self.inner.base_scope()

    def at_strength(self, strength: float) -> AbstractContextManager[None]:
        return self.inner.at_strength(strength)

    @contextmanager
    def for_use(self) -> Iterator[None]:
        if self._inference == 0:
            with without(self.denoiser, ASSISTANT), self.inner.for_use():
                yield
            return
        self._scale(self._inference)
        try:
            with self.inner.for_use():
                yield
        finally:
            self._scale(self._training)


def _attach(path: Path, family: Family) -> list[Any]:
    """Load the whole file; the layers that it acts on."""
    try:
        tensors, _ = read_file(path)
        with torch.random.fork_rng():  # PEFT draws numbers that the file replaces
            attach(path, family, ASSISTANT)
    except (MemoryError, torch.OutOfMemoryError):
        raise
    except Exception as error:  # a file of another model fails in many ways
        what = error.finding.message if isinstance(error, TrainerError) else str(error)
        raise unusable(path, what) from error
    layers = [m for m in adapted_layers(family.denoiser) if ASSISTANT in m.scaling]
    given = sum(name.endswith(DOWNS) and not name.startswith(TEXT) for name in tensors)
    if len(layers) < max(given, 1):
        raise unusable(path, f"only {len(layers)} of its {given} layers have a place in this model")
    return layers


def identity(model: ModelConfig) -> str | None:
    """What of the assistant a checkpoint shares with the run that continues it."""
    config = model.assistant
    if model.mode != "adapter" or not config.enabled or config.path is None:
        return None
    return f"{fingerprint(locate(config)).hex()} at {config.strength:g}"


def locate(config: AssistantConfig) -> Path:
    """The adapter file on this machine, downloaded where its place is a hub id."""
    assert config.path is not None
    place = Path(config.path).expanduser()
    if place.is_file():
        return place
    if not place.is_dir():
        if config.path.startswith(("/", ".", "~")):
            raise unusable(place, "it does not exist")
        place = _snapshot(config.path, config.weight_name or "*.safetensors")
    if config.weight_name is not None:
        if not (place / config.weight_name).is_file():
            raise unusable(place, f"it has no file {config.weight_name}")
        return place / config.weight_name
    files = sorted(place.glob("*.safetensors"))
    if len(files) != 1:
        listed = ", ".join(file.name for file in files) or "none"
        raise unusable(place, f"model.assistant.weight_name must choose a file of: {listed}")
    return files[0]


@cache
def _snapshot(repository: str, pattern: str) -> Path:
    """Asked for once: checkpoints name the file again and again."""
    try:
        return download(repository, None, [pattern], WHERE)
    except ConfigError as error:
        raise unusable(repository, error.finding.message) from error


def unusable(place: Path | str, why: str) -> ConfigError:
    return ConfigError(
        finding(
            "CFG210",
            f"cannot use the assistant adapter {place}: {why.strip().splitlines()[0]}",
            where=WHERE,
            why="without it the trained adapter would learn to undo the distillation",
            fix="name a LoRA made for this checkpoint, or set model.assistant.enabled = false",
        )
    )
