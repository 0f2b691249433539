"""Pictures made for other colour spaces come out in sRGB."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image, ImageCms

from tests.support.icc import DISPLAY_P3, SRGB, grey_profile, print_profile, screen_profile
from trainer.data.pixels import read_picture


def near(colour, expected, tolerance: int = 6) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(colour, expected, strict=True))


def saved(picture: Image.Image, path, profile: bytes | None):
    picture.save(path, icc_profile=profile)
    return read_picture(path, "ffffff").getpixel((1, 1))


def srgb_of(level: float) -> int:
    """sRGB level of 0..255 for a linear brightness of 0..1."""
    return round(
        255 * (12.92 * level if level <= 0.0031308 else 1.055 * level ** (1 / 2.4) - 0.055)
    )


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tiff"])
def test_a_profile_is_converted(tmp_path, kind):
    """A wide-gamut red that sRGB can hold gets the sRGB numbers of that colour; without the
    profile it stays as it is."""
    dull = Image.new("RGB", (16, 16), (160, 100, 100))
    # linear P3 -> XYZ -> linear sRGB, by the matrices of the two spaces
    to_xyz, from_xyz = np.array(DISPLAY_P3).T, np.linalg.inv(np.array(SRGB).T)
    linear = from_xyz @ to_xyz @ (np.array([160, 100, 100]) / 255) ** 2.2
    expected = tuple(srgb_of(level) for level in linear)
    path = tmp_path / f"p.{kind}"
    assert near(saved(dull, path, screen_profile(DISPLAY_P3, 2.2)), expected, 3)
    assert expected[0] > 165
    assert near(saved(dull, path, None), (160, 100, 100), 2)


def test_srgb_under_any_name_costs_nothing(tmp_path):
    """A profile that would change nothing is not applied: the bytes are those without it."""
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 9, 3), dtype=np.uint8))
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    picture.save(tmp_path / "p.png", icc_profile=srgb)
    assert read_picture(tmp_path / "p.png", "ffffff").tobytes() == picture.tobytes()


def test_transparent_picture_with_a_profile(tmp_path):
    """Colours are converted, the background is not: it is given in sRGB."""
    picture = Image.new("RGBA", (16, 16), (160, 100, 100, 255))
    picture.paste((0, 0, 0, 0), (8, 0, 16, 16))
    picture.save(tmp_path / "p.png", icc_profile=screen_profile(DISPLAY_P3, 2.2))
    read = read_picture(tmp_path / "p.png", "a06464")
    assert read.getpixel((12, 8)) == (160, 100, 100)
    assert read.getpixel((2, 8))[0] > 165


def test_grey_profiles(tmp_path):
    """A grey picture follows its profile, be it one of greys or, as is common, of a screen."""
    grey = Image.new("L", (16, 16), 100)
    expected = srgb_of((100 / 255) ** 1.0)
    for profile in (grey_profile(1.0), screen_profile(SRGB, 1.0)):
        assert near(saved(grey, tmp_path / "p.png", profile), (expected,) * 3, 2)
    deep = Image.fromarray(np.full((16, 16), 100 << 8, dtype=np.uint16))
    assert near(saved(deep, tmp_path / "p.png", grey_profile(1.0)), (expected,) * 3, 2)


def test_print_profile(tmp_path):
    """What a printer's cyan looks like is told by its profile, not by arithmetic."""
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    plain = saved(cyan, tmp_path / "p.tiff", None)
    assert near(plain, (0, 255, 255))
    red, green, blue = saved(cyan, tmp_path / "p.tiff", print_profile())
    assert blue > 200 > green
    assert blue - red > 100


@pytest.mark.parametrize("profile", [b"", b"not a profile", print_profile(), b"\0" * 500])
def test_broken_or_foreign_profiles_are_ignored(tmp_path, profile):
    """A profile that cannot be used is no reason to lose a picture."""
    picture = Image.new("RGB", (16, 16), (160, 100, 100))
    assert saved(picture, tmp_path / "p.png", profile) == (160, 100, 100)
