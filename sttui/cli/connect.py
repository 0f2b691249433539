"""The client of this invocation: target from `--host`, one connection for the whole process."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from sttui.cli import narrate
from sttui.cli.invocation import current

if TYPE_CHECKING:
    from stdaemon.client.api import Client
    from stdaemon.client.errors import ClientError
    from stdaemon.client.stream import Resume

GIVE_UP_S = 120.0
_open: dict[str, Client] = {}


def client() -> Client:
    """The daemon that `--host`, STUNE_HOST, the host book or this machine offers."""
    from stdaemon.client.api import Client
    from stdaemon.client.hosts import choose_target

    key = current.host or ""
    if key not in _open:
        interactive = sys.stdin.isatty() and sys.stderr.isatty()
        target = choose_target(current.host, os.environ, interactive=interactive, warn=narrate.say)
        _open[key] = Client(target)
    return _open[key]


def started_client() -> Client:
    """Like `client()`, but a daemon of this machine that does not run is started."""
    from stdaemon.client.errors import Unreachable
    from stdaemon.client.transport.unix import UnixConnector, default_socket

    found = client()
    target = found.connector
    if not (isinstance(target, UnixConnector) and target.path == default_socket()):
        return found
    try:
        found.hello()
    except Unreachable as error:
        if error.finding.code != "ENV101":
            raise
        from sttui.cli.daemon import launch

        narrate.say("no daemon is running here; starting it (stune daemon stop ends it)")
        launch()
    return found


def patient() -> Resume:
    """Streams wait for a daemon that went away, and say so."""
    from stdaemon.client.stream import Resume

    return Resume(give_up_s=GIVE_UP_S, on_drop=_tell_drop)


def _tell_drop(error: ClientError, delay_s: float) -> None:
    narrate.say(f"{error.finding.message}; retry in {delay_s:.1f}s", "dim")


def close() -> None:
    for opened in _open.values():
        opened.close()
    _open.clear()
