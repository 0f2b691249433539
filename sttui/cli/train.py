"""Verbs that train here and now, without a daemon: train and demo."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sttui.cli import narrate, output
from sttui.cli.failure import CliError
from sttui.cli.options import FILE, FORMAT, PRESET, SET, UNSET
from sttui.cli.source import read_source
from sttui.cli.verb import group, verb
from sttui.format.columns import Column, attr
from sttui.format.values import number

if TYPE_CHECKING:
    from sttui.cli.foreground import Outcome

app = group("Train without a daemon.")
DEMO_PRESET = "demo/style"
FIGURES = (
    *("loss_before", "loss_after", "style_before", "style_after"),
    *("adapters", "pictures", "compare"),
)

OUT = typer.Option(
    None, "--out", "--run-dir", metavar="DIR", help="Run directory; an old one is continued."
)


@verb(app)
def train(
    file: str | None = FILE,
    preset: str | None = PRESET,
    set_: list[str] = SET,
    unset: list[str] = UNSET,
    format: str | None = FORMAT,
    out: Path | None = OUT,
) -> None:
    """Train in the foreground, without a daemon.

    Ctrl-C writes a checkpoint and ends with exit code 5; the same command with --out continues.
    """
    outcome = _run(file, preset, set_, unset, format, out)
    _answer("train/1", _result(outcome), outcome)


@verb(app)
def demo(
    out: Path | None = OUT,
    set_: list[str] = SET,
) -> None:
    """Train a real adapter on the built-in demo model; needs no daemon.

    Runs on the CPU in a minute or two and prints what was learned and where it is.
    """
    outcome = _run(None, DEMO_PRESET, set_, [], None, out)
    _answer("demo/1", _result(outcome), outcome)


def _run(
    file: str | None,
    preset: str | None,
    set_: list[str],
    unset: list[str],
    format: str | None,
    out: Path | None,
) -> Outcome:
    from sttui.cli import foreground
    from trainer.config.resolve import resolve

    source = read_source(file, preset, format)
    foreground.require_trainer()
    result = resolve(
        source.text,
        format=source.format,
        name=source.name,
        base_dir=source.base_dir,
        overrides=set_,
        unset=unset,
    )
    run = foreground.prepare(result, source.text, name=source.stem, out=out)
    narrate.say(f"run directory: {run.path}")
    return foreground.train(run)


def _result(outcome: Outcome) -> dict[str, Any]:
    """Status of this attempt; figures and paths of the whole run, unless it failed."""
    from trainer.runs.events import read_events

    path = outcome.run.path
    end = outcome.last("run.end") or {}
    result = {
        "status": end.get("status") or ("succeeded" if outcome.code == 0 else "failed"),
        "code": outcome.code,
        "step": end.get("step"),
        "run_dir": str(path),
        **dict.fromkeys(FIGURES),
    }
    if narrate.exit_of_trainer(outcome.code) not in (narrate.OK, narrate.INTERRUPTED):
        return result
    events = list(read_events(outcome.run.events))
    evals = [e for e in events if e["kind"] == "eval"]
    grids = [e for e in events if e["kind"] == "grid.saved" and Path(e["path"]).name == "grid.png"]
    adapters = {e["layout"]: str(path / e["path"]) for e in events if e["kind"] == "adapter.saved"}
    compare = outcome.run.samples / "compare.png"
    styles = [e["style_distance"] for e in evals if e.get("style_distance") is not None]
    return result | {
        "loss_before": evals[0]["loss"] if evals else None,
        "loss_after": evals[-1]["loss"] if evals else None,
        "style_before": styles[0] if styles else None,
        "style_after": styles[-1] if styles else None,
        "adapters": adapters,
        "pictures": str(path / grids[-1]["path"]) if grids else None,
        "compare": str(compare) if compare.exists() else None,
    }


def _change(before: str, after: str) -> Any:
    return lambda r: f"{number(r[before])} → {number(r[after])}"


COLUMNS = (
    Column("status", attr("status")),
    Column("step", attr("step")),
    Column("held-out loss", attr("loss_after"), text=_change("loss_before", "loss_after")),
    Column("style distance", attr("style_after"), text=_change("style_before", "style_after")),
    Column(
        "adapters",
        attr("adapters"),
        text=lambda r: "\n                ".join(r["adapters"].values()) or "–",
    ),
    Column("pictures", attr("pictures")),
    Column("before/after", attr("compare")),
    Column("run directory", attr("run_dir")),
)


def _answer(schema: str, result: dict[str, Any], outcome: Outcome) -> None:
    from sttui.cli.foreground import explain_failure

    shown = [c for c in COLUMNS if c.value(result) not in (None, "", {})]
    output.record(schema, result, shown, id="run_dir")
    if outcome.code != 0:
        explain_failure(outcome)
        raise CliError(narrate.exit_of_trainer(outcome.code))
