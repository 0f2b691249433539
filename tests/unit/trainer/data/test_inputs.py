"""Pictures that validation edits, and references in the caches."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.data.inputs import fitted, read_inputs
from trainer.data.prepare import prepare
from trainer.errors import ConfigError


def test_the_picture_keeps_its_shape_in_the_area_asked_for():
    """Sides are multiples, the area is about right, nothing is cut."""
    made = fitted(Image.new("RGB", (1000, 500)), 512 * 512, 16)
    assert made.size == (720, 368)
    assert fitted(Image.new("RGB", (4000, 10)), 64 * 64, 16).height == 16


def test_a_picture_that_cannot_be_read_is_told_before_anything_else(tmp_path):
    """No scan and no encoder before the wrong path is named."""
    make_folder(tmp_path / "a", 2)
    given = {"inputs": [{"path": str(tmp_path / "none.png"), "prompt": "x"}]}
    config = job(tmp_path, {"id": "a", "path": str(tmp_path / "a")}, validation=given)
    with pytest.raises(ConfigError) as error:
        prepare(config, FakeFamily(), on_event=lambda *_, **__: None, should_stop=lambda: False)
    assert [f.code for f in error.value.findings] == ["DAT042"]
    assert not (tmp_path / "cache").exists()
    off = config.model_copy(
        update={"validation": config.validation.model_copy(update={"enabled": False})}
    )
    assert read_inputs(off, FakeFamily().facts) == []


def test_references_are_means_and_samples_are_drawn(tmp_path):
    """A partner is encoded as the pipelines do, without noise; the sample beside it is not."""
    make_folder(tmp_path / "a", 2)
    (tmp_path / "b").mkdir()
    for file in sorted((tmp_path / "a").glob("*.png")):
        Image.open(file).save(tmp_path / "b" / file.name)
    sets = [
        {"id": "a", "path": str(tmp_path / "a"), "conditioning": [{"dataset": "b"}]},
        {"id": "b", "path": str(tmp_path / "b"), "role": "conditioning"},
    ]
    family = FakeFamily()
    config = job(tmp_path, *sets)
    made = prepare(config, family, on_event=lambda *_, **__: None, should_stop=lambda: False)
    item = next(iter(made.plan_train.items()))
    dataset = made.plan_train.dataset(0)
    batch = made.reader(family).batch([item], [0], [item.captions[0]], dataset)
    family.load("vae")
    from trainer.data.media import MediaReader

    pixels = MediaReader(torch.device("cpu")).read(item)
    mean, _ = family.posterior(pixels[None])
    assert torch.equal(batch.condition.references[0], mean)
    assert not torch.equal(batch.latents, mean)
    assert Path(item.partners[0].source.name).name == "b"
