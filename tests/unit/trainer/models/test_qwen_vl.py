"""Captions within the templates of Qwen2.5-VL."""

from __future__ import annotations

import pytest
import torch

from tests.support.tiny_qwen import bare, qwen_tokenizer
from trainer.models.parts.qwen_vl import padding_mask, prefix_tokens, real_tokens


@pytest.mark.parametrize(
    ("name", "template", "tokens"),
    [
        ("QwenImagePipeline", "prompt_template_encode", 34),
        ("QwenImageEditPipeline", "prompt_template_encode", 64),
        ("Kandinsky5T2IPipeline", "prompt_template", 40),
    ],
)
def test_counted_tokens_are_the_pipelines_constant(name, template, tokens):
    """With a vocabulary that has each word of a template, as the published one has."""
    import diffusers

    pipe = bare(getattr(diffusers, name))
    text = getattr(pipe, template)
    assert pipe.prompt_template_encode_start_idx == tokens
    assert prefix_tokens(qwen_tokenizer(text), text) == tokens


def test_padding_is_taken_off_and_marked_again():
    """Rows keep their real tokens; the mask of a batch is true for just these."""
    embeds = torch.arange(24.0).view(2, 4, 3)
    mask = torch.tensor([[1, 1, 0, 0], [1, 1, 1, 0]])
    rows = real_tokens(embeds, mask)
    assert [torch.equal(r, e) for r, e in zip(rows, (embeds[0, :2], embeds[1, :3]), strict=True)]
    assert [len(row) for row in rows] == [2, 3]
    whole = real_tokens(embeds, None)
    assert [len(row) for row in whole] == [4, 4]
    made = padding_mask([{"text": row} for row in rows], "text")
    assert made is not None
    assert torch.equal(made, mask[:, :3].bool())
    assert padding_mask([{"text": row} for row in whole], "text") is None
