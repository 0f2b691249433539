"""Build the demo's picture sets from two npm packages.

    npm pack emoji-datasource-google emoji-datasource-twitter   # and unpack both
    python -m bench.demo_model.pictures GOOGLE_DIR TWITTER_DIR presets/demo/pictures

Writes `noto/` (all concepts, several captions each), `sticker/` (the second style, without the
held-out concepts) and `sticker-heldout/`: 64 px PNG on white, captions beside them as .txt.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from PIL import Image

from bench.demo_model.concepts import CONCEPTS, STYLE, held_out, wordings


def files_by_name(package: Path, vendor: str) -> dict[str, Path]:
    """Emoji short name -> picture of the vendor."""
    table = json.loads((package / "emoji.json").read_text())
    folder = package / "img" / vendor / "64"
    return {name: folder / row["image"] for row in table for name in row["short_names"]}


def on_white(path: Path) -> Image.Image:
    picture = Image.open(path).convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    return Image.alpha_composite(white, picture).convert("RGB")


def write(out: Path, name: str, picture: Path, captions: list[str]) -> None:
    out.mkdir(parents=True, exist_ok=True)
    on_white(picture).quantize(64, method=Image.Quantize.MEDIANCUT).convert("P").save(
        out / f"{name}.png", optimize=True
    )
    (out / f"{name}.txt").write_text("\n".join(captions) + "\n")


def main(google: Path, twitter: Path, out: Path) -> int:
    noto, sticker = files_by_name(google, "google"), files_by_name(twitter, "twitter")
    missing = [n for n in CONCEPTS if not noto.get(n, Path("-")).exists()]
    if missing:
        print(f"no picture of: {', '.join(missing)}", file=sys.stderr)
    away = set(held_out())
    for name, caption in CONCEPTS.items():
        if name in missing:
            continue
        write(out / "noto", name, noto[name], wordings(caption))
        if sticker[name].exists():
            folder = "sticker-heldout" if name in away else "sticker"
            write(out / folder, name, sticker[name], [f"{caption}, {STYLE}"])
    return 0


if __name__ == "__main__":
    sys.exit(main(*(Path(a) for a in sys.argv[1:4])))
