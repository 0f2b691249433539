"""Verbs about the checkpoints of a job."""

from __future__ import annotations

from sttui.cli import output
from sttui.cli.connect import client
from sttui.cli.options import JOB
from sttui.cli.select import select_one
from sttui.cli.verb import group, verb
from sttui.format.columns import Column, attr, column
from sttui.format.values import moment, size

GROUP = group("Checkpoints of a job.")

COLUMNS = (
    column("step", right=True),
    Column("size", attr("bytes"), text=lambda c: size(c.bytes), right=True),
    Column("created", attr("created"), text=lambda c: moment(c.created)),
    Column(
        "verified", attr("verified"), text=lambda c: {True: "yes", False: "no"}.get(c.verified, "–")
    ),
    column("path"),
)


@verb(GROUP)
def ls(job: str = JOB) -> None:
    """List the checkpoints of a job."""
    found = client().checkpoints(select_one(client(), job))
    output.table("checkpoints/1", found, COLUMNS, id="step")
