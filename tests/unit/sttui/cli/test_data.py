"""`stune data` in this process, with a child that answers what the test says."""

from __future__ import annotations

import base64
import json
import sys
from pathlib import Path
from typing import Any

import pytest

from sttui.cli import data_preview, narrate, worker
from tests.unit.sttui.cli.conftest import Run
from trainer.findings import finding

CHILD = """
import json, sys
plan = json.load(open({plan!r}))
json.dump(sys.argv[1:], open({seen!r}, "w"))
for line in plan["said"]:
    print(line, file=sys.stderr)
if plan["body"] is not None:
    print(json.dumps(plan["body"]))
sys.exit(plan["code"])
"""


class Child:
    """What the child will answer, and what it was asked."""

    def __init__(self, folder: Path) -> None:
        self._plan, self._seen = folder / "plan.json", folder / "seen.json"
        self.script = folder / "child.py"
        self.script.write_text(CHILD.format(plan=str(self._plan), seen=str(self._seen)))

    def answers(
        self, schema: str, data: Any, *findings, code: int = 0, said: tuple[str, ...] = ()
    ) -> None:
        body = {"schema": schema, "data": data, "findings": [f.model_dump() for f in findings]}
        self._plan.write_text(json.dumps({"body": body, "code": code, "said": said}))

    def crashes(self, *said: str) -> None:
        self._plan.write_text(json.dumps({"body": None, "code": 1, "said": said}))

    @property
    def asked(self) -> list[str]:
        return json.loads(self._seen.read_text())


