"""What is read from run directories: events, metrics columns, log text, the last words."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from stdaemon.watch.columns import ColumnCache, Columns
from stdaemon.watch.events import new_fields
from stdaemon.watch.logs import last_words, read_log
from stdaemon.watch.metrics import series, thin
from trainer.runs.events import EventWriter
from trainer.runs.layout import RunDir
from trainer.runs.metrics import MetricsWriter

TMP = hypothesis_settings(
    deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


def row(step: int, loss: float = 0.5) -> dict[str, Any]:
    return {"step": step, "epoch": 0, "loss": loss, "lr": 1e-4, "grad_norm": 1.0, "samples": step}


def fresh(path: Path) -> list[float]:
    return Columns(path).update().values["loss"].tolist()


@TMP
@given(data=st.data())
def test_columns_follow_a_file_that_grows_and_is_cut(tmp_path_factory, data) -> None:
    """At any moment the kept columns are what reading the whole file gives."""
    path = tmp_path_factory.mktemp("m") / "metrics.jsonl"
    writer, kept, step = MetricsWriter(path), Columns(path), 0
    for _ in range(data.draw(st.integers(1, 12))):
        match data.draw(st.sampled_from(["grow", "cut", "torn", "look"])):
            case "grow":
                count = data.draw(st.integers(1, 4))
                loss = data.draw(st.sampled_from([0.25, 0.5, 0.75]))
                writer.append([row(step + i + 1, loss) for i in range(count)])
                step += count
            case "cut":
                step = data.draw(st.integers(0, step))
                writer.truncate_after(step)
            case "torn":
                writer.close()
                with path.open("ab") as file:
                    file.write(b'{"step": 1, "lo')
                assert kept.update().values["loss"].tolist() == fresh(path)
                writer = MetricsWriter(path)
            case "look":
                assert kept.update().values["loss"].tolist() == fresh(path)
    assert kept.update().values["loss"].tolist() == fresh(path)
    assert list(kept.steps) == list(range(1, step + 1))
    writer.close()


def test_columns_are_parsed_once(tmp_path: Path, monkeypatch) -> None:
    """A second look at an unchanged file of many rows parses none of them."""
    path = tmp_path / "metrics.jsonl"
    MetricsWriter(path).append([row(i) for i in range(1000)])
    cache = ColumnCache()
    assert len(cache.scalars(path, "loss")[0]) == 1000
    monkeypatch.setattr(json, "loads", lambda line: (_ for _ in ()).throw(AssertionError(line)))
    assert len(cache.scalars(path, "lr")[0]) == 1000


def test_missing_and_infinite_values_are_gaps(tmp_path: Path) -> None:
    """NaN, infinity and absent values draw as gaps; the other values stay."""
    run = RunDir(tmp_path).create()
    rows = [row(1, float("nan")), row(2, float("inf")), {"step": 3, "loss": None}, row(4, 2.0)]
    MetricsWriter(run.metrics).append(rows)
    found = series(ColumnCache(), run, ["loss", "grad_norm"], 100).series
    assert found["loss"].values == [None, None, None, 2.0]
    assert found["grad_norm"].values == [1.0, 1.0, None, 1.0]


@given(st.lists(st.one_of(st.floats(-9, 9), st.just(float("nan"))), min_size=30, max_size=200))
def test_thinning_keeps_the_extremes_beside_nan(values: list[float]) -> None:
    """A bucket with a NaN in it still shows its least and greatest number."""
    numbers = [v for v in values if v == v]
    out = [v for v in thin(list(range(len(values))), values, 10).values if v is not None]
    if numbers:
        assert (min(out), max(out)) == (min(numbers), max(numbers))


def test_measured_series_come_from_events(tmp_path: Path) -> None:
    """Held-out loss and style distance, each with its own steps."""
    run = RunDir(tmp_path).create()
    writer = EventWriter(run.events, "r")
    writer.emit("eval", step=0, loss=2.0)
    writer.emit("eval", step=5, loss=1.0, style_distance=0.5)
    writer.close()
    found = series(ColumnCache(), run, ["eval_loss", "style_distance"], 10).series
    assert (found["eval_loss"].steps, found["eval_loss"].values) == ([0, 5], [2.0, 1.0])
    assert (found["style_distance"].steps, found["style_distance"].values) == ([5], [0.5])


TEXT = st.text(st.sampled_from("aé€🎨\n\r"), max_size=60)


@TMP
@given(TEXT, st.integers(1, 12), st.booleans())
def test_no_character_is_torn(tmp_path_factory, text: str, limit: int, ended: bool) -> None:
    """Any chunk size, even smaller than a line or a character: all of it, once, unharmed."""
    path = tmp_path_factory.mktemp("log") / "log"
    path.write_bytes(text.encode())
    offset, out = 0, ""
    for _ in range(len(text.encode()) + 2):
        chunk = read_log(path, offset=offset, limit=limit, ended=ended)
        out, offset = out + chunk.text, chunk.next_offset
    whole = text if ended else out
    assert out == whole
    assert text.startswith(out)
    assert "\ufffd" not in out
    unfinished = text[len(out) :]
    assert "\n" not in unfinished
    assert len(unfinished.encode()) < max(4, limit)


def test_bytes_that_are_no_text_pass_through(tmp_path: Path) -> None:
    """A log with binary rubbish does not stop the reader."""
    path = tmp_path / "log"
    path.write_bytes(b"\xff\xfe\x80\x80\x80\x80\x80" * 5)
    offset = 0
    for _ in range(40):
        offset = read_log(path, offset=offset, limit=6, ended=True).next_offset
    assert offset == 35


def test_last_words_are_the_last_line_with_text(tmp_path: Path) -> None:
    """Colours and empty lines are not words."""
    path = tmp_path / "log"
    assert last_words(path) == ""
    path.write_text("first\n\x1b[31mboom\x1b[0m\n\n   \n")
    assert last_words(path) == "boom"


def apply(run: RunDir, **fields: Any) -> dict[str, Any]:
    known = {"event_offset": 0, "event_seq": 0, "findings": [], "phase": None} | fields
    return new_fields(run, SimpleNamespace(**known))  # type: ignore[arg-type]


def test_phases_nest_and_end(tmp_path: Path) -> None:
    """Saving within training shows saving, then training again, also over a restart between."""
    run = RunDir(tmp_path).create()
    writer = EventWriter(run.events, "r")
    shown, state = [], {}
    for phase, edge in [
        ("scan", "begin"),
        ("scan", "end"),
        ("train", "begin"),
        ("save", "begin"),
        ("save", "end"),
        ("train", "end"),
    ]:
        writer.emit("phase", phase=phase, state=edge)
        state |= apply(run, **state)
        shown.append(state["phase"])
    assert shown == ["scan", None, "train", "save", "train", None]
    writer.close()


def test_spoilt_lines_stop_nothing(tmp_path: Path) -> None:
    """After a power cut a file may hold zeros: what follows is read, and the job goes on."""
    run = RunDir(tmp_path).create()
    run.events.write_bytes(b"\0\0\0\n")
    fields = apply(run)
    assert fields["event_offset"] == 4
    with run.events.open("ab") as file:
        file.write(b'{"seq": 2, "kind": "finding", "finding": {"code": "RUN012"}}\n')
    assert apply(run, event_offset=4)["findings"] == [{"code": "RUN012"}]
    run.metrics.write_bytes(b"\0\n" + json.dumps(row(2)).encode() + b"\n")
    assert ColumnCache().scalars(run.metrics, "loss") == ([2], [0.5])


def test_a_new_attempt_begins_where_it_resumed(tmp_path: Path) -> None:
    """The step that is shown falls back to the checkpoint."""
    run = RunDir(tmp_path).create()
    writer = EventWriter(run.events, "r")
    start = {"pid": 1, "total_steps": 100}
    writer.emit("run.start", attempt=1, resumed_step=None, **start)
    assert apply(run)["step"] == 0
    writer.emit("run.start", attempt=2, resumed_step=40, **start)
    fields = apply(run)
    assert (fields["step"], fields["total"], fields["event_seq"]) == (40, 100, 2)
    assert apply(run, **{k: fields[k] for k in ("event_offset", "event_seq")}) == {}
    writer.close()
