"""LongCat-Image (families.md §4.18): a Flux-like packed transformer with text of Qwen2.5-VL.

What stands in quotation marks in a caption is read letter by letter. The text always has 512
tokens; those behind a short caption take part in attention, as in the original training. Positions
run on from the text to the picture, which stands on a diagonal behind it.

The edit checkpoint reads the picture in front of the caption, at half its size, and its denoiser
sees it behind the noisy one, in the same places but for the first id. As the pipeline does not
tell the text encoder which tokens are a picture, their places are counted in one row here too.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

import torch
from PIL.Image import Image
from torch import Tensor

from trainer.catalog.families.longcat_image import FACTS
from trainer.models.base import TextEntry
from trainer.models.condition import Condition
from trainer.models.packed_flow import PackedFlow
from trainer.models.parts.diffusers_classes import refined, scheduler
from trainer.models.parts.edit_sizes import AsGiven, module_of, resized
from trainer.models.parts.packing import image_ids, pack, unpack
from trainer.models.parts.qwen_processor import QwenProcessor
from trainer.models.request import ImageRequest


class LongCatImage(PackedFlow):
    facts = FACTS

    @torch.no_grad()
    def encode_text(self, captions: Sequence[str]) -> list[TextEntry]:
        embeds, _ = self._pipeline(text=True).encode_prompt(list(captions))
        return [{"prompt_embeds": row.clone()} for row in embeds.cpu()]

    @torch.no_grad()
    def encode_seen(
        self, captions: Sequence[str], pictures: Sequence[Sequence[Image]]
    ) -> list[TextEntry]:
        pipe = self._edit_pipeline(text=True)
        entries: list[TextEntry] = []
        for caption, (picture,) in zip(captions, pictures, strict=True):
            whole = resized(pipe, picture)
            half = pipe.image_processor.resize(whole, whole.height // 2, whole.width // 2)
            embeds, _ = pipe.encode_prompt([within(pipe, caption)], half)
            entries.append({"prompt_embeds": embeds[0].cpu()})
        return entries

    def forward(self, noisy: Tensor, time: Tensor, condition: Condition) -> Tensor:
        _, _, height, width = noisy.shape
        dtype = self.denoiser_dtype
        embeds = condition.text["prompt_embeds"].to(dtype)
        pictures = [noisy, *condition.references]
        sizes = tuple((picture.shape[2], picture.shape[3]) for picture in pictures)
        text, image = positions(embeds.shape[1], sizes, noisy.device)
        out = self.denoiser(
            hidden_states=torch.cat([pack(picture.to(dtype)) for picture in pictures], 1),
            encoder_hidden_states=embeds,
            timestep=time,
            txt_ids=text,
            img_ids=image,
            return_dict=False,
        )[0]
        return unpack(out[:, : height * width // 4], height, width)

    def probe_text(self) -> dict[str, tuple[int, ...]]:
        return {"prompt_embeds": (8, self.denoiser.config.joint_attention_dim)}

    def pipeline(self) -> Any:
        return self._pipeline(text=False)

    def edit_pipeline(self) -> Any:
        return self._edit_pipeline(text=False)

    def _pipeline(self, *, text: bool) -> Any:
        parts = self._parts(text=text)
        # the processor rewrites prompts, which is turned off
        return refined("LongCatImagePipeline", TextGiven)(**parts, text_processor=None)

    def _edit_pipeline(self, *, text: bool) -> Any:
        processor: Any = NoProcessor()
        if text:
            processor = QwenProcessor(self.tokenizers["tokenizer"], self.picture_processor)
        front = refined("LongCatImageEditPipeline", EditGiven)
        return front(**self._parts(text=text), text_processor=processor)

    def _parts(self, *, text: bool) -> dict[str, Any]:
        return {
            "scheduler": scheduler("FlowMatchEulerDiscreteScheduler", self.scheduler_config),
            "vae": None if text else self.modules.get("vae"),
            "text_encoder": self.modules["text_encoder"] if text else None,
            "tokenizer": self.tokenizers["tokenizer"] if text else None,
            "transformer": None if text else self.denoiser,
        }

    def pipeline_kwargs(
        self, text: TextEntry, negative: TextEntry | None, request: ImageRequest
    ) -> dict[str, Any]:
        guided = request.guidance > 1 and negative is not None
        kwargs = self.request_kwargs(request) | {
            "prompt_embeds": self.batched(text, "prompt_embeds"),
            "guidance_scale": request.guidance if guided else 1.0,
        }
        if request.pictures:
            del kwargs["width"], kwargs["height"]  # those of the picture
            kwargs["image"] = request.pictures[0]
        else:
            kwargs["enable_prompt_rewrite"] = False
        if guided and negative is not None:
            kwargs["negative_prompt_embeds"] = self.batched(negative, "prompt_embeds")
        return kwargs


class TextGiven:
    """In front of the pipeline: text that is encoded already has no prompt to count."""

    def encode_prompt(
        self, prompt: Any = None, image: Any = None, prompt_embeds: Any = None, **rest: Any
    ) -> tuple[Tensor, Tensor]:
        if prompt_embeds is not None:
            prompt = [""] * len(prompt_embeds)
        seen = {} if image is None else {"image": image}
        whole: Any = super()
        return whole.encode_prompt(prompt, prompt_embeds=prompt_embeds, **seen, **rest)


class EditGiven(TextGiven, AsGiven):
    """In front of the edit pipeline: text that is encoded already, pictures of any size."""


class NoProcessor:
    """For the edit pipeline, which looks into its processor even where all text is given."""

    image_processor = None


def within(pipe: Any, caption: str) -> str:
    """The caption up to the tokens that the text has room for: beyond, the edit pipeline fails."""
    left = pipe.tokenizer_max_length
    kept = ""
    for part, quoted in module_of(pipe).split_quotation(caption):
        for piece in part if quoted else (part,):
            ids = pipe.tokenizer(piece, add_special_tokens=False).input_ids
            if len(ids) > left:
                return kept if quoted else kept + pipe.tokenizer.decode(ids[:left])
            kept, left = kept + piece, left - len(ids)
    return caption


@lru_cache(maxsize=64)
def positions(
    text_tokens: int, sizes: tuple[tuple[int, int], ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Ids of text [L, 3] and of all pictures [S, 3], which count from 1 and share their places;
    in fp32: bf16 does not tell 512 from 513."""
    along = torch.arange(text_tokens, dtype=torch.float32, device=device)
    text = torch.stack([torch.zeros_like(along), along, along], 1)
    behind = torch.tensor([1.0, text_tokens, text_tokens], device=device)
    ids = [image_ids(*size, device, torch.float32, number) for number, size in enumerate(sizes)]
    return text, torch.cat(ids) + behind
