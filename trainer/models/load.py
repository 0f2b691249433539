"""Where the parts of a model come from: a diffusers folder, a hub repository, a single file.

A hub id is first brought to a local snapshot of just the needed sub-folders; from then on there
are only local paths. Missing or wrong files become findings that name the place and the remedy.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import blake2b
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import nn

from trainer.catalog import load as load_dotted
from trainer.catalog.facts import FamilyFacts, TextEncoderFact
from trainer.config.schema.model import ComponentConfig, ModelConfig
from trainer.errors import ConfigError
from trainer.findings import finding

T = TypeVar("T")
WEIGHT_ENDINGS = (".safetensors", ".bin", ".gguf")


@dataclass
class Source:
    """Paths of one model; `folder` is local once resolved."""

    model: ModelConfig
    facts: FamilyFacts
    path: str
    _folders: dict[str, Path] = field(default_factory=dict)

    @staticmethod
    def of(model: ModelConfig, facts: FamilyFacts) -> Source:
        flavour = facts.flavours[model.flavour or facts.default_flavour]
        return Source(model, facts, model.path or flavour.repo)

    @property
    def is_file(self) -> bool:
        return Path(self.path).is_file()

    @property
    def repository(self) -> str:
        """Folder or hub id that has the parts which a single file lacks."""
        flavour = self.facts.flavours[self.model.flavour or self.facts.default_flavour]
        return flavour.repo if self.is_file else self.path

    def folder(self, subfolder: str, path: str | None = None) -> Path:
        """Local folder of a component, downloaded when `path` is a hub id."""
        where = path or self.repository
        key = f"{where}:{subfolder}"
        if key not in self._folders:
            root = Path(where) if Path(where).exists() else snapshot(where, subfolder, self.model)
            self._folders[key] = self._existing(root, subfolder, where)
        return self._folders[key]

    def _existing(self, root: Path, subfolder: str, where: str) -> Path:
        target = root / subfolder if (root / subfolder).is_dir() else root
        if target == root and not (root / "config.json").exists() and subfolder != "":
            raise _missing(where, f"it has no sub-folder {subfolder!r}")
        return target

    @cached_property
    def scheduler_config(self) -> dict[str, Any]:
        path = self.folder("scheduler") / "scheduler_config.json"
        return json.loads(path.read_text())

    @cached_property
    def pipeline_config(self) -> dict[str, Any]:
        """`model_index.json`, where the checkpoint has one."""
        root = Path(self.repository)
        if not root.exists():
            root = snapshot(self.repository, "", self.model)
        path = root / "model_index.json"
        return json.loads(path.read_text()) if path.exists() else {}


def snapshot(repository: str, subfolder: str, model: ModelConfig) -> Path:
    """Local copy of a hub repository, restricted to one sub-folder."""
    if repository.startswith(("/", ".", "~")):
        raise _missing(repository, "the path does not exist")
    from huggingface_hub import snapshot_download

    patterns = ["model_index.json", f"{subfolder}/*"] if subfolder else ["model_index.json"]
    try:
        return Path(snapshot_download(repository, revision=model.revision, allow_patterns=patterns))
    except Exception as error:  # the hub client raises many kinds, all meaning "not to be had"
        raise _missing(repository, f"{type(error).__name__}: {error}") from error


def _missing(where: str, why: str) -> ConfigError:
    reason = why.splitlines()[0] if why else "unknown reason"
    return ConfigError(
        finding(
            "ENV001",
            f"cannot load the model {where}: {reason}",
            where="model.path",
            fix="check model.path: a folder in diffusers layout, a .safetensors file, or a hub id "
            "(gated ones need `hf auth login`)",
        )
    )


def guarded(where: Path | str, action: Callable[[], T]) -> T:
    """Turn the many errors of loading into one finding."""
    try:
        return action()
    except (OSError, ValueError, RuntimeError, KeyError, AttributeError) as error:
        raise _missing(str(where), f"{type(error).__name__}: {error}") from error


def tokenizer(source: Source, fact: TextEncoderFact) -> Any:
    import transformers

    folder = source.folder(fact.tokenizer_slot)
    name = fact.tokenizer_class.rpartition(".")[2]
    cls = getattr(transformers, name, None) or transformers.AutoTokenizer
    return guarded(folder, lambda: cls.from_pretrained(folder))


def text_encoder(source: Source, fact: TextEncoderFact, dtype: torch.dtype) -> nn.Module:
    folder = source.folder(fact.slot)
    cls = load_dotted(fact.model_class.replace(".", ":", 1))
    return guarded(folder, lambda: cls.from_pretrained(folder, dtype=dtype))


def vae(source: Source, dtype: torch.dtype) -> nn.Module:
    return _component(source, source.model.components.vae, "vae", source.facts.vae_class, dtype)


def denoiser(source: Source, dtype: torch.dtype) -> nn.Module:
    facts = source.facts
    config = source.model.components.denoiser
    return _component(source, config, facts.denoiser_slot, facts.denoiser_class, dtype)


def _component(
    source: Source, config: ComponentConfig, slot: str, dotted: str, dtype: torch.dtype
) -> nn.Module:
    cls = load_dotted(dotted.replace(".", ":", 1))
    subfolder = config.subfolder or slot
    single = config.path or source.path
    if Path(single).is_file():
        base = source.repository
        return guarded(
            single,
            lambda: cls.from_single_file(single, config=base, subfolder=slot, torch_dtype=dtype),
        )
    folder = source.folder(subfolder, config.path)
    variant = source.model.variant
    return guarded(folder, lambda: cls.from_pretrained(folder, torch_dtype=dtype, variant=variant))


def identity(source: Source, which: str, traits: tuple[Any, ...]) -> str:
    """Digest of the files behind a component group, and of `traits`."""
    hasher = blake2b(repr(traits).encode(), digest_size=12)
    for path in _paths(source, which):
        files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file())
        for file in files:
            hasher.update(file.name.encode())
            hasher.update(fingerprint(file))
    return hasher.hexdigest()


def _paths(source: Source, which: str) -> list[Path]:
    if which == "text":
        slots = [s for f in source.facts.text_encoders for s in (f.slot, f.tokenizer_slot)]
        return [source.folder(slot) for slot in slots]
    slot = "vae" if which == "vae" else source.facts.denoiser_slot
    config = getattr(source.model.components, "vae" if which == "vae" else "denoiser")
    single = config.path or source.path
    if Path(single).is_file():
        return [Path(single)]
    return [source.folder(config.subfolder or slot, config.path)]


def fingerprint(file: Path, *, samples: int = 16, block: int = 1 << 16) -> bytes:
    """Digest of a file: whole if small, else size, both ends and evenly spaced blocks.

    Reading 24 GB of weights at every start would cost more than it protects against: weights
    that differ do so everywhere.
    """
    size = file.stat().st_size
    hasher = blake2b(str(size).encode(), digest_size=16)
    with file.open("rb") as stream:
        if size <= samples * block * 4:
            hasher.update(stream.read())
        else:
            for index in range(samples):
                stream.seek((size - block) * index // (samples - 1))
                hasher.update(stream.read(block))
    return hasher.digest()
