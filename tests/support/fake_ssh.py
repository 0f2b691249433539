"""A stand-in for the ssh program: runs the remote command here, with faults on demand.

The environment steers it: FAKE_SSH_LOG (one line per start), FAKE_SSH_NOISE (text printed before
the command), FAKE_SSH_STDERR, FAKE_SSH_EXIT (end with this code instead of running), FAKE_SSH_PATH
(folder with the `stune` to run).
"""

from __future__ import annotations

import os
import sys


def main() -> int:
    args = sys.argv[1:]
    if log := os.environ.get("FAKE_SSH_LOG"):
        with open(log, "a") as file:
            file.write("\t".join(args) + "\n")
    sys.stdout.write(os.environ.get("FAKE_SSH_NOISE", ""))
    sys.stdout.flush()
    sys.stderr.write(os.environ.get("FAKE_SSH_STDERR", ""))
    sys.stderr.flush()
    if code := os.environ.get("FAKE_SSH_EXIT"):
        return int(code)
    remote = args[args.index("--") + 2]
    path = os.environ.get("FAKE_SSH_PATH", "")
    env = os.environ | ({"PATH": f"{path}:{os.environ['PATH']}"} if path else {})
    os.execve("/bin/sh", ["sh", "-c", remote], env)


if __name__ == "__main__":
    sys.exit(main())
