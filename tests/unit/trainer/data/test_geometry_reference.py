"""Sizes of imported jobs: a second derivation, written from the text of the specification step by
step, gives the same for every combination; digests guard both against a common change."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from hashlib import blake2b

import pytest

from trainer.config.units import Resolution, parse_resolution
from trainer.data.geometry import Downsample, Draw, GeometrySpec, Placement, place, target_size
from trainer.data.reference_geometry import rounded_aspect, with_stored_sizes

SIZES = [
    *[(512, 512), (1024, 1024), (2048, 2048), (1500, 1490), (1490, 1500)],
    *[(640, 480), (480, 640), (1920, 1080), (1080, 1920), (1280, 720)],
    *[(3000, 2000), (2000, 3000), (4000, 3000), (6000, 4000), (800, 600)],
    *[(1000, 999), (777, 333), (333, 777), (2560, 1080), (1080, 2560)],
    *[(5000, 1000), (1000, 5000), (123, 4567), (65, 64), (1365, 768)],
]
RESOLUTIONS = ["0.25mp", "0.5mp", "1.0mp", "1024px2", "2.0mp", "512px", "768px"]
LISTED = (0.5, 0.75, 1.0, 1.5, 1.78)
DRAWN = 3  # of LISTED, where a shape is drawn
CUTS = ["off", *itertools.product(["square", "preserve", "closest", "random"], [False, True])]
ALIGNMENTS = [64, 32, 8]


@dataclass(frozen=True)
class Case:
    """One combination."""

    size: tuple[int, int]
    resolution: Resolution
    crop: str  # "off" or an aspect
    down: Resolution | None
    align: int

    @property
    def spec(self) -> GeometrySpec:
        """How our job file says it: crop off is the picture's own shape, cut in the middle."""
        return GeometrySpec(
            area=self.resolution.area,
            edge=self.resolution.edge,
            align=self.align,
            sizes="reference",
            aspect="preserve" if self.crop == "off" else self.crop,  # pyright: ignore
            aspects=LISTED,
            downsample=self.down and Downsample(self.down, self.down),
        )


