"""Findings that several verbs of the toolbox make."""

from __future__ import annotations

from collections.abc import Sequence

from trainer.errors import DataError
from trainer.findings import Finding, finding


def inexpressible(layer: str, reason: str) -> DataError:
    return DataError(
        finding(
            "LOR024",
            f"{layer} cannot be written in this layout: {reason}",
            where=layer,
            why="leaving it out would change what the adapter does",
            fix="choose another layout; comfyui and lycoris take every algorithm",
        )
    )


def unknown_family(path: str, candidates: Sequence[str]) -> Finding:
    among = f"it may be of {', '.join(candidates)}" if candidates else "its names fit none"
    return finding(
        "LOR022",
        f"the family of the adapter is not certain: {among}",
        where=path,
        why="the names of its layers differ from family to family",
        fix=f"name it with --family {candidates[0] if candidates else 'KEY'}",
    )


def unknown_keys(path: str, keys: Sequence[str], why: str) -> Finding:
    more = f" and {len(keys) - 1} more" if len(keys) > 1 else ""
    return finding(
        "LOR020",
        f"the file has a tensor whose name means nothing here: {keys[0]}{more}",
        where=path,
        why=why,
        fix="name the family with --family, or take the tensors out on purpose with stune lora "
        "prune --unknown",
        keys=list(keys)[:100],
    )
