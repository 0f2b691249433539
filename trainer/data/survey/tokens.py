"""How many tokens a caption has, by the tokenizers of a model that lies in a local folder.

Only their files are read, without the model and without torch. A text is cut by the shortest
encoder only in part: encoders that read more (T5 of Flux) still see the rest, so the longest limit
of a family decides what is lost.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trainer.data.survey.subject import Subject
from trainer.runs.files import read_json

WORDS_TO_TOKENS = 1.35  # English, CLIP vocabulary, with its two marks of begin and end


@dataclass(frozen=True, slots=True)
class Counter:
    """Counts tokens of captions; `limit` is what the text encoder reads of them."""

    limit: int
    exact: bool  # False: estimated from words
    count: Callable[[Sequence[str]], list[int]]


def token_counter(subject: Subject) -> Counter:
    """By the tokenizer whose encoder reads most; without one, an estimate from words."""
    encoders = sorted(subject.facts.text_encoders, key=lambda e: e.max_tokens, reverse=True)
    longest = encoders[0]
    limit = longest.max_tokens
    if "max_tokens" in subject.facts.supports:
        limit = subject.config.model.max_tokens or limit
    path = subject.config.model.path
    if path is not None and Path(path).is_dir():
        tokenizer = _tokenizer(Path(path) / longest.tokenizer_slot)
        if tokenizer is not None:
            return Counter(limit, True, lambda texts: _lengths(tokenizer, texts))
    return Counter(limit, False, lambda texts: [estimated(text) for text in texts])


def estimated(text: str) -> int:
    return round(len(text.split()) * WORDS_TO_TOKENS) + 2


def _lengths(tokenizer: Any, texts: Sequence[str]) -> list[int]:
    return [len(encoding.ids) for encoding in tokenizer.encode_batch(list(texts))]


def _tokenizer(folder: Path) -> Any | None:
    """A tokenizer of the `tokenizers` library, without truncation and padding."""
    try:
        from tokenizers import Tokenizer
    except ImportError:
        return None
    file = folder / "tokenizer.json"
    if file.is_file():
        tokenizer = Tokenizer.from_file(str(file))
    elif (folder / "vocab.json").is_file() and (folder / "merges.txt").is_file():
        tokenizer = _clip(folder)
    else:
        return None
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _clip(folder: Path) -> Any:
    """CLIP's byte-pair tokenizer from the two files of older model folders."""
    from tokenizers import Regex, Tokenizer, models, normalizers, pre_tokenizers, processors

    vocab = read_json(folder / "vocab.json") or {}
    model = models.BPE.from_file(
        str(folder / "vocab.json"),
        str(folder / "merges.txt"),
        end_of_word_suffix="</w>",
        unk_token="<|endoftext|>",
    )
    tokenizer = Tokenizer(model)
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "), normalizers.Lowercase()]
    )
    words = r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(words), behavior="removed", invert=True),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    start, end = "<|startoftext|>", "<|endoftext|>"
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"{start} $A {end}",
        special_tokens=[(start, vocab.get(start, 0)), (end, vocab.get(end, 0))],
    )
    return tokenizer
