"""What all verbs of `stune data` share: which dataset is meant, and the question to the trainer."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import typer

from sttui.cli.failure import usage
from sttui.cli.worker import Document, ask

PLACE = typer.Argument(..., metavar="PATH|JOB", help="Folder of samples, or job file.")
FAMILY = typer.Option(
    None, "--family", metavar="NAME", help="Whose sizes are meant; a folder is taken for sdxl."
)
RESOLUTION = typer.Option(None, "--resolution", metavar="SIZE", help="Such as 1024px2 or 1.0mp.")
KIND = typer.Option("image", "--kind", metavar="KIND", help="Of a folder: image, video or audio.")
PLAIN = typer.Option(False, "--plain", help="Bars without block characters; also with NO_COLOR.")
KINDS = ("image", "video", "audio")


def question(
    action: str,
    place: str,
    set_: Sequence[str],
    family: str | None,
    resolution: str | None,
    kind: str,
    *more: str,
) -> Document:
    """Ask the trainer; options that were not given are left to it."""
    if kind not in KINDS:
        raise usage(f"--kind {kind!r} is not one of {', '.join(KINDS)}", fix="leave it out")
    if not os.path.exists(place):
        raise usage(f"{place} does not exist", fix="name a folder of samples, or a job file")
    argv = ["data", action, place, "--kind", kind]
    argv += ["--family", family] if family else []
    argv += ["--resolution", resolution] if resolution else []
    for assignment in set_:
        argv += ["--set", assignment]
    return ask([*argv, *more])


def is_plain(wanted: bool) -> bool:
    """Whether bars must do without block characters."""
    encoding = (getattr(sys.stdout, "encoding", "") or "").lower()
    return wanted or bool(os.environ.get("NO_COLOR")) or "utf" not in encoding
