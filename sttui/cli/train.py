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
    """Figures and paths of what the run made; from its whole history, not only this attempt."""
    from trainer.runs.events import read_events

    outcome.events = list(read_events(outcome.run.events)) if outcome.run.events.exists() else []
    before, after = outcome.first("eval"), outcome.last("eval")
    end = outcome.last("run.end") or {}
    adapters = {
        e["layout"]: str(outcome.run.path / e["path"])
        for e in outcome.events
        if e["kind"] == "adapter.saved"
    }
    grid = outcome.last("grid.saved")
    compare = outcome.run.samples / "compare.png"
    return {
        "status": end.get("status", "failed"),
        "code": outcome.code,
        "step": end.get("step"),
        "loss_before": before and before.get("loss"),
        "loss_after": after and after.get("loss"),
        "style_before": before and before.get("style_distance"),
        "style_after": after and after.get("style_distance"),
        "adapters": adapters,
        "pictures": str(outcome.run.path / grid["path"]) if grid else None,
        "compare": str(compare) if compare.exists() else None,
        "run_dir": str(outcome.run.path),
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
