"""Masks: what they keep counts, how they are normalised, when they are used."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from trainer.config.schema.loss import MaskConfig
from trainer.objective.losses import reduce_samples
from trainer.objective.masks import drawn_weights


def weights(masks: torch.Tensor, visits: list[int] | None = None, **config) -> torch.Tensor:
    ids = list(range(len(masks)))
    found = drawn_weights(masks, MaskConfig(**config), 7, ids, visits or [0] * len(ids))
    assert found is not None
    return found


def test_no_mask_is_no_weight():
    """Batches without masks pass through untouched, whatever the settings."""
    assert drawn_weights(None, MaskConfig(probability=0.5, normalise=True), 1, [1], [0]) is None


@given(st.floats(0.05, 1.0), st.integers(1, 64))
def test_a_normalised_mask_does_not_depend_on_its_area(value: float, kept: int):
    """Of a constant error the mean over what is kept is that error; plainly it is its share."""
    mask = torch.zeros(1, 1, 8, 8)
    mask.view(-1)[:kept] = value
    error = torch.full((1, 4, 8, 8), 3.0)
    normal = reduce_samples(error, None, weights(mask, normalise=True))
    plain = reduce_samples(error, None, weights(mask))
    assert normal.item() == pytest.approx(3.0, rel=1e-4)
    assert plain.item() == pytest.approx(3.0 * value * kept / 64, rel=1e-4)


def test_an_empty_mask_costs_nothing_also_when_normalised():
    """0 / 0 would be NaN and end the run."""
    found = weights(torch.zeros(2, 1, 4, 4), normalise=True)
    assert torch.equal(found, torch.zeros(2, 1, 4, 4))


def test_what_is_left_out_can_count_a_little():
    """The least weight lifts zeros and leaves the rest."""
    mask = torch.tensor([0.0, 0.05, 0.5, 1.0]).view(1, 1, 2, 2)
    found = weights(mask, unmasked_weight=0.1)
    assert found.flatten().tolist() == pytest.approx([0.1, 0.1, 0.5, 1.0])


def test_the_share_of_draws_with_a_mask():
    """By sample and visit: the asked share, the same at every call, other samples otherwise."""
    count = 2000
    masks = torch.zeros(count, 1, 2, 2)
    used = weights(masks, probability=0.3)[:, 0, 0, 0] == 0.0
    assert used.float().mean().item() == pytest.approx(0.3, abs=0.04)
    assert torch.equal(used, weights(masks, probability=0.3)[:, 0, 0, 0] == 0.0)
    later = weights(masks, visits=[1] * count, probability=0.3)[:, 0, 0, 0] == 0.0
    assert (used & later).float().mean().item() == pytest.approx(0.09, abs=0.03)
    assert not (weights(masks, probability=0.0) == 0.0).any()
    assert not weights(masks, probability=1.0).any()


def test_a_sample_without_its_mask_counts_as_a_whole():
    """Only the mask is left out of a draw, not the sample."""
    masks = torch.full((50, 1, 2, 2), 0.25)
    found = weights(masks, probability=0.5)
    assert set(found.unique().tolist()) == {0.25, 1.0}
    assert all(len(row.unique()) == 1 for row in found)


def test_the_mask_of_a_video_holds_for_all_its_frames():
    """[B, 1, h, w] against [B, C, frames, h, w]: frames and channels alike, samples apart."""
    error = torch.ones(2, 3, 5, 4, 4)
    mask = torch.zeros(2, 1, 4, 4)
    mask[0, :, :2] = 1.0
    error[0, :, :, 2:] = 100.0  # hidden
    error[1] = 100.0
    assert reduce_samples(error, None, mask).item() == pytest.approx(0.25)


def test_masks_and_sample_weights_multiply():
    """Min-SNR acts on what the mask has left."""
    error, mask = torch.ones(2, 1, 2, 2), torch.tensor([1.0, 0.5]).view(2, 1, 1, 1)
    found = reduce_samples(error, torch.tensor([1.0, 4.0]), mask.expand(2, 1, 2, 2))
    assert found.item() == pytest.approx((1.0 + 2.0) / 2)
