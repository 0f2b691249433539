"""The figures of `data stats`: how many, how large, which shapes, how long the captions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise, repeat
from pathlib import Path
from typing import Any, cast

import numpy as np

from trainer.cache.estimate import Mode, latent_need, picture_shape
from trainer.data.buckets import sizes_of
from trainer.data.geometry import enlargement, place
from trainer.data.survey.numbers import histogram, summary
from trainer.data.survey.scan import Scanned
from trainer.data.survey.subject import Subject
from trainer.runs.files import read_json

PIXELS = (128, 256, 384, 512, 768, 1024, 1536, 2048, 4096)  # edges of a square of equal area
ASPECTS = (1 / 3, 0.45, 0.6, 0.7, 0.85, 1.18, 1.42, 1.67, 2.2, 3.0)
ASPECT_NAMES = ("< 1:3", "2:5", "9:16", "2:3", "3:4", "1:1", "4:3", "3:2", "16:9", "5:2", "> 3:1")
WORDS = (1, 3, 6, 11, 21, 41, 61, 101, 201)
SECONDS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300)
TEXT_BYTES = 4  # embeddings are kept in fp32
WIDTHS = ("hidden_size", "d_model", "n_embd")  # of a text encoder's config.json


def stats_document(subject: Subject, parts: list[Scanned]) -> dict[str, Any]:
    each = [_stats(subject, part) for part in parts]
    total: dict[str, int | None] = {
        key: sum(s[key] for s in each) for key in ("found", "used", "bytes")
    }
    total["cache_bytes"] = _sum(s["cache_bytes"] for s in each)
    total["text_cache_bytes"] = text_bytes(subject, parts)
    return {"family": subject.facts.key, "datasets": each, "total": total}


def _sum(values: Iterable[int | None]) -> int | None:
    known = [v for v in values if v is not None]
    return sum(known) if known else None


def _stats(subject: Subject, part: Scanned) -> dict[str, Any]:
    table, funnel = part.table, part.funnel
    widths, heights = table.sizes[:, 0].astype(float), table.sizes[:, 1].astype(float)
    pictures = part.dataset.kind in ("image", "video") and len(table) > 0
    edges = np.sqrt(widths * heights)
    aspects = widths / np.maximum(heights, 1)
    words = np.array([len(table.captions(r)[0].split()) for r in range(len(table))], dtype=int)
    durations = table.moving[:, 2]
    return {
        "id": part.dataset.id,
        "place": part.dataset.source.name,
        "kind": part.dataset.kind,
        "role": part.dataset.role,
        "found": funnel.found,
        "used": funnel.used,
        "bytes": part.index.total_bytes(),
        "cache_bytes": latent_bytes(subject, part),
        "formats": dict(_formats(part).most_common()),
        "width": summary(widths) if pictures else None,
        "height": summary(heights) if pictures else None,
        "sizes": histogram(edges, PIXELS, _between(PIXELS, " px")) if pictures else [],
        "aspects": histogram(aspects, ASPECTS, ASPECT_NAMES) if pictures else [],
        "enlarged": _enlarged(part) if pictures else 0,
        "duration_s": summary(durations),
        "durations": histogram(durations, SECONDS, _between(SECONDS, " s")),
        "caption_words": histogram(words, WORDS, _between(WORDS, "", whole=True)),
        "captions": summary(words),
    }


def _between(edges: tuple[int, ...], unit: str, *, whole: bool = False) -> list[str]:
    """Names of the classes: `< 128 px`, `128-256 px`, …; whole numbers end before the edge."""
    less = 1 if whole else 0
    first = f"{edges[0] - 1}" if whole and edges[0] == 1 else f"< {edges[0]}{unit}"
    middle = [f"{a}-{b - less}{unit}" if b - less > a else f"{a}{unit}" for a, b in pairwise(edges)]
    return [first, *middle, f">= {edges[-1]}{unit}"]


def _formats(part: Scanned) -> Counter[str]:
    return Counter(os.path.splitext(name)[1].lower().lstrip(".") for name in part.table.relpaths)


def _enlarged(part: Scanned) -> int:
    """Pictures smaller than what they are trained at."""
    sizes, _, counts = part.table.by_size
    spec = part.dataset.geometry
    return sum(
        int(n)
        for (w, h), n in zip(sizes, counts, strict=True)
        if w and enlargement(w, h, place(w, h, spec)) > 1
    )


def latent_bytes(subject: Subject, part: Scanned) -> int | None:
    """Bytes of the encoded pictures of a dataset; None for kinds whose latents are not known
    before they are made."""
    facts, cache = subject.facts, subject.config.cache
    if part.dataset.kind != "image" or part.dataset.role == "mask":
        return None
    sizes, labels = sizes_of(part.table)
    counts = np.bincount(labels, minlength=len(sizes)) * part.dataset.crops
    mode = cache.latents or cast("Mode", facts.latent_stat)
    needs = [
        latent_need(repeat(shape, int(n)), mode=mode, dtype=cache.dtype)
        for size, n in zip(sizes, counts, strict=True)
        for shape in [picture_shape(size[:2], facts.latent_channels, facts.spatial_factor)]
    ]
    return sum(need.num_bytes for need in needs)


def text_bytes(subject: Subject, parts: list[Scanned]) -> int | None:
    """Bytes of the encoded captions, each once; None unless the model lies in a local folder."""
    path = subject.config.model.path
    if path is None or not Path(path).is_dir():
        return None
    tables = [part.table for part in parts if part.dataset.role in ("train", "eval", "prior")]
    captions = {c for t in tables for row in range(len(t)) for c in t.captions(row)}
    per_caption = 0
    for encoder in {fact.slot: fact for fact in subject.facts.text_encoders}.values():
        if encoder.model_class is None:
            continue  # token ids take next to nothing
        facts = read_json(Path(path) / encoder.slot / "config.json") or {}
        width = next((facts[name] for name in WIDTHS if name in facts), None)
        if width is None:
            return None
        tokens = encoder.max_tokens
        if encoder.max_tokens > 77:
            tokens = subject.config.model.max_tokens or tokens
        per_caption += encoder.states * tokens * int(width) * TEXT_BYTES
    return len(captions) * per_caption
