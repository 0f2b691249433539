"""`dial-stdio`: standard input and output become one connection to the local daemon.

The remote end of the SSH transport. It prints one preamble line, so that the client can skip
whatever the shell's start-up files print, then only copies bytes: standard input to the socket,
the socket to standard output. When the input ends, only that direction is closed and the rest of
the response still arrives; when the socket ends, it returns at once.
"""

from __future__ import annotations

import os
import socket
import threading

PREAMBLE = b"stune dial-stdio 1\n"
CHUNK_BYTES = 64 * 1024


def relay(sock: socket.socket, stdin: int, stdout: int) -> None:
    """Copy both ways until the daemon closes the connection or standard output is gone."""
    sock.settimeout(None)
    if not _write_all(stdout, PREAMBLE):
        return
    upward = threading.Thread(target=_upward, args=(stdin, sock), daemon=True)
    upward.start()
    while True:
        try:
            data = sock.recv(CHUNK_BYTES)
        except OSError:
            return
        if not data or not _write_all(stdout, data):
            return


def _upward(stdin: int, sock: socket.socket) -> None:
    """Standard input to the socket; the end of input closes only this direction."""
    try:
        while data := os.read(stdin, CHUNK_BYTES):
            sock.sendall(data)
        sock.shutdown(socket.SHUT_WR)
    except OSError:
        pass  # the daemon closed first: the other direction notices and returns


def _write_all(fd: int, data: bytes) -> bool:
    view = memoryview(data)
    try:
        while view:
            view = view[os.write(fd, view) :]
    except OSError:
        return False
    return True
