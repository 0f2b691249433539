"""`dial-stdio` copies bytes both ways and ends the way each side expects."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from pathlib import Path

from stdaemon.client.transport.dial import PREAMBLE


def start(path: Path, **options: object) -> subprocess.Popen[bytes]:
    line = [sys.executable, "-m", "sttui", "dial-stdio", "--socket", str(path)]
    pipe = subprocess.PIPE
    return subprocess.Popen(line, stdin=pipe, stdout=pipe, stderr=pipe, **options)  # type: ignore[call-overload]


def listen(path: Path) -> socket.socket:
    server = socket.socket(socket.AF_UNIX)
    server.bind(str(path))
    server.listen()
    server.settimeout(20)
    return server


def accept(server: socket.socket) -> socket.socket:
    conn, _ = server.accept()
    conn.settimeout(20)
    return conn


def test_half_close_reaches_the_socket_and_the_answer_still_arrives(short_dir: Path) -> None:
    """The end of input closes one direction only; a late answer is delivered whole."""
    answer = os.urandom(300_000)
    with listen(short_dir / "s") as server:
        child = start(short_dir / "s")
        assert child.stdin
        assert child.stdout
        conn = accept(server)
        child.stdin.write(b"question")
        child.stdin.close()
        seen = b""
        while part := conn.recv(4096):
            seen += part
        assert seen == b"question"
        sender = threading.Thread(target=lambda: (conn.sendall(answer), conn.close()))
        sender.start()
        assert child.stdout.read() == PREAMBLE + answer
        sender.join(20)
        assert child.wait(20) == 0


def test_it_returns_at_once_when_the_socket_ends(short_dir: Path) -> None:
    """Standard input that never closes does not keep the process alive."""
    with listen(short_dir / "s") as server:
        child = start(short_dir / "s")
        conn = accept(server)
        conn.sendall(b"bye")
        conn.close()
        assert child.wait(20) == 0
        assert child.stdout
        assert child.stdout.read() == PREAMBLE + b"bye"


def test_both_directions_flow_while_the_other_is_stuck(short_dir: Path) -> None:
    """A large request and a large answer at once do not block each other."""
    size = 2_000_000
    with listen(short_dir / "s") as server:
        child = start(short_dir / "s")
        assert child.stdin
        assert child.stdout
        conn = accept(server)
        stdin = child.stdin
        sender = threading.Thread(target=conn.sendall, args=(b"a" * size,))
        asker = threading.Thread(target=lambda: (stdin.write(b"q" * size), stdin.close()))
        sender.start()
        asker.start()  # the far side reads nothing yet, so this direction fills up and stops
        assert len(child.stdout.read(size)) == size
        sender.join(20)
        seen = 0
        while part := conn.recv(1 << 16):
            seen += len(part)
        conn.close()
        asker.join(20)
        assert seen == size
        assert child.wait(20) == 0


def test_a_reader_that_goes_away_is_no_traceback(short_dir: Path) -> None:
    """Closing our end of standard output ends the process quietly."""
    with listen(short_dir / "s") as server:
        child = start(short_dir / "s")
        conn = accept(server)
        assert child.stdout
        assert child.stderr
        child.stdout.read(len(PREAMBLE))
        child.stdout.close()
        try:
            while True:
                conn.sendall(b"x" * 65536)
        except OSError:
            pass
        child.wait(20)
        assert child.stderr.read() == b""


def test_without_a_daemon_it_says_how_to_start_one(short_dir: Path) -> None:
    """Exit code 3, nothing on stdout, the command on stderr."""
    child = start(short_dir / "absent")
    out, err = child.communicate(timeout=20)
    assert child.returncode == 3
    assert out == b""
    assert b"stune daemon start" in err
