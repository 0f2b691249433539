"""The verb rehearse: everything a run does on a few samples, before it is started or queued."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer

from sttui.cli import narrate, output
from sttui.cli.config import FAIL_ON
from sttui.cli.failure import CliError, usage
from sttui.cli.options import FILE, FORMAT, PRESET, SET, UNSET
from sttui.cli.source import JobSource, read_source
from sttui.cli.verb import group, verb
from sttui.cli.worker import Document, ask
from sttui.format.columns import Column, column
from sttui.format.values import duration, size
from trainer.findings import LEVELS, at_or_above

app = group("Try everything a run does on a few samples of each bucket.")
PACKAGES = ("torch", "diffusers", "peft")
STYLES = {"passed": "green", "failed": "red"}

OUT = typer.Option(
    None, "--out", "--run-dir", metavar="DIR", help="Run directory that the run is to have."
)


def _peak(name: str) -> Any:
    return lambda phase: "–" if phase[name] is None else size(phase[name])


COLUMNS = (
    column("phase", "name"),
    Column("status", lambda p: p["status"], style=lambda p: STYLES.get(p["status"], "dim")),
    Column(
        "seconds",
        lambda p: p["seconds"],
        lambda p: "–" if p["seconds"] is None else f"{p['seconds']:.1f}",
        right=True,
    ),
    Column("memory", lambda p: p["host_peak_bytes"], _peak("host_peak_bytes"), right=True),
    Column("gpu", lambda p: p["device_peak_bytes"], _peak("device_peak_bytes"), right=True),
    Column("found", lambda p: p["codes"], lambda p: ", ".join(p["codes"]) or p["note"]),
)


@verb(app)
def rehearse(
    file: str | None = FILE,
    preset: str | None = PRESET,
    set_: list[str] = SET,
    unset: list[str] = UNSET,
    format: str | None = FORMAT,
    samples: int = typer.Option(2, "--samples", min=1, help="How many of each bucket."),
    out: Path | None = OUT,
    fail_on: str = FAIL_ON,
) -> None:
    """Try everything a run does on a few samples of each bucket.

    Encodes, trains two steps, saves, loads again, draws and exports, then removes it all but its
    report. Exit code 1 when a phase fails, or at a finding of the level of --fail-on.
    """
    if fail_on not in LEVELS:
        raise usage(f"--fail-on {fail_on!r} is not a level", fix=f"use one of {', '.join(LEVELS)}")
    found = rehearsal(read_source(file, preset, format), set_, unset, samples=samples, out=out)
    show(found)
    if not passed(found) or at_or_above(list(found.findings), fail_on):  # type: ignore[arg-type]
        raise CliError(narrate.FINDINGS)


def rehearsal(
    source: JobSource,
    set_: Sequence[str],
    unset: Sequence[str] = (),
    *,
    samples: int = 2,
    out: Path | None = None,
) -> Document:
    """Rehearse a job on this machine; its report."""
    argv = ["rehearse", "-", "--format", source.format, "--name", source.name]
    argv += ["--base-dir", str(source.base_dir), "--samples", str(samples)]
    argv += [] if out is None else ["--run-dir", str(out)]
    for name, values in (("--set", set_), ("--unset", unset)):
        for value in values:
            argv += [name, value]
    return ask(argv, packages=PACKAGES, text=source.text, answers=(0, 1))


def passed(found: Document) -> bool:
    return found.data["status"] == "passed"


def show(found: Document) -> None:
    """The report for people, or its document."""
    if output.current.machine:
        output.document(found.schema, found.data, findings=found.findings)
        return
    output.table(found.schema, found.data["phases"], COLUMNS, id="name")
    if output.for_people():
        narrate.report(found.findings)
        tell(found)


def tell(found: Document) -> None:
    """How it ended, in one line, and where the report is."""
    took = duration(found.data["seconds"])
    failed = found.data["failed_phase"]
    if failed is None:
        narrate.say(f"rehearsal passed in {took}", "green")
    else:
        narrate.say(f"rehearsal failed in phase {failed} after {took}", "red")
    if found.data["report"]:
        narrate.say(f"report: {found.data['report']}", "dim")
