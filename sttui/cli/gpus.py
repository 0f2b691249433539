"""The verb `gpus`: devices of the host and what they do."""

from __future__ import annotations

import typer

from sttui.cli import narrate, output
from sttui.cli.connect import client
from sttui.cli.verb import group, verb
from sttui.format.host import GPU_COLUMNS, host_line

app = group("Devices.")
WATCH_S = 2.0


@verb(app)
def gpus(
    watch: bool = typer.Option(False, "--watch", "-w", help="Show them again and again."),
) -> None:
    """Show GPUs, CPU, memory and disk of the host."""

    def show() -> None:
        host = client().host()
        if output.for_people():
            narrate.say(host_line(host))
            if not host.gpus:
                narrate.say("no GPU; jobs run on the CPU", "dim")
                return
        figures = host.model_dump(mode="json", exclude={"gpus"})
        output.table("gpus/1", host.gpus, GPU_COLUMNS, id="index", extra={"host": figures})

    output.repeated(show, WATCH_S if watch else None)
