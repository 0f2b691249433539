"""Where the parts of a model lie: a diffusers folder, a hub repository, or a single file.

A hub id is first brought to a local snapshot of just the files that will be read; from then on
there are only local paths. What a single file lacks (tokenizers, configurations, a T5) comes from
the repository of the flavour. What cannot be had is a finding that names the place.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from trainer.catalog.facts import FamilyFacts, ImageEncoderFact, TextEncoderFact
from trainer.config.schema.model import ComponentConfig, ModelConfig
from trainer.errors import ConfigError
from trainer.findings import finding

CONFIG_FILES = ("*.json", "*.txt", "*.model", "*.jinja")  # also merges, pieces, chat templates
ROOT_FILES = (  # of a pipeline, or of a lone model with its tokenizer
    *("config.json", "model_index.json"),
    *("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"),
)
STEMS = ("model", "pytorch_model", "diffusion_pytorch_model")


@dataclass(frozen=True, slots=True)
class Place:
    """One component on disk: its configuration folder and its weight files."""

    folder: Path
    weights: tuple[Path, ...]
    variant: str | None = None  # set when the weights are those of a variant
    single_file: bool = False
    where: str = "model.path"  # the key that chose it


@dataclass
class Source:
    """All places of one model."""

    model: ModelConfig
    facts: FamilyFacts
    path: str
    _folders: dict[tuple[str, str, bool], Path] = field(default_factory=dict)

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

    def component(self, slot: str, config: ComponentConfig, name: str) -> Place:
        """Place of the denoiser or autoencoder; `name` is its key below `model.components`."""
        subfolder = config.subfolder or slot
        key = "model.path" if config.path is None else f"model.components.{name}.path"
        single = Path(config.path or self.path)
        if single.is_file():
            folder = self.folder(subfolder, weights=False)
            return Place(folder, (single,), single_file=True, where=key)
        return self._place(self.folder(subfolder, config.path, where=key), key)

    def text(self, fact: TextEncoderFact) -> Place:
        """Place of a text encoder: in the repository, or where the job or the family has it."""
        path, where = self._text_home(fact, fact.slot)
        return self._place(self.folder(fact.slot, path, where=where), where)

    def image_encoder(self, fact: ImageEncoderFact) -> Place:
        return self._place(self.folder(fact.slot), "model.path")

    def tokenizer(self, fact: TextEncoderFact) -> Path:
        """Folder of the tokenizer, which lies where its encoder does."""
        slot = fact.tokenizer_slot
        path, where = self._text_home(fact, slot)
        return self.folder(slot, path, weights=False, where=where)

    def _text_home(self, fact: TextEncoderFact, slot: str) -> tuple[str | None, str]:
        """Another place than the repository, or None; and the key that chose it."""
        if fact.place_option is not None:
            chosen = attrgetter(fact.place_option)(self.model)
            if chosen is not None:
                return chosen, f"model.{fact.place_option}"
        if fact.repo is None or self._has(slot):
            return None, "model.path"
        return fact.repo, f"model.{fact.place_option}" if fact.place_option else "model.path"

    def _has(self, slot: str) -> bool:
        root = Path(self.repository).expanduser()
        if root.exists():
            return (root / slot).is_dir()
        return self.pipeline_config.get(slot) not in (None, [None, None])

    def elsewhere(self, slot: str, path: str, where: str) -> Place:
        """Place of a component in a folder or repository that is not the model's own."""
        return self._place(self.folder(slot, path, where=where), where)

    def file(self, name: str, path: str, where: str) -> Path:
        """One named file of a folder or repository, `name` relative to it."""
        root = Path(path).expanduser()
        if not root.exists() and not path.startswith(("/", ".", "~")):
            root = download(path, None, [name], where)
        if not (root / name).is_file():
            raise missing(path, f"it has no file {name}", where)
        return root / name

    def _place(self, folder: Path, where: str) -> Place:
        for variant, patterns in weight_patterns(self.model.variant):
            files = tuple(sorted(p for pattern in patterns for p in folder.glob(pattern)))
            if files:
                return Place(folder, files, variant=variant, where=where)
        raise missing(str(folder), "it has no weights (.safetensors)", where)

    def folder(
        self,
        subfolder: str,
        path: str | None = None,
        *,
        weights: bool = True,
        where: str = "model.path",
    ) -> Path:
        """Local folder of a component, downloaded when its place is a hub id."""
        place = path or self.repository
        key = (place, subfolder, weights)
        if key not in self._folders:
            root = Path(place).expanduser()
            if not root.exists():
                root = self._snapshot(place, subfolder, weights=weights, where=where)
            target = root / subfolder
            if not target.is_dir():  # a component's own folder may be named directly
                target = root
                if not (root / "config.json").exists():
                    raise missing(place, f"it has no sub-folder {subfolder!r}", where)
            self._folders[key] = target
        return self._folders[key]

    def _snapshot(self, place: str, subfolder: str, *, weights: bool, where: str) -> Path:
        if place.startswith(("/", ".", "~")):
            raise missing(place, "the path does not exist", where)
        revision = self.model.revision if place == self.path else None
        folders = (f"{subfolder}/", "") if subfolder else ("",)
        wanted = list(ROOT_FILES)  # a lone `*` would reach into every folder
        wanted += [f"{subfolder}/{pattern}" for pattern in CONFIG_FILES if subfolder]
        root = download(place, revision, wanted, where)
        if not weights:
            return root
        for _, patterns in weight_patterns(self.model.variant):
            names = [f + pattern for f in folders for pattern in patterns]
            root = download(place, revision, wanted + names, where)
            if any(any(root.glob(name)) for name in names):
                break
        return root

    @cached_property
    def scheduler_config(self) -> dict[str, Any]:
        return self._json("scheduler", "scheduler_config.json", required=True)

    @cached_property
    def pipeline_config(self) -> dict[str, Any]:
        """`model_index.json`, where the checkpoint has one."""
        return self._json("", "model_index.json", required=False)

    @cached_property
    def text_encoders(self) -> tuple[TextEncoderFact, ...]:
        """The family's text encoders, less those that the checkpoint says it does without."""
        return tuple(
            fact
            for fact in self.facts.text_encoders
            if not (fact.optional and self.pipeline_config.get(fact.slot) == [None, None])
        )

    def _json(self, subfolder: str, name: str, *, required: bool) -> dict[str, Any]:
        root = Path(self.repository).expanduser()
        if not root.exists():
            root = self._snapshot(self.repository, subfolder, weights=False, where="model.path")
        path = root / subfolder / name
        if not path.exists():
            if required:
                raise missing(str(root), f"it has no {subfolder}/{name}", "model.path")
            return {}
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise missing(str(path), f"not valid JSON: {error}", "model.path") from error


