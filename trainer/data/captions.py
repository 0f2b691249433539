"""Captions of a picture: what its caption file holds, and which text a draw uses."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PurePosixPath

from trainer.config.schema.data import CaptionConfig
from trainer.rng import stream_seed, unit


def read_caption_file(path: Path) -> tuple[str | None, str | None]:
    """(non-empty lines, None), or (None, why there is no caption); OSError passes through."""
    try:
        text = path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        return None, f"{path.name} is not UTF-8 text (byte {error.start})"
    lines = [line for raw in text.splitlines() if (line := raw.strip())]
    return ("\n".join(lines), None) if lines else (None, f"{path.name} is empty")


def variants(relpath: str, file_text: str | None, config: CaptionConfig) -> tuple[str, ...]:
    """All captions a picture may be shown with; empty when it has none.

    `file_text` is what `read_caption_file` found; each of its lines is one variant.
    """
    match config.source:
        case "instanceprompt":
            assert config.prompt is not None, "lint demands a prompt"
            return (config.prompt,)
        case "filename":
            texts = (name_as_text(relpath),)
        case "textfile":
            texts = tuple(file_text.split("\n")) if file_text else ()
    if config.prepend and config.prompt:
        texts = tuple(f"{config.prompt} {text}".strip() for text in texts)
    return texts


def name_as_text(relpath: str) -> str:
    """The file name as words: "red_apple.png" is "red apple"."""
    return " ".join(PurePosixPath(relpath).stem.replace("_", " ").split())


def drawn_caption(
    captions: Sequence[str], dropout: float, *, seed: int, sample_id: int, visit: int
) -> str:
    """The variant of one draw, or the empty caption when it is dropped."""
    if dropout and unit(stream_seed(seed, sample_id, visit, "caption-dropout")) < dropout:
        return ""
    if len(captions) == 1:
        return captions[0]
    return captions[int(unit(stream_seed(seed, sample_id, visit, "caption")) * len(captions))]
