"""What validation draws, with everything that drawing needs of the encoders."""

from __future__ import annotations

from dataclasses import dataclass

from PIL.Image import Image
from torch import Tensor

from trainer.cache.seen_text import Request, build_requests
from trainer.cache.store import Store
from trainer.config.schema.root import JobConfig
from trainer.data.loader import Reader
from trainer.models.base import Family

Entry = dict[str, Tensor]


@dataclass(frozen=True, slots=True)
class Drawing:
    """One prompt; `picture` is what is to be made of something else."""

    prompt: str
    text: Entry
    negative: Entry
    picture: Image | None = None


def drawings(
    config: JobConfig,
    family: Family,
    reader: Reader,
    pictures: list[Image],
    seen: Store | None,
) -> list[Drawing]:
    """In the order of `validation.texts`; texts that see a picture are encoded here."""
    asked = config.validation
    if not asked.texts:
        return []
    if seen is None:
        apart = family.encodes_apart(asked.negative)
        negative = reader.text_of(asked.negative, negative=apart)
        given = [None] * len(asked.prompts) + pictures
        return [
            Drawing(prompt, reader.text_of(prompt), negative, picture)
            for prompt, picture in zip(asked.texts, given, strict=True)
        ]
    pairs = [
        (Request(given.prompt, picture), Request(asked.negative, picture))
        for given, picture in zip(asked.inputs, pictures, strict=True)
    ]
    build_requests([request for pair in pairs for request in pair], family, seen)

    def entry(request: Request) -> Entry:
        return seen.get(request.key(seen.encoder))

    return [Drawing(p.prompt, entry(p), entry(n), p.picture) for p, n in pairs]
