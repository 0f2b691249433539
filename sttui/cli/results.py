"""Verbs about what a job made: metrics and samples."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import typer

from sttui.cli import narrate, output
from sttui.cli.connect import client
from sttui.cli.options import JOB
from sttui.cli.select import select_one
from sttui.cli.verb import group, verb
from sttui.format.columns import Column, column
from sttui.format.values import number

app = group("Results.")
METRICS = ("loss", "prior_loss", "lr", "grad_norm", "eval_loss", "style_distance")

SAMPLE_COLUMNS = (
    column("step", right=True),
    column("path"),
    column("seed", right=True),
    Column("size", lambda s: [s.width, s.height], text=lambda s: f"{s.width}×{s.height}"),
    column("prompt"),
)


@verb(app)
def metrics(
    job: str = JOB,
    series: str = typer.Option(",".join(METRICS), "--series", metavar="A,B", help="Which scalars."),
    points: int = typer.Option(400, "--points", min=2, help="At most so many steps of each."),
) -> None:
    """Print the scalars of a job.

    Long series are thinned to their extremes; more --points keep more.
    """
    id = select_one(client(), job)
    names = [name.strip() for name in series.split(",") if name.strip()]
    found = client().metrics(id, series=names, points=points).series
    found = {name: one for name, one in found.items() if one.steps}
    rows: dict[int, dict[str, Any]] = {}
    for name, one in found.items():
        for step, value in zip(one.steps, one.values, strict=True):
            rows.setdefault(step, {"step": step})[name] = value
    ordered = [rows[step] for step in sorted(rows)]
    columns = [column("step", right=True), *(_scalar(name) for name in found)]
    output.table("metrics/1", ordered, columns, id="step")
    if not ordered and output.for_people():
        narrate.say("no steps were measured yet", "dim")


def _scalar(name: str) -> Column:
    return Column(name, lambda r: r.get(name), text=lambda r: number(r.get(name), 6), right=True)


@verb(app)
def samples(
    job: str = JOB,
    save: Path | None = typer.Option(None, "--save", metavar="DIR", help="Copy the pictures here."),
) -> None:
    """List the pictures of a job."""
    id = select_one(client(), job)
    found = client().samples(id)
    for sample in found if save else []:
        assert save is not None
        target = save / sample.path.removeprefix("samples/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(client().file(id, sample.path))
    output.table("samples/1", found, SAMPLE_COLUMNS, id="path")
    if save:
        narrate.say(f"{len(found)} pictures saved in {save}")
