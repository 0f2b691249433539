"""Digests of the files behind a component group: part of cache keys and of the run's identity."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from hashlib import blake2b
from pathlib import Path
from typing import Any

from trainer.models.load import carried_text
from trainer.models.source import CONFIG_FILES, Source


def identity(files: Iterable[Path], traits: tuple[Any, ...]) -> str:
    """Digest of the files of a component group, and of `traits`."""
    hasher = blake2b(repr(traits).encode(), digest_size=12)
    for file in files:
        hasher.update(file.name.encode())
        hasher.update(fingerprint(file))
    return hasher.hexdigest()


def files_of(source: Source, which: str) -> Iterator[Path]:
    """Configuration and weight files of a group."""
    if which == "text":
        yield from _text_files(source)
        return
    if which == "image":
        yield from _image_files(source)
        return
    components, slot = source.model.components, source.facts.denoiser_slot
    if which == "vae" and source.facts.vae_class is None:
        return  # pixels are the same whatever the weights
    if which == "vae":
        place = source.component("vae", components.vae, "vae")
    else:
        place = source.component(slot, components.denoiser, "denoiser")
    yield from (place.folder / "config.json", *place.weights)


def _image_files(source: Source) -> Iterator[Path]:
    fact = source.facts.image_encoder
    assert fact is not None, "the family has no image encoder"
    place = source.image_encoder(fact)
    yield from (place.folder / "config.json", *place.weights)
    yield from _configurations(source.folder(fact.processor_slot, weights=False))


def _text_files(source: Source) -> Iterator[Path]:
    carried = carried_text(source)
    if carried:
        yield Path(source.path)
    for fact in source.text_encoders:
        if fact.model_class is None:
            pass  # its denoiser reads token ids
        elif carried and fact.model_class.startswith("transformers.CLIP"):
            yield source.folder(fact.slot, weights=False) / "config.json"
        else:
            place = source.text(fact)
            yield from (place.folder / "config.json", *place.weights)
        yield from _configurations(source.tokenizer(fact))
    if source.flavour.edits:
        yield from _configurations(source.processor())


def _configurations(folder: Path) -> list[Path]:
    return sorted(p for pattern in CONFIG_FILES for p in folder.glob(pattern))


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
