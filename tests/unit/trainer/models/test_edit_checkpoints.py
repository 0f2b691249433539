"""Checkpoints that edit: which are taken, what their text caches are keyed by, long captions."""

from __future__ import annotations

import json
import shutil
from typing import Any

import pytest
import torch

from tests.support.edits import EDITS, edit_family, picture
from tests.support.families import random_latents, some_sizes, tiny_config, tiny_family
from tests.unit.trainer.models.test_forward import Reads
from trainer.adapters.build import build_trainable
from trainer.config.resolve import resolve
from trainer.errors import ConfigError
from trainer.models.condition import Condition

NAMES = list(EDITS)


def test_texts_of_two_templates_are_kept_apart(tiny_edit, tmp_path):
    """Edit and Edit-Plus may share every file of their text encoder; so do text and pictures."""
    path = tiny_edit("edit-v1")
    first, second = (edit_family(name, path).identity("text") for name in ("edit-v1", "edit-v2"))
    assert first != second
    assert first != tiny_family("qwen_image", path).identity("text")
    changed = shutil.copytree(path, tmp_path / "changed")
    config = changed / "processor" / "preprocessor_config.json"
    config.write_text(json.dumps(json.loads(config.read_text()) | {"image_mean": [0.1] * 3}))
    assert edit_family("edit-v1", changed).identity("text") != first


@pytest.mark.parametrize("name", NAMES)
def test_long_captions_are_cut_and_the_picture_is_not(name, tiny_edit):
    """The pipelines would fail, or cut the picture's tokens, or not cut at all."""
    family = edit_family(name, tiny_edit(name), "text", model={"max_tokens": 40} | _fixed(name))
    seen = [[picture()]] * 3
    short, long, longer = family.encode_seen(
        ["a red apple", "a red apple " * 400, "a 'red' apple " * 500], seen
    )
    tokens = [len(entry["prompt_embeds"]) for entry in (short, long, longer)]
    if name == "longcat":
        assert len(set(tokens)) == 1
    else:
        assert abs(tokens[1] - tokens[0] - (40 - 3)) <= 3
        assert abs(tokens[2] - tokens[1]) <= 3
    for entry in (long, longer):
        assert (entry["prompt_embeds"][-1] - short["prompt_embeds"][-1]).abs().max() > 1e-6
    other = family.encode_seen(["a red apple " * 400], [[picture(seed=8)]])[0]
    assert (other["prompt_embeds"] - long["prompt_embeds"]).abs().max() > 1e-4


def _fixed(name: str) -> dict[str, Any]:
    return {"max_tokens": None} if name == "longcat" else {}


def test_letters_of_a_long_quotation_are_cut(tiny_edit):
    """What is read letter by letter counts letters; a caption that just fits is whole."""
    from trainer.models.longcat_image import within

    family = edit_family("longcat", tiny_edit("longcat"), "text")
    pipe: Any = family._edit_pipeline(text=True)  # type: ignore[attr-defined]
    fits = "write '" + "x" * 500 + "'"
    assert within(pipe, fits) == fits
    cut = within(pipe, "write '" + "x" * 600 + "'")
    assert len(cut) < 520
    assert cut.startswith("write 'x")
    with torch.no_grad():
        pipe.encode_prompt([cut], picture(64, 64))


@pytest.mark.parametrize("name", NAMES)
def test_without_a_processor_there_is_a_finding(name, tiny_edit, tmp_path):
    """A checkpoint for text alone under the name of one that edits."""
    folder = shutil.copytree(tiny_edit(name), tmp_path / "bare")
    (folder / EDITS[name].folder / "preprocessor_config.json").unlink()
    with pytest.raises(ConfigError, match="ENV001"):
        edit_family(name, folder, "text")


def test_kandinsky_has_inputs_for_a_picture_or_not(tiny_edit, tiny_model):
    """Neither kind of checkpoint is taken for the other."""
    with pytest.raises(ConfigError, match="visual_cond"):
        tiny_family("kandinsky5_image", tiny_edit("i2i"), "denoiser")
    with pytest.raises(ConfigError, match="visual_cond"):
        edit_family("i2i", tiny_model("kandinsky5_image"), "denoiser")
    family = edit_family("i2i", tiny_edit("i2i"), "denoiser")
    assert family.denoiser.config.visual_cond
    assert family.probe().isfinite().all()


@pytest.mark.parametrize("name", NAMES)
def test_forward_with_references_reads_no_value(name, tiny_edit):
    """Not one `.item()` from noised latents to gradients, pictures behind the noisy one or not."""
    edit = EDITS[name]
    family = edit_family(name, tiny_edit(name), "text", "denoiser")
    entries = family.encode_seen(["a", "a red apple"], [[picture()]] * 2)
    config = tiny_config(edit.family, tiny_edit(name), model={"flavour": edit.flavour})
    build_trainable(config, family, torch.float32)
    noisy, time = random_latents(family), torch.tensor([0.2, 0.7])
    reference = random_latents(family, seed=1)
    told = Condition(family.collate_text(entries), some_sizes(), (reference,))
    family.forward(noisy, time, told)  # position ids are made at the first call of a shape
    with Reads() as reads:
        out = family.forward(noisy, time, told)
        out.square().mean().backward()
    assert reads.count == 0
    assert out.shape == noisy.shape


@pytest.mark.parametrize(
    ("family", "flavour", "repo"),
    [
        ("qwen_image", "edit-v1", "Qwen/Qwen-Image-Edit"),
        ("qwen_image", "edit-v2", "Qwen/Qwen-Image-Edit-2509"),
        ("qwen_image", "edit-v3", "Qwen/Qwen-Image-Edit-2511"),
        ("longcat_image", "edit", "meituan-longcat/LongCat-Image-Edit"),
        (
            "kandinsky5_image",
            "i2i-lite-sft",
            "kandinskylab/Kandinsky-5.0-I2I-Lite-sft-Diffusers",
        ),
        (
            "kandinsky5_image",
            "i2i-lite-pretrain",
            "kandinskylab/Kandinsky-5.0-I2I-Lite-pretrain-Diffusers",
        ),
    ],
)
def test_flavours(family, flavour, repo, tmp_path):
    """By the names that users know; and a job without pictures is told so."""
    text = (
        f'[model]\nfamily = "{family}"\nflavour = "{flavour}"\n[train]\nsteps = 1\n'
        '[[data.datasets]]\nid = "a"\npath = "."\n'
    )
    found = resolve(text, base_dir=tmp_path, env={})
    assert found.config is not None
    assert found.config.model.path == repo
    assert "CFG191" in {one.code for one in found.findings}
