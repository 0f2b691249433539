"""The same picture twice: exactly, nearly, and on both sides of the held-out split."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from trainer.data.lint.flag import Flag, Group, Sample
from trainer.data.lint.near import Pairs, groups, near_pairs

DISTANCE = 6  # bits of the perceptual hash
COLOUR = 14.0  # mean difference of 8 x 8 colour pictures, of 255
COMPARED = ("train", "eval", "prior")  # partners (masks, control pictures) may well be alike


def check_duplicates(all_groups: Sequence[Group]) -> Iterator[Flag]:
    """Over all datasets at once."""
    own = [g for g in all_groups if g.dataset.role in COMPARED]
    yield from _exact(own)
    pictures = [(g, s) for g in own for s in _first_of_each(g.pictures)]
    pictures = [(g, s) for g, s in pictures if s.measures and s.measures.hashes]
    yield from _near(pictures)


def _first_of_each(samples: Sequence[Sample]) -> list[Sample]:
    return list({sample.content: sample for sample in reversed(samples)}.values())[::-1]


def name_of(group: Group, sample: Sample) -> str:
    return f"{group.id}/{sample.relpath}"


def _exact(own: Sequence[Group]) -> Iterator[Flag]:
    places: dict[bytes, list[tuple[Group, Sample]]] = defaultdict(list)
    for group in own:
        for sample in group.samples:
            places[sample.content].append((group, sample))
    for copies in places.values():
        if len(copies) > 1:
            yield from _told(copies, "DAT009", "the same bytes as")


def _told(copies: Sequence[tuple[Group, Sample]], code: str, how: str) -> Iterator[Flag]:
    """Copies of one picture, the one to keep first; leaks into the held-out data apart."""
    held_out = next(((g, s) for g, s in copies if g.dataset.role == "eval"), None)
    kept: dict[int, tuple[Group, Sample]] = {}
    for group, sample in copies:
        first = kept.setdefault(group.number, (group, sample))
        if first[1] is not sample:
            yield group.flag(code, sample, f"{how} {first[1].relpath}", other=name_of(*first))
        elif held_out is not None and group.dataset.role != "eval":
            other = name_of(*held_out)
            yield group.flag("DAT077", sample, f"{how} held-out {other}", other=other)


def _near(pictures: Sequence[tuple[Group, Sample]]) -> Iterator[Flag]:
    if len(pictures) < 2:
        return
    pairs = _alike(pictures)
    for members in groups(len(pictures), pairs):
        copies = [pictures[m] for m in members]
        # copies of the same bytes in two datasets are told already
        copies = [c for c in copies if sum(s.content != c[1].content for _, s in copies)]
        copies.sort(key=lambda c: (-c[1].facts.width * c[1].facts.height, c[1].relpath))
        yield from _told(copies, "DAT076", "nearly")


def _alike(pictures: Sequence[tuple[Group, Sample]]) -> Pairs:
    """Pairs whose hashes are near and whose colours agree."""
    columns = _hash_columns([sample for _, sample in pictures])
    found = [
        near_pairs(columns[:, probe], columns[:, 0], DISTANCE) for probe in range(columns.shape[1])
    ]
    pairs = np.sort(np.concatenate(found), axis=1)
    pairs = np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0)
    colours = np.stack([_colours(sample) for _, sample in pictures])
    apart = np.abs(colours[pairs[:, 0]] - colours[pairs[:, 1]]).mean(axis=1)
    return pairs[apart <= COLOUR]


def _hash_columns(samples: Sequence[Sample]) -> NDArray[np.uint64]:
    """[samples, probes]; the first column is the whole picture."""
    packed = b"".join(bytes.fromhex("".join(s.measures.hashes)) for s in samples if s.measures)
    return np.frombuffer(packed, dtype=">u8").astype(np.uint64).reshape(len(samples), -1)


def _colours(sample: Sample) -> NDArray[np.int16]:
    assert sample.measures is not None
    return np.frombuffer(bytes.fromhex(sample.measures.colours), dtype=np.uint8).astype(np.int16)
