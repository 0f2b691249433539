"""Which family an adapter file is of: from its header, its names, and its shapes.

The header is believed when it names a family whose names fit. Else the families that know most of
the names remain, and of these the ones whose published models have such widths and so many blocks.
Where several remain, all are told; nothing is decided by chance.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from trainer.adapters.keys.names import families, readable
from trainer.adapters.tools.keys import Key
from trainer.catalog import family_facts


@dataclass(frozen=True, slots=True)
class Layer:
    """A layer of the denoiser as the file names it, and its number of inputs (0: not known)."""

    key: Key
    inputs: int


@dataclass(frozen=True, slots=True)
class Mark:
    """Of published models: inputs of a layer whose name ends so, and numbers of blocks."""

    ending: str
    inputs: tuple[int, ...]
    blocks: tuple[tuple[str, int], ...] = ()


_TO_K = ".attn.to_k"
_FLUX = (("transformer_blocks", 19), ("single_transformer_blocks", 38))
MARKS: dict[str, Mark] = {
    "sd1x": Mark(".attn2.to_k", (768,)),
    "sd2x": Mark(".attn2.to_k", (1024,)),
    "sdxl": Mark(".attn2.to_k", (2048,)),
    "kolors": Mark(".attn2.to_k", (2048,)),  # SDXL's layers to the last: only a header tells
    "flux": Mark(_TO_K, (3072,), _FLUX),
    "chroma": Mark(_TO_K, (3072,), _FLUX),
    "longcat_image": Mark(
        _TO_K, (3072,), (("transformer_blocks", 10), ("single_transformer_blocks", 20))
    ),
    "qwen_image": Mark(_TO_K, (3072,), (("transformer_blocks", 60),)),
    "sd3": Mark(_TO_K, (1536, 2432), (("transformer_blocks", 38),)),
    "auraflow": Mark(
        _TO_K, (3072,), (("joint_transformer_blocks", 4), ("single_transformer_blocks", 32))
    ),
    "cogview4": Mark(".attn1.to_k", (4096,), (("transformer_blocks", 28),)),
    "pixart": Mark(".attn1.to_k", (1152,), (("transformer_blocks", 28),)),
    "cosmos2": Mark(".attn1.to_k", (2048, 5120), (("transformer_blocks", 36),)),
}
_KOHYA_BASES = {"sd_v1": "sd1x", "sd_v2": "sd2x", "sdxl": "sdxl", "flux1": "flux", "sd3": "sd3"}


def guess(layers: Sequence[Layer], metadata: Mapping[str, str]) -> tuple[str, ...]:
    """Families that the file may be of; empty when its names fit none."""
    if not layers:
        return ()
    counts = {family: _known(family, layers) for family in families()}
    best = max(counts.values())
    if not best:
        return ()
    told = _told(metadata)
    if told is not None and counts.get(told):
        return (told,)
    fitting = [family for family, count in counts.items() if count == best]
    if len(fitting) == 1:
        return tuple(fitting)
    scores = {family: _score(family, layers) for family in fitting}
    highest = max(scores.values())
    return tuple(family for family, score in scores.items() if score == highest)


def ours(family: str, key: Key) -> tuple[str, ...]:
    """The layers of the family that a name means; the first table that knows it decides."""
    for table in readable(family):
        if found := table.read(key.layer, flat=key.flat):
            return found[0].ours
    return ()


def _known(family: str, layers: Sequence[Layer]) -> int:
    return sum(bool(ours(family, layer.key)) for layer in layers)


def _told(metadata: Mapping[str, str]) -> str | None:
    if (family := metadata.get("family")) in families():
        return family
    architecture = metadata.get("modelspec.architecture", "").partition("/")[0]
    for family in families():
        if architecture and family_facts(family).architecture == architecture:
            return family
    base = metadata.get("ss_base_model_version", "")
    return next((family for start, family in _KOHYA_BASES.items() if base.startswith(start)), None)


def _score(family: str, layers: Sequence[Layer]) -> int:
    """Signs for the family less signs against it; families that are not known stand between."""
    mark = MARKS.get(family)
    if mark is None:
        return 0
    score, last = 0, dict[str, int]()
    for layer in layers:
        for name in ours(family, layer.key):
            if name.endswith(mark.ending) and layer.inputs:
                score += 1 if layer.inputs in mark.inputs else -1
            head, _, rest = name.partition(".")
            number = rest.partition(".")[0]
            if number.isdigit():
                last[head] = max(last.get(head, -1), int(number))
    for block, count in mark.blocks:
        if block in last:
            whole = last[block] + 1
            score += len(layers) * ((whole == count) - 2 * (whole > count))
    return score