def cases() -> Iterator[Case]:
    for align, text, cut, size in itertools.product(ALIGNMENTS, RESOLUTIONS, CUTS, SIZES):
        resolution = parse_resolution(text)
        crop, down = (cut, False) if isinstance(cut, str) else cut
        larger = (
            Resolution(resolution.area * 2, None)
            if resolution.area
            else Resolution(None, resolution.edge * 5 // 4)
        )
        yield Case(size, resolution, crop, larger if down else None, align)


# --- the specification, read aloud ---------------------------------------------------------------


def literal(case: Case) -> Placement:
    """data.md 4.1 to 4.4, in its own order and words; no code of ours is called."""
    A, R = case.align, 2
    width, height = case.size
    m = case.resolution.area and case.resolution.area / 10**6
    p = case.resolution.edge

    def rnd(x: float) -> int:
        return max(A, round(x / A) * A)

    def middle(W: int, H: int) -> tuple[int, int]:
        """4.2 step 5: the intermediary keeps the original ratio."""
        r = width / height
        iw, ih = (W, int(W / r)) if W < H else (int(H * r), H)
        if iw < W:
            iw, ih = iw + (W - iw), ih + int((W - iw) / r)
        elif ih < H:
            iw, ih = iw + int((H - ih) * r), ih + (H - ih)
        return iw, ih

    def sizes(a: float, m: float | None, p: int | None):
        """4.2 steps 1 to 5 for an area, 4.3 for a short edge."""
        if m is None:
            assert p is not None
            W, H = (p, int(p / a)) if width < height else (int(p * a), p)
            return (rnd(W), rnd(H)), middle(rnd(W), rnd(H))
        e = rnd(math.floor(math.sqrt(m * 10**6)))
        if a == 1.0 and width == height:
            return (e, e), (e, e)
        W, H = rnd(e * math.sqrt(a)), rnd(e / math.sqrt(a))
        return (W, H), middle(W, H)

    # 4.2, after step 6: P
    S = p and p * p
    if m is not None:
        S = m * 10**6
        for base, edge in ((0.25, 512), (0.5, 768), (1.0, 1024), (2.0, 1536), (4.0, 2048)):
            if abs(m - base) < 0.05:
                S = edge**2
    P = rnd(math.sqrt(S))

    # 4.2 step 2, 4.4 by kind of crop
    a = own = round(width / height, R)
    if case.crop == "closest":
        distances = [abs(listed - own) for listed in LISTED]
        a = LISTED[distances.index(min(distances))]
    elif case.crop == "random":
        a = LISTED[DRAWN]
    elif case.crop == "square":
        a = 1.0
    target, intermediary = sizes(a, m, p)
    if case.crop == "square" or round(target[0] / target[1], R) == 1.0:
        target = (P, P)
        if intermediary[0] < P:
            intermediary = (P, P)

    # 4.4: crop on, downsampling
    if case.down is not None:
        differs = (width, height) != (p, p) if m is None else width * height != S
        if differs or width < target[0] or height < target[1]:
            down_m = case.down.area and case.down.area / 10**6
            _, (iw, ih) = sizes(own, down_m, case.down.edge)
            if iw < target[0]:
                iw, ih = target[0], int(ih * (target[0] / iw))
            elif ih < target[1]:
                iw, ih = int(iw * (target[1] / ih)), target[1]
            intermediary = iw, ih

    # ours: a picture is never cut beyond its edge
    if intermediary[0] < target[0] or intermediary[1] < target[1]:
        by_width = (target[0], round(height * target[0] / width))
        by_height = (round(width * target[1] / height), target[1])
        intermediary = by_width if by_width[1] >= target[1] else by_height
    left = int((intermediary[0] - target[0]) / 2)
    top = int((intermediary[1] - target[1]) / 2)
    return Placement(target, intermediary, left, top)


SHAPE = Draw(shape=(DRAWN + 0.5) / len(LISTED))


def test_the_table_is_complete():
    """25 sizes, 7 resolutions, 9 ways to cut, 3 alignments."""
    assert len(set(cases())) == 4725


def test_every_combination_is_as_the_specification_says():
    """Target, intermediary and cut of all 4,725 combinations."""
    for case in cases():
        assert place(*case.size, case.spec, SHAPE) == literal(case), case


@pytest.mark.parametrize("align", ALIGNMENTS)
def test_the_table_has_not_changed(align):
    """A cache of an imported job stays valid: its sizes are part of every key."""
    rows = [
        (c.size, p.target, p.resize, p.left, p.top)
        for c in cases()
        if c.align == align
        for p in [place(*c.size, c.spec, SHAPE)]
    ]
    digest = blake2b(repr(rows).encode(), digest_size=8).hexdigest()
    assert (
        digest
        == {
            64: "4ce07901de5e0f32",
            32: "88112a1fa92017bc",
            8: "5469f8224d0df9a8",
        }[align]
    )


def reference(text: str, **more) -> GeometrySpec:
    size = parse_resolution(text)
    return GeometrySpec(area=size.area, edge=size.edge, sizes="reference", **more)


@pytest.mark.parametrize(
    ("text", "size", "target"),
    [
        ("0.5mp", (2000, 2000), (768, 768)),
        ("0.5mp", (1920, 1080), (960, 512)),
        ("2.0mp", (3000, 3000), (1536, 1536)),
        ("2.0mp", (1920, 1080), (1856, 1024)),
        ("512px2", (900, 900), (512, 512)),
        ("768px2", (900, 900), (768, 768)),
        ("1024px2", (900, 900), (1024, 1024)),
        ("1.0mp", (900, 900), (1024, 1024)),
    ],
)
def test_sizes_that_were_executed(text, size, target):
    """Values that the specification reports from running the reference itself."""
    assert target_size(*size, reference(text)) == target


def test_a_nearly_square_picture_is_stretched():
    """1500 x 1490 at half a megapixel: resized to a square, nothing is cut."""
    assert place(1500, 1490, reference("0.5mp")) == Placement((768, 768), (768, 768), 0, 0)


def test_lengths_are_rounded_half_to_even():
    """96 / 64 is 1.5 and goes up to 2, 160 / 64 is 2.5 and goes down to 2."""
    assert target_size(100, 100, reference("96px")) == (128, 128)
    assert target_size(100, 100, reference("160px")) == (128, 128)


def test_aspects_are_rounded_to_the_digits_asked_for():
    """With one digit 16:9 trains as 1.8, with three as 1.778."""
    one, three = (target_size(1920, 1080, reference("1.0mp", digits=d, align=8)) for d in (1, 3))
    assert one == (1344, 744)
    assert three == (1336, 752)


def test_large_targets_are_limited_to_the_canvas():
    """Scaled first, then one step off the longer side; squares lose on both."""
    spec = reference("2.0mp", canvas=1024 * 1024)
    width, height = target_size(1920, 1080, spec)
    assert width * height <= 1024 * 1024
    assert (width, height) == (1344, 768)
    assert target_size(1920, 1080, replace(spec, aspect="square")) == (1024, 1024)


def test_a_forced_square_does_not_cut_beyond_the_picture():
    """At 0.5 megapixels 769 x 704 would be the intermediary of a 768 x 768 target."""
    p = place(1092, 1000, reference("0.5mp"))
    assert p.target == (768, 768)
    assert p.resize == (839, 768)


def test_downsampling_tests_the_area_and_not_the_limit():
    """`above` is documented as a limit and is none; a picture of exactly the target's area is
    the only one that is not resized to the downsample size."""
    limit, to = Resolution(100_000_000, None), Resolution(4_000_000, None)
    spec = reference("1.0mp", downsample=Downsample(limit, to))
    assert place(1025, 1024, spec).resize == (1985, 1984)
    assert place(1024, 1024, spec).resize == (1024, 1024)


# --- the table of stored sizes ---------------------------------------------------------------


def test_the_first_size_of_an_aspect_is_kept():
    """At 32 pixels two tall shapes share the rounded aspect 0.3; the order decides for both."""
    spec = reference("768px2", align=32)
    pictures = [(300, 1000), (310, 1000)]
    own = [target_size(*size, spec) for size in pictures]
    assert [rounded_aspect(target, 2) for target in own] == [0.3, 0.3]
    assert own[0] != own[1]
    for first, order in ((own[0], pictures), (own[1], pictures[::-1])):
        stored = with_stored_sizes(spec, order)
        assert [target_size(*size, stored) for size in pictures] == [first, first]
        assert with_stored_sizes(stored, order) == stored


def test_sizes_rarely_compete():
    """The claim of the module: none up to one megapixel at 64 pixels and two decimals."""
    for edge in range(256, 1025, 64):
        names: dict[float, set[tuple[int, int]]] = {}
        for hundredth in range(25, 401):
            target = target_size(hundredth, 100, reference(f"{edge}px2"))
            names.setdefault(rounded_aspect(target, 2), set()).add(target)
        assert all(len(targets) == 1 for targets in names.values())


def test_the_picture_that_has_no_aspect():
    """1 x 9000 is 0.00 wide; no size can be made of that, and none is a crash."""
    assert target_size(1, 9000, reference("1.0mp"))[1] > 9000
