"""Figures of a picture: header facts, sharpness, exposure, bars, blocks, damage."""

from __future__ import annotations

import io
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image, ImageFilter

from tests.support.procedural import picture
from trainer.data.lint import quality
from trainer.data.lint.header import profile_name, quality_of
from trainer.data.lint.measure import Measures, measure, parse


def measured(image: Image.Image, format: str = "PNG", **options: object) -> Measures:
    file = io.BytesIO()
    image.save(file, format, **options)
    found = measure(file)
    assert found is not None
    return found


def remarks(image: Image.Image, format: str = "PNG", **options: object) -> set[str]:
    return {code for code, _ in quality.looks(measured(image, format, **options))}


def test_an_ordinary_picture_draws_no_remark() -> None:
    """PNG, JPEG at usual qualities, WebP; with and without grain."""
    for number in range(8):
        image = picture(number, grain=number % 2 * 6.0)
        assert remarks(image) == set(), number
        assert remarks(image, "JPEG", quality=85) == set(), number
        assert remarks(image, "WEBP", quality=80) == set(), number


def test_figures_survive_being_stored() -> None:
    """dump and parse are inverse."""
    one = measured(picture(1), "JPEG", quality=70)
    assert parse(one.dump()) == one
    assert one.jpeg_quality is not None
    assert parse(replace(one, reason="broken").dump()).reason == "broken"


@pytest.mark.parametrize("value", [10, 25, 50, 75, 90])
def test_jpeg_quality_is_estimated(value: int) -> None:
    """Within five points of what it was saved with."""
    found = measured(picture(2), "JPEG", quality=value).jpeg_quality
    assert found is not None
    assert abs(found - value) <= 5


def test_no_tables_no_quality() -> None:
    """Formats without quantisation tables."""
    assert quality_of(None) is None
    assert quality_of({}) is None
    assert measured(picture(2)).jpeg_quality is None


@pytest.mark.parametrize("spread", [3, 4, 6])
def test_blur_lowers_sharpness_below_the_limit(spread: int) -> None:
    """Of pictures of different numbers; a sharp spot in a soft picture clears it."""
    for number in range(6):
        soft = picture(number).filter(ImageFilter.GaussianBlur(spread))
        assert remarks(soft) == {"DAT078"}
        soft.paste(picture(number).crop((60, 60, 160, 160)), (60, 60))
        assert "DAT078" not in remarks(soft)


def test_sharpness_is_judged_at_one_scale() -> None:
    """A large soft picture that is sharp at 1 024 pixels is fine; its figure needs no contrast."""
    large = picture(5, 512).resize((3072, 3072), Image.Resampling.BICUBIC)
    assert "DAT078" in remarks(large.filter(ImageFilter.GaussianBlur(12)))
    assert measured(Image.new("RGB", (64, 64), "grey")).sharpness is None


def test_exposure() -> None:
    """Dark, bright and flat pictures; a dark one is not called soft as well."""
    image = picture(3)
    assert remarks(image.point(lambda v: v * 0.1)) == {"DAT079"}
    assert remarks(image.point(lambda v: 228 + v * 0.1)) == {"DAT079"}
    assert remarks(image.point(lambda v: 120 + v * 0.05)) == {"DAT079"}
    white = Image.new("RGB", (256, 256), "white")
    white.paste(image.resize((90, 90)), (80, 80))
    assert remarks(white) == set(), "an object on white is no fault"


def test_bars_need_a_straight_edge_over_the_whole_side() -> None:
    """Letterbox, pillarbox and one-sided bars of any colour; plain grounds are none."""
    image = picture(4).point(lambda v: 40 + v * 0.7)
    for ground in ("black", "white", "#306090"):
        framed = Image.new("RGB", (256, 256), ground)
        framed.paste(image.resize((256, 200)), (0, 28))
        assert "DAT080" in remarks(framed, "JPEG", quality=88), ground
    side = Image.new("RGB", (256, 256), "black")
    side.paste(image.resize((236, 256)), (20, 0))
    assert measured(side).bars[0] == pytest.approx(20 / 256, abs=0.005)
    lonely = Image.new("RGB", (256, 256), "white")
    lonely.paste(Image.new("RGB", (120, 150), "#902020"), (60, 60))
    assert "DAT080" not in remarks(lonely)


def test_blocks_show_after_the_jpeg_is_saved_as_something_else() -> None:
    """The tables are gone, the damage is not."""
    for number in (1, 2, 3):
        file = io.BytesIO()
        picture(number, grain=0.0).save(file, "JPEG", quality=8)
        again = Image.open(file).convert("RGB")
        assert "DAT081" in remarks(again), number
        assert "DAT081" not in remarks(again.resize((200, 200))), "the grid is gone as well"


def test_damage_is_told_and_refusal_is_raised() -> None:
    """A torn file has a reason; an error of the place is passed on."""
    file = io.BytesIO()
    picture(1).save(file, "JPEG")
    torn = measure(io.BytesIO(file.getvalue()[:5000]))
    assert torn is not None
    assert "truncated" in (torn.reason or "")
    assert measure(io.BytesIO(b"something else")) is None

    class Gone(io.BytesIO):
        def read(self, *_: object) -> bytes:
            raise OSError(5, "Input/output error")

    with pytest.raises(OSError, match="Input/output"):
        measure(Gone())


def test_a_large_torn_jpeg_is_found_though_it_is_decoded_small() -> None:
    """The draft still reads the whole file."""
    file = io.BytesIO()
    picture(1, 512).resize((3000, 2400)).save(file, "JPEG", quality=90)
    whole = measure(io.BytesIO(file.getvalue()))
    assert whole is not None
    assert whole.reason is None
    assert whole.hashes
    torn = measure(io.BytesIO(file.getvalue()[: len(file.getvalue()) * 9 // 10]))
    assert torn is not None
    assert torn.reason is not None


def test_modes_are_flattened_like_in_training() -> None:
    """16 bit, palette with transparency, grey: all are measured."""
    deep = Image.fromarray(np.asarray(picture(1).convert("L")).astype(np.uint16) << 8)
    assert abs(measured(deep).middle - measured(picture(1)).middle) <= 2
    palette = picture(1).convert("P")
    assert measured(palette, "GIF", transparency=palette.getpixel((0, 0))).transparent > 0
    assert measured(picture(1).convert("L")).mode == "L"


def test_names_of_profiles() -> None:
    """sRGB under any of its names, and no profile, are nothing to tell."""
    from PIL import ImageCms

    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    assert profile_name(None) == profile_name(b"") == profile_name(srgb) == ""
    assert profile_name(lab)
    assert profile_name(b"\0" * 200) == "unnamed profile"
