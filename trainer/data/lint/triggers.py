"""Trigger words: the one word or phrase that all captions of a subject share.

It can be named; otherwise a word that nearly all captions hold, but not all, is taken for one.
Captions that hold it in another spelling are told apart from those without it.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from difflib import SequenceMatcher

from trainer.data.lint.flag import Flag, Group, Sample
from trainer.data.survey.captions import words_of

ENOUGH = 20  # captions before a word is guessed
NEARLY_ALL = 0.9
ORDINARY = """
a an the of in on at to for from by with without and or is are was be being it its this that as
into over under behind front near next his her their he she they there has have not no one two up
out off very while who which some background image photo picture
"""
COMMON = frozenset(ORDINARY.split())


def check_trigger(group: Group, samples: Sequence[Sample], named: str | None) -> Iterator[Flag]:
    if named:
        trigger: str | None = named
    else:
        trigger = guessed([sample.captions[0] for sample in samples])
    if trigger is None:
        return
    exact = re.compile(rf"(?<!\w){re.escape(trigger)}(?!\w)")
    why = "" if named else f" (in most captions: {trigger!r})"
    for sample in samples:
        lacking = [c for c in sample.captions if not exact.search(c)]
        if not lacking:
            continue
        found = misspelt(lacking[0], trigger)
        if found is None:
            yield group.flag("DAT088", sample, f"{trigger!r} is missing{why}")
            continue
        mended = tuple(_respelt(c, trigger) for c in sample.captions)
        yield group.flag("DAT088", sample, f"{found!r} instead of {trigger!r}", caption=mended)


def guessed(captions: Sequence[str]) -> str | None:
    """The word in its most frequent spelling, or None."""
    if len(captions) < ENOUGH:
        return None
    counted = Counter(word for caption in captions for word in set(words_of(caption)))
    spellings = [
        (count, word)
        for word, count in counted.items()
        if NEARLY_ALL * len(captions) <= count and word not in COMMON and len(word) > 2
    ]
    for _, word in sorted(spellings, reverse=True):
        pattern = re.compile(rf"(?<!\w){re.escape(word)}(?!\w)", re.IGNORECASE)
        forms = Counter(form for caption in captions for form in set(pattern.findall(caption)))
        form, count = forms.most_common(1)[0]
        if count < len(captions):
            return form
    return None


def misspelt(caption: str, trigger: str) -> str | None:
    """A part of the caption that is nearly the trigger: other case, or one letter off."""
    length = len(trigger.split())
    words = re.findall(r"[^\s,.;:!?]+", caption)
    for start in range(len(words) - length + 1):
        part = " ".join(words[start : start + length])
        if part.lower() == trigger.lower():
            return part
        close = SequenceMatcher(None, part.lower(), trigger.lower()).ratio()
        if (
            len(trigger) >= 4
            and abs(len(part) - len(trigger)) <= 1
            and close >= 1 - 1 / len(trigger)
        ):
            return part
    return None


def _respelt(caption: str, trigger: str) -> str:
    found = misspelt(caption, trigger)
    if found is None or found == trigger:
        return caption
    return re.sub(rf"(?<!\w){re.escape(found)}(?!\w)", trigger.replace("\\", r"\\"), caption)
