"""Other orders of the tags of a caption, or of its sentences or words.

Which orders are made depends on the caption and on nothing else: not on the seed of the job, the
sample or the process. Equal captions share their variants, and so does the cache of another job.
"""

from __future__ import annotations

import re
from hashlib import blake2b

from trainer.config.schema.captions import ShuffleConfig
from trainer.rng import stream_seed

_SENTENCE = re.compile(r"\.(?:\s+|$)")  # "1.5" is no end of a sentence


def orders(caption: str, config: ShuffleConfig) -> list[str]:
    """The caption as it is written (with `include_original`) and in other orders.

    The first `keep` tags stay where they are; a caption with fewer than two others comes back
    alone and unchanged. Orders that come out alike are listed once.
    """
    tags, ending = _tags(caption, config.separator)
    first, rest = tags[: config.keep], tags[config.keep :]
    if len(rest) < 2:
        return [caption]
    made = [caption] if config.include_original else []
    number = int.from_bytes(blake2b(caption.encode(), digest_size=8).digest(), "little")
    glue = {"comma": ", ", "space": " ", "period": ". "}[config.separator]
    for variant in range(config.variants):
        keys = [stream_seed(number, place, variant, "caption-order") for place in range(len(rest))]
        shuffled = [rest[place] for place in sorted(range(len(rest)), key=keys.__getitem__)]
        made.append(glue.join(first + shuffled) + ending)
    return list(dict.fromkeys(made))


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
