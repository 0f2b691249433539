"""Token counts equal those of the tokenizers that training uses."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.pictures import make_folder
from tests.unit.trainer.data.lint.looking import subject_of
from trainer.data.survey.tokens import estimated, token_counter

TEXTS = [
    "a red apple",
    "Two  cats, sitting on a MAT; it's 3 o'clock!",
    "naïve café — 日本 🙂",
    "",
    "don't " * 40,
]
PRESET = Path("presets/demo/model")


def transformers_lengths(family: str, model: Path) -> list[int]:
    from transformers import AutoTokenizer

    folder = model / {"flux": "tokenizer_2"}.get(family, "tokenizer")
    tokenizer = AutoTokenizer.from_pretrained(folder)
    return [len(tokenizer(text)["input_ids"]) for text in TEXTS]


@pytest.mark.parametrize("family", ["sd1x", "sdxl", "flux"])
def test_counts_are_those_of_transformers(tiny_model, tmp_path: Path, family: str) -> None:
    """For both layouts of tokenizer folders, without importing the model library."""
    folder = make_folder(tmp_path / "set", 1)
    model = tiny_model(family)
    subject = subject_of(folder, f'model.family="{family}"', f'model.path="{model}"')
    counter = token_counter(subject)
    assert counter.exact
    assert counter.count(TEXTS) == transformers_lengths(family, model)


def test_the_limit_is_the_longest_encoder_of_the_family(tmp_path: Path) -> None:
    """77 for CLIP; that of T5 for Flux, unless the job reads less."""
    folder = make_folder(tmp_path / "set", 1)
    assert token_counter(subject_of(folder)).limit == 77
    flux = 'model.family="flux"'
    assert token_counter(subject_of(folder, flux)).limit == 512
    assert token_counter(subject_of(folder, flux, "model.max_tokens=64")).limit == 64


def test_without_a_model_words_tell_about_how_many() -> None:
    """More than the words, less than twice as many, and the two marks."""
    text = "a photograph of an old wooden boat on a quiet lake"
    assert len(text.split()) + 2 < estimated(text) < 2 * len(text.split())
