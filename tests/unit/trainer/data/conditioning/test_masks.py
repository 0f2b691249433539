"""A mask lies over its latent exactly as it lies over its picture."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainer.data.conditioning.masks import mask_to_latent, read_mask
from trainer.data.geometry import MIDDLE, Draw, GeometrySpec, place

FACTOR = 8


def latent(mask: Image.Image, sample: tuple[int, int], spec: GeometrySpec, draw=MIDDLE, **how):
    """Mask of a sample of size `sample`, as the cache makes it."""
    placement = place(*sample, spec, draw)
    size = (placement.target[0] // FACTOR, placement.target[1] // FACTOR)
    return mask_to_latent(mask, placement, size, **how)


def test_every_latent_pixel_is_the_mean_of_its_area():
    """Without resizing: the mean of 8 x 8 pixels of the part that the crop keeps."""
    values = np.random.default_rng(0).integers(0, 256, (64, 128), dtype=np.uint8)
    spec = GeometrySpec(edge=64, align=8, aspect="square", position="random")
    placement = place(128, 64, spec, Draw(0.3, 0.0))
    assert placement.resize == (128, 64)
    assert placement.left not in (0, 64)
    found = latent(Image.fromarray(values), (128, 64), spec, Draw(0.3, 0.0))
    kept = values[:, placement.left : placement.left + 64]
    means = kept.reshape(8, 8, 8, 8).mean(axis=(1, 3))
    assert found.shape == (1, 8, 8)
    assert found.dtype == torch.uint8
    assert np.abs(found[0].numpy() - means).max() <= 1.0


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.0])
def test_a_mask_of_another_size_is_the_same_mask(scale: float):
    """Smaller and larger masks of one shape give what one of the sample's size gives."""
    sample, spec = (160, 96), GeometrySpec(area=64 * 64, align=16)

    def half(factor: float) -> Image.Image:
        mask = Image.new("L", (int(160 * factor), int(96 * factor)), 0)
        mask.paste(255, (0, 0, int(80 * factor), int(96 * factor)))
        return mask

    same, other = latent(half(1.0), sample, spec), latent(half(scale), sample, spec)
    assert (same.int() - other.int()).abs().max() <= 2
    width = same.shape[-1]
    assert (same[..., : width // 2 - 1] == 255).all()
    assert not same[..., width // 2 + 1 :].any()


SHAPES = st.tuples(st.integers(8, 300), st.integers(8, 300))
DRAWS = st.builds(Draw, st.floats(0, 0.999), st.floats(0, 0.999))
SPECS = st.builds(
    GeometrySpec,
    area=st.sampled_from([32 * 32, 64 * 64, 96 * 96]),
    align=st.sampled_from([8, 16]),
    aspect=st.sampled_from(["preserve", "square"]),
    position=st.sampled_from(["center", "random", "corner"]),
)


@settings(max_examples=80, deadline=None)
@given(SHAPES, SPECS, DRAWS, st.integers(1, 3))
def test_white_stays_white_and_black_black(sample, spec, draw, scale):
    """Whatever is cut and resized, no border leaks in: 255 and 0 to the last pixel."""
    size = (sample[0] * scale, sample[1] * scale)
    assert (latent(Image.new("L", size, 255), sample, spec, draw) == 255).all()
    assert not latent(Image.new("L", size, 0), sample, spec, draw).any()


def corner(mode: str, inside, outside) -> Image.Image:
    """64 x 64, the left upper quarter in one colour and the rest in another."""
    mask = Image.new(mode, (64, 64), outside)
    mask.paste(inside, (0, 0, 32, 32))
    return mask


def quarter(mask: Image.Image, **how: bool) -> set[tuple[int, int]]:
    """Values inside and outside of the quarter."""
    found = latent(mask, (64, 64), GeometrySpec(area=64 * 64, align=8), **how)[0]
    rest = found.clone()
    rest[:4, :4] = found[-1, -1]
    assert len(found[:4, :4].unique()) == len(rest.unique()) == 1
    return {(int(found[0, 0]), int(found[-1, -1]))}


def test_the_first_channel_counts():
    """Grey counts in part; green and blue do not count."""
    assert quarter(corner("L", 255, 0)) == {(255, 0)}
    assert quarter(corner("L", 90, 30)) == {(90, 30)}
    assert quarter(corner("RGB", (200, 0, 0), (7, 255, 255))) == {(200, 7)}
    assert quarter(corner("1", 1, 0)) == {(255, 0)}


def test_a_segmentation_counts_every_colour():
    """Any channel above 0, fully."""
    colours = corner("RGB", (0, 3, 0), (0, 0, 0))
    assert quarter(colours, segmentation=True) == {(255, 0)}
    assert quarter(colours) == {(0, 0)}
    palette = corner("RGB", (0, 0, 90), (0, 0, 0)).quantize(4)
    assert quarter(palette, segmentation=True) == {(255, 0)}


def test_an_inverted_mask_keeps_the_rest():
    """255 minus, also of a segmentation."""
    assert quarter(corner("L", 255, 0), invert=True) == {(0, 255)}
    assert quarter(corner("RGB", (0, 9, 0), 0), invert=True, segmentation=True) == {(0, 255)}


@pytest.mark.parametrize("colour", [(255, 255, 255, 0), (0, 0, 0, 0)])
def test_what_is_transparent_does_not_count(tmp_path, colour):
    """White painted on a transparent layer, whatever colour the layer has beneath."""
    corner("RGBA", (255, 255, 255, 255), colour).save(tmp_path / "m.png")
    assert quarter(read_mask(tmp_path / "m.png")) == {(255, 0)}
