"""What the generators make, and that it depends on nothing but picture, settings and seed."""

from __future__ import annotations

import random
from dataclasses import replace
from hashlib import blake2b
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from trainer.catalog import generators
from trainer.catalog.generators import GENERATORS, SHAPES, all_options, filled, wrong_value
from trainer.data.conditioning.canny import connected
from trainer.data.conditioning.generate import generator_identity, open_generator, partner_seed
from trainer.data.conditioning.jpeg import compressed

CPU = torch.device("cpu")
WITHOUT_MODEL = sorted(GENERATORS.keys() - {"depth"})
DRAWING = {"quality_mode": "range"}  # settings with which jpeg has something to draw


def picture(width: int = 96, height: int = 64, seed: int = 0) -> Image.Image:
    """Smooth colours with some noise on them: every generator finds something to change."""
    draw = np.random.default_rng(seed)
    small = draw.integers(0, 256, (4, 4, 3), dtype=np.uint8)
    smooth = np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC))
    noise = draw.integers(-8, 9, smooth.shape)
    return Image.fromarray((smooth + noise).clip(0, 255).astype(np.uint8))


def make(name: str, image: Image.Image, seed: int = 1, **options: Any) -> np.ndarray:
    made = open_generator(name, options, CPU)(image, seed)
    assert made.size == image.size
    assert made.mode == ("L" if GENERATORS[name].makes == "mask" else "RGB")
    return np.asarray(made).astype(np.int64)


# --- all of them -----------------------------------------------------------------------------


@settings(max_examples=25, deadline=None)
@given(st.sampled_from(WITHOUT_MODEL), st.integers(1, 40), st.integers(1, 40))
def test_any_size_is_kept_and_the_source_is_left_alone(name: str, width: int, height: int):
    """Also slivers of one pixel; the picture that was given is not changed."""
    image = picture(width, height)
    before = image.tobytes()
    make(name, image)
    assert image.tobytes() == before


@pytest.mark.parametrize("name", WITHOUT_MODEL)
def test_the_seed_matters_exactly_where_the_catalogue_says(name: str):
    """The same seed gives the same pixels; another one others, if the generator draws."""
    options = DRAWING if name == "jpeg" else {}
    first, again, other = (make(name, picture(), seed, **options) for seed in (1, 1, 2))
    assert (first == again).all()
    assert bool((first != other).any()) == GENERATORS[name].draws


@pytest.mark.parametrize("name", WITHOUT_MODEL)
def test_identity_knows_what_pixels_depend_on(name: str):
    """Spelled-out defaults change nothing; every other value does; the seed where it is used."""
    entry = GENERATORS[name]
    plain = generator_identity(name, {}, seed=1)
    assert plain == generator_identity(name, filled(entry.options, {}), seed=1)
    assert (plain != generator_identity(name, {}, seed=2)) == entry.draws
    assert plain.startswith(f"{name}/")
    for option, value in OTHER_VALUES.get(name, {}).items():
        assert generator_identity(name, {option: value}, seed=1) != plain


OTHER_VALUES: dict[str, dict[str, Any]] = {
    "canny": {"low": 40, "high": 110, "blur": 1.0},
    "low_resolution": {
        "downscale_factor": 2,
        "blur_radius": 1.0,
        "blur_type": "box",
        "noise_level": 0.1,
        "jpeg_quality": 50,
    },
    "jpeg": {
        "quality_mode": "range",
        "quality": 30,
        "quality_range": [20, 30],
        "quality_list": [5],
        "compression_rounds": 2,
        "round_quality_decay": 0.5,
    },
    "random_masks": {
        "mask_types": ["circle"],
        "min_coverage": 0.2,
        "max_coverage": 0.4,
        "min_masks": 2,
        "max_masks": 9,
        "feather": 2.0,
        "invert": True,
    },
}


def test_every_option_has_another_value_above():
    """The test before this one must not miss a new option."""
    told = {(name, option) for name, options in OTHER_VALUES.items() for option in options}
    known = {(n, o) for n, o, _ in all_options() if n not in ("depth", "mask")}
    assert told == known


def test_a_new_version_is_a_new_identity(monkeypatch: pytest.MonkeyPatch):
    """What an older version made is not taken for what this one would make."""
    before = generator_identity("canny", {}, seed=1)
    newer = replace(GENERATORS["canny"], version=GENERATORS["canny"].version + 1)
    monkeypatch.setitem(generators.GENERATORS, "canny", newer)
    assert generator_identity("canny", {}, seed=1) != before


def test_seeds_follow_the_content():
    """Other bytes, another generator or another run draw otherwise; a copy draws the same."""
    seeds = {
        partner_seed(seed, content, name)
        for seed in (1, 2)
        for content in (b"a" * 16, b"b" * 16)
        for name in ("jpeg", "random_masks")
    }
    assert len(seeds) == 8
    assert partner_seed(1, b"a" * 16, "jpeg") == partner_seed(1, b"a" * 16, "jpeg")


