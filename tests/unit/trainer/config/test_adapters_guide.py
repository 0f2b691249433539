"""The guide on adapters shows jobs that can be run, and names all there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainer.catalog.lycoris import ALGORITHMS
from trainer.config.keys import children
from trainer.config.resolve import resolve

PAGE = Path(__file__).resolve().parents[4] / "docs" / "guides" / "adapters.md"
TEXT = PAGE.read_text(encoding="utf-8")
JOBS = re.findall(r"^```toml\n(.*?)^```", TEXT, re.S | re.M)


@pytest.mark.parametrize("job", JOBS)
def test_a_job_of_the_page_is_clean(tmp_path: Path, job: str) -> None:
    """No finding at all, once the files are there."""
    (tmp_path / "a").mkdir()
    for name in re.findall(r'(?:path|init_from) = "(.+?)"', job):
        (tmp_path / name).touch()
    head = "model.family = 'flux'\ntrain.steps = 100\ndata.datasets = [{id = 'a', path = 'a'}]\n"
    if "[model]" in job:
        head, job = (
            "",
            f"{head.replace('model.family', '#')}{job}".replace(
                "[model]", "[model]\nfamily = 'flux'"
            ),
        )
    assert resolve(head + job, base_dir=tmp_path, env={}).findings == []


def test_the_page_names_all_there_is() -> None:
    """Every algorithm with exactly the settings that it reads, and every key of the section."""
    assert len(JOBS) >= 6
    rows = dict(re.findall(r"^\| `([a-z0-9-]+)` \| .*? \| (.*?) \|$", TEXT, re.M))
    for algo, about in ALGORITHMS.items():
        assert set(re.findall(r"`(\w+)`", rows[algo])) == set(about.settings), algo
    for key in (*children("adapter"), *children("adapter.lycoris")):
        assert re.search(rf"\b{key}\b", TEXT), key
