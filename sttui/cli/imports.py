"""The verb that turns the configuration of another trainer into a job file.

Works here and now, without a daemon and without the network. The job file goes to `--to`, or to
stdout; then the report goes where it does not get in its way.
"""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from sttui.cli import narrate, output
from sttui.cli.failure import CliError
from sttui.cli.invocation import current
from sttui.cli.verb import group, verb

if TYPE_CHECKING:
    from trainer.config.importers.report import Imported

app = group("Other trainers.")


@verb(app, name="import")
def import_(
    paths: list[Path] = typer.Argument(
        ...,
        metavar="PATH...",
        help="Run configuration, dataset file, or a folder that holds both.",
    ),
    to: Path | None = typer.Option(
        None, "--to", metavar="OUT.toml", help="Write the job file here; default: standard output."
    ),
    yes: bool = typer.Option(False, "--yes", help="Replace an existing file without asking."),
) -> None:
    """Turn a SimpleTuner configuration into a job file.

    Reports what became of every key of the source, and what the run means there and here. Exit
    code 1 when the job file does not pass lint.
    """
    from sttui.format.findings import summary
    from sttui.format.imports import KEY_COLUMNS, counts
    from trainer.config.importers.simpletuner.convert import import_simpletuner
    from trainer.errors import ConfigError
    from trainer.findings import at_or_above
    from trainer.runs.files import write_atomic

    if to is not None and to.exists() and not yes and not narrate.confirm(f"replace {to}?"):
        return
    try:
        imported = import_simpletuner(paths, out=to)
    except ConfigError as error:
        raise CliError(narrate.FINDINGS, *error.findings) from None
    if to is not None:
        write_atomic(to, imported.text.encode())
    if current.format in ("json", "yaml"):
        output.document("import/1", imported.document(), findings=imported.findings)
    elif output.for_people():
        _show(imported, to_file=to is not None)
        narrate.report(imported.findings)
        narrate.say(f"{counts(imported.keys)}; {summary(imported.findings)}")
    else:
        rows = [asdict(record) for record in imported.keys]
        output.table("import/1", rows, KEY_COLUMNS, id="key")
    if at_or_above(imported.findings, "error"):
        raise CliError(narrate.FINDINGS)


def _show(imported: Imported, *, to_file: bool) -> None:
    """The report on stdout, or beside a job file that is there itself."""
    from sttui.format.imports import report_lines

    if to_file:
        output.raw("\n".join([*report_lines(imported), ""]))
        return
    output.raw(imported.text)
    for line in report_lines(imported):
        narrate.say(line)
