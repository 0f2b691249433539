"""The hidden verb `dial-stdio`: the remote end of the SSH transport."""

from __future__ import annotations

import typer

from sttui.cli.verb import group, verb

app = group("Transport.")


@verb(app, "dial-stdio", hidden=True)
def dial_stdio(
    socket: str | None = typer.Option(
        None, "--socket", metavar="PATH", help="Socket of the daemon."
    ),
) -> None:
    """Connect standard input and output to the local daemon."""
    from pathlib import Path

    from stdaemon.client.transport.dial import relay
    from stdaemon.client.transport.unix import UnixConnector, default_socket

    connector = UnixConnector(Path(socket) if socket else default_socket())
    relay(connector.connect(), 0, 1)
