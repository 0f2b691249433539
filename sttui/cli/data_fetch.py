"""The verb data fetch: addresses of a table become tar shards, once and explicitly."""

from __future__ import annotations

from pathlib import Path

import typer

from sttui.cli import narrate, output
from sttui.cli.failure import usage
from sttui.cli.worker import ask
from sttui.format.columns import column

COLUMNS = tuple(column(name) for name in ("rows", "samples", "failed", "shards", "finished"))


def fetch(
    table: Path = typer.Argument(..., metavar="TABLE", help="Parquet, CSV or JSON table."),
    to: Path = typer.Option(..., "--to", metavar="FOLDER", help="Where the shards go."),
    url_column: str | None = typer.Option(
        None, "--url-column", metavar="NAME", help="Column of addresses; else the usual names."
    ),
    caption_column: list[str] = typer.Option(
        [], "--caption-column", metavar="NAME", help="Column of captions; may be repeated."
    ),
    no_captions: bool = typer.Option(False, "--no-captions", help="Fetch samples alone."),
    kind: str = typer.Option("image", "--kind", metavar="KIND", help="image, video or audio."),
    concurrency: int = typer.Option(16, "--concurrency", min=1, max=256, help="At once."),
    timeout: float = typer.Option(30.0, "--timeout", min=0.1, help="Seconds of one try."),
    max_mb: float = typer.Option(64.0, "--max-mb", min=0.001, help="Largest sample, in MB."),
    tries: int = typer.Option(3, "--tries", min=1, max=10, help="Tries of one address."),
    retry_failed: bool = typer.Option(
        False, "--retry-failed", help="Try what failed before, instead of new rows."
    ),
) -> None:
    """Fetch the addresses of a table into tar shards; stopped or killed, it continues.

    What cannot be had is listed with its reason in FOLDER/failures.jsonl.
    """
    if kind not in ("image", "video", "audio"):
        raise usage(f"--kind {kind!r} is not image, video or audio", fix="leave it out")
    if not table.exists():
        raise usage(f"{table} does not exist", fix="name a Parquet, CSV or JSON table")
    argv = ["data", "fetch", str(table), "--to", str(to), "--kind", kind]
    argv += ["--concurrency", str(concurrency), "--timeout", str(timeout)]
    argv += ["--max-mb", str(max_mb), "--tries", str(tries)]
    argv += ["--url-column", url_column] if url_column else []
    for name in caption_column:
        argv += ["--caption-column", name]
    argv += ["--no-captions"] if no_captions else []
    argv += ["--retry-failed"] if retry_failed else []
    found = ask(argv)
    if output.current.machine:
        output.document(found.schema, found.data, findings=found.findings)
        return
    output.table(found.schema, [found.data], COLUMNS, id="rows")
    if output.for_people():
        narrate.report(found.findings)
        narrate.say(f'use them: source = {{kind = "tar", path = "{to}"}}')
