"""Which daemons this client understands: the same major, and a minor within one (tui.md §2.5)."""

from __future__ import annotations

from stdaemon.client.errors import Incompatible
from trainer.findings import finding

API = (1, 0)


def check_version(api: str) -> None:
    """Raise Incompatible, naming both versions and the side to update."""
    try:
        major, minor = (int(part) for part in api.split(".")[:2])
    except ValueError:
        major, minor = -1, -1
    if major == API[0] and abs(minor - API[1]) <= 1:
        return
    older = "this client" if (major, minor) > API else "the daemon"
    ours = ".".join(map(str, API))
    raise Incompatible(
        finding(
            "ENV107",
            f"the daemon speaks API {api}, this client {ours}",
            why="the major versions must be equal and the minor ones at most one apart",
            fix=f"update {older}",
        )
    )
