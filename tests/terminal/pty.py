"""The interface in a real pseudo-terminal, and what such a terminal would show."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pexpect
import pyte

ROOT = Path(__file__).resolve().parents[2]
DEADLINE_S = 40.0
SGR = re.compile(r"\x1b\[([0-9;:]*)m")


class Terminal:
    """A child on a terminal of `columns` x `lines`; all it wrote is kept in `raw`."""

    def __init__(self, env: dict[str, str], *, columns: int = 80, lines: int = 24) -> None:
        self.screen = pyte.Screen(columns, lines)
        self._stream = pyte.Stream(self.screen)
        self.raw = ""
        self.child = pexpect.spawn(
            sys.executable,
            ["-m", "sttui"],
            env={"TERM": "xterm-256color", "LANG": "C.UTF-8"} | env,
            cwd=str(ROOT),
            dimensions=(lines, columns),
            encoding="utf-8",
            timeout=1,
        )

    def read(self) -> None:
        """Take over what has been written; returns after a short silence."""
        try:
            text = self.child.read_nonblocking(65536, timeout=0.05)
        except (pexpect.TIMEOUT, pexpect.EOF):
            return
        self.raw += text
        # Private sequences that the emulator does not know would be shown as text.
        self._stream.feed(re.sub(r"\x1b\[[<>=][0-9;]*[a-zA-Z]", "", text))

    def text(self) -> str:
        return "\n".join(self.screen.display)

    def until(self, condition: Callable[[], object]) -> None:
        deadline = time.monotonic() + DEADLINE_S
        while not condition():
            assert time.monotonic() < deadline, f"not in time; the screen:\n{self.text()}"
            self.read()

    def until_text(self, text: str) -> None:
        self.until(lambda: text in self.text())

    def press(self, keys: str, seen: str = "") -> None:
        """Send keys and wait for a text that they bring."""
        self.child.send(keys)
        if seen:
            self.until_text(seen)

    def end(self) -> int:
        """Wait for the end; the exit status, negative for a signal."""

        def gone() -> bool:
            self.read()
            return not self.child.isalive()

        self.until(gone)
        self.read()
        self.child.close()
        status, number = self.child.exitstatus, self.child.signalstatus
        return status if status is not None else -(number or 0)

    def kill(self) -> None:
        """Whatever a failed test has left."""
        self.child.close(force=True)


def colours(raw: str) -> list[str]:
    """All SGR sequences of the output that set a colour."""
    found = []
    for match in SGR.finditer(raw):
        numbers = [int(n or 0) for n in re.split("[;:]", match[1])]
        if any(30 <= n <= 38 or 40 <= n <= 48 or 90 <= n <= 107 for n in numbers):
            found.append(match[0])
    return found
