"""Byte stream to a daemon on another machine: the system's ssh running `stune dial-stdio` there.

The child's standard input and output are one end of a socket pair, so the other end behaves like
any socket (time-outs, polling, shutdown). The user's keys, agent, jump hosts and ~/.ssh/config
apply unchanged. Output before the preamble line (shell start-up noise) is skipped.
"""

from __future__ import annotations

import contextlib
import select
import shlex
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import IO

from stdaemon.client.errors import Unreachable
from stdaemon.client.transport.dial import PREAMBLE
from trainer.findings import finding

MAX_NOISE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class SshConnector:
    """Starts one ssh process per connection; the pool above keeps at most three alive."""

    host: str
    user: str = ""
    port: int | None = None
    socket_path: str = ""
    remote_cli: str = "stune"
    interactive: bool = False
    ssh: tuple[str, ...] = ("ssh",)
    warn: Callable[[str], None] = field(default=lambda text: None)
    connect_timeout_s: float = 30.0
    max_connections: int = 3

    @property
    def address(self) -> str:
        user = f"{self.user}@" if self.user else ""
        port = f":{self.port}" if self.port else ""
        return f"ssh://{user}{self.host}{port}{self.socket_path}"

    def command(self) -> list[str]:
        """The whole command line; destination parts that look like options are refused."""
        for part in (self.host, self.user):
            if part.startswith("-"):
                raise Unreachable(
                    finding(
                        "ENV103",
                        f"{part!r} cannot be part of an ssh destination",
                        where=self.address,
                        why="ssh would read it as an option",
                        fix="write ssh://user@host",
                    )
                )
        batch = "no" if self.interactive else "yes"
        options = [
            f"BatchMode={batch}",
            f"ConnectTimeout={max(1, round(self.connect_timeout_s))}",
            "ServerAliveInterval=15",
            "ServerAliveCountMax=3",
        ]
        line = [*self.ssh, "-T"]
        for option in options:
            line += ["-o", option]
        if self.port:
            line += ["-p", str(self.port)]
        if self.user:
            line += ["-l", self.user]
        return [*line, "--", self.host, self.remote_command()]

    def remote_command(self) -> str:
        """What the remote shell gets; a leading ~/ stays unquoted so that it expands there."""
        home, rest = (
            ("~/", self.remote_cli[2:])
            if self.remote_cli.startswith("~/")
            else (
                "",
                self.remote_cli,
            )
        )
        line = f"{home}{shlex.quote(rest)} dial-stdio"
        return f"{line} --socket {shlex.quote(self.socket_path)}" if self.socket_path else line

    def connect(self, timeout_s: float | None = None) -> socket.socket:
        """A socket whose far end is the remote daemon."""
        ours, theirs = socket.socketpair()
        errors = tempfile.TemporaryFile()  # noqa: SIM115 - read after the child ended
        try:
            child = subprocess.Popen(
                self.command(),
                stdin=theirs.fileno(),
                stdout=theirs.fileno(),
                stderr=errors,
                # Ctrl-C belongs to this program; only a password prompt needs the terminal.
                start_new_session=not self.interactive,
            )
        except OSError as error:
            ours.close()
            raise self._no_ssh(error) from None
        finally:
            theirs.close()
        deadline = time.monotonic() + (timeout_s or self.connect_timeout_s)
        noise, found = _until_preamble(ours, deadline)
        if not found:
            ours.close()
            raise self._failed(child, noise, errors)
        if noise.strip():
            self.warn(f"{self.host}: the login shell prints text; it was skipped")
        return _OwningSocket.adopt(ours, child)

    def _no_ssh(self, error: OSError) -> Unreachable:
        return Unreachable(
            finding(
                "ENV103",
                f"cannot start {self.ssh[0]}: {error.strerror or error}",
                where=self.address,
                fix="install an OpenSSH client",
            )
        )

    def _failed(
        self, child: subprocess.Popen[bytes], noise: bytes, errors: IO[bytes]
    ) -> Unreachable:
        """Why there was no preamble, from ssh's exit status and what was printed."""
        try:
            code: int | None = child.wait(timeout=1.0)
        except subprocess.TimeoutExpired:
            code = None
            child.kill()
            child.wait()
        errors.seek(0)
        said = errors.read(8192).decode(errors="replace").strip()
        seen = noise[-400:].decode(errors="replace").strip()
        last = (said or seen).splitlines()[-1] if (said or seen) else ""
        message, fix = _diagnose(code, last, self.host)
        code_name = "ENV105" if code == 3 else "ENV104" if code in (126, 127) else "ENV103"
        found = finding(code_name, message, where=self.address, why=last, fix=fix)
        evidence = {k: v for k, v in {"stderr": said, "output": seen}.items() if v}
        return Unreachable(found.model_copy(update={"evidence": evidence}))


def _diagnose(code: int | None, last: str, host: str) -> tuple[str, str]:
    if code == 3:
        return f"no daemon is running on {host}", f"start it there: ssh {host} stune daemon start"
    if code in (126, 127):
        return (
            f"stune was not found on {host}",
            "install it there, or set remote_cli to its full path in hosts.toml",
        )
    if code is None:
        return f"{host} did not answer in time", "check the address and the network"
    if code == 255:
        return f"ssh could not connect to {host}", f"try: ssh {host} true"
    if code == 0 or "No such command" in last or "invalid choice" in last:
        return f"the program on {host} has no dial-stdio", "install the same version there"
    return f"the remote command ended with exit code {code}", f"try: ssh {host} stune version"


def _until_preamble(sock: socket.socket, deadline: float) -> tuple[bytes, bool]:
    """Read up to and including the preamble line, and not one byte of the stream behind it."""
    noise = b""
    while len(noise) < MAX_NOISE_BYTES:
        left = deadline - time.monotonic()
        if left <= 0 or not select.select([sock], [], [], left)[0]:
            return noise, False
        seen = sock.recv(4096, socket.MSG_PEEK)
        if not seen:
            return noise, False
        end = (noise + seen).find(PREAMBLE)
        if end >= 0:
            sock.recv(end + len(PREAMBLE) - len(noise))
            return (noise + seen)[:end], True
        noise += sock.recv(len(seen))
    return noise, False


class _OwningSocket(socket.socket):
    """A socket that reaps its ssh process when it is closed."""

    child: subprocess.Popen[bytes] | None = None

    @classmethod
    def adopt(cls, sock: socket.socket, child: subprocess.Popen[bytes]) -> _OwningSocket:
        owner = cls(sock.family, sock.type, sock.proto, fileno=sock.detach())
        owner.child = child
        return owner

    def close(self) -> None:
        with contextlib.suppress(OSError):
            self.shutdown(socket.SHUT_RDWR)
        super().close()
        if self.child is not None and self.child.poll() is None:
            self.child.terminate()
            try:
                self.child.wait(timeout=2.0)
            except subprocess.TimeoutExpired:
                self.child.kill()
                self.child.wait()
