"""Geometry: one pure function, checked by properties over all sizes and by a small table."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from math import log, sqrt

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from trainer.config.units import Resolution, parse_resolution
from trainer.data.geometry import (
    MAX_ASPECT,
    Downsample,
    Draw,
    GeometrySpec,
    Placement,
    drawn,
    enlargement,
    kept_share,
    place,
    place_like,
    shape_number,
    target_size,
)
from trainer.data.refusal import MAX_RESIZED, refusal

fast = settings(deadline=None)
lengths = st.integers(1, 20_000)
units = st.floats(0, 1, exclude_max=True)
draws = st.builds(Draw, units, units, units)
foci = st.none() | st.tuples(st.floats(0, 1), st.floats(0, 1))
resolutions = st.builds(Resolution, st.integers(64 * 64, 2048 * 2048), st.none()) | st.builds(
    Resolution, st.none(), st.integers(64, 2048)
)
shapes = st.lists(st.floats(0.25, 4.0), min_size=1, max_size=5).map(tuple)


@st.composite
def specs(draw: st.DrawFn, sizes: str = "native") -> GeometrySpec:
    size = draw(resolutions)
    aspects = draw(shapes)
    weighted = st.lists(st.floats(0.1, 9), min_size=len(aspects), max_size=len(aspects)).map(tuple)
    return GeometrySpec(
        area=size.area,
        edge=size.edge,
        sizes=sizes,  # pyright: ignore[reportArgumentType]
        align=draw(st.sampled_from([8, 16, 32, 64])),
        aspect=draw(st.sampled_from(["preserve", "square", "closest", "random"])),
        aspects=aspects,
        weights=draw(st.just(()) | weighted),
        position=draw(st.sampled_from(["center", "random", "corner", "face"])),
        downsample=draw(st.none() | st.builds(Downsample, resolutions, resolutions)),
    )


both = specs() | specs("reference")


@fast
@given(lengths, lengths, both, draws, foci)
def test_target_is_aligned_and_crop_box_lies_inside(w, h, spec, draw, focus):
    """Every target is a multiple of the alignment and the crop box is inside the picture."""
    p = place(w, h, spec, draw, focus)
    assert p.target[0] % spec.align == 0 == p.target[1] % spec.align
    left, top, right, bottom = p.box
    assert 0 <= left < right <= p.resize[0]
    assert 0 <= top < bottom <= p.resize[1]
    assert (right - left, bottom - top) == p.target
    assert p.target == target_size(w, h, spec, draw)


@fast
@given(lengths, lengths, specs(), draws, foci)
def test_resize_is_the_smallest_cover_in_the_own_shape(w, h, spec, draw, focus):
    """Without downsampling at most one axis is cut, and the shape is kept to half a pixel."""
    p = place(w, h, replace(spec, downsample=None), draw, focus)
    assert p.resize[0] == p.target[0] or p.resize[1] == p.target[1]
    scale = max(p.target[0] / w, p.target[1] / h)
    assert abs(p.resize[0] - w * scale) <= 0.5 + 1e-6 * p.resize[0]
    assert abs(p.resize[1] - h * scale) <= 0.5 + 1e-6 * p.resize[1]


@fast
@given(lengths, lengths, specs(), draws)
def test_downsampling_changes_the_cut_and_never_the_bucket(w, h, spec, draw):
    """It keeps the shape, enlarges nothing beyond the smallest cover, and leaves others alone."""
    plain = place(w, h, replace(spec, downsample=None), draw)
    p = place(w, h, spec, draw)
    assert p.target == plain.target
    assert p.resize[0] >= plain.resize[0]
    assert p.resize[1] >= plain.resize[1]
    if p.resize == plain.resize:
        return
    assert spec.downsample is not None
    above = spec.downsample.above
    assert w * h > above.area if above.area else min(w, h) > above.edge
    assert p.resize[0] <= w
    assert p.resize[1] <= h
    assert abs(p.resize[0] * h - p.resize[1] * w) <= (w + h) / 2  # half a pixel on each side


@fast
@given(lengths, lengths, specs())
def test_turning_the_picture_turns_the_bucket(w, h, spec):
    """A portrait and its landscape twin get mirrored buckets."""
    assume(spec.aspect in ("preserve", "square"))
    turned = target_size(h, w, spec)
    assert target_size(w, h, spec) == (turned[1], turned[0])


@fast
@given(lengths, lengths, specs(), draws)
def test_area_and_aspect_stay_within_bounds(w, h, spec, draw):
    """No shape leads to a huge or sliver-like target, however extreme the picture."""
    tw, th = target_size(w, h, spec, draw)
    nominal = spec.area or spec.edge**2 * MAX_ASPECT
    slack = 1 + spec.align * 3 / min(tw, th)
    assert tw * th <= max(nominal * slack, (2 * spec.align) ** 2 * MAX_ASPECT)
    assert max(tw, th) <= (MAX_ASPECT * sqrt(nominal)) + spec.align


@fast
@given(lengths, lengths, both, draws, foci)
def test_only_what_is_random_looks_at_the_draw(w, h, spec, draw, focus):
    """A placement without random place or shape is a function of the size alone, and only a crop
    by the face looks at the face."""
    if not spec.varied:
        assert target_size(w, h, spec, draw) == target_size(w, h, spec)
    if not (spec.varied or spec.moved):
        assert place(w, h, spec, draw) == place(w, h, spec)
    if spec.position != "face":
        assert place(w, h, spec, draw, focus) == place(w, h, spec, draw)


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
        ((640, 480), GeometrySpec(edge=512, aspect="closest", aspects=(0.5, 1.5)), (768, 512)),
        ((480, 640), GeometrySpec(edge=512, aspect="closest", aspects=(0.5, 1.5)), (512, 1024)),
        ((640, 480), GeometrySpec(edge=512, aspect="closest", aspects=(2.0,)), (1024, 512)),
    ],
)
def test_known_sizes(size, spec, target):
    """A table of sizes whose buckets are worked out by hand."""
    assert target_size(*size, spec) == target


# --- shapes from a list ---------------------------------------------------------------------------


@fast
@given(lengths, lengths, shapes)
def test_closest_is_the_shape_of_which_least_is_lost(w, h, aspects):
    """No other listed shape keeps more of the picture (before rounding to the alignment)."""
    spec = GeometrySpec(edge=64, align=1, aspect="closest", aspects=aspects)
    tw, th = target_size(w, h, spec)
    chosen = min(abs(log(tw / th) - log(a)) for a in aspects)
    assert chosen < 0.02  # it is one of the list
    loss = abs(log(tw / th) - log(w / h))
    assert loss <= min(abs(log(a) - log(w / h)) for a in aspects) + 0.02


def test_of_two_shapes_at_one_distance_the_first_is_taken():
    """A square lies between 1:2 and 2:1; the order of the list decides."""
    spec = GeometrySpec(edge=512, aspect="closest", aspects=(2.0, 0.5))
    assert target_size(100, 100, spec) == (1024, 512)
    assert target_size(100, 100, replace(spec, aspects=(0.5, 2.0))) == (512, 1024)


def test_drawn_shapes_follow_their_weights():
    """Over many pictures each shape is drawn as often as its weight says, and all alike without
    weights."""
    spec = GeometrySpec(edge=64, aspect="random", aspects=(0.5, 1.0, 2.0), weights=(1, 0, 3))
    many = 4000
    counted = Counter(shape_number(spec, drawn(1, n).shape) for n in range(many))
    assert counted[1] == 0
    assert abs(counted[2] / many - 0.75) < 0.03
    alike = Counter(shape_number(replace(spec, weights=()), drawn(1, n).shape) for n in range(many))
    assert all(abs(count / many - 1 / 3) < 0.03 for count in alike.values())


@fast
@given(lengths, lengths, specs(), st.integers(0, 9), st.integers(0, 2**64))
def test_variants_of_a_picture_share_their_bucket(w, h, spec, seed, picture):
    """They lie elsewhere, but can be drawn from in one place of the plan."""
    targets = {target_size(w, h, spec, drawn(seed, picture, variant)) for variant in range(4)}
    assert len(targets) == 1


# --- where the crop lies -----------------------------------------------------------------------


def test_random_crop_reaches_both_ends():
    """The draw covers the whole free range, ends included."""
    spec = GeometrySpec(area=64 * 64, align=64, aspect="square", position="random")
    assert place(128, 64, spec, Draw(0.0, 0.0)).left == 0
    assert place(128, 64, spec, Draw(0.999999, 0.999999)).left == 64


def test_random_crops_are_spread_evenly():
    """Pictures, and variants of one picture, land in every tenth of the free range equally."""
    spec = GeometrySpec(area=64 * 64, align=64, aspect="square", position="random")
    for many in ([drawn(3, n) for n in range(4000)], [drawn(3, 7, v) for v in range(4000)]):
        lefts = Counter(place(64 + 99, 64, spec, draw).left // 10 for draw in many)
        assert set(lefts) == set(range(10))
        assert all(abs(count - 400) < 80 for count in lefts.values())  # four standard deviations


def test_draws_are_fixed_by_seed_picture_and_variant():
    """The same crop at every start; another seed, picture or variant gives another place."""
    assert drawn(1, 2, 3) == drawn(1, 2, 3)
    assert len({drawn(1, 2, 3), drawn(2, 2, 3), drawn(1, 3, 3), drawn(1, 2, 4)}) == 4


@fast
@given(st.tuples(st.floats(0, 1), st.floats(0, 1)), lengths, lengths)
def test_a_face_is_kept_in_the_middle_where_the_picture_allows(focus, w, h):
    """Its centre is at most half a pixel off the centre of the crop, or the crop is at an edge."""
    spec = GeometrySpec(edge=64, aspect="square", position="face")
    p = place(w, h, spec, Draw(), focus)
    for axis, (start, share) in enumerate(zip((p.left, p.top), focus, strict=True)):
        free = p.resize[axis] - p.target[axis]
        middle = start + p.target[axis] / 2
        centred = abs(middle - share * p.resize[axis]) <= 0.5 + 1e-6 * p.resize[axis]
        assert centred or start in (0, free)


def test_without_a_face_the_crop_is_drawn():
    """Position face falls back to the random place of the picture."""
    face = GeometrySpec(edge=64, aspect="square", position="face")
    draw = Draw(0.9, 0.1)
    assert place(500, 64, face, draw) == place(500, 64, replace(face, position="random"), draw)


# --- what is refused, and what is lost -----------------------------------------------------------


def test_enlargement_tells_small_pictures():
    """A picture below the training size reports the factor by which it is enlarged."""
    spec = GeometrySpec(area=512 * 512)
    assert enlargement(256, 256, place(256, 256, spec)) == 2.0
    assert enlargement(1024, 1024, place(1024, 1024, spec)) == 0.5
    assert kept_share(place(1024, 512, replace(spec, aspect="square"))) == 0.5
    assert isinstance(place(10, 10, spec), Placement)


@pytest.mark.parametrize(
    ("size", "limits", "stage"),
    [
        ((512, 511), {"min_size": 512}, "small"),
        ((512, 512), {"min_size": 512}, None),
        ((500, 1000), {"min_aspect": 0.51}, "aspect"),
        ((500, 1000), {"min_aspect": 0.5}, None),
        ((1000, 500), {"max_aspect": 1.99}, "aspect"),
        ((1000, 500), {"max_aspect": 2.0}, None),
        ((256, 256), {"max_upscale": 1.9}, "upscale"),
        ((256, 256), {"max_upscale": 2.0}, None),
        ((1, 9000), {}, "aspect"),
        ((100, 1700), {}, None),
    ],
)
def test_a_picture_is_refused_at_the_stage_that_it_fails(size, limits, stage):
    """Each limit is met exactly at its bound, and the reason names the picture's size."""
    found = refusal(*size, GeometrySpec(area=512 * 512, **limits))
    assert (found and found[0]) == stage
    if found:
        assert f"{size[0]} x {size[1]}" in found[1]


