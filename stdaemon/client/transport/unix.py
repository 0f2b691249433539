"""Byte stream to a daemon on this machine: a Unix socket, and nothing about HTTP."""

from __future__ import annotations

import errno
import os
import socket
from dataclasses import dataclass
from pathlib import Path

from stdaemon.client.errors import Unreachable
from trainer.findings import finding
from trainer.runs.homes import runtime_dir

SOCKET_NAME = "api.sock"


def default_socket() -> Path:
    return runtime_dir() / SOCKET_NAME


@dataclass(frozen=True, slots=True)
class UnixConnector:
    """Opens connections to the socket at `path`."""

    path: Path
    connect_timeout_s: float = 5.0
    max_connections: int = 16

    @property
    def address(self) -> str:
        return f"unix://{self.path}"

    def connect(self, timeout_s: float | None = None) -> socket.socket:
        if _of_a_stranger(self.path.parent):
            raise _unreachable(self.path, PermissionError(errno.EACCES, "not ours"))
        sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        sock.settimeout(timeout_s or self.connect_timeout_s)
        try:
            sock.connect(str(self.path))
        except OSError as error:
            sock.close()
            raise _unreachable(self.path, error) from None
        return sock


def _of_a_stranger(folder: Path) -> bool:
    """In a folder of another user, a socket may be anybody's: nothing is sent to it."""
    try:
        return folder.stat().st_uid not in (os.getuid(), 0)
    except OSError:
        return False  # connecting will tell why


def _unreachable(path: Path, error: OSError) -> Unreachable:
    if error.errno == errno.EACCES:
        return Unreachable(
            finding(
                "ENV102",
                f"no permission to use the daemon's socket {path}",
                where=str(path),
                why="the socket belongs to another user",
                fix="use your own daemon, or ask its owner for access",
            )
        )
    absent = isinstance(error, FileNotFoundError) or error.errno == errno.ECONNREFUSED
    why = "nobody listens there" if absent else (error.strerror or str(error))
    return Unreachable(
        finding(
            "ENV101",
            "no daemon is running on this machine",
            where=str(path),
            why=why,
            fix="start it: stune daemon start",
        )
    )
