"""What becomes of pictures that cannot be made: training goes on, and the reason is told."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from trainer.errors import ConfigError, Preempted, TrainerError
from trainer.findings import finding
from trainer.loop.session import Session
from trainer.runs.events import read_events
from trainer.runs.layout import RunDir
from trainer.validate import schedule
from trainer.validate.schedule import Validation


def told(tmp_path, monkeypatch, error: Exception) -> list[dict[str, Any]]:
    """Findings of a step whose pictures end in `error`."""

    def fail(*args: Any) -> None:
        raise error

    monkeypatch.setattr(schedule, "make_samples", fail)
    session = Session(RunDir(tmp_path / "run").create(), name="r", attempt=1)
    parts: Any = SimpleNamespace()
    Validation(parts, session)._sample(7)
    events = read_events(session.run.events)
    return [event["finding"] for event in events if event["kind"] == "finding"]


def test_an_error_that_knows_its_reason_keeps_it(tmp_path, monkeypatch):
    """Its own code, place and remedy, as a warning: a missing decoder is not a lack of memory."""
    reason = finding("CFG232", "no decoder", where="model.options", fix="name one")
    (found,) = told(tmp_path, monkeypatch, ConfigError(reason))
    assert found["code"] == "CFG232"
    assert found["level"] == "warn"
    assert found["where"] == "model.options"
    assert found["fix"] == "name one"


def test_any_other_error_is_one_of_the_pictures(tmp_path, monkeypatch):
    """It is named with its type and the step."""
    (found,) = told(tmp_path, monkeypatch, ValueError("odd"))
    assert found["code"] == "RUN012"
    assert "step 7: ValueError: odd" in found["message"]


def test_a_stop_is_no_failed_picture(tmp_path, monkeypatch):
    """It ends the run, as elsewhere."""
    stop: TrainerError = Preempted(finding("RUN009", "stopped", level="info"))
    with pytest.raises(Preempted):
        told(tmp_path, monkeypatch, stop)
