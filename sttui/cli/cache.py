"""Verbs about the cache of this machine: stat, why, verify, gc, export, import.

The work is done by a child process of the trainer, which needs no torch for any of them but
`why --job`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from sttui.cli import narrate, output
from sttui.cli.failure import CliError
from sttui.cli.verb import group, verb
from sttui.format.columns import Column, attr, column
from sttui.format.values import age, moment, size

if TYPE_CHECKING:
    from trainer.findings import Finding

GROUP = group("Look into the cache of encoded samples and clean it.")
ROOT = typer.Option(
    None, "--root", metavar="DIR", help="Folder of the cache (cache.root of a job)."
)


def _size(name: str) -> Column:
    return Column(name, attr(NAMES.get(name, name)), right=True, text=_sized(name))


def _sized(name: str) -> Any:
    return lambda record: size(record[NAMES.get(name, name)])


NAMES = {"size": "num_bytes", "before": "bytes_before", "after": "bytes_after"}


@verb(GROUP)
def stat(root: Path | None = ROOT) -> None:
    """Show what the cache holds and who uses it."""
    data, findings = _ask("stat", root)
    columns = (
        column("kind"),
        column("encoder"),
        column("entries", right=True),
        _size("size"),
        Column("in use by", attr("runs"), text=lambda s: f"{s['runs']} runs", right=True),
        Column("used", attr("used"), text=lambda s: age(s["used"])),
        Column("made of", attr("parts"), text=_parts, wide=True),
    )
    extra = {name: value for name, value in data.items() if name != "stores"}
    output.table(
        "cache-stat/1", data["stores"], columns, id="encoder", extra=extra, findings=findings
    )
    if output.for_people():
        narrate.say(f"{data['root']}: {data['entries']} entries, {size(data['num_bytes'])}")


def _parts(store: dict[str, Any]) -> str:
    return ", ".join(f"{name} {value}" for name, value in store["parts"].items()) or "–"


@verb(GROUP)
def why(
    path: Path = typer.Argument(..., metavar="PATH", help="A picture, or its caption file."),
    job: Path | None = typer.Option(
        None, "--job", metavar="FILE", help="Compare with what this job would encode."
    ),
    root: Path | None = ROOT,
) -> None:
    """Say which part of its key changed when a sample was encoded again."""
    rows, findings = _ask("why", root, str(path), *_given("--job", job))
    columns = (
        column("kind"),
        Column("encoded", attr("made"), text=lambda r: moment(r["made"])),
        column("state"),
        column("reason"),
        column("relpath", wide=True),
        column("encoder", wide=True),
        column("key", wide=True),
    )
    output.table("cache-why/1", rows, columns, id="key", findings=findings)


@verb(GROUP)
def verify(
    repair: bool = typer.Option(
        False, "--repair", help="Drop what is damaged; it is encoded again when it is needed."
    ),
    root: Path | None = ROOT,
) -> None:
    """Compare every entry with its checksum.

    Exit code 1 when something is damaged.
    """
    data, findings = _ask("verify", root, *(["--repair"] if repair else []))
    columns = (
        column("entries", right=True),
        column("shards"),
        _size("size"),
        Column("damaged", lambda d: len(d["damaged"])),
    )
    output.record("cache-verify/1", data, columns, findings=findings)
    _end(findings)


@verb(GROUP)
def gc(
    quota: float | None = typer.Option(
        None, "--quota", metavar="GB", help="Clear the longest unused until the rest fits."
    ),
    unused: float | None = typer.Option(
        None, "--unused", metavar="DAYS", help="Clear what was unused so long (default 30)."
    ),
    dry_run: bool = typer.Option(False, "--dry-run", help="Show what would go, clear nothing."),
    root: Path | None = ROOT,
) -> None:
    """Clear entries that no run needs and give their room back.

    What runs that can be resumed use always stays.
    """
    options = [*_given("--quota", quota), *_given("--unused", unused)]
    data, findings = _ask("gc", root, *options, *(["--dry-run"] if dry_run else []))
    columns = (
        Column("would clear" if dry_run else "cleared", attr("entries")),
        _size("before"),
        _size("after"),
        column("rewritten", "shards_rewritten"),
    )
    output.record("cache-gc/1", data, columns, findings=findings)
    _end(findings)


@verb(GROUP, "export")
def export(
    file: Path = typer.Argument(..., metavar="FILE", help="File to write (a tar)."),
    run: Path | None = typer.Option(
        None, "--run", metavar="DIR", help="Only what the run in this directory uses."
    ),
    dataset: str | None = typer.Option(
        None, "--dataset", metavar="ID", help="Only what a dataset of this name uses."
    ),
    root: Path | None = ROOT,
) -> None:
    """Write entries to one file, for another machine."""
    options = [*_given("--run", run), *_given("--dataset", dataset)]
    data, findings = _ask("export", root, str(file), *options)
    columns = (column("file"), column("entries"), _size("size"))
    output.record("cache-export/1", data, columns, id="file", findings=findings)
    _end(findings)


@verb(GROUP, "import")
def take_in(
    file: Path = typer.Argument(..., metavar="FILE", help="File that export wrote."),
    root: Path | None = ROOT,
) -> None:
    """Take in what another machine encoded; checksums are compared."""
    data, findings = _ask("import", root, str(file))
    columns = (
        Column("taken in", attr("entries")),
        Column("there already", attr("known")),
        column("damaged"),
        _size("size"),
    )
    output.record("cache-import/1", data, columns, findings=findings)
    _end(findings)


def _given(option: str, value: object) -> list[str]:
    return [] if value is None else [option, str(value)]


def _ask(verb: str, root: Path | None, *arguments: str) -> tuple[Any, list[Finding]]:
    """Data and findings of a verb's document; without data, the findings are the error."""
    from trainer.findings import Finding, finding

    line = [sys.executable, "-m", "trainer", "cache", *_given("--root", root), verb, *arguments]
    document: dict[str, Any] | None = None
    with subprocess.Popen(line, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
        assert child.stdout is not None
        for text in child.stdout:
            record = json.loads(text)
            if "done" in record:
                narrate.progress(f"cache {verb}: {record['done']} of {record['total']}")
            else:
                document = record
    if document is None:
        said = f"the cache process ended with code {child.returncode} and said nothing"
        raise CliError(narrate.FAILED, finding("ENV116", said, fix="its messages stand above"))
    findings = [Finding(**found) for found in document["findings"]]
    if document["data"] is None:
        raise CliError(narrate.FINDINGS, *findings)
    return document["data"], findings


def _end(findings: Sequence[Finding]) -> None:
    """Report on what was found beside the answer; errors decide the exit code."""
    from trainer.findings import at_or_above

    narrate.report(findings)
    if at_or_above(list(findings), "error"):
        raise CliError(narrate.FINDINGS)
