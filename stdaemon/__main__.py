"""`stdaemon`, the same as `stune daemon run`: serve the API on the user's socket until SIGTERM.

One daemon per user: a lock held for the process's life decides, not a pid file. The socket's
folder is 0700 and the socket 0600; that is the whole authorisation.
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
import socket
import sys
from pathlib import Path

from trainer.errors import TrainerError
from trainer.findings import finding

BUSY = 3


def main(argv: list[str] | None = None) -> int:
    argparse.ArgumentParser(
        prog="stdaemon", description="Run the daemon of this host in the foreground."
    ).parse_args(argv)
    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(message)s", stream=sys.stderr
    )
    from stdaemon.settings import load_settings

    try:
        settings = load_settings()
    except TrainerError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    _private(settings.socket.parent)
    lock = os.open(settings.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        text = "another daemon already runs for this user"
        print(finding("RUN105", text, where=str(settings.lock)), file=sys.stderr)
        return BUSY
    _serve(settings)
    return 0


def _private(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)


def _serve(settings) -> None:
    import uvicorn

    from stdaemon.app import make_app

    path = settings.socket
    path.unlink(missing_ok=True)  # ours by the lock: whoever made it is gone
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    mask = os.umask(0o177)
    try:
        listener.bind(str(path))
    finally:
        os.umask(mask)
    config = uvicorn.Config(
        make_app(settings),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        lifespan="on",
    )
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        path.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