def weight_patterns(variant: str | None) -> list[tuple[str | None, list[str]]]:
    """Names of weight files in the order in which they are wanted, each with its variant.

    Repositories often hold the same weights several times (fp16, without EMA, pickled); taking
    only names that the loader will open keeps a download to one copy.
    """
    names: list[tuple[str | None, list[str]]] = []
    for mark in (variant, None) if variant else (None,):
        infix = f".{mark}" if mark else ""
        for ending in ("safetensors", "bin"):
            shards = [f"{infix}.{ending}", f"{infix}-0*.{ending}"]
            names.append((mark, [stem + shard for stem in STEMS for shard in shards]))
    return names


def download(repository: str, revision: str | None, patterns: Sequence[str], where: str) -> Path:
    """Local snapshot of a hub repository with the files that match `patterns`."""
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(repository, revision=revision, allow_patterns=list(patterns)))
    except Exception as error:  # the hub client raises many kinds, all meaning "not to be had"
        raise missing(repository, f"{type(error).__name__}: {error}", where) from error


def missing(place: str, why: str, where: str) -> ConfigError:
    reason = why.strip().splitlines()[0] if why.strip() else "unknown reason"
    return ConfigError(
        finding(
            "ENV001",
            f"cannot load the model {place}: {reason}",
            where=where,
            fix=f"check {where}: a folder in diffusers layout, a .safetensors file, or a hub id "
            "(gated ones need `hf auth login`)",
        )
    )
