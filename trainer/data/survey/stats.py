"""The figures of `data stats`: how many, how large, which shapes, how long the captions."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np

from trainer.data.geometry import enlargement, place
from trainer.data.survey.numbers import histogram, summary
from trainer.data.survey.scan import Part
from trainer.data.survey.subject import Subject
from trainer.runs.files import read_json

PIXELS = (128, 256, 384, 512, 768, 1024, 1536, 2048, 4096)  # edges of a square of equal area
ASPECTS = (1 / 3, 0.45, 0.6, 0.7, 0.85, 1.18, 1.42, 1.67, 2.2, 3.0)
ASPECT_NAMES = ("< 1:3", "2:5", "9:16", "2:3", "3:4", "1:1", "4:3", "3:2", "16:9", "5:2", "> 3:1")
WORDS = (1, 3, 6, 11, 21, 41, 61, 101, 201)
SECONDS = (1, 2, 3, 5, 10, 20, 30, 60, 120, 300)
BYTES = {"fp32": 4, "bf16": 2}
WIDTHS = ("hidden_size", "d_model", "n_embd")  # of a text encoder's config.json


def stats_document(subject: Subject, parts: list[Part]) -> dict[str, Any]:
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


def _stats(subject: Subject, part: Part) -> dict[str, Any]:
    table, funnel = part.table, part.funnel
    widths, heights = table.sizes[:, 0].astype(float), table.sizes[:, 1].astype(float)
    pictures = part.dataset.kind in ("image", "video") and len(table) > 0
    edges = np.sqrt(widths * heights)
    aspects = widths / np.maximum(heights, 1)
    words = np.array([len(table.captions(r)[0].split()) for r in range(len(table))], dtype=int)
    durations = _durations(part)
    return {
        "id": part.dataset.id,
        "place": part.dataset.source.name,
        "kind": part.dataset.kind,
        "role": part.dataset.role,
        "found": funnel.found + len(part.excluded),
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


def _formats(part: Part) -> Counter[str]:
    return Counter(os.path.splitext(name)[1].lower().lstrip(".") for name in part.table.relpaths)


def _durations(part: Part) -> np.ndarray:
    rows = (r for r in part.rows() if r.reason is None and r.duration_s > 0)
    return np.array([r.duration_s for r in rows], dtype=float)


def _enlarged(part: Part) -> int:
    """Pictures smaller than what they are trained at."""
    sizes, counts = np.unique(part.table.sizes, axis=0, return_counts=True)
    spec = part.dataset.geometry
    return sum(
        int(n)
        for (w, h), n in zip(sizes.tolist(), counts, strict=True)
        if enlargement(w, h, place(w, h, spec)) > 1
    )


def latent_bytes(subject: Subject, part: Part) -> int | None:
    """Bytes of the encoded pictures of a dataset; None where the size is not known beforehand."""
    facts, cache = subject.facts, subject.config.cache
    if part.dataset.kind != "image" or part.dataset.role == "mask":
        return None
    spec, factor = part.dataset.geometry, facts.spatial_factor
    sizes, counts = np.unique(part.table.sizes, axis=0, return_counts=True)
    pixels = 0
    for (width, height), count in zip(sizes.tolist(), counts, strict=True):
        across, down = place(width, height, spec).target
        pixels += int(count) * (across // factor) * (down // factor)
    crop = part.settings.crop or subject.config.data.defaults.crop
    copies = crop.variants if crop.position == "random" else 1
    kept = 2 if (cache.latents or facts.latent_stat) == "distribution" else 1
    return pixels * facts.latent_channels * BYTES[cache.dtype] * copies * kept


def text_bytes(subject: Subject, parts: list[Part]) -> int | None:
    """Bytes of the encoded captions, each once; None unless the model lies in a local folder."""
    path = subject.config.model.path
    if path is None or not Path(path).is_dir():
        return None
    tables = [part.table for part in parts if part.dataset.role in ("train", "eval", "prior")]
    captions = {c for t in tables for row in range(len(t)) for c in t.captions(row)}
    per_caption = 0
    for encoder in subject.facts.text_encoders:
        facts = read_json(Path(path) / encoder.slot / "config.json") or {}
        width = next((facts[name] for name in WIDTHS if name in facts), None)
        if width is None:
            return None
        tokens = encoder.max_tokens
        if encoder.max_tokens > 77:
            tokens = subject.config.model.max_tokens or tokens
        per_caption += tokens * int(width) * BYTES["fp32"]
    return len(captions) * per_caption
