"""What an adapter file is: family, layout, algorithm, sizes, what it changes most, its words."""

from __future__ import annotations

import hashlib
import json
import re
import struct
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from trainer.adapters.tools import spectrum
from trainer.adapters.tools.check import check
from trainer.adapters.tools.record import DENOISER, DORA, Part
from trainer.findings import Finding

TAGS = 20
_CHUNK = 1 << 20


def inspect(file: Path, family: str | None = None) -> tuple[dict[str, Any], list[Finding]]:
    adapter, findings = check(file, family)
    layers = [_layer(part) for part in adapter.parts]
    data = {
        "file": str(file),
        "num_bytes": file.stat().st_size,
        **hashes(file),
        "family": adapter.family,
        "families": list(adapter.families),
        "layout": adapter.layout,
        "title": adapter.metadata.get("modelspec.title") or adapter.metadata.get("ss_output_name"),
        "algorithms": _counts(layer["algorithm"] for layer in layers),
        "dora": sum(DORA in part.tensors for part in adapter.parts),
        "ranks": _counts(layer["rank"] for layer in layers),
        "alphas": _counts("none" if p.alpha is None else float(p.alpha) for p in adapter.parts),
        "dtypes": _counts(
            str(t.dtype).removeprefix("torch.") for p in adapter.parts for t in p.tensors.values()
        ),
        "components": _counts(part.component for part in adapter.parts),
        "targets": _counts(_target(part) for part in adapter.parts),
        "blocks": _blocks(layers),
        "layers": layers,
        "triggers": triggers(adapter.metadata),
        "metadata": dict(adapter.metadata),
    }
    return data, findings


def _counts(values: Iterable[Any]) -> dict[str, int]:
    return {str(value): count for value, count in Counter(values).most_common()}


def _layer(part: Part) -> dict[str, Any]:
    floats = [t for t in part.tensors.values() if t.is_floating_point()]
    return {
        "layer": part.module,
        "component": part.component,
        "block": block(part),
        "algorithm": part.algo,
        "rank": part.rank,
        "alpha": None if part.alpha is None else float(part.alpha),
        "norm": spectrum.norm(part),
        "zero": any(not bool(t.any()) for t in floats),
        "finite": all(bool(t.float().isfinite().all()) for t in floats),
        "shapes": {name: list(t.shape) for name, t in part.tensors.items()},
    }


def block(part: Part) -> str:
    """Up to the first number of its name; the component's name for text encoders."""
    if part.component != DENOISER:
        return part.component
    found = re.match(r"(.*?\.\d+)(\.|$)", part.module)
    return found[1] if found else part.module


def _target(part: Part) -> str:
    """The name with the numbers of blocks taken off."""
    return re.split(r"\.\d+\.(?=\D)", part.module)[-1]


def _blocks(layers: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Root of the sum of squares of each block; None where no layer's size is known."""
    found: dict[str, list[float | None]] = {}
    for layer in layers:
        found.setdefault(layer["block"], []).append(layer["norm"])
    rows = []
    for name, norms in found.items():
        known = [norm for norm in norms if norm is not None]
        size = sum(norm**2 for norm in known) ** 0.5 if known else None
        rows.append({"block": name, "layers": len(norms), "norm": size})
    return rows


def triggers(metadata: Mapping[str, str]) -> list[dict[str, Any]]:
    """Words to call the adapter by: as told, and the most frequent tags of its training data."""
    found: list[dict[str, Any]] = [
        {"word": metadata[key], "count": None, "from": key}
        for key in ("modelspec.trigger_phrase", "modelspec.trigger_word", "ss_trigger_words")
        if metadata.get(key)
    ]
    counts: Counter[str] = Counter()
    try:
        tables = json.loads(metadata.get("ss_tag_frequency", "{}"))
        for tags in tables.values():
            counts.update({str(tag).strip(): int(count) for tag, count in tags.items()})
    except (ValueError, AttributeError, TypeError):
        return found
    tags = [
        {"word": tag, "count": count, "from": "ss_tag_frequency"}
        for tag, count in counts.most_common(TAGS)
    ]
    return found + tags


def hashes(file: Path) -> dict[str, str]:
    """Of the file, and of its tensors alone, which stays when the header is edited."""
    whole, tensors = hashlib.sha256(), hashlib.sha256()
    with file.open("rb") as stream:
        head = stream.read(8)
        whole.update(head)
        header = stream.read(struct.unpack("<Q", head)[0])
        whole.update(header)
        while chunk := stream.read(_CHUNK):
            whole.update(chunk)
            tensors.update(chunk)
    return {"sha256": whole.hexdigest(), "tensors_sha256": tensors.hexdigest()}