@pytest.fixture
def child(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Child:
    child = Child(tmp_path)
    monkeypatch.setattr(worker, "COMMAND", (sys.executable, str(child.script)))
    monkeypatch.setattr(worker, "require_trainer", lambda packages: None)
    return child


@pytest.fixture
def folder(tmp_path: Path) -> str:
    (tmp_path / "set").mkdir()
    return str(tmp_path / "set")


LINT = {
    "family": "sdxl",
    "datasets": [{"id": "cats", "role": "train", "samples": 3}],
    "epoch": {"shown": ["3 batches / accumulate 1 = 3 steps an epoch"]},
    "files": [
        {"code": "DAT078", "dataset": "cats", "path": "a.png", "detail": "soft", "other": ""}
    ],
    "overlays": [],
    "sheet": None,
}
SOFT = finding(
    "DAT078", "cats: no sharp place: a.png (soft)", where="cats", level="warn", fix="look", count=1
)


def test_everything_that_was_said_reaches_the_child(run: Run, child: Child, folder: str) -> None:
    """Options of the dataset and of the verb; nothing that was not given."""
    child.answers("data-lint/1", LINT)
    argv = ("--set", "train.batch_size=4", "--family", "flux", "--resolution", "512px")
    more = ("--trigger", "sks", "--fix", "--exclude", "DAT078", "--sheet", "s.png")
    assert run("data", "lint", folder, *argv, *more).code == 0
    asked = child.asked
    assert asked[:3] == ["data", "lint", folder]
    for pair in [argv[:2], argv[2:4], argv[4:], more[:2], more[3:5], more[5:]]:
        assert any(tuple(asked[i : i + 2]) == tuple(pair) for i in range(len(asked)))
    assert "--fix" in asked
    assert run("data", "lint", folder).code == 0
    assert child.asked == ["data", "lint", folder, "--kind", "image"]


@pytest.mark.parametrize(("level", "code"), [("error", 0), ("warn", 1), ("info", 1)])
def test_the_exit_code_follows_fail_on(run: Run, child: Child, folder: str, level, code) -> None:
    """A warning fails when warnings are to."""
    child.answers("data-lint/1", LINT, SOFT)
    assert run("data", "lint", folder, "--fail-on", level).code == code


def test_lint_is_a_table_and_sums(run: Run, child: Child, folder: str) -> None:
    """Remarks on stdout, the summary on stderr; reasons when asked for wide."""
    child.answers("data-lint/1", LINT, SOFT)
    result = run("data", "lint", folder)
    assert result.out.splitlines()[:2] == [
        "LEVEL  CODE    SAMPLES  REMARK",
        "warn   DAT078        1  cats: no sharp place: a.png (soft)",
    ]
    assert "3 steps an epoch" in result.out
    assert "1 warning" in result.err
    assert "look" in run("data", "lint", folder, "-o", "wide").out
    assert run("data", "lint", folder, "--files", "-o", "id").out == "a.png\n"


def test_json_is_one_document_with_findings(run: Run, child: Child, folder: str) -> None:
    """As the child wrote it."""
    child.answers("data-lint/1", LINT, SOFT)
    document = json.loads(run("data", "lint", folder, "--json").out)
    assert (document["schema"], document["data"]) == ("data-lint/1", LINT)
    assert document["findings"][0]["code"] == "DAT078"


def test_a_written_overlay_says_how_to_use_it(run: Run, child: Child, folder: str) -> None:
    """Unless it is in use already."""
    written = {"dataset": "cats", "path": "/x/cats.toml", "excluded": 2, "captions": 1}
    child.answers("data-lint/1", LINT | {"overlays": [written | {"in_use": False}]})
    err = run("data", "lint", folder, "--fix").err
    assert "2 left out, 1 captions replaced" in err
    assert 'overlay = "/x/cats.toml"' in err
    child.answers("data-lint/1", LINT | {"overlays": [written | {"in_use": True}]})
    assert "overlay = " not in run("data", "lint", folder, "--fix").err


@pytest.mark.parametrize(
    ("argv", "about"),
    [
        (("scan", "/nowhere/at/all"), "does not exist"),
        (("stats", "{}", "--kind", "smell"), "smell"),
        (("lint", "{}", "--fail-on", "doom"), "doom"),
        (("lint", "{}", "--overlay", "x.toml"), "--overlay"),
        (("preview", "{}", "--kind", "audio"), "recordings"),
    ],
)
def test_mistakes_are_told_before_the_child_starts(
    run: Run, child: Child, folder: str, argv, about: str
) -> None:
    """Exit code 2; the child was never asked."""
    result = run("data", *(a.format(folder) for a in argv))
    assert result.code == narrate.USAGE
    assert about in result.err
    with pytest.raises(FileNotFoundError):
        _ = child.asked


@pytest.mark.parametrize(("code", "ends"), [(65, 1), (64, 1), (75, 5), (70, 6)])
def test_a_refusal_of_the_child_is_told_with_its_code(
    run: Run, child: Child, folder: str, code: int, ends: int
) -> None:
    """Data and configuration errors 1, a stop that can be continued 5, defects 6."""
    problem = finding("DAT001", "the folder does not exist", where="/x")
    child.answers("error/1", None, problem, code=code)
    result = run("data", "scan", folder, "--json")
    assert result.code == ends
    assert "DAT001" in result.err
    assert json.loads(result.out)["findings"][0]["code"] == "DAT001"


def test_a_crash_shows_its_last_words(run: Run, child: Child, folder: str) -> None:
    """As a finding, with the end of what the child said; progress is not part of it."""
    progress = json.dumps({"kind": "data.progress", "stage": "reading", "done": 1, "total": 2})
    child.crashes("Traceback", progress, "ValueError: broken")
    result = run("data", "scan", folder)
    assert result.code == narrate.FAILED
    assert "ValueError: broken" in result.err
    assert "ENV116" in result.err
    assert "data.progress" not in result.err


def test_progress_is_narrated(run: Run, child: Child, folder: str) -> None:
    """On stderr, never on stdout."""
    event = {"kind": "data.progress", "stage": "looking at pictures", "done": 3, "total": 9}
    child.answers("data-lint/1", LINT, said=(json.dumps(event),))
    result = run("data", "lint", folder)
    assert "looking at pictures 3/9" in result.err
    assert "looking" not in result.out


def sample(name: str) -> dict[str, Any]:
    rgb = base64.b64encode(bytes(range(48))).decode()
    return {
        "dataset": "cats",
        "path": name,
        "width": 400,
        "height": 300,
        "bucket": [64, 48],
        "box": [0, 0, 1, 1],
        "kept": 0.9,
        "captions": ["a cat"],
        "thumb": {"width": 4, "height": 4, "rgb": rgb},
    }


def test_preview_lists_samples_where_there_is_no_terminal(
    run: Run, child: Child, folder: str
) -> None:
    """And asks for no thumbnails."""
    child.answers("data-preview/1", {"samples": [sample("a.png")], "sheet": None})
    assert run("data", "preview", folder).out.splitlines() == [
        "DATASET  PATH      SIZE  BUCKET  KEPT  CAPTION",
        "cats     a.png  400×300   64×48   90%  a cat",
    ]
    assert "--thumbs" not in child.asked


def test_preview_draws_two_pictures_side_by_side(
    run: Run, child: Child, folder: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Half blocks in colour, ASCII without colour; names below, nothing wider than 80."""
    monkeypatch.setattr(data_preview.output, "is_terminal", lambda: True)
    broken = sample("b-with-a-name-that-is-longer-than-a-column.png") | {"thumb": None}
    samples = [sample("a.png"), broken, sample("c.png")]
    child.answers("data-preview/1", {"samples": samples, "sheet": None})
    out = run("data", "preview", folder).out
    assert "\x1b[38;2;0;1;2m" in out
    assert "▀" in out
    assert "(cannot be shown)" in out
    assert "a-name-that-is" in out
    monkeypatch.setenv("NO_COLOR", "1")
    plain = run("data", "preview", folder).out
    assert "\x1b" not in plain
    assert max(map(len, plain.splitlines())) <= 80
