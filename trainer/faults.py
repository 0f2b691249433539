"""Named points at which a test may break the process (beyond.md §1.4).

`STUNE_FAULT="ckpt.manifest@2=kill"` kills the process (SIGKILL) at the second pass of that point;
`=term` sends SIGTERM, `=enospc` raises a full-disk error there. Without the variable a point costs
one comparison.
"""

from __future__ import annotations

import errno
import os
import signal

_spec = os.environ.get("STUNE_FAULT", "")
_passes: dict[str, int] = {}


def point(name: str) -> None:
    """Mark a place in the code where an interruption must be survivable."""
    if _spec:
        _hit(name)


def _hit(name: str) -> None:
    target, _, action = _spec.partition("=")
    wanted, _, count = target.partition("@")
    if name != wanted:
        return
    _passes[name] = _passes.get(name, 0) + 1
    if _passes[name] != int(count or 1):
        return
    if action == "enospc":
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), name)
    os.kill(os.getpid(), signal.SIGTERM if action == "term" else signal.SIGKILL)
