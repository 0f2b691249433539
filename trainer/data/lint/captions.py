"""Captions: repetition, length, encoding, style, trigger words, file names.

Missing and empty captions are told by the funnel. What can be mended mechanically carries its
correction, which `--fix` puts into the overlay.
"""

from __future__ import annotations

import html
import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress

from trainer.data.captions import name_as_text
from trainer.data.lint.flag import Flag, Group, Sample
from trainer.data.lint.triggers import check_trigger
from trainer.data.survey.captions import tags_of, words_of
from trainer.data.survey.tokens import Counter as TokenCounter

SHARED = 0.2  # of the samples that may have the same caption
FEW = 5
MIXED = 0.1
BROKEN = re.compile(
    r"[\ufffd\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"  # replacement and control characters
    r"|Ã[\x80-\xbfŠšŒœŽžŸ€‚ƒ„…†‡ˆ‰‹‘’“”•–—˜™›]|â€|Â[\xa0-\xbf]"  # UTF-8 read as Windows-1252
    r"|&(?:amp|quot|lt|gt|#\d+);"  # escaped for HTML
)
CAMERA = re.compile(r"\b(?:IMG|DSC|DSCF|DSCN|PXL|MVIMG|Screenshot)[_-]?\d{3,}\w*", re.IGNORECASE)
ENDING = re.compile(
    r"\S+\.(?:jpe?g|png|webp|gif|bmp|tiff?|avif|heic|mp4|mov|wav|mp3)\b", re.IGNORECASE
)


def check_captions(group: Group, tokens: TokenCounter, trigger: str | None) -> Iterator[Flag]:
    samples = [s for s in group.samples if s.captions and s.captions != ("",)]
    if not samples:
        return
    own = group.dataset.caption.source not in ("instanceprompt", "filename")
    for sample in samples:
        yield from _encoding(group, sample)
        if own:
            yield from _file_name(group, sample)
    yield from _too_long(group, samples, tokens)
    if own:
        yield from _identical(group, samples)
        yield from _style(group, samples)
    yield from check_trigger(group, samples, trigger)


def _encoding(group: Group, sample: Sample) -> Iterator[Flag]:
    broken = [c for c in sample.captions if BROKEN.search(c)]
    if broken:
        mended = tuple(_mended(caption) for caption in sample.captions)
        right = mended if not any(BROKEN.search(c) for c in mended) else None
        yield group.flag("DAT084", sample, _quoted(broken[0]), caption=right)


def _mended(caption: str) -> str:
    """UTF-8 that was read as Windows-1252, or text escaped for HTML, as it was meant."""
    text = html.unescape(caption)
    if re.search(r"[ÃÂâ]", text):
        with suppress(UnicodeError):
            text = text.encode("cp1252").decode("utf-8")
    return text


def _too_long(group: Group, samples: Sequence[Sample], tokens: TokenCounter) -> Iterator[Flag]:
    pairs = [(sample, caption) for sample in samples for caption in sample.captions]
    counts = tokens.count([caption for _, caption in pairs])
    longest: dict[str, tuple[Sample, int]] = {}
    for (sample, _), count in zip(pairs, counts, strict=True):
        if count > max(tokens.limit, longest.get(sample.relpath, (sample, 0))[1]):
            longest[sample.relpath] = (sample, count)
    about = "" if tokens.exact else "about "
    for sample, count in longest.values():
        yield group.flag("DAT086", sample, f"{about}{count} tokens of {tokens.limit}")


def _identical(group: Group, samples: Sequence[Sample]) -> Iterator[Flag]:
    counted = Counter(sample.captions for sample in samples)
    for captions, count in counted.items():
        if count >= max(FEW, SHARED * len(samples)):
            for sample in samples:
                if sample.captions == captions:
                    yield group.flag("DAT085", sample, f"shared by {count}: {_quoted(captions[0])}")


def is_tags(caption: str) -> bool | None:
    """Whether it is a list of tags; None when it is too short to tell."""
    tags = tags_of(caption)
    words = len(words_of(caption))
    if len(tags) >= 4 and words / len(tags) <= 3 and not caption.rstrip().endswith("."):
        return True
    if words >= 6 and words / max(1, len(tags)) > 4:
        return False
    return None


def _style(group: Group, samples: Sequence[Sample]) -> Iterator[Flag]:
    kinds = {s.relpath: is_tags(s.captions[0]) for s in samples}
    lists, sentences = (sum(k is which for k in kinds.values()) for which in (True, False))
    fewer = lists < sentences
    few = min(lists, sentences)
    if few < max(3, MIXED * (lists + sentences)):
        return
    what = "a list of tags among sentences" if fewer else "a sentence among lists of tags"
    for sample in samples:
        if kinds[sample.relpath] is fewer:
            yield group.flag("DAT087", sample, f"{what}: {_quoted(sample.captions[0])}")


def _file_name(group: Group, sample: Sample) -> Iterator[Flag]:
    stem = os.path.splitext(os.path.basename(sample.relpath))[0]
    for caption in sample.captions:
        leak = _leak(caption, stem)
        if leak:
            rest = tuple(_without(c, stem) for c in sample.captions)
            yield group.flag(
                "DAT089", sample, f"holds {leak!r}", caption=rest if all(rest) else None
            )
            return


def _leak(caption: str, stem: str) -> str:
    """The part of a caption that is a file name; "" for none."""
    for pattern in (ENDING, CAMERA):
        if match := pattern.search(caption):
            return match[0]
    if _telling(stem) and (caption == name_as_text(stem) or _whole(stem).search(caption)):
        return stem
    return ""


def _telling(stem: str) -> bool:
    """Whether a name is no word that a caption may well hold: "IMG_1234", not "dog"."""
    return len(stem) >= 5 and re.search(r"[\d_]", stem) is not None


def _whole(stem: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w){re.escape(stem)}(?!\w)")


def _without(caption: str, stem: str) -> str:
    if caption == name_as_text(stem):
        return ""
    for pattern in (ENDING, CAMERA, *([_whole(stem)] if _telling(stem) else [])):
        caption = pattern.sub("", caption)
    return re.sub(r"\s+([,.;:])", r"\1", " ".join(caption.split())).strip(" ,;:-")


def _quoted(caption: str) -> str:
    return f'"{caption[:60]}…"' if len(caption) > 60 else f'"{caption}"'
