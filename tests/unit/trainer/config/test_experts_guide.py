"""The guide on experts and stages shows jobs that can be run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainer.config.keys import all_keys
from trainer.config.resolve import resolve

PAGE = Path(__file__).resolve().parents[4] / "docs" / "guides" / "experts-and-stages.md"
TEXT = PAGE.read_text(encoding="utf-8")
JOBS = re.findall(r"^```toml\n(.*?)^```", TEXT, re.S | re.M)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_of_the_page_is_clean(tmp_path: Path, job: str):
    """No finding at all, once length and data are there."""
    (tmp_path / "pictures").mkdir()
    data = "" if "datasets" in job else "[[data.datasets]]\nid = 'a'\npath = 'pictures'\n"
    found = resolve(f"train.steps = 100\n{job}{data}", base_dir=tmp_path, env={})
    assert found.findings == []


def test_the_page_names_all_there_is():
    """Every key of the interval and of the augmentation, and both ways to draw in parts."""
    assert len(JOBS) >= 5
    prefixes = ("noise.interval.", "model.options.deepfloyd.augment.")
    keys = {key for key in all_keys() if key.startswith(prefixes)}
    assert len(keys) == 6
    assert all(key.rpartition(".")[2] in TEXT for key in keys)
    assert "validation.levels" in TEXT
    assert "validation.other_model" in TEXT
