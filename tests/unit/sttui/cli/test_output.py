"""The answer on stdout: each format, and the purity of a pipe."""

from __future__ import annotations

import csv
import io
import json

import pytest
import yaml

from stdaemon.wire.jobs import Job
from sttui.cli import output
from sttui.cli.failure import CliError
from sttui.cli.invocation import current
from sttui.format.columns import Column, attr, column
from sttui.format.jobs import JOB_COLUMNS

LONG = "a-very-long-name-" * 12
RECORDS = [
    {"id": "a1", "name": LONG, "size": 3, "tags": ["x", "y"]},
    {"id": "b2", "name": "日本", "size": None, "tags": []},
]
COLUMNS = (
    column("id"),
    column("name", style=lambda r: "green"),
    column("size", right=True),
    Column("tags", attr("tags"), text=lambda r: "+".join(r["tags"]), wide=True),
)


@pytest.fixture(autouse=True)
def fresh() -> None:
    current.reset()


def shown(capsys: pytest.CaptureFixture[str], format: str, **options: object) -> str:
    current.format = format
    for name, value in options.items():
        setattr(current, name, value)
    output.table("things/1", RECORDS, COLUMNS, findings=())
    return capsys.readouterr().out


def test_table_in_a_pipe_is_plain_aligned_and_whole(capsys: pytest.CaptureFixture[str]) -> None:
    """No colour, no cut-off cell, wide characters counted as two."""
    lines = shown(capsys, "table").splitlines()
    assert "\x1b" not in "".join(lines)
    assert LONG in lines[1]
    assert lines[0].split() == ["ID", "NAME", "SIZE"]
    assert lines[1].endswith("     3")
    assert len(lines[2]) == len(lines[1]) - 2  # two characters that are four cells wide
    assert lines[2].endswith("–")


def test_headers_can_be_left_out_and_wide_adds_columns(capsys: pytest.CaptureFixture[str]) -> None:
    """--no-headers and -o wide."""
    assert len(shown(capsys, "table", headers=False).splitlines()) == 2
    assert "x+y" in shown(capsys, "wide")


def test_json_is_one_versioned_document(capsys: pytest.CaptureFixture[str]) -> None:
    """schema, data, findings; on one line in a pipe."""
    text = shown(capsys, "json")
    assert json.loads(text) == {"schema": "things/1", "data": RECORDS, "findings": []}
    assert text.count("\n") == 1


def test_all_formats_agree(capsys: pytest.CaptureFixture[str]) -> None:
    """The same records come out of json, jsonl, yaml, csv and id."""
    assert [json.loads(line) for line in shown(capsys, "jsonl").splitlines()] == RECORDS
    assert yaml.safe_load(shown(capsys, "yaml"))["data"] == RECORDS
    rows = list(csv.DictReader(io.StringIO(shown(capsys, "csv"))))
    assert [row["name"] for row in rows] == [LONG, "日本"]
    assert json.loads(rows[0]["tags"]) == ["x", "y"]
    assert rows[1]["size"] == ""
    assert shown(capsys, "id").split() == ["a1", "b2"]


def test_fields_choose_and_order(capsys: pytest.CaptureFixture[str]) -> None:
    """In tables and in documents alike."""
    assert shown(capsys, "table", fields=("size", "id")).splitlines()[0] == "SIZE  ID"
    data = json.loads(shown(capsys, "json", fields=("size", "id")))["data"]
    assert data == [{"size": 3, "id": "a1"}, {"size": None, "id": "b2"}]


@pytest.mark.parametrize("format", ["table", "json", "csv"])
def test_an_unknown_field_suggests_the_nearest(format: str) -> None:
    """Usage error, not an empty column."""
    current.format, current.fields = format, ("nmae",)
    with pytest.raises(CliError, match="nmae") as caught:
        output.table("things/1", RECORDS, COLUMNS)
    assert "did you mean name" in caught.value.findings[0].fix
    assert caught.value.exit_code == 2


def test_a_record_is_a_block_of_names_and_values(capsys: pytest.CaptureFixture[str]) -> None:
    """One line per column for people, the plain record for programs."""
    output.record("thing/1", RECORDS[1], COLUMNS)
    assert capsys.readouterr().out.splitlines() == ["id    b2", "name  日本", "size  –", "tags"]
    current.format = "json"
    output.record("thing/1", RECORDS[1], COLUMNS)
    assert json.loads(capsys.readouterr().out)["data"] == RECORDS[1]


def test_job_columns_show_states_with_their_reason(capsys: pytest.CaptureFixture[str]) -> None:
    """Phase of a running job, reason of a failed one, unknown values as a dash."""
    base = {"id": "k", "number": 1, "name": "n"}
    jobs = [
        Job.model_validate(base | more)
        for more in (
            {"state": "running", "phase": "train", "step": 5, "total": 10, "loss": 0.12345},
            {"state": "failed", "reason": "oom_gpu"},
            {"state": "queued", "blocked_by": "no free device"},
            {"state": "stopping", "stop_intent": "pause"},
        )
    ]
    output.table("jobs/1", jobs, JOB_COLUMNS)
    out = capsys.readouterr().out
    for text in ("running · train", "5/10 50%", "0.1235", "failed · oom_gpu", "no free device"):
        assert text in out
    assert "stopping · pause" in out


def test_streams_are_json_lines_or_text(capsys: pytest.CaptureFixture[str]) -> None:
    """Each record is flushed as its own line."""
    output.stream({"seq": 1, "a": "é"}, lambda r: "one")
    current.format = "json"
    output.stream({"seq": 2, "a": "é"}, lambda r: "two")
    assert capsys.readouterr().out == 'one\n{"seq":2,"a":"é"}\n'
