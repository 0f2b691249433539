"""Captions with pictures as Qwen2.5-VL takes them, without torchvision.

The processor of transformers cannot be built without torchvision, although only films need it;
`AutoProcessor` then silently gives the bare tokenizer. This one does the part for text and
pictures: each placeholder of a picture is repeated once for every token that the picture becomes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

IMAGE_TOKEN = "<|image_pad|>"


class QwenProcessor:
    """Stands where a pipeline expects a `Qwen2VLProcessor`."""

    image_token = IMAGE_TOKEN

    def __init__(self, tokenizer: Any, image_processor: Any) -> None:
        self.tokenizer, self.image_processor = tokenizer, image_processor
        self.image_token_id: int = tokenizer.convert_tokens_to_ids(IMAGE_TOKEN)

    def __call__(
        self,
        *,
        text: str | Sequence[str],
        images: Any = None,
        videos: None = None,
        **tokenizing: Any,
    ) -> Any:
        """Token ids, their mask and modality, and the pixels of pictures with their grid."""
        from transformers import BatchFeature

        assert videos is None, "films are not read"
        texts = [text] if isinstance(text, str) else list(text)
        pictures = {} if images is None else self.image_processor(images, return_tensors="pt")
        tokens = self.tokenizer(self._expanded(texts, pictures), **tokenizing)
        ids = tokens["input_ids"]
        modality = [[int(i == self.image_token_id) for i in row] for row in ids]
        return BatchFeature(
            {**tokens, **pictures, "mm_token_type_ids": modality},
            tensor_type=tokenizing.get("return_tensors"),
        )

    def _expanded(self, texts: Sequence[str], pictures: Any) -> list[str]:
        """Texts with as many placeholders as tokens, for pictures in the order of the texts."""
        merged = self.image_processor.merge_size**2
        counts = iter((pictures["image_grid_thw"].prod(1) // merged).tolist() if pictures else ())
        parts = [text.split(IMAGE_TOKEN) for text in texts]
        return [
            first + "".join(IMAGE_TOKEN * next(counts) + part for part in rest)
            for first, *rest in parts
        ]

    def decode(self, *args: Any, **kwargs: Any) -> str:
        return self.tokenizer.decode(*args, **kwargs)