# --- options ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("whose", "name", "option"), list(all_options()))
def test_defaults_are_values_that_are_allowed(whose: str, name: str, option: generators.Option):
    """A default that lint would refuse could not be written down."""
    if option.default is not None:
        assert wrong_value(option, option.default) is None
    assert wrong_value(option, object()) is not None
    assert option.doc


def test_wrong_values_are_told_what_they_should_be():
    """Type, bounds, choices and lengths; NaN is no number within bounds."""
    low, jpeg = GENERATORS["canny"].options["low"], GENERATORS["jpeg"].options
    assert wrong_value(low, 30) is None
    assert wrong_value(low, float("nan")) == "a number from 0 to 2040"
    assert wrong_value(low, -1) == wrong_value(low, "50") == wrong_value(low, True)
    assert wrong_value(jpeg["quality"], 96) == "a whole number from 1 to 95"
    assert wrong_value(jpeg["quality"], 20.0) is not None
    assert wrong_value(jpeg["quality_mode"], "fast") == "one of fixed, range, list"
    assert wrong_value(jpeg["quality_range"], [1, 2, 3]) == (
        "a list of 2 items, each a whole number from 1 to 95"
    )
    assert wrong_value(jpeg["quality_list"], []) is not None


# --- canny -----------------------------------------------------------------------------------


def pattern() -> Image.Image:
    """A picture by formula, the same on every machine."""
    y, x = np.mgrid[:96, :128]
    grey = (x * x + 3 * x * y + 7 * y * y) // 17 % 97 + (x - 64) * (y - 48) // 40
    return Image.fromarray(grey.clip(0, 255).astype(np.uint8)).convert("RGB")


@pytest.mark.parametrize(
    ("low", "high", "known"), [(50, 100, "f7390b3d6a12d84f"), (100, 300, "302c461d41f7dd09")]
)
def test_canny_is_that_of_opencv(low: float, high: float, known: str):
    """Digests of cv2.Canny (5.0) on the same picture: equal to the pixel."""
    edges = open_generator("canny", {"low": low, "high": high}, CPU)(pattern(), 0)
    assert blake2b(edges.convert("L").tobytes(), digest_size=8).hexdigest() == known


def test_canny_draws_one_line_along_a_step():
    """A step of brightness: one pixel wide, nothing elsewhere; a flat picture has no edges."""
    step = np.zeros((20, 20, 3), dtype=np.uint8)
    step[:, 10:] = 200
    edges = make("canny", Image.fromarray(step))[..., 0]
    assert (edges.sum(axis=1) == 255).all()
    assert set(np.nonzero(edges)[1]) <= {9, 10}
    assert not make("canny", Image.new("RGB", (20, 20), (90, 90, 90))).any()


def test_weak_edges_count_only_beside_strong_ones():
    """A long weak line that touches a strong pixel is kept to its end; a lonely one is not."""
    weak = np.zeros((9, 60), dtype=bool)
    weak[4, 1:59] = weak[0, 3:20] = True
    weak[3, 30] = True  # touches by a corner
    strong = np.zeros_like(weak)
    strong[5, 59] = True
    found = connected(strong, weak)
    assert found[4, 1:59].all()
    assert found[3, 30]
    assert found[5, 59]
    assert found.sum() == 60


def test_blur_hides_noise_from_canny():
    """With a blur fewer edges are found in noise."""
    noise = Image.fromarray(np.random.default_rng(1).integers(0, 90, (64, 64, 3), dtype=np.uint8))
    assert make("canny", noise, blur=2.0).sum() < 0.3 * make("canny", noise).sum()


# --- damaged copies --------------------------------------------------------------------------


def test_low_resolution_takes_what_it_is_told_to():
    """Each setting alone: small detail goes, noise of the asked size comes, nothing else."""
    board = (np.indices((64, 64)).sum(axis=0) % 2 * 200 + 20).astype(np.uint8)
    image = Image.fromarray(board).convert("RGB")
    still = {"blur_radius": 0.0, "noise_level": 0.0}
    assert (make("low_resolution", image, **still) == np.asarray(image)).all()
    shrunk = make("low_resolution", image, downscale_factor=4, **still)
    assert shrunk.std() < 0.1 * board.std()
    for kind in ("gaussian", "box", "both"):
        blurred = make("low_resolution", image, blur_type=kind, noise_level=0.0)
        assert blurred.std() < 0.3 * board.std()
    grey = Image.new("RGB", (128, 128), (128, 128, 128))
    noise = make("low_resolution", grey, blur_radius=0.0, noise_level=0.05) - 128
    assert noise.std() == pytest.approx(0.05 * 255, rel=0.03)
    assert abs(noise.mean()) < 0.3
    squeezed = make("low_resolution", image, jpeg_quality=30, **still)
    assert (squeezed == np.asarray(compressed(image, 30))).all()


