"""`stdaemon`, the same as `stune daemon run`: serve the API on the user's socket until SIGTERM.

One daemon per user: a lock held for the process's life decides, not the id written into it. Who
may talk to it is decided by the owner of the socket (`api/peer.py`).
"""

from __future__ import annotations

import argparse
import fcntl
import logging
import os
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
    try:
        return _run()
    except TrainerError as error:
        print(error, file=sys.stderr)
        return error.exit_code


def _run() -> int:
    from stdaemon.api.peer import private_folder
    from stdaemon.settings import load_settings

    settings = load_settings()
    private_folder(settings.socket.parent)
    if not _locked(settings.lock):
        text = "another daemon already runs for this user"
        print(finding("RUN105", text, where=str(settings.lock)), file=sys.stderr)
        return BUSY
    _serve(settings)
    return 0


def _locked(path: Path) -> bool:
    """Hold the lock until this process ends; the process id in it is for people."""
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    os.ftruncate(lock, 0)
    os.write(lock, f"{os.getpid()}\n".encode())
    return True


def _serve(settings) -> None:
    import uvicorn

    from stdaemon.api.peer import listen
    from stdaemon.app import make_app, make_context

    config = uvicorn.Config(
        make_app(make_context(settings)),
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=2,
        lifespan="on",
        loop="asyncio",  # accepts through the socket object, which looks at who connects
    )
    listener = listen(settings.socket)
    try:
        uvicorn.Server(config).run(sockets=[listener])
    finally:
        settings.socket.unlink(missing_ok=True)


if __name__ == "__main__":
    sys.exit(main())
