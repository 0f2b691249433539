"""Pictures of every make become upright RGB; broken ones are refused with a reason."""

from __future__ import annotations

import io
import struct
import sys
import zlib

import numpy as np
import pytest
import torch
from PIL import Image

from trainer.data.bad import BadSample
from trainer.data.geometry import GeometrySpec, place
from trainer.data.pixels import crop, picture_size, read_picture

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


def two_halves(size: tuple[int, int] = (40, 20)) -> Image.Image:
    """Left half red, right half blue."""
    picture = Image.new("RGB", size, BLUE)
    picture.paste(RED, (0, 0, size[0] // 2, size[1]))
    return picture


def near(colour, expected, tolerance: int = 6) -> bool:
    return all(abs(a - b) <= tolerance for a, b in zip(colour, expected, strict=True))


@pytest.mark.parametrize("kind", ["png", "jpg", "webp", "tiff"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_applied_the_same_in_header_and_pixels(tmp_path, kind, orientation):
    """Stored turned, read upright: the header's size is that of the decoded picture."""
    undo = {
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }
    upright = two_halves()
    stored = upright.transpose(undo[orientation]) if orientation > 1 else upright
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"p.{kind}"
    stored.save(path, exif=exif, quality=95)
    assert picture_size(path) == (40, 20)
    read = read_picture(path, "ffffff")
    assert read.size == (40, 20)
    assert near(read.getpixel((4, 10)), RED, 20)
    assert near(read.getpixel((36, 10)), BLUE, 20)


@pytest.mark.parametrize("background", ["00ff00", "#00FF00"])
@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_alpha_shows_the_background(tmp_path, mode, background):
    """Transparent pixels take the configured colour, whatever hides behind them."""
    picture = Image.new("RGBA", (8, 8), (255, 255, 255, 0))
    picture.paste((0, 0, 0, 255), (0, 0, 4, 8))
    path = tmp_path / "p.png"
    if mode == "P":
        flat = Image.new("P", (8, 8), 1)
        flat.putpalette([0, 0, 0, 255, 255, 255])
        flat.paste(0, (0, 0, 4, 8))
        flat.save(path, transparency=1)
    else:
        picture.convert(mode).save(path)
    read = read_picture(path, background)
    assert read.mode == "RGB"
    assert read.getpixel((6, 4)) == (0, 255, 0)
    assert read.getpixel((1, 4)) == (0, 0, 0)


def test_half_transparent_pixels_are_mixed(tmp_path):
    """Half a red over white is pink."""
    Image.new("RGBA", (4, 4), (255, 0, 0, 128)).save(tmp_path / "p.png")
    assert near(read_picture(tmp_path / "p.png", "ffffff").getpixel((1, 1)), (255, 127, 127), 1)


def test_cmyk(tmp_path):
    """A print picture becomes RGB."""
    Image.new("CMYK", (4, 4), (0, 255, 255, 0)).save(tmp_path / "p.jpg", quality=95)
    assert near(read_picture(tmp_path / "p.jpg", "ffffff").getpixel((1, 1)), RED, 12)


@pytest.mark.parametrize("kind", ["png", "tiff"])
def test_sixteen_bit_grey_keeps_its_scale(tmp_path, kind):
    """The high byte is kept: a dark 16-bit picture stays dark, a bright one is not clipped."""
    values = np.array([[0, 256, 32768, 65535]] * 4, dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / f"p.{kind}")
    read = read_picture(tmp_path / f"p.{kind}", "ffffff")
    assert [read.getpixel((x, 0))[0] for x in range(4)] == [0, 1, 128, 255]


@pytest.mark.parametrize("kind", ["gif", "webp", "png", "avif"])
def test_first_frame_of_an_animation(tmp_path, kind):
    """Of several frames the first is used."""
    frames = [Image.new("RGB", (8, 8), colour) for colour in (RED, BLUE)]
    path = tmp_path / f"p.{kind}"
    frames[0].save(path, save_all=True, append_images=frames[1:], lossless=True)
    assert picture_size(path) == (8, 8)
    assert near(read_picture(path, "ffffff").getpixel((4, 4)), RED, 2)


def png(width: int, height: int, depth: int = 8, rows: bytes = b"\0" * 1000) -> bytes:
    """A colour PNG of that size; by itself with next to no data."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        crc = struct.pack(">I", zlib.crc32(kind + body))
        return struct.pack(">I", len(body)) + kind + body + crc

    head = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + head + chunk(b"IDAT", zlib.compress(rows)) + chunk(b"IEND", b"")


def test_decompression_bomb_is_refused_by_its_header(tmp_path):
    """A few bytes that announce ten gigapixels are never decoded."""
    path = tmp_path / "bomb.png"
    path.write_bytes(png(100_000, 100_000))
    for read in (picture_size, lambda p: read_picture(p, "ffffff")):
        with pytest.raises(BadSample, match="100000 x 100000"):
            read(path)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"", "empty"),
        (b"not a picture at all", "not a picture"),
        (b"\x89PNG\r\n\x1a\n", "."),
        (b"\xff\xd8\xff\xe0\x00\x10JFIF", "."),
        (b"GIF89a\x00\x00\x00\x00\x00\x00\x00", "."),
    ],
)
def test_files_without_a_picture_say_why(tmp_path, content, reason):
    """Empty, foreign and cut-off files are bad for good, with a reason."""
    path = tmp_path / "p.png"
    path.write_bytes(content)
    with pytest.raises(BadSample, match=reason) as error:
        picture_size(path)
    assert error.value.lasting


@pytest.mark.parametrize("kind", ["png", "jpg", "webp"])
def test_truncated_picture_passes_the_header_and_fails_the_decoder(tmp_path, kind):
    """A file that lost its tail has a size but no pixels."""
    noise = np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(noise).save(buffer, {"jpg": "jpeg"}.get(kind, kind))
    path = tmp_path / f"p.{kind}"
    path.write_bytes(buffer.getvalue()[: len(buffer.getvalue()) // 2])
    if kind != "webp":  # its container is checked at once
        assert picture_size(path) == (64, 64)
    with pytest.raises(BadSample):
        read_picture(path, "ffffff")


def test_refusal_of_the_file_system_may_pass(tmp_path):
    """A file that is not there is not remembered as broken."""
    with pytest.raises(BadSample) as error:
        picture_size(tmp_path / "gone.png")
    assert not error.value.lasting


def test_floating_point_picture_is_refused(tmp_path):
    """There is no telling what its white is."""
    Image.fromarray(np.ones((4, 4), dtype=np.float32)).save(tmp_path / "p.tiff")
    with pytest.raises(BadSample, match="floating-point"):
        read_picture(tmp_path / "p.tiff", "ffffff")


def test_crop_cuts_the_placed_box(tmp_path):
    """The tensor is the placed part, in -1..1, channels first."""
    picture = two_halves((128, 64))
    spec = GeometrySpec(area=64 * 64, align=16, aspect="square", position="corner")
    pixels = crop(picture, place(128, 64, spec))
    assert pixels.shape == (3, 64, 64)
    assert torch.equal(pixels[:, 5, 5], torch.tensor([1.0, -1.0, -1.0]))
    right = crop(picture, place(128, 64, GeometrySpec(area=64 * 64, align=16, aspect="square")))
    assert right[0, 5, 2] == 1
    assert right[2, 5, 62] == 1


# --- formats of phones and of the web ----------------------------------------------------------


def test_sixteen_bit_colour_keeps_its_scale(tmp_path):
    """Of 16 bits of a colour PNG the high ones are kept."""
    row = b"\0" + struct.pack(">6H", 0, 0x80FF, 0xFFFF, 0x0100, 0x7F00, 0xFE80)
    (tmp_path / "p.png").write_bytes(png(2, 2, depth=16, rows=row * 2))
    read = read_picture(tmp_path / "p.png", "ffffff")
    assert [read.getpixel((x, 1)) for x in (0, 1)] == [(0, 128, 255), (1, 127, 254)]


@pytest.mark.parametrize("orientation", [1, 3, 6, 8])
@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_pictures_of_phones(tmp_path, kind, orientation):
    """AVIF and HEIC are read upright, with their size from the header, also from open files."""
    path = phone_picture(tmp_path / f"p.{kind}", orientation)
    assert picture_size(path) == (128, 64)
    with open(path, "rb") as file:
        assert picture_size(file) == (128, 64)
        read = read_picture(file, "ffffff")
    assert read.size == (128, 64)
    assert near(read.getpixel((10, 30)), RED, 24)
    assert near(read.getpixel((118, 30)), BLUE, 24)


def phone_picture(path, orientation: int = 1):
    if path.suffix == ".heic":
        pytest.importorskip("pillow_heif", reason="no HEIC without the extra heif")
        import pillow_heif

        pillow_heif.register_heif_opener()
    undo = {3: Image.Transpose.ROTATE_180, 6: Image.Transpose.ROTATE_90}
    undo[8] = Image.Transpose.ROTATE_270
    picture = two_halves((128, 64))
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = picture.transpose(undo[orientation]) if orientation > 1 else picture
    stored.save(path, exif=exif.tobytes(), quality=95)
    return path


def test_heic_is_learnt_when_the_first_one_comes(tmp_path, monkeypatch):
    """The package is not asked for before, and not for anything else."""
    path = phone_picture(tmp_path / "p.heic")
    two_halves().save(tmp_path / "p.png")
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    picture_size(tmp_path / "p.png")
    assert "HEIF" not in Image.OPEN
    assert picture_size(path) == (128, 64)
    assert "HEIF" in Image.OPEN


def test_heic_without_its_package_names_the_extra(tmp_path, monkeypatch):
    """The picture is left out with the remedy, and looked at again at the next start."""
    path = phone_picture(tmp_path / "p.heic")
    monkeypatch.delitem(Image.OPEN, "HEIF", raising=False)
    monkeypatch.setattr(Image, "ID", [name for name in Image.ID if name != "HEIF"])
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(BadSample, match=r"simpletuner-terminal\[heif\]") as error:
        picture_size(path)
    assert not error.value.lasting
    (tmp_path / "q.png").write_bytes(b"not a picture at all")
    with pytest.raises(BadSample, match="known format") as error:
        picture_size(tmp_path / "q.png")
    assert error.value.lasting


@pytest.mark.parametrize("kind", ["avif", "heic"])
def test_damaged_pictures_of_phones(tmp_path, kind):
    """A picture cut in half is refused with a reason."""
    path = phone_picture(tmp_path / f"p.{kind}")
    data = path.read_bytes()
    path.write_bytes(data[: len(data) * 2 // 3])
    with pytest.raises(BadSample):
        read_picture(path, "ffffff")
