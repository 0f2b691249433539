"""Embeddings of pictures: made once, beside the latents, told to the share of samples asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer.cache.stat import stat
from trainer.data.batch import Batch
from trainer.data.prepare import Prepared, make_loader, prepare

COUNT = 8


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_folder(tmp_path / "a", COUNT)
    return tmp_path


def start(root: Path, family: FakeFamily, **more: Any) -> Prepared:
    config = job(root, {"id": "a", "path": str(root / "a")} | more)
    return prepare(config, family, on_event=lambda *_, **__: None, should_stop=lambda: False)


def batches(root: Path, family: FakeFamily, count: int = 24, workers: int = 0) -> list[Batch]:
    config = job(root, {"id": "a", "path": str(root / "a")}, data={"workers": workers})
    made = prepare(config, family, on_event=lambda *_, **__: None, should_stop=lambda: False)
    with make_loader(made, family, config, 0) as loader:
        return [batch for batch, _ in zip(loader, range(count), strict=False)]


def own(family: FakeFamily, prepared: Prepared) -> dict[int, torch.Tensor]:
    """What the encoder says of each sample's file, asked directly."""
    from PIL import Image

    family.load("image")
    return {
        item.sample_id: family.encode_images(
            [Image.open(Path(item.source.name) / item.relpath).convert("RGB")]
        )[0]
        for item in prepared.plan_train.items()
    }


def test_each_picture_is_embedded_once(root):
    """The second start loads no encoder; a family that is told nothing has no such store."""
    family = FakeFamily(embeds_of="sample")
    start(root, family)
    assert family.num_embedded == COUNT
    assert family.loaded == set()
    again = FakeFamily(embeds_of="sample")
    start(root, again)
    assert not again.loads
    assert {row["kind"] for row in stat(root / "cache")["stores"]} >= {"image_embeds", "latents"}


def test_another_image_encoder_makes_no_other_latent(root):
    """Its identity is part of the embedding's key, and of no other."""
    start(root, FakeFamily(embeds_of="sample"))
    other = FakeFamily(embeds_of="sample", image="image-2")
    start(root, other)
    assert (other.num_embedded, other.num_pictures, other.captions) == (COUNT, 0, [])
    plain = FakeFamily(vae="vae-2")
    start(root, plain)
    assert (plain.num_embedded, plain.num_pictures) == (0, COUNT)


def test_a_sample_is_told_its_own_picture(root):
    """Every row of every batch is the embedding of the picture of that row."""
    family = FakeFamily(embeds_of="sample")
    expected = own(family, start(root, family))
    for batch in batches(root, family):
        rows = batch.condition.image_embeds
        assert rows is not None
        for sample, row in zip(batch.sample_ids, rows, strict=True):
            torch.testing.assert_close(row, expected[sample], atol=1.5, rtol=0)
    colours = torch.stack(list(expected.values()))
    assert (colours.std(0) > 5).any()  # mixed-up rows would have been seen


def test_the_share_is_drawn_by_sample_and_visit(root):
    """About half are told, another half at the next visit; threads change none of it."""
    family = FakeFamily(embeds_of="sample")
    family.image_embeds_share = 0.5
    plain = batches(root, family)
    told = {
        (sample, visit): bool(row.any())
        for batch in plain
        for sample, visit, row in zip(
            batch.sample_ids, batch.visits, batch.image_embeds, strict=True
        )
    }
    share = sum(told.values()) / len(told)
    assert 0.2 < share < 0.8
    assert len({told[key] for key in told if key[0] == plain[0].sample_ids[0]}) == 2
    for ours, theirs in zip(plain, batches(root, family, workers=3), strict=True):
        assert torch.equal(ours.image_embeds, theirs.image_embeds)


def test_a_partner_is_embedded_where_the_family_looks_at_partners(root):
    """`of = "reference"`: the picture that the sample is made from, not the sample."""
    family = FakeFamily(embeds_of="reference")
    made = start(root, family, conditioning=[{"generate": "canny"}])
    assert family.num_embedded == COUNT
    item = next(iter(made.plan_train.items()))
    dataset = made.plan_train.dataset(0)
    batch = made.reader(family).batch([item], [0], [item.captions[0]], dataset)
    row = batch.image_embeds[0]
    assert row.std() < 1e-3  # edges are grey
    assert own(family, made)[item.sample_id].std() > 1.0
