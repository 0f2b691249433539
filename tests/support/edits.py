"""Tiny checkpoints that edit pictures, and diffusers' own pipelines around them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from tests.support.families import tiny_config
from tests.support.kinds import kind_of
from tests.support.tiny import save
from tests.support.tiny_qwen import bare, qwen_tokenizer
from trainer import catalog
from trainer.models.base import Family, build_family
from trainer.models.longcat_image import NoProcessor
from trainer.models.parts.qwen_processor import QwenProcessor

MOST = 112 * 112  # pixels that the tiny text encoder is shown at most: 16 tokens


@dataclass(frozen=True, slots=True)
class Edit:
    """One flavour: how its pipeline is told of the processor, and what its template is called."""

    family: str
    flavour: str
    processor: str = "processor"
    template: str = "prompt_template_encode"
    config: Mapping[str, Any] = field(default_factory=dict)  # of the tiny denoiser

    @property
    def cls(self) -> Any:
        name = catalog.family_facts(self.family).flavours[self.flavour].pipeline_class
        assert name is not None
        return catalog.load(name.replace(".", ":", 1))

    @property
    def folder(self) -> str:
        slot = catalog.family_facts(self.family).processor_slot
        assert slot is not None
        return slot


EDITS = {
    "edit-v1": Edit("qwen_image", "edit-v1"),
    "edit-v2": Edit("qwen_image", "edit-v2"),
    "edit-v3": Edit("qwen_image", "edit-v3", config={"zero_cond_t": True}),
    "longcat": Edit("longcat_image", "edit", "text_processor", "prompt_template_encode_prefix"),
    "i2i": Edit(
        "kandinsky5_image",
        "i2i-lite-sft",
        "tokenizer",
        "prompt_template",
        {"visual_cond": True},
    ),
}


def make_edit(name: str, folder: Path) -> Path:
    """A tiny checkpoint in the layout of the published ones."""
    edit = EDITS[name]

    def build() -> Any:
        built = kind_of(edit.family).build(**edit.config)
        built.register_modules(tokenizer=qwen_tokenizer(template(edit)))
        return built

    save(build, folder)
    image_processor().save_pretrained(folder / edit.folder)
    return folder


def template(edit: Edit) -> str:
    blank = {"text_processor": NoProcessor()} if edit.processor == "text_processor" else {}
    return getattr(bare(edit.cls, **blank), edit.template)


def image_processor() -> Any:
    from transformers import Qwen2VLImageProcessor

    return Qwen2VLImageProcessor(size={"shortest_edge": 56 * 56, "longest_edge": MOST})


def edit_family(name: str, path: Path, *which: str, **changes: Any) -> Family:
    """The family in fp32 on the CPU with the named component groups loaded."""
    edit = EDITS[name]
    model = {"flavour": edit.flavour} | changes.pop("model", {})
    config = tiny_config(edit.family, path, model=model, **changes)
    family = build_family(config, torch.device("cpu"), torch.float32)
    for part in which:
        family.load(part)  # type: ignore[arg-type]
    return family


def whole_pipeline(name: str, path: Path) -> Any:
    """The edit pipeline with all of its parts, as diffusers has it."""
    edit = EDITS[name]
    base = catalog.load(catalog.family_facts(edit.family).pipeline_class.replace(".", ":", 1))
    parts = dict(base.from_pretrained(path, **kind_of(edit.family).loading).components)
    parts[edit.processor] = QwenProcessor(parts["tokenizer"], image_processor())
    pipe = edit.cls(**parts)
    pipe.set_progress_bar_config(disable=True)
    return pipe


def picture(width: int = 64, height: int = 64, seed: int = 3) -> Image.Image:
    values = np.random.default_rng(seed).integers(0, 255, (height, width, 3), dtype=np.uint8)
    return Image.fromarray(values)
