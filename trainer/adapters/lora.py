"""LoRA through PEFT (2106.09685) on the denoiser's own adapter interface, and its variants.

Trained weights are fp32 unless the optimiser keeps bf16 ones; the frozen base keeps its precision.
Initial values come from the run's seed and leave the global generator as it was. rsLoRA
(2312.03732) is only another alpha, and is written as that: alpha times the root of the rank.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from trainer.adapters import dora, io, lean, prior, starts, verify
from trainer.adapters.active import without
from trainer.adapters.base import SavedFile, copy_into, swapped
from trainer.adapters.layouts import DOWN, MAGNITUDE, UP, AdapterTensors
from trainer.adapters.patterns import sizes
from trainer.adapters.targets import adapted_modules, target_modules
from trainer.config.schema.adapter import AdapterConfig
from trainer.memory.quant_backends import quiet
from trainer.models.base import Family
from trainer.rng import stream_seed

ADAPTER = "default"


@dataclass(frozen=True, slots=True)
class Size:
    """Of one module; it acts with alpha / rank."""

    rank: int
    alpha: float


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
        self.config = config
        self.family = family
        self.dtype = dtype
        self.title = title or family.facts.key
        self.usual = _size(config, config.rank, float(config.alpha or config.rank))
        self.targets = target_modules(config, family)
        found = sizes(adapted_modules(config, family), config)
        self.sizes = {name: _size(config, *size) for name, size in found.items()}
        with torch.random.fork_rng(), quiet():
            torch.manual_seed(stream_seed(seed, 0, 0, "adapter-init"))
            family.denoiser.add_adapter(self._peft_config(), adapter_name=ADAPTER)
            self._named = {n: m for n, m in family.denoiser.named_modules() if _adapted(m)}
            self._layers = list(self._named.values())
            if config.init not in ("default", "gaussian"):
                self._start()
        self._parameters: dict[str, Parameter] = {}
        for name, parameter in family.denoiser.named_parameters():
            if parameter.requires_grad:
                parameter.data = parameter.data.to(dtype)
                name = name.replace(f".{ADAPTER}.", ".")
                self._parameters[name.replace(f"{MAGNITUDE}.weight", MAGNITUDE)] = parameter
        self._shape_forward()
        family.denoiser.train()
        if config.init_from is not None:
            self._start_from(Path(config.init_from))

    def _peft_config(self) -> Any:
        with quiet():
            from peft import LoraConfig

        excluding = bool(self.config.exclude)
        names = "|".join(re.escape(name) for name in self.sizes)  # PEFT: the whole name
        others = {n: s for n, s in self.sizes.items() if s != self.usual}
        return LoraConfig(
            r=self.usual.rank,
            lora_alpha=self.usual.alpha,  # type: ignore[arg-type]
            lora_dropout=self.config.dropout,
            init_lora_weights="gaussian" if self.config.init == "gaussian" else True,
            use_dora=self.config.dora,
            target_modules=names if excluding else self.targets,
            rank_pattern={f"^{n}": s.rank for n, s in others.items()},
            alpha_pattern={f"^{n}": s.alpha for n, s in others.items()},  # type: ignore[misc]
        )

    @torch.no_grad()
    def _start(self) -> None:
        """Other first values than PEFT's; directions beyond the layer's own stay as PEFT has them.

        PEFT knows these starts too, but it takes the pair out of the base weight (see `starts`).
        """
        for layer in self._layers:
            down, up = layer.lora_A[ADAPTER].weight, layer.lora_B[ADAPTER].weight
            weight = layer.get_base_layer().weight.detach().flatten(1)
            first_down, first_up = starts.pair(
                self.config.init, weight, down.shape[0], layer.scaling[ADAPTER]
            )
            known = first_down.shape[0]
            down.flatten(1)[:known] = first_down.to(down.device)
            up.flatten(1)[:, :known] = first_up.to(up.device)

    def _shape_forward(self) -> None:
        lean.install(self.family.denoiser, ADAPTER)
        for layer in self._layers:
            if starts.has_prior(self.config.init) and self.config.init_from is None:
                prior.install(layer, ADAPTER)
            if self.config.dora:
                dora.install(layer, ADAPTER)

    def _start_from(self, path: Path) -> None:
        given = io.read_adapter(path, dict.fromkeys(self.sizes), self.family.facts)
        io.check_fit(path, given.tensors, self._parameters)
        tensors = dict(given.tensors)
        for module, alpha in given.alphas.items():
            if alpha != self.sizes[module].alpha:  # the same effect under this run's own scale
                tensors[module + UP] = tensors[module + UP] * (alpha / self.sizes[module].alpha)
        copy_into(self._parameters, tensors)

    def prepare(self, step: int) -> None:
        """Nothing changes from step to step."""

    def traits(self) -> str:
        described = ["lora", f"alpha {self.usual.alpha:g}"]
        described += ["dora"] if self.config.dora else []
        others = sorted((n, s.alpha) for n, s in self.sizes.items() if s != self.usual)
        return ", ".join([*described, *(f"{n} {alpha:g}" for n, alpha in others)])

    def groups(self) -> list[dict[str, Any]]:
        """LoRA+ (2402.12354): the up-projections learn at a multiple of the rate."""
        ratio = self.config.lora_plus_ratio
        if ratio is None:
            return [{"params": list(self._parameters.values())}]
        ups = [p for name, p in self._parameters.items() if name.endswith(UP)]
        rest = [p for name, p in self._parameters.items() if not name.endswith(UP)]
        return [{"params": rest}, {"params": ups, "lr_factor": ratio}]

    def parameters(self) -> dict[str, Parameter]:
        return self._parameters

    def _priors(self) -> dict[str, Tensor]:
        """The pairs that are subtracted: not trained, but part of the exact state."""
        return {
            f"{name}.{buffer}": getattr(layer, buffer)
            for name, layer in self._named.items()
            if hasattr(layer, prior.DOWN)
            for buffer in (prior.DOWN, prior.UP)
        }

    def state_dict(self) -> dict[str, Tensor]:
        return {name: p.detach() for name, p in self._parameters.items()} | self._priors()

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        copy_into(self._parameters | self._priors(), tensors)

    def tensors(self, values: Mapping[str, Tensor] | None = None) -> AdapterTensors:
        """The adapter as files see it, on CPU."""
        source = self._parameters if values is None else values
        tensors = {k: v.detach().cpu().contiguous() for k, v in source.items()}
        alphas = {name: self.sizes[name].alpha for name in self._named}
        for name, layer in self._named.items():
            if hasattr(layer, prior.DOWN):
                down, up = layer.prior_down.cpu(), layer.prior_up.cpu()
                tensors[name + DOWN] = torch.cat([tensors[name + DOWN], down])
                tensors[name + UP] = torch.cat([tensors[name + UP], -up], dim=1)
                alphas[name] *= 2.0  # as the rank doubles
        return AdapterTensors(tensors, alphas)

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
        for layout in io.layouts(self.config, self.family.facts):
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
        notes = io.header_notes(self.family.header_facts, self.title, step)
        name = f"{io.file_stem(self.title, facts)}-comfyui{suffix}"
        return io.write_comfyui(folder, facts, adapter, notes, name)

    def _metadata(self) -> dict[str, Any]:
        """What a loader needs of the PEFT configuration, and no more.

        Loaders pass every entry on to their own PEFT, and an older one refuses what it does not
        know.
        """
        times = 2 if self._priors() else 1
        others = {n: s for n, s in self.sizes.items() if s != self.usual}
        names = self.sizes if self.config.exclude else self.targets
        plain = {
            "r": self.usual.rank * times,
            "lora_alpha": self.usual.alpha * times,
            "lora_dropout": self.config.dropout,
            "bias": "none",
            "target_modules": sorted(names),
            "rank_pattern": {f"^{n}": s.rank * times for n, s in others.items()},
            "alpha_pattern": {f"^{n}": s.alpha * times for n, s in others.items()},
        }
        return plain | ({"use_dora": True} if self.config.dora else {})

    def base_scope(self) -> AbstractContextManager[None]:
        return without(self.family.denoiser, ADAPTER)

    def for_use(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def at_strength(self, strength: float) -> Iterator[None]:
        """Own values are put back instead of divided out, so nothing is lost to rounding."""
        kept = [layer.scaling[ADAPTER] for layer in self._layers]
        for layer, scale in zip(self._layers, kept, strict=True):
            if self.config.dora:
                layer.strength = strength
            else:
                layer.scaling[ADAPTER] = scale * strength
        try:
            yield
        finally:
            for layer, scale in zip(self._layers, kept, strict=True):
                layer.scaling[ADAPTER] = scale
                layer.strength = 1.0


def _size(config: AdapterConfig, rank: int, alpha: float) -> Size:
    """Alpha as fp32 holds it, so that files tell exactly what acts in training."""
    acting = alpha * math.sqrt(rank) if config.rslora else alpha
    return Size(rank, torch.tensor(acting, dtype=torch.float32).item())


def _adapted(module: Any) -> bool:
    """Whether PEFT put the adapter into this layer."""
    return ADAPTER in getattr(module, "scaling", ())
