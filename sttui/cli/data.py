"""Verbs that look at datasets before anything is trained: data scan, stats, buckets, captions …

The work is done by a child process of the trainer (`sttui.cli.worker`); here is only what a person
reads of its answer.
"""

from __future__ import annotations

import typer

from sttui.cli import narrate, output
from sttui.cli.data_fetch import fetch
from sttui.cli.data_lint import lint
from sttui.cli.data_preview import preview
from sttui.cli.dataset import FAMILY, KIND, PLACE, PLAIN, RESOLUTION, is_plain, question
from sttui.cli.options import SET
from sttui.cli.verb import group, verb
from sttui.cli.worker import Document
from sttui.format.columns import Column, column
from sttui.format.values import number

GROUP = group("Look at datasets before training.")


def _answer(found: Document, body: str) -> None:
    output.text(found.schema, body, found.data, findings=found.findings)
    if output.for_people():
        narrate.report(found.findings)


@verb(GROUP)
def scan(
    place: str = PLACE,
    set_: list[str] = SET,
    family: str | None = FAMILY,
    resolution: str | None = RESOLUTION,
    kind: str = KIND,
    plain: bool = PLAIN,
) -> None:
    """Bring the index up to date and show what is left of the samples, stage by stage.

    Unreadable samples are listed with their reason. An interrupted scan continues.
    """
    from sttui.format.dataset import scan_text

    found = question("scan", place, set_, family, resolution, kind)
    _answer(found, scan_text(found.data, plain=is_plain(plain)))


@verb(GROUP)
def stats(
    place: str = PLACE,
    set_: list[str] = SET,
    family: str | None = FAMILY,
    resolution: str | None = RESOLUTION,
    kind: str = KIND,
    plain: bool = PLAIN,
) -> None:
    """Show counts, sizes, shapes, formats, caption lengths and the size of the cache."""
    from sttui.format.dataset import stats_text

    found = question("stats", place, set_, family, resolution, kind)
    _answer(found, stats_text(found.data, plain=is_plain(plain)))


BUCKET_COLUMNS = (
    column("dataset"),
    column("bucket"),
    Column("aspect", lambda b: b["aspect"], lambda b: number(b["aspect"], 3), right=True),
    column("samples", right=True),
    column("repeats", right=True),
    Column("batch", lambda b: b["batch_size"], right=True),
    column("batches", right=True),
    column("left", right=True),
    column("leftover"),
)


@verb(GROUP)
def buckets(
    place: str = PLACE,
    set_: list[str] = SET,
    family: str | None = FAMILY,
    resolution: str | None = RESOLUTION,
    kind: str = KIND,
) -> None:
    """Show the sizes that are trained, their batches, and the steps of an epoch.

    BATCHES are those of the first epoch; LEFT are the draws that fill no batch.
    """
    from sttui.format.dataset import epoch_text

    found = question("buckets", place, set_, family, resolution, kind)
    if output.for_people():
        output.table(found.schema, found.data["buckets"], BUCKET_COLUMNS, id="bucket")
        output.raw(f"\n{epoch_text(found.data)}\n")
        narrate.report(found.findings)
        return
    extra = {k: v for k, v in found.data.items() if k != "buckets"}
    output.table(
        found.schema,
        found.data["buckets"],
        BUCKET_COLUMNS,
        id="bucket",
        findings=found.findings,
        extra=extra,
    )


@verb(GROUP)
def captions(
    place: str = PLACE,
    set_: list[str] = SET,
    family: str | None = FAMILY,
    resolution: str | None = RESOLUTION,
    kind: str = KIND,
    filter_: str = typer.Option("", "--filter", metavar="TEXT", help="Only captions that hold it."),
    top: int = typer.Option(20, "--top", min=1, help="How many words and tags are listed."),
    plain: bool = PLAIN,
) -> None:
    """Show words, tags, lengths in tokens, repetitions and the longest captions.

    Tokens are counted when the model is a local folder, else estimated from words.
    """
    from sttui.format.dataset import captions_text

    found = question(
        "captions", place, set_, family, resolution, kind, "--filter", filter_, "--top", str(top)
    )
    _answer(found, captions_text(found.data, plain=is_plain(plain)))


verb(GROUP)(lint)
verb(GROUP)(preview)
verb(GROUP)(fetch)
