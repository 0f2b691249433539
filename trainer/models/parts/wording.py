"""Captions that a family puts words before.

Such words stand before what is to be drawn. The empty text of caption dropout and the text that
guidance steers away from go without, as in the pipelines.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from torch import Tensor

Encode = Callable[[list[str]], list[dict[str, Tensor]]]


def encode_by_wording(
    captions: Sequence[str], worded: Encode, bare: Encode
) -> list[dict[str, Tensor]]:
    """Entries in the order of `captions`: empty ones by `bare`, all others by `worded`."""
    found: list[dict[str, Tensor]] = [{} for _ in captions]
    for encode, wanted in ((worded, True), (bare, False)):
        places = [n for n, caption in enumerate(captions) if bool(caption.strip()) is wanted]
        entries = encode([captions[n] for n in places]) if places else []
        for place, entry in zip(places, entries, strict=True):
            found[place] = entry
    return found


def real_tokens(embeds: Tensor, masks: Tensor) -> list[dict[str, Tensor]]:
    """Entries without the padding behind their texts.

    An empty text of a tokenizer that begins with no token keeps one of padding: a batch of entries
    without any could not be attended to.
    """
    entries = []
    for row, mask in zip(embeds.cpu(), masks.cpu().bool(), strict=True):
        mask = mask.clone()
        mask[0] |= not mask.any()
        real = int(mask.sum())
        entries.append({"prompt_embeds": row[:real].clone(), "mask": mask[:real].clone()})
    return entries
