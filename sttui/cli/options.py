"""Options and arguments that several verbs share, declared once."""

from __future__ import annotations

import typer

from sttui.cli import complete

FILE = typer.Argument(None, metavar="FILE|-", help="TOML, YAML or JSON job file.")
PRESET = typer.Option(
    None, "--preset", metavar="NAME", autocompletion=complete.presets, help="Instead of a file."
)
SET = typer.Option(
    [],
    "--set",
    metavar="KEY=VALUE",
    autocompletion=complete.assignments,
    help="Override one key; repeatable.",
)
UNSET = typer.Option([], "--unset", metavar="KEY", help="Forget one key of the file; repeatable.")
FORMAT = typer.Option(
    None, "--format", metavar="toml|yaml|json", help="Format of standard input; default: detected."
)

JOB = typer.Argument(
    ..., metavar="JOB", autocompletion=complete.jobs, help="Id, its start, name, number or @last."
)
JOBS = typer.Argument(
    None, metavar="JOB...", autocompletion=complete.jobs, help="Ids, names, @last or @running."
)
WHERE = typer.Option(None, "--where", metavar="TEST", help="Such as 'state=failed and name~flux'.")
IDS_FROM = typer.Option(None, "--ids-from", metavar="-", help="Read ids from standard input.")
