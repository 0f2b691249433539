"""Captions of a picture: where they are read from, and which one a draw uses."""

from __future__ import annotations

from pathlib import Path

from trainer.config.schema.data import CaptionConfig
from trainer.rng import stream_seed, unit


class MissingCaption(Exception):
    """The picture has no caption; `str()` says why."""


def read_captions(path: Path, config: CaptionConfig) -> tuple[str, ...]:
    """All caption variants of a picture; raises MissingCaption when there is none."""
    match config.source:
        case "instanceprompt":
            assert config.prompt is not None, "lint demands a prompt"
            return (config.prompt,)
        case "filename":
            texts = (path.stem.replace("_", " ").strip(),)
        case "textfile":
            texts = _from_textfile(path.with_suffix(".txt"))
    if config.prepend and config.prompt:
        texts = tuple(f"{config.prompt} {text}".strip() for text in texts)
    return texts


def _from_textfile(path: Path) -> tuple[str, ...]:
    """Each non-empty line is one variant."""
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except FileNotFoundError:
        raise MissingCaption(f"there is no {path.name}") from None
    except (UnicodeDecodeError, OSError) as error:
        raise MissingCaption(f"{path.name} is not readable as UTF-8: {error}") from None
    texts = tuple(text for line in lines if (text := line.strip()))
    if not texts:
        raise MissingCaption(f"{path.name} is empty")
    return texts


def drawn_caption(
    captions: tuple[str, ...], dropout: float, *, seed: int, sample_id: int, visit: int
) -> str:
    """The variant of one draw, or the empty caption when it is dropped."""
    if dropout and unit(stream_seed(seed, sample_id, visit, "caption-dropout")) < dropout:
        return ""
    if len(captions) == 1:
        return captions[0]
    return captions[int(unit(stream_seed(seed, sample_id, visit, "caption")) * len(captions))]
