"""The demo that ships: complete, small, free of traces of the machine that made it, and working."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from bench.demo_model import recognise
from bench.demo_model.concepts import CONCEPTS, STYLE, held_out, wordings
from trainer.config.presets import BUILT_IN
from trainer.config.resolve import resolve

DEMO = BUILT_IN / "demo"
MODEL, PICTURES = DEMO / "model", DEMO / "pictures"
SETS = ("noto", "sticker", "sticker-heldout")


@pytest.fixture(scope="module")
def pipeline() -> Any:
    import torch
    from diffusers import FluxPipeline

    pipeline = FluxPipeline.from_pretrained(MODEL, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    return pipeline


def size_of(folder: Path) -> int:
    return sum(p.stat().st_size for p in folder.rglob("*") if p.is_file())


def test_the_demo_is_small() -> None:
    """A clone must not become heavy for the sake of a demo."""
    assert size_of(MODEL) < 14 << 20
    assert size_of(PICTURES) < 1 << 20


def test_nothing_tells_where_it_was_made() -> None:
    """Configurations carry no path of the building machine."""
    for path in [*DEMO.rglob("*.json"), *DEMO.rglob("*.toml")]:
        text = path.read_text()
        assert "/tmp" not in text, path
        assert "/home" not in text, path
        if path.suffix == ".json":
            assert not json.loads(text).get("_name_or_path"), path


def test_every_picture_has_its_caption_and_size() -> None:
    """104 concepts in the first style; the second one split without overlap."""
    stems = {name: {p.stem for p in (PICTURES / name).glob("*.png")} for name in SETS}
    assert stems["noto"] == set(CONCEPTS)
    assert stems["sticker-heldout"] == set(held_out())
    assert stems["sticker"] == set(CONCEPTS) - set(held_out())
    for name in SETS:
        for path in (PICTURES / name).glob("*.png"):
            captions = path.with_suffix(".txt").read_text().splitlines()
            plain = CONCEPTS[path.stem]
            assert captions == (wordings(plain) if name == "noto" else [f"{plain}, {STYLE}"])
            with Image.open(path) as picture:
                assert picture.size == (64, 64)


def test_the_licence_note_names_every_set() -> None:
    """Who made the pictures, and under which terms, stands beside them."""
    note = (DEMO / "LICENSE-pictures.md").read_text()
    for name in SETS:
        assert f"pictures/{name}/" in note
    for words in ("Apache License 2.0", "CC BY 4.0", "Twemoji", "Noto", "Changes"):
        assert words in note


def test_captions_fit_and_differ(pipeline: Any) -> None:
    """Both tokenizers keep every word within the context, and no two captions become one."""
    captions = [text for caption in CONCEPTS.values() for text in wordings(caption)]
    for tokenizer in (pipeline.tokenizer, pipeline.tokenizer_2):
        tokens = [tuple(tokenizer(c).input_ids) for c in captions]
        assert max(map(len, tokens)) <= 16
        assert len(set(tokens)) == len(captions)


@pytest.mark.parametrize("name", ["style", "pretrain"])
def test_the_job_files_are_valid(name: str) -> None:
    """Both files resolve without an error or a warning."""
    resolved = resolve(DEMO / f"{name}.toml")
    assert resolved.config is not None
    assert [f for f in resolved.findings if f.level != "info"] == []


def test_the_style_prompts_show_both_kinds() -> None:
    """Pictures are drawn in the style: of things it was taught with, and of held-out ones."""
    config = resolve(DEMO / "style.toml").config
    assert config is not None
    known = {f"{text}, {STYLE}": name for name, text in CONCEPTS.items()}
    names = {known[prompt] for prompt in config.validation.prompts}
    assert names & set(held_out())
    assert names - set(held_out())


def test_it_draws_what_it_is_asked_for(pipeline: Any) -> None:
    """Of 104 known pictures, the one of the caption is nearest to the drawing."""
    known = recognise.captioned(PICTURES / "noto")
    captions = list(known)
    asked = captions[::9]
    drawings = recognise.draw(pipeline, asked)
    found = [captions[i] for i in recognise.nearest(drawings, list(known.values()))]
    right = sum(a == b for a, b in zip(asked, found, strict=True))
    assert right >= len(asked) - 1, list(zip(asked, found, strict=True))


def test_the_autoencoder_keeps_the_pictures(pipeline: Any) -> None:
    """Encoded and decoded, pictures change by less than 0.06 of the range -1..1."""
    import numpy as np
    import torch

    paths = sorted((PICTURES / "sticker-heldout").glob("*.png"))
    rows = np.stack([np.asarray(Image.open(p).convert("RGB"), dtype=np.float32) for p in paths])
    pixels = torch.from_numpy(rows).permute(0, 3, 1, 2) / 127.5 - 1.0
    with torch.no_grad():
        latents = pipeline.vae.encode(pixels).latent_dist.mean
        error = (pipeline.vae.decode(latents).sample - pixels).abs().mean().item()
    config = pipeline.vae.config
    scaled = (latents - config.shift_factor) * config.scaling_factor
    assert error < 0.06
    assert math.isclose(scaled.std().item(), 1.0, abs_tol=0.25)
