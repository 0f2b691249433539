"""A dataset with known defects: which sample has which, by finding code."""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image, ImageCms, ImageFilter

from tests.support.procedural import picture

EACH = 5
HEALTHY = 60
NOUNS = ("boat", "tower", "garden", "horse", "bridge", "lamp", "market", "river", "cabin", "field")
VERBS = ("stands", "rests", "waits", "glows", "leans", "drifts", "shines", "sleeps", "turns")
PLACES = ("a wide meadow", "an old harbour", "the night sky", "a quiet street", "tall grass")

# Each is wrong in a way that leaves no doubt; the rest is a matter of degree.
EXACT = (
    *("DAT003", "DAT006", "DAT007", "DAT009", "DAT008", "DAT070", "DAT071", "DAT072", "DAT073"),
    *("DAT074", "DAT075", "DAT077", "DAT084", "DAT085", "DAT086", "DAT087", "DAT088", "DAT089"),
    *("DAT015", "DAT018", "DAT019", "DAT092"),
)


def caption(number: int) -> str:
    noun, verb = NOUNS[number % len(NOUNS)], VERBS[number // 3 % len(VERBS)]
    return (
        f"ohwx drawing of a {noun} that {verb} in {PLACES[number // 7 % len(PLACES)]}, {number}th"
    )


class Planter:
    """Writes samples below `root` and remembers what is wrong with them."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.planted: dict[str, set[str]] = {}
        self._number = 0

    def fresh(self, *, grain: float = 6.0) -> Image.Image:
        """A picture that nothing else in the set resembles."""
        self._number += 1
        return picture(self._number, 256, grain=grain)

    def add(
        self,
        name: str,
        data: Image.Image | bytes,
        code: str | None = None,
        *,
        text: str | bytes | None = "",
        folder: str = "train",
        **options: object,
    ) -> None:
        path = self.root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(data, bytes):
            path.write_bytes(data)
        else:
            data.save(path, **options)
        if text == "":
            text = caption(self._number)
        if text is not None:
            raw = text if isinstance(text, bytes) else text.encode()
            path.with_suffix(".txt").write_bytes(raw)
        if code is not None:
            self.planted.setdefault(code, set()).add(name)


def encoded(image: Image.Image, format: str, **options: object) -> bytes:
    file = io.BytesIO()
    image.save(file, format, **options)
    return file.getvalue()


def reopened(image: Image.Image, format: str, **options: object) -> Image.Image:
    return Image.open(io.BytesIO(encoded(image, format, **options))).convert("RGB")


def plant(root: Path) -> dict[str, set[str]]:
    """Folders train, held-out and masks; returns code -> names."""
    planter = Planter(root)
    for number in range(HEALTHY):
        ending = ("png", "jpg", "webp")[number % 3]
        planter.add(f"fine-{number:03d}.{ending}", planter.fresh(), quality=90)
    for number in range(6):
        planter.add(f"measured-{number}.png", planter.fresh(), folder="held-out")
    _files(planter)
    _copies(planter)
    _quality(planter)
    _captions(planter)
    _masks(planter)
    return planter.planted


def _files(p: Planter) -> None:
    for n in range(EACH):
        p.add(f"torn-{n}.png", encoded(p.fresh(), "PNG")[:30_000], "DAT070")
        p.add(f"torn-{n}.jpg", encoded(p.fresh(), "JPEG")[:6_000], "DAT070")
        p.add(f"noise-{n}.png", bytes(range(256)) * 4, "DAT003")
        p.add(f"empty-{n}.jpg", b"", "DAT003")
        frames = [p.fresh() for _ in range(3)]
        p.add(f"moving-{n}.webp", frames[0], "DAT071", save_all=True, append_images=frames[1:])
        clear = p.fresh().convert("RGBA")
        clear.paste((0, 0, 0, 0), (0, 0, 40, 60))
        p.add(f"clear-{n}.png", clear, "DAT072")
        p.add(f"ink-{n}.jpg", p.fresh().convert("CMYK"), "DAT073", quality=90)
        lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
        p.add(f"profile-{n}.png", p.fresh(), "DAT073", icc_profile=lab)
        exif = Image.Exif()
        exif[0x0112] = (3, 6, 8)[n % 3]
        p.add(f"turned-{n}.jpg", p.fresh(), "DAT074", exif=exif, quality=90)
        p.add(f"liar-{n}.png", encoded(p.fresh(), "JPEG", quality=90), "DAT075")


def _copies(p: Planter) -> None:
    for n in range(EACH):
        same = encoded(p.fresh(), "PNG")
        p.add(f"same-{n}-a.png", same)
        p.add(f"same-{n}-b.png", same, "DAT009", text=f"ohwx view of the same place, number {n}")
        leaked = encoded(p.fresh(), "PNG")
        p.add(f"leak-{n}.png", leaked, "DAT077")
        p.add(f"leaked-{n}.png", leaked, folder="held-out")
        original = p.fresh()
        p.add(f"near-{n}-a.png", original)
        small = reopened(original.resize((200, 200)), "JPEG", quality=80)
        p.add(f"near-{n}-b.png", small.resize((256, 256)), None)
    for n in range(EACH):
        p.planted.setdefault("DAT076", set()).add(f"near-{n}-b.png")


def _quality(p: Planter) -> None:
    for n in range(EACH):
        tiny = p.fresh().resize((150, 150))
        p.add(f"tiny-{n}.png", tiny, "DAT008")
        soft = p.fresh().filter(ImageFilter.GaussianBlur(4))
        p.add(f"soft-{n}.png", soft, "DAT078")
        dark = p.fresh().point(lambda v: v * 0.1)
        p.add(f"dark-{n}.png", dark, "DAT079")
        framed = Image.new("RGB", (256, 256), "black")
        framed.paste(p.fresh().resize((256, 192)).point(lambda v: 30 + v * 0.8), (0, 32))
        p.add(f"bars-{n}.png", framed, "DAT080")
        p.add(f"crushed-{n}.jpg", p.fresh(), "DAT081", quality=12)


def _captions(p: Planter) -> None:
    for n in range(EACH):
        p.add(f"silent-{n}.png", p.fresh(), "DAT006", text=None)
        p.add(f"blank-{n}.png", p.fresh(), "DAT007", text=" \n")
        p.add(f"latin-{n}.png", p.fresh(), "DAT007", text="ohwx caf\xe9 chair".encode("latin-1"))
        mojibake = "ohwx drawing of a café in a small town".encode().decode("latin-1")
        p.add(f"broken-{n}.png", p.fresh(), "DAT084", text=f"{mojibake}, {n}th")
        long = f"ohwx drawing of {n} " + " and ".join(f"a tall {w} by the water" for w in NOUNS * 3)
        p.add(f"long-{n}.png", p.fresh(), "DAT086", text=long)
        p.add(f"IMG_{4000 + n}.jpg", p.fresh(), "DAT089", text=f"ohwx drawing IMG_{4000 + n}")
        spelt = f"OHWX drawing of a chair that stands in a room, {n}th"
        p.add(f"spelt-{n}.png", p.fresh(), "DAT088", text=spelt)
        p.add(f"lost-{n}.png", p.fresh(), "DAT088", text=f"a chair that stands in a room, {n}th")
    for n in range(30):
        name, tags = f"tags-{n:02d}.png", f"ohwx, tree, blue sky, {NOUNS[n % 10]}, {n}th"
        p.add(name, p.fresh(), "DAT087", text=tags)
    for n in range(70):
        text = "ohwx drawing of a thing in front of a wall"
        p.add(f"alike-{n:02d}.png", p.fresh(), "DAT085", text=text)


def _masks(p: Planter) -> None:
    """Of the healthy pictures only; the others are not paired."""
    for number in range(HEALTHY):
        ending = ("png", "jpg", "webp")[number % 3]
        stem = f"fine-{number:03d}"
        mask = Image.new("L", (256, 256), 0)
        mask.paste(255, (20 + number, 30, 120 + number, 180))
        code = None
        if number < EACH:
            p.planted.setdefault("DAT018", set()).add(f"{stem}.{ending}")
            continue
        if number < 2 * EACH:
            code, mask = "DAT092", Image.new("L", (256, 256), 255 * (number % 2))
        elif number < 3 * EACH:
            mask = mask.resize((256, 200))
            p.planted.setdefault("DAT019", set()).add(f"{stem}.{ending}")
        p.add(f"{stem}.png", mask, code, text=None, folder="masks")
    for number in range(EACH):
        lonely = Image.new("L", (256, 256), 0)
        lonely.paste(255, (10, 10, 90 + number, 90))
        p.add(f"lonely-{number}.png", lonely, "DAT015", text=None, folder="masks")
