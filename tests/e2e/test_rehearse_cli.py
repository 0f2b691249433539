"""`stune rehearse` as a person types it, and as the gate of `submit` and `run`."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.cli import Home, cli_home
from tests.support.rehearsal import make_job


@pytest.fixture(scope="module")
def home(tiny_model) -> Iterator[Home]:
    with cli_home(OMP_NUM_THREADS="1") as home:
        make_job(home.path, "flux", tiny_model("flux"))
        yield home


def test_phases_are_shown_and_the_report_is_kept(home):
    """A row for each phase on stdout, the outcome and unread keys on stderr, one file."""
    done = home.stune("rehearse", "job.toml", "--set", "ema.decay=0.9")
    assert done.code == 0, done.err
    rows = [line.split() for line in done.out.splitlines()[1:]]
    assert [row[:2] for row in rows][:2] == [["lint", "passed"], ["place", "passed"]]
    assert all(row[1] == "passed" for row in rows)
    assert "rehearsal passed" in done.err
    assert "RUN035" in done.err
    assert "ema.decay" in done.err
    assert not (home.path / "runs").exists()
    (report,) = (home.path / "data" / "rehearsals").iterdir()
    assert json.loads(report.read_text())["schema"] == "rehearsal/1"


def test_a_failure_is_exit_1_with_one_document(home):
    """From standard input, for programs: the report of what was reached."""
    text = (home.path / "job.toml").read_text()
    done = home.stune("rehearse", "-", "--json", "--set", 'data.datasets[0].path="x"', stdin=text)
    assert done.code == 1
    assert (done.data["status"], done.data["failed_phase"]) == ("failed", "lint")
    assert {f["code"] for f in json.loads(done.out)["findings"]} == {"DAT001"}
    assert "Traceback" not in done.err


def test_a_job_that_fails_its_rehearsal_is_not_queued(home):
    """The gate: exit 1 with the reason, and the queue stays empty."""
    (home.path / "a" / "p001.txt").rename(home.path / "kept.txt")
    try:
        done = home.stune("submit", "job.toml", "--rehearse")
    finally:
        (home.path / "kept.txt").rename(home.path / "a" / "p001.txt")
    assert done.code == 1
    assert "DAT006" in done.err
    assert not home.socket.exists()  # not even a daemon was started


def test_a_job_that_passes_is_queued(home):
    """The gate opens; the job is held, so that it does not run here."""
    done = home.stune("submit", "job.toml", "--rehearse", "--hold", "--json")
    assert done.code == 0, done.err
    assert done.data["state"] == "held"
    assert "rehearsal passed" in done.err


def test_another_machine_is_refused(home):
    """What runs elsewhere cannot be rehearsed here: exit 4, before anything is tried."""
    done = home.stune("submit", "job.toml", "--rehearse", "--host", "ssh://nowhere.invalid")
    assert done.code == 4
    assert "RUN034" in done.err


def test_dry_run_and_rehearsal_exclude_each_other(home):
    """A usage error that names the verb to use."""
    done = home.stune("submit", "job.toml", "--rehearse", "--dry-run")
    assert done.code == 2
    assert "stune rehearse" in done.err
