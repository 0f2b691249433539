"""Samples find their masks and conditioning pictures, and are cut together."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from PIL import Image

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.data.prepare import make_loader, prepare
from trainer.errors import DataError

SIZES = ((64, 96), (200, 80))
RANDOM = {"position": "random", "aspect": "square"}


def mirrored(source: Path, target: Path, scale: int = 1, suffix: str = "") -> Path:
    """A partner of every picture: the same picture, `scale` times as large."""
    target.mkdir(parents=True, exist_ok=True)
    for path in source.glob("*.png"):
        with Image.open(path) as picture:
            size = (picture.width * scale, picture.height * scale)
            picture.resize(size, Image.Resampling.NEAREST).save(target / f"{path.stem}{suffix}.png")
    return target


def prepared(root: Path, *partners: dict, crop: dict | None = None, **more):
    found: list[dict] = []

    def on_event(kind: str, **fields) -> None:
        if kind == "finding":
            found.append(fields["finding"])

    conditioning = [
        {k: p[k] for k in ("dataset", "generate", "match", "options") if k in p} for p in partners
    ]
    sets = [
        {
            "id": p["dataset"],
            "path": str(root / p["dataset"]),
            "role": p.get("role", "conditioning"),
        }
        | p.get("more", {})
        for p in partners
        if "dataset" in p
    ]
    main = {"id": "a", "path": str(root / "a"), "conditioning": conditioning}
    main |= {"crop": crop} if crop else {}
    config = job(root, main, *sets, data=more)
    family = FakeFamily()
    made = prepare(config, family, on_event=on_event, should_stop=lambda: False)
    return made, family, config, found


def first_batch(made, family, config):
    with make_loader(made, family, config, 0) as loader:
        return next(iter(loader))


@pytest.mark.parametrize("scale", [1, 2])
def test_partner_is_cut_by_the_box_of_its_sample(tmp_path, scale):
    """A random crop of a picture and of its copy, also a larger one, show the same part."""
    make_folder(tmp_path / "a", 6, sizes=SIZES)
    mirrored(tmp_path / "a", tmp_path / "copy", scale)
    made, family, config, _ = prepared(tmp_path, {"dataset": "copy"}, crop=RANDOM)
    for item in made.plan_train.items():
        (partner,) = item.partners
        assert partner.placement == item.placement
    batch = first_batch(made, family, config)
    (control,) = batch.conditioning
    assert control.shape == batch.latents.shape
    assert (control - batch.latents).abs().mean() < 0.1  # the fake encoder adds noise of 0.01


def test_shuffled_partner_names_would_be_noticed(tmp_path):
    """The comparison above tells different pictures apart."""
    make_folder(tmp_path / "a", 2)
    make_folder(tmp_path / "copy", 2, seed=9)
    made, family, config, _ = prepared(tmp_path, {"dataset": "copy"})
    batch = first_batch(made, family, config)
    assert (batch.conditioning[0] - batch.latents).abs().mean() > 0.1


def test_mask_reaches_the_batch_at_latent_size(tmp_path):
    """The left half of the picture counts, the right half does not."""
    make_folder(tmp_path / "a", 4)
    (tmp_path / "masks").mkdir()
    for path in (tmp_path / "a").glob("*.png"):
        mask = Image.new("L", (64, 64), 0)
        mask.paste(255, (0, 0, 32, 64))
        mask.save(tmp_path / "masks" / path.name)
    made, family, config, _ = prepared(tmp_path, {"dataset": "masks", "role": "mask"})
    batch = first_batch(made, family, config)
    assert batch.masks is not None
    assert batch.masks.shape == (2, 1, *batch.latents.shape[-2:])
    width = batch.masks.shape[-1]
    assert torch.equal(
        batch.masks[..., : width // 2], torch.ones_like(batch.masks[..., : width // 2])
    )
    assert not batch.masks[..., width // 2 :].any()
    assert batch.conditioning == ()


def test_partners_beside_their_samples(tmp_path):
    """`p.mask.png` is the mask of `p.png`, and no sample of its own."""
    make_folder(tmp_path / "a", 3)
    mirrored(tmp_path / "a", tmp_path / "a", suffix=".mask")
    beside = {"path": str(tmp_path / "a"), "suffix": ".mask"}
    made, *_ = prepared(tmp_path, {"dataset": "m", "role": "mask", "more": beside})
    assert len(made.plan_train) == 3
    assert [i.partners[0].relpath for i in made.plan_train.items()] == [
        f"p{n:03d}.mask.png" for n in range(3)
    ]


def test_missing_partner_ends_the_run_or_costs_the_sample(tmp_path):
    """By default told as an error with the name; with skip the others are trained on."""
    make_folder(tmp_path / "a", 4)
    mirrored(tmp_path / "a", tmp_path / "copy")
    (tmp_path / "copy" / "p002.png").unlink()
    with pytest.raises(DataError, match="p002") as error:
        prepared(tmp_path, {"dataset": "copy"})
    assert error.value.finding.code == "DAT018"
    made, *_ = prepared(tmp_path, {"dataset": "copy"}, missing_partner="skip")
    assert len(made.plan_train) == 3
    assert str(made.funnels["a"]).endswith("caption 4 → pair 3 → used 3")


def test_mask_of_another_shape_is_told_with_both_sizes(tmp_path):
    """A strict partner cannot be cut by a box that does not fit it; a loose one may differ."""
    make_folder(tmp_path / "a", 2)
    mirrored(tmp_path / "a", tmp_path / "copy")
    Image.new("RGB", (64, 200), (9, 9, 9)).save(tmp_path / "copy" / "p001.png")
    with pytest.raises(DataError, match="64 x 64, but 64 x 200") as error:
        prepared(tmp_path, {"dataset": "copy"})
    assert error.value.finding.code == "DAT019"
    made, *_ = prepared(tmp_path, {"dataset": "copy", "match": "loose"})
    assert len(made.plan_train.pools) == 2  # partners of one batch have one size


def test_orphans_are_told(tmp_path):
    """A mask without a picture is named, and harms nothing."""
    make_folder(tmp_path / "a", 2)
    mirrored(tmp_path / "a", tmp_path / "copy")
    Image.new("RGB", (64, 64)).save(tmp_path / "copy" / "lost.png")
    made, _, _, found = prepared(tmp_path, {"dataset": "copy"})
    assert len(made.plan_train) == 2
    assert [(f["code"], f["evidence"]["files"]) for f in found] == [("DAT015", ["lost.png"])]


def test_several_partners_are_combined_or_drawn(tmp_path):
    """Combined: all in the configured order. Random: one a batch, and not always the same."""
    make_folder(tmp_path / "a", 4)
    mirrored(tmp_path / "a", tmp_path / "one")
    make_folder(tmp_path / "two", 4, seed=5)
    both = ({"dataset": "one"}, {"dataset": "two"})
    made, family, config, _ = prepared(tmp_path, *both)
    batch = first_batch(made, family, config)
    assert len(batch.conditioning) == 2
    assert (batch.conditioning[0] - batch.latents).abs().mean() < 0.1
    made, family, config, _ = prepared(tmp_path, *both, conditioning_mix="random")
    with make_loader(made, family, config, 0) as loader:
        drawn = [loader.make(n) for n in range(12)]
    assert {len(b.conditioning) for b in drawn} == {1}
    near = [bool((b.conditioning[0] - b.latents).abs().mean() < 0.1) for b in drawn]
    assert {True, False} == set(near)


def test_plan_hash_covers_the_partners(tmp_path):
    """Another mask under the same name is another training."""
    make_folder(tmp_path / "a", 2)
    mirrored(tmp_path / "a", tmp_path / "copy")
    first, *_ = prepared(tmp_path, {"dataset": "copy"})
    Image.new("RGB", (64, 64), (1, 2, 3)).save(tmp_path / "copy" / "p001.png")
    second, *_ = prepared(tmp_path, {"dataset": "copy"})
    assert first.plan_train.plan_hash != second.plan_train.plan_hash


def test_crop_variants_are_cached_and_drawn_by_visit(tmp_path):
    """Three crops of one picture are encoded once each; visits show all of them."""
    make_folder(tmp_path / "a", 2, sizes=((64, 256),))
    made, family, config, _ = prepared(tmp_path, crop=RANDOM | {"variants": 3})
    assert family.num_pictures == 6
    with make_loader(made, family, config, 0) as loader:
        boxes = {
            tuple(row)
            for step in range(12)
            for batch in [loader.make(step)]
            for row in batch.sizes[:, 2:4].tolist()
        }
    assert len(boxes) > 3
    _, family, _, _ = prepared(tmp_path, crop=RANDOM | {"variants": 3})
    assert family.num_pictures == 0
