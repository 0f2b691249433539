"""Geometry: one pure function, checked by properties over all sizes and by a small table."""

from __future__ import annotations

from math import sqrt

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trainer.data.geometry import (
    MAX_ASPECT,
    GeometrySpec,
    Placement,
    enlargement,
    place,
    target_size,
)

fast = settings(deadline=None)
lengths = st.integers(1, 20_000)
draws = st.tuples(st.floats(0, 1, exclude_max=True), st.floats(0, 1, exclude_max=True))
specs = st.builds(
    GeometrySpec,
    area=st.integers(64 * 64, 2048 * 2048),
    align=st.sampled_from([8, 16, 32, 64]),
    aspect=st.sampled_from(["preserve", "square"]),
    position=st.sampled_from(["center", "random", "corner"]),
) | st.builds(
    GeometrySpec,
    edge=st.integers(64, 2048),
    align=st.sampled_from([8, 16, 32, 64]),
    aspect=st.sampled_from(["preserve", "square"]),
    position=st.sampled_from(["center", "random", "corner"]),
)


@fast
@given(lengths, lengths, specs, draws)
def test_target_is_aligned_and_crop_box_lies_inside(w, h, spec, draw):
    """Every target is a multiple of the alignment and the crop box is inside the picture."""
    p = place(w, h, spec, draw)
    assert p.target[0] % spec.align == 0 == p.target[1] % spec.align
    left, top, right, bottom = p.box
    assert 0 <= left < right <= p.resize[0]
    assert 0 <= top < bottom <= p.resize[1]
    assert (right - left, bottom - top) == p.target


@fast
@given(lengths, lengths, specs, draws)
def test_resize_is_the_smallest_cover_in_the_own_shape(w, h, spec, draw):
    """One axis is met exactly, and the shape is kept to half a pixel."""
    p = place(w, h, spec, draw)
    assert p.resize[0] == p.target[0] or p.resize[1] == p.target[1]
    scale = max(p.target[0] / w, p.target[1] / h)
    assert abs(p.resize[0] - w * scale) <= 0.5 + 1e-6 * p.resize[0]
    assert abs(p.resize[1] - h * scale) <= 0.5 + 1e-6 * p.resize[1]


@fast
@given(lengths, lengths, specs)
def test_turning_the_picture_turns_the_bucket(w, h, spec):
    """A portrait and its landscape twin get mirrored buckets."""
    turned = target_size(h, w, spec)
    assert target_size(w, h, spec) == (turned[1], turned[0])


@fast
@given(lengths, lengths, specs)
def test_area_and_aspect_stay_within_bounds(w, h, spec):
    """No shape leads to a huge or sliver-like target, however extreme the picture."""
    tw, th = target_size(w, h, spec)
    nominal = spec.area or spec.edge**2 * min(max(w, h) / min(w, h), MAX_ASPECT)
    slack = 1 + spec.align * 3 / min(tw, th)
    assert tw * th <= max(nominal * slack, (2 * spec.align) ** 2 * MAX_ASPECT)
    assert max(tw, th) <= (MAX_ASPECT * sqrt(nominal)) + spec.align


@fast
@given(lengths, lengths, specs, draws)
def test_only_random_looks_at_the_draw(w, h, spec, draw):
    """Placement without random crop is a function of the size alone."""
    if spec.position != "random":
        assert place(w, h, spec, draw) == place(w, h, spec)


@pytest.mark.parametrize(
    ("size", "spec", "target"),
    [
        ((1024, 1024), GeometrySpec(area=512 * 512), (512, 512)),
        ((1920, 1080), GeometrySpec(area=1024 * 1024), (1344, 768)),
        ((1080, 1920), GeometrySpec(area=1024 * 1024), (768, 1344)),
        ((1920, 1080), GeometrySpec(edge=512), (896, 512)),
        ((1500, 1490), GeometrySpec(area=500_000), (704, 704)),
        ((4000, 100), GeometrySpec(area=512 * 512), (1024, 256)),
        ((640, 480), GeometrySpec(area=64 * 64, align=8), (72, 56)),
        ((640, 480), GeometrySpec(area=512 * 512, aspect="square"), (512, 512)),
    ],
)
def test_known_sizes(size, spec, target):
    """A table of sizes whose buckets are worked out by hand."""
    assert target_size(*size, spec) == target


def test_random_crop_reaches_both_ends():
    """The draw covers the whole free range, ends included."""
    spec = GeometrySpec(area=64 * 64, align=64, aspect="square", position="random")
    assert place(128, 64, spec, (0.0, 0.0)).left == 0
    assert place(128, 64, spec, (0.999999, 0.999999)).left == 64


def test_enlargement_tells_small_pictures():
    """A picture below the training size reports the factor by which it is enlarged."""
    spec = GeometrySpec(area=512 * 512)
    assert enlargement(256, 256, place(256, 256, spec)) == 2.0
    assert enlargement(1024, 1024, place(1024, 1024, spec)) == 0.5
    assert isinstance(place(10, 10, spec), Placement)
