"""A rehearsal runs everything that a run does, finds what would fail, and leaves nothing (B03)."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.rehearsal import Answer, make_job, rehearse, tree_hash

KIND = "flux"


@pytest.fixture
def job(tmp_path: Path, tiny_model) -> Path:
    return make_job(tmp_path, KIND, tiny_model(KIND))


def test_all_phases_pass_quickly(job, capsys):
    """Status, seconds and peak of every phase, the whole within the budget."""
    done = rehearse(capsys, job)
    assert done.code == 0, done.findings
    assert done.data["status"] == "passed"
    for phase in done.data["phases"]:
        assert phase["status"] == "passed"
        assert phase["seconds"] >= 0
        assert phase["host_peak_bytes"] > 1 << 20
    print(done.data)
    assert done.data["seconds"] <= 60