def test_jpeg_of_a_fixed_quality():
    """Exactly one compression of that quality; a lower one damages more, more rounds too."""
    image, original = picture(), np.asarray(picture()).astype(np.int64)
    assert (make("jpeg", image, quality=40) == np.asarray(compressed(image, 40))).all()

    def damage(**options: Any) -> float:
        return float(np.abs(make("jpeg", image, **options) - original).mean())

    assert damage(quality=90) < damage(quality=40) < damage(quality=5)
    twice = make("jpeg", image, quality=40, compression_rounds=2, round_quality_decay=0.5)
    assert (twice == np.asarray(compressed(compressed(image, 40), 20))).all()


def test_jpeg_draws_its_quality():
    """From the range, both ends included, or from the list; nothing else ever."""
    image = picture(24, 24)
    known = {compressed(image, q).tobytes(): q for q in range(1, 96)}

    def drawn(**options: Any) -> set[int]:
        generate = open_generator("jpeg", options, CPU)
        return {known[generate(image, seed).tobytes()] for seed in range(60)}

    assert drawn(quality_mode="range", quality_range=[40, 44]) == {40, 41, 42, 43, 44}
    assert drawn(quality_mode="list", quality_list=[5, 30]) == {5, 30}


# --- random masks ----------------------------------------------------------------------------


@st.composite
def mask_options(draw: st.DrawFn) -> dict[str, Any]:
    low, high = sorted((draw(st.floats(0, 1)), draw(st.floats(0, 1))))
    fewest, most = sorted((draw(st.integers(1, 6)), draw(st.integers(1, 6))))
    kinds = draw(st.lists(st.sampled_from(SHAPES), min_size=1, max_size=4))
    return {
        "mask_types": kinds,
        "min_coverage": low,
        "max_coverage": high,
        "min_masks": fewest,
        "max_masks": most,
    }


@settings(max_examples=60, deadline=None)
@given(mask_options(), st.integers(4, 70), st.integers(4, 70), st.integers(0, 2**62))
def test_masks_keep_the_bounds_on_coverage(
    options: dict[str, Any], width: int, height: int, seed: int
):
    """Whatever is asked and drawn: the share of white is within the bounds, to the pixel."""
    mask = make("random_masks", Image.new("RGB", (width, height)), seed, **options)
    assert set(np.unique(mask)) <= {0, 255}
    white = int((mask == 255).sum())
    low, high = (options[f"{end}_coverage"] * width * height for end in ("min", "max"))
    if np.ceil(low) <= np.floor(high):  # else no whole number of pixels is within
        assert low <= white <= high


@pytest.mark.parametrize("kind", SHAPES)
def test_each_shape_covers_from_a_little_to_everything(kind: str):
    """Coverage is reached by one shape alone, also all of the picture."""
    for share in (0.0, 0.02, 0.5, 0.97, 1.0):
        options = {"mask_types": [kind], "min_masks": 1, "max_masks": 1}
        options |= {"min_coverage": share, "max_coverage": share}
        mask = make("random_masks", Image.new("RGB", (100, 50)), 5, **options)
        assert (mask == 255).sum() == share * 5000


def test_coverage_is_spread_over_its_range():
    """Not always the least or the greatest share."""
    draws = random.Random(3)
    blank = Image.new("RGB", (40, 40))
    shares = [make("random_masks", blank, draws.getrandbits(60)).mean() / 255 for _ in range(60)]
    assert min(shares) < 0.15
    assert max(shares) > 0.45
    assert np.mean(shares) == pytest.approx(0.3, abs=0.05)


def test_inverted_and_feathered_masks():
    """Inverted: 255 minus. Feathered: grey at the edges, the same in total."""
    blank = Image.new("RGB", (128, 128))
    plain = make("random_masks", blank, 4)
    assert (make("random_masks", blank, 4, invert=True) == 255 - plain).all()
    soft = make("random_masks", blank, 4, feather=4.0)
    assert ((soft > 0) & (soft < 255)).mean() > 0.02
    assert soft.mean() == pytest.approx(plain.mean(), rel=0.15)


# --- first frame -----------------------------------------------------------------------------


def test_first_frame_is_the_first():
    """Bit for bit, of a clip; a picture is its own."""
    frames = np.random.default_rng(0).integers(0, 256, (3, 8, 12, 3), dtype=np.uint8)
    generate = open_generator("first_frame", {}, CPU)
    assert (np.asarray(generate(frames, 0)) == frames[0]).all()  # type: ignore[arg-type]
    assert generate(picture(), 0).tobytes() == picture().tobytes()
