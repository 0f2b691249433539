"""Tiny parts of the families that read captions with Qwen2.5-VL.

The tokenizer is trained on the templates of the pipelines as well, so that each of their words is
one token, as in the published vocabulary. The number of tokens before a caption, which the
pipeline classes hold as a constant, is then the same for the tiny models.
"""

from __future__ import annotations

import inspect
from typing import Any

from tests.support.tiny import SENTENCES

SPECIAL = (
    "<|endoftext|>",
    "<|im_start|>",
    "<|im_end|>",
    "<|vision_start|>",
    "<|vision_end|>",
    "<|vision_pad|>",
    "<|image_pad|>",
    "<|video_pad|>",
)


def bare(pipeline_class: Any, **parts: Any) -> Any:
    """A pipeline without any other part, to read its templates."""
    names = [n for n in inspect.signature(pipeline_class.__init__).parameters if n != "self"]
    return pipeline_class(**dict.fromkeys(names) | parts)


def qwen_tokenizer(*templates: str) -> Any:
    """Byte-level BPE of the Qwen2 class; ids of special tokens in the order of `SPECIAL`."""
    from transformers import Qwen2Tokenizer

    empty = Qwen2Tokenizer(vocab={token: i for i, token in enumerate(SPECIAL)}, merges=[])
    empty.add_tokens(list(SPECIAL[1:]), special_tokens=True)
    return empty.train_new_from_iterator([*templates * 4, *SENTENCES], vocab_size=900)


def qwen_vl() -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

    width = {"hidden_size": 16, "intermediate_size": 16}
    text = {
        **width,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "num_key_value_heads": 2,
        "rope_scaling": {"mrope_section": [1, 1, 2], "rope_type": "default", "type": "default"},
        "rope_theta": 1e6,
        "vocab_size": 700,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }
    vision = {
        **width,
        "depth": 2,
        "num_heads": 2,
        "out_hidden_size": 16,
        "patch_size": 14,
        "window_size": 112,
        "fullatt_block_indexes": [1],
    }
    ids: dict[str, Any] = {
        f"{name}_token_id": SPECIAL.index(f"<|{token}|>")
        for name, token in {
            "vision_start": "vision_start",
            "vision_end": "vision_end",
            "image": "image_pad",
            "video": "video_pad",
        }.items()
    }
    config = Qwen2_5_VLConfig(text_config=text, vision_config=vision, **ids)
    return Qwen2_5_VLForConditionalGeneration(config)
