"""Other orders of the tags of a caption, or of its sentences or words.

Which orders are made depends on the caption and on nothing else: not on the seed of the job, the
sample or the process. Equal captions share their variants, and so does the cache of another job.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b

from trainer.config.schema.captions import ShuffleConfig
from trainer.rng import stream_seed

TRIES = 16  # for each order that is wanted, until one is found that is not there yet

_SENTENCE = re.compile(r"\.(?:\s+|$)")  # "1.5" is no end of a sentence


def orders(caption: str, config: ShuffleConfig) -> list[str]:
    """The caption as it is written (with `include_original`) and `variants` other orders, or as
    many as there are.

    The first `keep` tags stay where they are; a caption with fewer than two others comes back
    alone and unchanged.
    """
    tags, ending = _tags(caption, config.separator)
    first, rest = tags[: config.keep], tags[config.keep :]
    if len(rest) < 2:
        return [caption]
    glue = {"comma": ", ", "space": " ", "period": ". "}[config.separator]
    made = [caption] if config.include_original else []
    seen = [rest] if config.include_original else []
    for order in _drawn(caption, rest, config.variants):
        if len(seen) - config.include_original == config.variants:
            break
        if order not in seen:
            seen.append(order)
            made.append(glue.join(first + order) + ending)
    return made


def _drawn(caption: str, tags: list[str], wanted: int) -> Iterator[list[str]]:
    """Orders, some of them repeatedly: enough to meet all that there are of few tags."""
    number = int.from_bytes(blake2b(caption.encode(), digest_size=8).digest(), "little")
    places = range(len(tags))
    for draw in range(TRIES * (wanted + 1)):
        keys = [stream_seed(number, place, draw, "caption-order") for place in places]
        yield [tags[place] for place in sorted(places, key=keys.__getitem__)]


def _tags(caption: str, separator: str) -> tuple[list[str], str]:
    """The tags, and what ends the caption after the last one."""
    if separator == "space":
        return caption.split(), ""
    if separator == "comma":
        parts, ending = caption.split(","), ""
    else:
        parts = _SENTENCE.split(caption)
        ending = "." if caption.rstrip().endswith(".") else ""
    return [tag for part in parts if (tag := part.strip())], ending
