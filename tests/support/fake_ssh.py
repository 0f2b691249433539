"""A stand-in for the ssh program: runs the remote command here, with faults on demand.

The environment steers it: FAKE_SSH_LOG (one line per start), FAKE_SSH_NOISE (text printed before
the command), FAKE_SSH_STDERR, FAKE_SSH_EXIT (end with this code instead of running), FAKE_SSH_PATH
(folder with the `stune` to run), FAKE_SSH_DROP_BYTES (pass on so many bytes, then break).
"""

from __future__ import annotations

import os
import subprocess
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
    if drop := os.environ.get("FAKE_SSH_DROP_BYTES"):
        return _breaking(remote, env, int(drop))
    os.execve("/bin/sh", ["sh", "-c", remote], env)


def _breaking(remote: str, env: dict[str, str], limit: int) -> int:
    """Pass on so many bytes of the answer, then break like a lost network."""
    child = subprocess.Popen(["/bin/sh", "-c", f"exec {remote}"], env=env, stdout=subprocess.PIPE)
    assert child.stdout
    while limit > 0 and (part := os.read(child.stdout.fileno(), min(limit, 65536))):
        os.write(1, part)
        limit -= len(part)
    child.kill()
    child.wait()
    return 255


if __name__ == "__main__":
    sys.exit(main())
