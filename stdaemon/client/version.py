"""Which daemons this client understands: the same major, and a minor within one (tui.md §2.5)."""

from __future__ import annotations

from stdaemon.client.errors import Incompatible
from stdaemon.wire.version import API
from trainer.findings import finding

OURS = tuple(int(part) for part in API.split("."))


def check_version(api: str) -> None:
    """Raise Incompatible, naming both versions and the side to update."""
    try:
        major, minor = (int(part) for part in api.split(".")[:2])
    except ValueError:
        major, minor = -1, -1
    if major == OURS[0] and abs(minor - OURS[1]) <= 1:
        return
    older = "this client" if (major, minor) > OURS else "the daemon"
    raise Incompatible(
        finding(
            "ENV107",
            f"the daemon speaks API {api}, this client {API}",
            why="the major versions must be equal and the minor ones at most one apart",
            fix=f"update {older}",
        )
    )
