"""Captions of a sample: what its caption file holds, which texts are made of it, and which one a
draw uses.

All texts of a sample are known before training, so each is encoded once and in advance.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Any

from trainer.config.caption_language import fill, parse_filter
from trainer.config.schema.captions import CaptionConfig
from trainer.data.caption_orders import orders
from trainer.data.sources.base import LYRICS, VARIANT
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
    except (ValueError, RecursionError) as error:
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
    values = value if isinstance(value, list) else [value]
    found = [text for v in values if isinstance(v, str) and (text := _clean(v))]
    is_tags = isinstance(value, list) and key.rpartition(".")[2] == "tags"
    return [", ".join(found)] if is_tags and found else found


def _clean(text: str) -> str:
    """Half a surrogate pair can be written in JSON, but in no other file; and captions are kept
    apart by a character that no caption may hold."""
    whole = text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return whole.replace(VARIANT, " ").replace(LYRICS, " ").strip()


# --- the texts of a sample ---------------------------------------------------------------------


def variants(relpath: str, stored: str | None, config: CaptionConfig) -> tuple[str, ...]:
    """All captions a sample may be shown with, each once; empty when it has none.

    `stored` is what the index keeps of the caption's source. In this order: the texts of the
    source, each framed by the template, filtered, preceded by each prompt, shuffled. A text of
    which the filters leave nothing is dropped before a prompt could stand in for it. The lyrics of
    a song follow each of them behind LYRICS, untouched; a family of songs takes them apart.
    """
    stored, mark, lyrics = (stored or "").partition(LYRICS)
    texts = _source_texts(relpath, stored, config)
    if config.template is not None:
        name, folder = name_as_text(relpath), folder_as_text(relpath)
        texts = [fill(config.template, caption=t, name=name, folder=folder) for t in texts]
    for text in config.filters:
        apply = parse_filter(text)
        texts = [apply(t) for t in texts]
    texts = [text for t in texts if (text := t.strip())]
    if config.prepend and config.source != "instanceprompt":
        texts = [f"{prompt} {text}" for prompt in _prompts(config) for text in texts]
    if config.shuffle is not None:
        texts = [order for text in texts for order in orders(text, config.shuffle)]
    return tuple(dict.fromkeys(text + mark + lyrics for text in texts))


def _source_texts(relpath: str, stored: str | None, config: CaptionConfig) -> list[str]:
    match config.source:
        case "instanceprompt":
            return _prompts(config)
        case "filename":
            return [name_as_text(relpath)]
    parts = stored.split(VARIANT) if stored else []
    if config.split_lines and config.source == "textfile":
        parts = [line for part in parts for line in part.split("\n")]
    return parts


def _prompts(config: CaptionConfig) -> list[str]:
    assert config.prompt is not None, "lint demands a prompt"
    return [config.prompt] if isinstance(config.prompt, str) else list(config.prompt)


def name_as_text(relpath: str) -> str:
    """The file name as words: "red_apple.png" is "red apple"."""
    return _words(PurePosixPath(relpath).stem)


def folder_as_text(relpath: str) -> str:
    """The name of the innermost folder as words; empty for a sample in none."""
    return _words(PurePosixPath(relpath).parent.name)


def _words(name: str) -> str:
    return " ".join(name.replace("_", " ").split())


def drawn_caption(
    captions: Sequence[str], dropout: float, *, seed: int, sample_id: int, visit: int
) -> str:
    """The variant of one draw, or the empty caption when it is dropped."""
    if dropout and unit(stream_seed(seed, sample_id, visit, "caption-dropout")) < dropout:
        return ""
    if len(captions) == 1:
        return captions[0]
    return captions[int(unit(stream_seed(seed, sample_id, visit, "caption")) * len(captions))]
