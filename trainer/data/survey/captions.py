"""The figures of `data captions`: words, tags, lengths, repetitions, and what is missing."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np

from trainer.data.survey.numbers import histogram, summary
from trainer.data.survey.scan import Scanned
from trainer.data.survey.subject import Subject
from trainer.data.survey.tokens import token_counter

TOP = 20
WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
TOKENS = (11, 26, 51, 78, 101, 151, 226, 301, 513)
TOKEN_NAMES = (
    *("1-10", "11-25", "26-50", "51-77", "78-100", "101-150"),
    *("151-225", "226-300", "301-512", "> 512"),
)


def words_of(caption: str) -> list[str]:
    """Its words in small letters."""
    return WORD.findall(caption.lower())


def tags_of(caption: str) -> list[str]:
    """Its parts between commas."""
    return [tag for part in caption.split(",") if (tag := " ".join(part.split()))]


def captions_document(
    subject: Subject, parts: list[Scanned], *, pattern: str = "", top: int = TOP
) -> dict[str, Any]:
    """Figures of each dataset that has captions; `pattern` keeps the captions that hold it."""
    return {
        "family": subject.facts.key,
        "filter": pattern,
        "datasets": [
            _captions(subject, part, pattern.lower(), top)
            for part in parts
            if part.dataset.role not in ("conditioning", "mask")
        ],
    }


def listed(part: Scanned) -> Iterator[tuple[str, str]]:
    """(name, caption) of every variant of every usable sample."""
    for row in range(len(part.table)):
        name = part.table.relpaths[row]
        for caption in part.table.captions(row):
            yield name, caption


def _captions(subject: Subject, part: Scanned, pattern: str, top: int) -> dict[str, Any]:
    pairs = [(n, c) for n, c in listed(part) if pattern in c.lower()]
    texts = [caption for _, caption in pairs]
    counter = token_counter(subject)
    tokens = np.array(counter.count(texts), dtype=int)
    order = np.argsort(-tokens, kind="stable")[:5] if len(tokens) else []
    words, tags = Counter[str](), Counter[str]()
    for text in texts:
        words.update(set(words_of(text)))
        tags.update(set(tags_of(text)) if "," in text else ())
    repeated = [(text, n) for text, n in Counter(texts).most_common(top) if n > 1]
    lost = part.funnel.lost
    return {
        "id": part.dataset.id,
        "samples": len({name for name, _ in pairs}),
        "captions": len(texts),
        "different": len(set(texts)),
        "missing": lost["uncaptioned"].count if "uncaptioned" in lost else 0,
        "unusable": lost["bad caption"].count if "bad caption" in lost else 0,
        "words": summary(np.array([len(words_of(t)) for t in texts], dtype=int)),
        "tokens": summary(tokens),
        "token_limit": counter.limit,
        "tokens_exact": counter.exact,
        "over_limit": int((tokens > counter.limit).sum()),
        "token_histogram": histogram(tokens, TOKENS, TOKEN_NAMES),
        "top_words": _top(words, top, len(texts)),
        "top_tags": _top(tags, top, len(texts)),
        "repeated": [{"caption": text, "count": n} for text, n in repeated],
        "longest": [
            {"path": pairs[i][0], "tokens": int(tokens[i]), "caption": pairs[i][1]} for i in order
        ],
    }


def _top(counted: Counter[str], top: int, total: int) -> list[dict[str, Any]]:
    return [
        {"text": text, "count": n, "share": round(n / total, 4)}
        for text, n in counted.most_common(top)
    ]
