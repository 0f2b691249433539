"""The guide on captions shows what really comes out."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest

from trainer.config.resolve import resolve
from trainer.data.captions import parse_text, variants

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "guides" / "captions.md"
BLOCKS = re.findall(r"^```(\w+)\n(.*?)^```", GUIDE.read_text(encoding="utf-8"), re.S | re.M)
FILE = next(text for kind, text in BLOCKS if kind == "caption")
EXAMPLES = [
    (text, result)
    for (kind, text), (shown, result) in pairwise(BLOCKS)
    if kind == "toml" and shown == "variants"
]


def test_every_example_shows_its_result():
    """No block of the page is left untested."""
    assert len(EXAMPLES) == sum(kind == "toml" for kind, _ in BLOCKS) >= 3


@pytest.mark.parametrize(("text", "result"), EXAMPLES)
def test_an_example_gives_what_it_shows(tmp_path: Path, text: str, result: str):
    """The settings pass the linter, and the captions of the page become the texts of the page."""
    job = (
        "model.family = 'flux'\ntrain.steps = 100\n"
        f"data.datasets = [{{id = 'a', path = '{tmp_path}'}}]\n{text}"
    )
    resolved = resolve(job, base_dir=tmp_path, env={})
    assert resolved.findings == []
    assert resolved.config is not None
    caption = resolved.config.data.defaults.caption
    stored, _ = parse_text(FILE.encode(), "red_cat_1.txt")
    assert list(variants("animals/red_cat_1.png", stored, caption)) == result.splitlines()
