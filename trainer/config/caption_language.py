"""The two small languages of captions: filters that remove or replace, templates that frame.

Both are read once per configuration, by the linter (which reports what cannot be read) and by the
data layer (which applies them). Nothing here knows where captions come from.

A filter is a text, which is removed wherever it stands, or `s/pattern/replacement/`, which
replaces every match of a Python regular expression; `s/…/…/i` ignores case, and `\\/` is a slash.
What a removal leaves behind (two spaces, a comma without a tag) is tidied.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from string import Formatter

PLACEHOLDERS = ("caption", "name", "folder")

_TOKENS = re.compile(r"\\.|/|[^\\/]+|\\$", re.DOTALL)  # an escaped character is one token
_FLAGS = {"i", "g"}  # g, as in sed: all matches are replaced, which is the case anyway


@dataclass(frozen=True, slots=True)
class Filter:
    """Matches of `pattern` become `replacement`; without a pattern `text` is removed."""

    text: str
    pattern: re.Pattern[str] | None = None
    replacement: str = ""

    def __call__(self, caption: str) -> str:
        if self.pattern is not None:
            changed = self.pattern.sub(self.replacement, caption)
            return tidy(changed) if changed != caption and not self.replacement else changed
        while self.text in caption:  # what is left of two neighbours may form the text again
            caption = tidy(caption.replace(self.text, ""))
        return caption


@lru_cache(maxsize=256)
def parse_filter(text: str) -> Filter:
    """ValueError says what is wrong with the filter."""
    if not text.strip():
        raise ValueError("it is empty")
    if not text.startswith("s/") or len(parts := _parts(text)) < 3:
        return Filter(text)
    if len(parts) > 4:
        raise ValueError("it has more than three slashes; write \\/ for one that is meant")
    _, pattern, replacement, flags = (*parts, "")[:4]
    if not pattern:
        raise ValueError("its pattern is empty")
    if unknown := set(flags) - _FLAGS:
        raise ValueError(f"{''.join(sorted(unknown))} is no flag; i ignores case")
    replacement = replacement.replace("\\/", "/")
    try:
        compiled = re.compile(pattern, re.IGNORECASE if "i" in flags else 0)
        compiled.sub(replacement, "")  # reads the replacement, also without a match
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"it is no regular expression: {error}") from error
    except IndexError as error:
        raise ValueError(f"its replacement names a group that does not exist: {error}") from error
    return Filter(text, compiled, replacement)


def _parts(text: str) -> list[str]:
    """What stands between slashes that are not escaped."""
    parts = [""]
    for token in _TOKENS.findall(text):
        if token == "/":
            parts.append("")
        else:
            parts[-1] += token
    return parts


_TIDY = (
    (re.compile(r"[ \t]{2,}"), " "),
    (re.compile(r"\.(?:[ \t]+\.)+"), "."),
    (re.compile(r"[ \t]+(?=[,;.])"), ""),
    (re.compile(r"([,;])(?:[ \t]*[,;])+"), r"\1"),
    (re.compile(r"[,;][ \t]*\."), "."),
    (re.compile(r"^[ \t,;]+|[ \t,;]+$", re.MULTILINE), ""),
    (re.compile(r"\n{2,}"), "\n"),
)


def tidy(caption: str) -> str:
    """Without the spaces and separators that belong to nothing; tidying again changes nothing."""
    before = None
    while before != caption:
        before = caption
        for pattern, replacement in _TIDY:
            caption = pattern.sub(replacement, caption)
        caption = caption.strip()
    return caption


def template_problem(template: str) -> str | None:
    """What is wrong with a template, or None."""
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        return f"it cannot be read: {error}"
    names = [name for _, name, _, _ in parts if name is not None]
    unknown = [name for name in names if name not in PLACEHOLDERS]
    if unknown:
        return f"{{{unknown[0]}}} is no placeholder"
    if any(spec or conversion for _, _, spec, conversion in parts):
        return "a placeholder takes no format"
    return None if names else "it has no placeholder, so all captions become the same"


def fill(template: str, *, caption: str, name: str, folder: str) -> str:
    """The template with its placeholders filled in; braces in the texts stay what they are.

    A sample outside any folder has no folder, and what stood around its name is tidied.
    """
    text = template.format(caption=caption, name=name, folder=folder)
    return text.strip() if folder else tidy(text)