@fast
@given(lengths, lengths, both, draws)
def test_what_is_not_refused_fits_into_memory(w, h, spec, draw):
    """A thread-like picture would be resized to gigabytes before it is cut."""
    plain = replace(spec, downsample=None)
    if refusal(w, h, plain, draw) is None:
        across, down = place(w, h, plain, draw).resize
        assert across * down <= MAX_RESIZED


# --- partners ------------------------------------------------------------------------------------


@fast
@given(st.integers(64, 4000), st.integers(64, 4000), st.floats(0.1, 4.0), both, draws)
def test_a_partner_of_the_same_shape_is_cut_where_its_sample_is(w, h, scale, spec, draw):
    """Also when it was made at another size and rounded to whole pixels."""
    placement = place(w, h, spec, draw)
    partner = max(1, round(w * scale)), max(1, round(h * scale))
    assert place_like(partner, (w, h), placement) is placement


@pytest.mark.parametrize(
    ("partner", "sample"),
    [((512, 512), (512, 500)), ((1000, 1500), (1500, 1000)), ((640, 480), (641, 360))],
)
def test_a_partner_of_another_shape_has_no_place(partner, sample):
    """Cut by the same box it would show something else."""
    assert place_like(partner, sample, place(*sample, GeometrySpec(area=64 * 64))) is None


def test_settings_leave_out_defaults_and_limits():
    """A new key keeps old digests, and a limit that refuses nothing changes none."""
    spec = GeometrySpec(area=64 * 64)
    assert spec.settings() == (("area", 4096),)
    assert replace(spec, min_size=9, max_upscale=2.0).settings() == spec.settings()
    assert replace(spec, position="face").settings() == (("area", 4096), ("position", "face"))


def test_a_downsampled_picture_is_cut_on_both_axes():
    """A crop of a large picture shows a part of it in more detail."""
    large = Downsample(parse_resolution("2mp"), parse_resolution("1024px"))
    spec = GeometrySpec(edge=512, downsample=large)
    assert place(3000, 2000, spec).resize == (1536, 1024)
    assert (
        place(1200, 1000, spec).resize == place(1200, 1000, replace(spec, downsample=None)).resize
    )
