"""A LyCORIS adapter (2309.14859) on the layers of the denoiser.

What a form of change is stands in `algorithms`; here its tensors become parameters, and training,
checkpoints and files get their view of them. Trained weights are fp32 unless the optimiser keeps
bf16 ones. Initial values come from the run's seed and leave the global generator as it was.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from random import Random
from typing import Any

import torch
from torch import Tensor
from torch.nn import Parameter

from trainer.adapters import io, verify
from trainer.adapters.base import SavedFile, copy_into, swapped
from trainer.adapters.lycoris import files, reopen, start
from trainer.adapters.lycoris.algorithms import ALGORITHMS, scale
from trainer.adapters.lycoris.change import DORA, Change, Switch, lengths
from trainer.adapters.lycoris.describe import library_config
from trainer.adapters.lycoris.place import Place, places
from trainer.config.schema.adapter import AdapterConfig
from trainer.models.base import Family
from trainer.rng import stream_seed


class LyCORIS:
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
        self.seed = seed
        self.title = title or family.facts.key
        self.switch = Switch()
        self.places = places(config, family)
        with torch.random.fork_rng(), torch.no_grad():
            torch.manual_seed(stream_seed(seed, 0, 0, "adapter-init"))
            self.changes = {place.layer.name: self._change(place) for place in self.places}
        for change in self.changes.values():
            change.attach()
        family.denoiser.train()
        if config.init_from is not None:
            copy_into(self.parameters(), start.values(Path(config.init_from), self))

    def _change(self, place: Place) -> Change:
        layer, form = place.layer, place.form
        tensors = ALGORITHMS[form.algo].start(layer, form)
        if form.dora:
            tensors[DORA] = lengths(layer)
        device = layer.module.weight.device
        return Change(
            layer=layer,
            algorithm=ALGORITHMS[form.algo],
            tensors={n: Parameter(t.to(device, self.dtype)) for n, t in tensors.items()},
            scale=torch.tensor(scale(form, tensors), dtype=torch.float32).item(),
            constraint=form.constraint,
            dropout=self.config.dropout,
            switch=self.switch,
        )

    def prepare(self, step: int) -> None:
        """DyLoRA's rank of the step: the same in all layers, and when forward is repeated."""
        self.switch.part = Random(stream_seed(self.seed, step, 0, "dylora-rank")).random()

    def traits(self) -> str:
        kinds = {
            (p.form.algo, self.changes[p.layer.name].scale, p.form.constraint) for p in self.places
        }
        described = [
            f"{algo} x {times:g}" + (f" within {limit:g}" if limit else "")
            for algo, times, limit in sorted(kinds, key=str)
        ]
        return ", ".join(["lycoris", *described])

    def groups(self) -> list[dict[str, Any]]:
        return [{"params": list(self.parameters().values())}]

    def parameters(self) -> dict[str, Parameter]:
        return {
            f"{module}.{name}": tensor  # type: ignore[misc]
            for module, change in self.changes.items()
            for name, tensor in change.tensors.items()
        }

    def state_dict(self) -> dict[str, Tensor]:
        return {name: p.detach() for name, p in self.parameters().items()}

    def load_state_dict(self, tensors: Mapping[str, Tensor]) -> None:
        copy_into(self.parameters(), tensors)

    def layers(self, values: Mapping[str, Tensor] | None = None) -> dict[str, files.Tensors]:
        """The adapter as its file has it, on CPU, by module."""
        source = self.state_dict() if values is None else values
        out = {}
        for place in self.places:
            module = place.layer.name
            change = self.changes[module]
            held = {name: source[f"{module}.{name}"] for name in change.tensors}
            out[module] = files.of_layer(place.form.algo, change, held)
        return out

    def save(
        self,
        folder: Path,
        *,
        step: int,
        tensors: Mapping[str, Tensor] | None = None,
        suffix: str = "",
    ) -> list[SavedFile]:
        folder.mkdir(parents=True, exist_ok=True)
        layers = self.layers(tensors)
        with swapped(self.parameters(), tensors):
            expected = self.family.probe()
        facts = self.family.header_facts
        path = folder / f"{io.file_stem(self.title, facts)}-lycoris{suffix}.safetensors"
        notes = io.header_notes(facts, self.title, step, kind="lycoris")
        files.write(path, layers, notes | files.header(library_config(self.config, self.places)))
        problems = reopen.verify_file(path, layers)
        with self.base_scope():
            if not problems:
                problems = reopen.verify_output(path, self.family, expected, dtype=self.dtype)
            if step > 0 and torch.equal(self.family.probe(), expected):
                problems.append(reopen.idle(path))
        fatal = any(p.level == "error" for p in problems)
        if fatal:
            path = verify.quarantine(path)
        count = sum(len(held) for held in layers.values())
        return [SavedFile(path, "lycoris", count, not fatal, problems)]

    @contextmanager
    def base_scope(self) -> Iterator[None]:
        kept, self.switch.off = self.switch.off, True
        try:
            yield
        finally:
            self.switch.off = kept

    def for_use(self) -> AbstractContextManager[None]:
        return nullcontext()

    @contextmanager
    def at_strength(self, strength: float) -> Iterator[None]:
        kept = self.switch.strength
        self.switch.strength = kept * strength
        try:
            yield
        finally:
            self.switch.strength = kept
