"""A listening socket that talks to its owner only.

The socket's folder is 0700 and the socket 0600, which already keeps others out; where the system
tells who connects, that is checked as well, so a folder whose mode was changed lets nobody in.
"""

from __future__ import annotations

import os
import socket
import struct
from pathlib import Path
from typing import Any

from trainer.errors import ConfigError
from trainer.findings import finding

UCRED = struct.Struct("3i")


class OwnerSocket(socket.socket):
    """Connections of other users (but root) are closed before a byte is read."""

    owners: frozenset[int] = frozenset({os.getuid(), 0})

    def accept(self) -> tuple[socket.socket, Any]:
        connection, address = super().accept()
        uid = peer_uid(connection)
        if uid is not None and uid not in self.owners:
            connection.close()
            raise ConnectionAbortedError(f"refused user {uid}")
        return connection, address


def peer_uid(connection: socket.socket) -> int | None:
    """User of the process at the other end; None where the system does not tell."""
    if not hasattr(socket, "SO_PEERCRED"):
        return None
    found = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, UCRED.size)
    return UCRED.unpack(found)[1]


def listen(path: Path) -> OwnerSocket:
    """A new socket at `path`; the caller holds the daemon's lock, so an old one is dead."""
    path.unlink(missing_ok=True)
    listener = OwnerSocket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    return listener


def private_folder(path: Path) -> None:
    """Make the folder, for the owner alone; refuse one that another user made."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        owner = path.lstat().st_uid
        if owner == os.getuid() and not path.is_symlink():
            path.chmod(0o700)
            return
        why = "it is a link" if path.is_symlink() else f"it belongs to user {owner}"
    except OSError as error:
        why = error.strerror or str(error)
    raise ConfigError(
        finding(
            "RUN112",
            f"the folder of the daemon's socket cannot be used: {path}",
            where=str(path),
            why=why,
            fix="set XDG_RUNTIME_DIR or STUNE_HOME to a folder of your own",
        )
    )
