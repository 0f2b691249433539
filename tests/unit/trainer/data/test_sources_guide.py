"""The examples of docs/guides/data-sources.md are jobs that the linter has nothing to say about."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainer.config.resolve import resolve

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "guides" / "data-sources.md"
EXAMPLES = re.findall(r"```toml\n(.*?)```", GUIDE.read_text(encoding="utf-8"), re.DOTALL)
JOB = "[model]\nfamily = 'flux'\n[train]\nsteps = 1\n"


@pytest.mark.parametrize("example", EXAMPLES)
def test_an_example_is_clean(tmp_path: Path, example: str) -> None:
    """With the files that it speaks of."""
    (tmp_path / "pictures" / "cats").mkdir(parents=True)
    for name in ("cats.parquet", "cats.csv"):
        (tmp_path / name).touch()
    assert resolve(JOB + example, base_dir=tmp_path, env={}).findings == []


def test_every_kind_has_one() -> None:
    """Also those that come later."""
    kinds = {*re.findall(r'kind = "(\w+)"', "".join(EXAMPLES)), "local"}
    from trainer.config.rules.sources import KEYS

    assert kinds == KEYS.keys()
