"""LoRA through PEFT (2106.09685) on the denoiser's own adapter interface.

Trained weights are fp32 unless the optimiser keeps bf16 ones; the frozen base keeps its precision.
Initial values come from the run's seed and leave the global generator as it was.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from trainer.adapters import io, lean, verify
from trainer.adapters.active import without
from trainer.adapters.base import SavedFile, copy_into, swapped
from trainer.adapters.layouts import UP, AdapterTensors
from trainer.adapters.targets import target_modules
from trainer.config.schema.adapter import AdapterConfig
from trainer.models.base import Family
from trainer.rng import stream_seed

ADAPTER = "default"


class LoRA:
    """The adapter attached to `family`'s denoiser."""

    def __init__(
        self,
        config: AdapterConfig,
        family: Family,
        *,
        seed: int,
        dtype: torch.dtype,
        title: str | None = None,
    ) -> None:
        from peft import LoraConfig

        self.config = config
        self.family = family
        self.dtype = dtype
        self.title = title or family.facts.key
        self.alpha = float(config.alpha if config.alpha is not None else config.rank)
        self.targets = target_modules(config, family)
        peft_config = LoraConfig(
            r=config.rank,
            lora_alpha=self.alpha,  # type: ignore[arg-type]
            lora_dropout=config.dropout,
            init_lora_weights=True if config.init == "default" else "gaussian",
            target_modules=self.targets,
        )
        with torch.random.fork_rng():
            torch.manual_seed(stream_seed(seed, 0, 0, "adapter-init"))
            family.denoiser.add_adapter(peft_config, adapter_name=ADAPTER)
        self._parameters: dict[str, Parameter] = {}
        for name, parameter in family.denoiser.named_parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(dtype)
                self._parameters[name.replace(f".{ADAPTER}.", ".")] = parameter
        self._layers = [m for m in family.denoiser.modules() if _adapted(m)]
        lean.install(family.denoiser, ADAPTER)
        family.denoiser.train()
        if config.init_from is not None:
            self._start_from(Path(config.init_from))

    def _start_from(self, path: Path) -> None:
        modules = [name.rpartition(".lora_")[0] for name in self._parameters]
        given = io.read_adapter(path, dict.fromkeys(modules), self.family.facts)
        check_fit(path, given.tensors, self._parameters)
        tensors = dict(given.tensors)
        for module, alpha in given.alphas.items():
            if alpha != self.alpha:  # the same effect under this run's own scale
                tensors[module + UP] = tensors[module + UP] * (alpha / self.alpha)
        copy_into(self._parameters, tensors)

    def parameters(self) -> dict[str, Parameter]:
        return self._parameters

    def state_dict(self) -> dict[str, Tensor]:
        return {name: p.detach() for name, p in self._parameters.items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        copy_into(self._parameters, tensors)

    def tensors(self, values: Mapping[str, Tensor] | None = None) -> AdapterTensors:
        """The adapter as files see it, on CPU."""
        source = self.state_dict() if values is None else values
        tensors = {k: v.detach().cpu().contiguous() for k, v in source.items()}
        adapter = AdapterTensors(tensors, {})
        return AdapterTensors(tensors, dict.fromkeys(adapter.modules, self.alpha))

    def save(
        self,
        folder: Path,
        *,
        step: int,
        tensors: Mapping[str, Tensor] | None = None,
        suffix: str = "",
    ) -> list[SavedFile]:
        folder.mkdir(parents=True, exist_ok=True)
        adapter = self.tensors(tensors)
        with swapped(self._parameters, tensors):
            expected = self.family.probe()
        saved = []
        for layout in self.config.formats:
            path = self._write(layout, folder, adapter, step, suffix)
            facts = self.family.facts
            problems = verify.verify_file(path, adapter, trained=step > 0, facts=facts)
            if not any(p.level == "error" for p in problems):
                problems += verify.verify_output(
                    path, self.family, expected, active=ADAPTER, dtype=self.dtype
                )
            fatal = any(p.level == "error" for p in problems)
            if fatal:
                path = verify.quarantine(path)
            saved.append(SavedFile(path, layout, len(adapter.tensors), not fatal, problems))
        return saved

    def _write(
        self, layout: str, folder: Path, adapter: AdapterTensors, step: int, suffix: str
    ) -> Path:
        facts = self.family.facts
        if layout == "diffusers":
            return io.write_diffusers(folder, facts, adapter, self._metadata(), suffix)
        stem = re.sub(r"[^A-Za-z0-9._-]+", "-", self.title).strip("-.") or facts.key
        notes = io.header_notes(self.family.header_facts, self.title, step)
        return io.write_comfyui(folder, facts, adapter, notes, f"{stem}-comfyui{suffix}")

    def _metadata(self) -> dict[str, Any]:
        """What a loader needs of the PEFT configuration, and no more.

        Loaders pass every entry on to their own PEFT, and an older one refuses what it does not
        know.
        """
        return {
            "r": self.config.rank,
            "lora_alpha": self.alpha,
            "lora_dropout": self.config.dropout,
            "bias": "none",
            "target_modules": sorted(self.targets),
            "rank_pattern": {},
            "alpha_pattern": {},
        }

    def base_scope(self) -> AbstractContextManager[None]:
        return without(self.family.denoiser, ADAPTER)

    def for_use(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def at_strength(self, strength: float) -> Iterator[None]:
        """Own values are put back instead of divided out, so nothing is lost to rounding."""
        kept = [layer.scaling[ADAPTER] for layer in self._layers]
        for layer, scale in zip(self._layers, kept, strict=True):
            layer.scaling[ADAPTER] = scale * strength
        try:
            yield
        finally:
            for layer, scale in zip(self._layers, kept, strict=True):
                layer.scaling[ADAPTER] = scale


def _adapted(module: Any) -> bool:
    """Whether PEFT put the adapter into this layer."""
    return ADAPTER in getattr(module, "scaling", ())


def check_fit(path: Path, given: Mapping[str, Tensor], wanted: Mapping[str, Tensor]) -> None:
    """Raise when an adapter file does not have exactly the tensors of this adapter."""
    from trainer.errors import DataError
    from trainer.findings import finding

    missing, unknown = wanted.keys() - given.keys(), given.keys() - wanted.keys()
    shapes = [n for n in wanted.keys() & given.keys() if wanted[n].shape != given[n].shape]
    if missing or unknown or shapes:
        first = min([*missing, *unknown, *shapes])
        raise DataError(
            finding(
                "LOR004",
                f"the adapter does not fit: {len(missing)} tensors missing, {len(unknown)} "
                f"unknown, {len(shapes)} of other shape, first {first}",
                where=str(path),
                fix="use the same adapter.rank and targets as the file was made with",
            )
        )
