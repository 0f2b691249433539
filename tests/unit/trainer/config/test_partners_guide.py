"""The guide on masks, priors and sliders shows jobs that can be run."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainer.catalog.generators import GENERATORS
from trainer.config.keys import all_keys
from trainer.config.resolve import resolve

PAGE = Path(__file__).resolve().parents[4] / "docs" / "guides" / "conditioning-and-masks.md"
TEXT = PAGE.read_text(encoding="utf-8")
JOBS = re.findall(r"^```toml\n(.*?)^```", TEXT, re.S | re.M)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_of_the_page_is_clean(tmp_path: Path, job: str):
    """No finding at all, once the folders are there."""
    for name in re.findall(r'path = "(.+?)"', job):
        (tmp_path / name).mkdir(parents=True, exist_ok=True)
    head = "" if job.startswith("preset") else "train.steps = 100\n"
    if "[model]" not in job and not job.startswith("preset"):
        head += "model.family = 'flux'\n"
    assert resolve(head + job, base_dir=tmp_path, env={}).findings == []


def test_the_page_names_all_there_is():
    """Every generator, and every key of masks."""
    assert len(JOBS) >= 6
    assert all(f"`{name}`" in TEXT or f'"{name}"' in TEXT for name in GENERATORS)
    keys = [key for key in all_keys() if key.startswith("loss.mask.")]
    assert len(keys) == 3
    assert all(key in TEXT for key in keys)
