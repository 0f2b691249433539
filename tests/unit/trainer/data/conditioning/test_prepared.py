"""Partners that are made, and masks that are read in their own way, arrive in batches."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.data.batch import Batch
from trainer.data.prepare import make_loader, prepare


def first_batch(root: Path, *partners: dict[str, Any], seed: int = 1) -> tuple[Batch, FakeFamily]:
    """A batch of four pictures with these partners, and who encoded it."""
    main = {"id": "a", "path": str(root / "a"), "conditioning": list(partners)}
    sets = [
        {"id": "m", "path": str(root / "m"), "role": "mask"}
        for partner in partners
        if partner.get("dataset") == "m"
    ]
    config = job(root, main, *sets)
    config = config.model_copy(
        update={
            "job": config.job.model_copy(update={"seed": seed}),
            "train": config.train.model_copy(update={"batch_size": 4}),
        }
    )
    family = FakeFamily()
    made = prepare(config, family, on_event=lambda *a, **k: None, should_stop=lambda: False)
    with make_loader(made, family, config, 0) as loader:
        return next(iter(loader)), family


def make_masks(root: Path, colour: tuple[int, int, int]) -> None:
    """The left half of every picture of `a` in a colour, the right half black."""
    (root / "m").mkdir()
    for path in (root / "a").glob("*.png"):
        mask = Image.new("RGB", (64, 64))
        mask.paste(colour, (0, 0, 32, 64))
        mask.save(root / "m" / path.name)


def test_random_masks_cover_what_they_should_and_differ_by_sample(tmp_path):
    """The same at the next start without making them again; another seed makes others."""
    make_folder(tmp_path / "a", 4)
    partner = {"generate": "random_masks", "options": {"min_coverage": 0.3, "max_coverage": 0.4}}
    batch, _ = first_batch(tmp_path, partner)
    assert batch.masks is not None
    assert batch.conditioning == ()
    for mask in batch.masks:
        assert 0.29 < mask.mean().item() < 0.41
    assert not torch.equal(batch.masks[0], batch.masks[1])
    again, _ = first_batch(tmp_path, partner)
    assert again.masks is not None
    order = [batch.sample_ids.index(i) for i in again.sample_ids]
    assert torch.equal(again.masks, batch.masks[order])
    other, _ = first_batch(tmp_path, partner, seed=2)
    assert other.masks is not None
    assert not torch.equal(other.masks.sort(0).values, batch.masks.sort(0).values)


def test_a_changed_option_makes_the_masks_again(tmp_path):
    """The cache does not answer with what other settings made."""
    make_folder(tmp_path / "a", 4)
    plain, _ = first_batch(tmp_path, {"generate": "random_masks"})
    turned, _ = first_batch(tmp_path, {"generate": "random_masks", "options": {"invert": True}})
    order = [plain.sample_ids.index(i) for i in turned.sample_ids]
    assert plain.masks is not None
    assert turned.masks is not None
    torch.testing.assert_close(turned.masks, 1.0 - plain.masks[order], atol=1.5 / 255, rtol=0.0)


@pytest.mark.parametrize(
    ("options", "inside", "outside"),
    [({}, 0.0, 0.0), ({"segmentation": True}, 1.0, 0.0), ({"invert": True}, 1.0, 1.0)],
)
def test_how_a_mask_is_read(tmp_path, options, inside, outside):
    """A green half: nothing by its red, all of it as a segmentation. One cache for all three."""
    make_folder(tmp_path / "a", 4)
    make_masks(tmp_path, (0, 200, 0))
    first_batch(tmp_path, {"dataset": "m"})
    batch, _ = first_batch(tmp_path, {"dataset": "m", "options": options})
    assert batch.masks is not None
    half = batch.masks.shape[-1] // 2
    assert (batch.masks[..., :half] == inside).all()
    assert (batch.masks[..., half:] == outside).all()


def test_two_masks_of_a_sample_are_multiplied(tmp_path):
    """What both keep is kept."""
    make_folder(tmp_path / "a", 4)
    make_masks(tmp_path, (255, 255, 255))
    both, _ = first_batch(tmp_path, {"dataset": "m"}, {"generate": "random_masks"})
    alone, _ = first_batch(tmp_path, {"generate": "random_masks"})
    assert both.masks is not None
    assert alone.masks is not None
    half = both.masks.shape[-1] // 2
    order = [alone.sample_ids.index(i) for i in both.sample_ids]
    assert torch.equal(both.masks[..., :half], alone.masks[order][..., :half])
    assert not both.masks[..., half:].any()


def test_a_made_picture_is_encoded_like_its_sample(tmp_path):
    """Blurred beyond recognition, each has its sample's mean colour; the sample is untouched."""
    make_folder(tmp_path / "a", 4)
    hard = {"blur_radius": 100.0, "blur_type": "box", "noise_level": 0.0}
    batch, family = first_batch(tmp_path, {"generate": "low_resolution", "options": hard})
    (made,) = batch.conditioning
    assert made.shape == batch.latents.shape
    assert family.num_pictures == 8
    detail = [latents[:, :3].std((2, 3)).mean() for latents in (made, batch.latents)]
    assert detail[0] < 0.3 * detail[1]
    for sample, partner in zip(batch.latents, made, strict=True):
        means = np.array([sample[:3].mean((1, 2)).tolist(), partner[:3].mean((1, 2)).tolist()])
        assert np.abs(means[0] - means[1]).max() < 0.25
