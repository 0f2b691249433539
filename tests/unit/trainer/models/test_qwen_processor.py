"""Pictures within captions, for encoders that look at them."""

from __future__ import annotations

import pytest
import torch
from PIL import Image

from tests.support.tiny_qwen import bare, qwen_tokenizer, qwen_vl
from trainer.models.parts.qwen_processor import IMAGE_TOKEN, QwenProcessor

SEEN = f"<|vision_start|>{IMAGE_TOKEN}<|vision_end|>"


@pytest.fixture(scope="module")
def processor():
    from diffusers import QwenImageEditPipeline
    from transformers import Qwen2VLImageProcessor

    tokenizer = qwen_tokenizer(bare(QwenImageEditPipeline).prompt_template_encode)
    return QwenProcessor(tokenizer, Qwen2VLImageProcessor())


def picture(width: int, height: int) -> Image.Image:
    return Image.new("RGB", (width, height), (200, 40, 40))


def test_a_placeholder_becomes_the_tokens_of_its_picture(processor):
    """28 x 28 pixels are one token; pictures go to placeholders in their order, across texts."""
    texts = [f"a {SEEN} b {SEEN}", f"{SEEN} c"]
    pictures = [picture(56, 84), picture(84, 84), picture(112, 56)]
    found = processor(text=texts, images=pictures, padding=True, return_tensors="pt")
    tokens = [row.count(processor.image_token_id) for row in found["input_ids"].tolist()]
    assert tokens == [2 * 3 + 3 * 3, 4 * 2]
    assert torch.equal(found["mm_token_type_ids"], found["input_ids"] == processor.image_token_id)
    assert found["image_grid_thw"].tolist() == [[1, 6, 4], [1, 6, 6], [1, 4, 8]]


def test_text_alone_is_the_tokenizers(processor):
    """As the pipelines ask that read captions without pictures."""
    asked = {"padding": True, "return_tensors": "pt"}
    found = processor(text=["a red apple", "b"], images=None, videos=None, **asked)
    plain = processor.tokenizer(["a red apple", "b"], **asked)
    assert torch.equal(found["input_ids"], plain.input_ids)
    assert torch.equal(found["attention_mask"], plain.attention_mask)
    assert "pixel_values" not in found
    assert processor.decode(found["input_ids"][0]) == "a red apple"


def test_the_encoder_sees_where_in_the_picture_it_looks(processor):
    """It takes the pixels, and the modality gives their tokens positions by row and column."""
    encoder = qwen_vl().eval()
    seen = []
    encoder.model.language_model.register_forward_pre_hook(
        lambda _, args, kwargs: seen.append(kwargs["position_ids"]), with_kwargs=True
    )
    found = processor(text=f"{SEEN}a", images=[picture(84, 56)], return_tensors="pt")
    with torch.no_grad():
        encoder(**found)
    start = found["input_ids"][0].tolist().index(processor.image_token_id)
    rows, columns = seen[0][1:, 0, start : start + 6] - start
    assert rows.tolist() == [0, 0, 0, 1, 1, 1]
    assert columns.tolist() == [0, 1, 2, 0, 1, 2]


def test_it_stands_in_for_the_processor_of_a_pipeline(processor):
    """An edit pipeline encodes a caption and a picture with it, and the picture matters."""
    from diffusers import QwenImageEditPipeline

    pipe = bare(QwenImageEditPipeline)
    encoder = qwen_vl().eval()
    pipe.register_modules(text_encoder=encoder, tokenizer=processor.tokenizer, processor=processor)

    def encoded(color: tuple[int, int, int]) -> torch.Tensor:
        image = Image.new("RGB", (56, 56), color)
        with torch.no_grad():
            return pipe.encode_prompt("a red apple", image=[image], device="cpu")[0]

    red, blue = encoded((255, 0, 0)), encoded((0, 0, 255))
    behind = "<|vision_end|>a red apple<|im_end|>\n<|im_start|>assistant\n"
    assert red.shape[1] == 1 + 4 + len(processor.tokenizer(behind).input_ids)
    assert (red - blue).abs().max() > 1e-4
