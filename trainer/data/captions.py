"""Captions of a sample: what its caption file holds, and which text a draw uses."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from trainer.config.schema.captions import CaptionConfig
from trainer.data.sources.base import VARIANT
from trainer.rng import stream_seed, unit

Text = tuple[str | None, str | None]  # captions, or why there are none


@dataclass(frozen=True, slots=True)
class CaptionFile:
    """The file beside a sample that holds its captions; `tag` names how it is read."""

    suffix: str  # replaces the ending of the sample
    tag: str
    parse: Callable[[bytes, str], Text]  # content, name


def caption_file(config: CaptionConfig) -> CaptionFile | None:
    """The caption file that a dataset reads, if it reads one."""
    match config.source:
        case "textfile":
            return CaptionFile(config.suffix, config.suffix, parse_text)
        case "json":
            names = [config.column] if isinstance(config.column, str) else config.column or []
            return CaptionFile(
                ".json", f"json:{names}", lambda data, name: parse_json(data, name, names)
            )
        case _:
            return None


def parse_text(data: bytes, name: str) -> Text:
    """The non-empty lines of a text file."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return None, f"{name} is not UTF-8 text (byte {error.start})"
    lines = [line for raw in text.splitlines() if (line := raw.strip())]
    return ("\n".join(lines), None) if lines else (None, f"{name} is empty")


def parse_json(data: bytes, name: str, columns: Sequence[str]) -> Text:
    """The captions of a JSON file: a text, a list of texts, or an object with such values.

    Without `columns` the usual keys of an object are looked up: caption, captions, text, prompt,
    tags (whose list is one caption).
    """
    try:
        value = json.loads(data)
    except ValueError as error:
        return None, f"{name} is not JSON: {error}"
    if isinstance(value, dict):
        found = [t for key in columns or USUAL for t in texts(at(value, key), key)]
    else:
        found = texts(value, "")
    return (VARIANT.join(found), None) if found else (None, f"{name} holds no caption")


USUAL = ("caption", "captions", "text", "prompt", "tags")


def at(value: Any, path: str) -> Any:
    """A nested value by its dotted path; None where it does not exist."""
    for part in path.split("."):
        value = value.get(part) if isinstance(value, dict) else None
    return value


def texts(value: Any, key: str) -> list[str]:
    """The captions in a value: a text, a list of texts, or the one caption of a list of tags."""
    if isinstance(value, str):
        return [value.strip()] if value.strip() else []
    if not isinstance(value, list):
        return []
    found = [t.strip() for t in value if isinstance(t, str) and t.strip()]
    return [", ".join(found)] if key.rpartition(".")[2] == "tags" and found else found


def variants(relpath: str, stored: str | None, config: CaptionConfig) -> tuple[str, ...]:
    """All captions a sample may be shown with; empty when it has none.

    `stored` is what the index keeps of the caption's source.
    """
    match config.source:
        case "instanceprompt":
            return _prompts(config)
        case "filename":
            texts = (name_as_text(relpath),)
        case _:
            texts = _stored(stored or "", config)
    if config.prepend and config.prompt:
        texts = tuple(f"{p} {text}".strip() for p in _prompts(config) for text in texts)
    return texts


def _stored(stored: str, config: CaptionConfig) -> tuple[str, ...]:
    parts = stored.split(VARIANT) if stored else []
    if config.split_lines and config.source == "textfile":
        parts = [line for part in parts for line in part.split("\n")]
    return tuple(parts)


def _prompts(config: CaptionConfig) -> tuple[str, ...]:
    assert config.prompt is not None, "lint demands a prompt"
    return (config.prompt,) if isinstance(config.prompt, str) else tuple(config.prompt)


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
