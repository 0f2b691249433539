"""Captions read together with pictures: as the edit pipelines read them."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from PIL import Image

from tests.support.edits import EDITS, edit_family, picture, whole_pipeline

CAPTIONS = ["a red apple", "make the blue car green in 'RAIN'"]
PLUS = ("edit-v2", "edit-v3")


def piped(name: str, pipe: Any, caption: str, *pictures: Image.Image) -> torch.Tensor:
    """The text as the pipeline's own call makes it, before anything is drawn."""
    found: list[torch.Tensor] = []
    encode = pipe.encode_prompt

    class Done(Exception):
        pass

    def caught(*args: Any, **kwargs: Any) -> Any:
        found.append(encode(*args, **kwargs)[0])
        raise Done

    pipe.encode_prompt = caught
    given = list(pictures) if name in PLUS else pictures[0]
    with pytest.raises(Done), torch.no_grad():
        pipe(image=given, prompt=caption, **({"width": 64, "height": 64} if name == "i2i" else {}))
    pipe.encode_prompt = encode
    return found[0][0]


@pytest.mark.parametrize("name", EDITS)
def test_texts_are_the_pipelines_own(name, tiny_edit):
    """Template, tokens dropped, size shown: each caption with its own picture, of any shape."""
    family = edit_family(name, tiny_edit(name), "text")
    pictures = [picture(64, 64), picture(96, 48, seed=4)]
    entries = family.encode_seen(CAPTIONS, [[p] for p in pictures])
    pipe = whole_pipeline(name, tiny_edit(name))
    if name == "i2i":
        pipe.resolutions = [(64, 64)]
    for caption, seen, entry in zip(CAPTIONS, pictures, entries, strict=True):
        expected = piped(name, pipe, caption, seen)
        assert entry["prompt_embeds"].shape == expected.shape
        torch.testing.assert_close(entry["prompt_embeds"], expected, atol=1e-5, rtol=1e-4)
        assert entry["prompt_embeds"].is_contiguous()
