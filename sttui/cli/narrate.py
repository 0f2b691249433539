"""The only writer to stderr: narration, progress, findings, prompts; and the exit codes.

stdout is the answer and nothing else, so everything a person reads on the way goes here. Colour
only on a terminal and never with NO_COLOR.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from trainer.findings import Finding

OK = 0
FINDINGS = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4
INTERRUPTED = 5
FAILED = 6
SIGINT = 130
BROKEN_PIPE = 141
SIGTERM = 143

EXIT_CODES = {
    OK: "success",
    FINDINGS: "findings at or above the level, or a condition that did not come true",
    USAGE: "the command line cannot be understood",
    UNREACHABLE: "daemon or host unreachable; retryable",
    REFUSED: "refused by policy or identity",
    INTERRUPTED: "interrupted, resumable",
    FAILED: "failed, not resumable",
    SIGINT: "interrupted before any effect",
    BROKEN_PIPE: "the reader of stdout went away",
    SIGTERM: "terminated",
}

JOB_EXITS = {
    "succeeded": OK,
    "cancelled": INTERRUPTED,
    "paused": INTERRUPTED,
    "queued": INTERRUPTED,
    "held": INTERRUPTED,
    "rejected": REFUSED,
}

TRAINER_EXITS = {
    -15: SIGTERM,  # ended by the signal before it could handle it
    -2: SIGINT,
    0: OK,
    4: REFUSED,
    64: FINDINGS,
    65: FINDINGS,
    75: INTERRUPTED,
    78: REFUSED,
    130: SIGINT,
}

_CODES = {"dim": "2", "red": "31", "yellow": "33", "green": "32", "bold": "1"}
_LEVEL_STYLE = {"error": "red", "warn": "yellow", "info": "dim"}
_open_line = False


def exit_of_job(state: str) -> int:
    """Exit code for a job that ended or rests in `state` (tui.md §7.2)."""
    return JOB_EXITS.get(state, FAILED)


def exit_of_trainer(code: int) -> int:
    """Exit code of the command line for one of the trainer process (beyond.md §1.2)."""
    return TRAINER_EXITS.get(code, FAILED)


def is_terminal() -> bool:
    return sys.stderr.isatty() and os.environ.get("TERM") != "dumb"


def paint(text: str, style: str) -> str:
    """The text in a style when stderr shows it, else unchanged."""
    if not is_terminal() or os.environ.get("NO_COLOR"):
        return text
    return f"\x1b[{_CODES[style]}m{text}\x1b[0m"


def say(text: str, style: str = "") -> None:
    """One line for people."""
    _end_line()
    _write(f"{paint(text, style) if style else text}\n")


def progress(text: str) -> None:
    """A line that replaces the previous progress line on a terminal, a plain line elsewhere."""
    global _open_line
    if not is_terminal():
        _write(f"{text}\n")
        return
    from shutil import get_terminal_size

    width = get_terminal_size().columns - 1
    _write(f"\r\x1b[2K{text[:width]}")
    _open_line = True


def report(findings: Iterable[Finding]) -> None:
    """Findings with their reason and remedy."""
    for item in findings:
        style = _LEVEL_STYLE[item.level]
        place = f"{item.where}: " if item.where else ""
        say(f"{paint(item.level, style)} {item.code} {place}{item.message}")
        if item.why and item.why != item.message:
            say(f"  why: {item.why}", "dim")
        if item.fix:
            say(f"  fix: {item.fix}")


def confirm(question: str, *, flag: str = "--yes") -> bool:
    """Ask on a terminal; elsewhere it is a usage error that names the flag."""
    from sttui.cli.failure import usage

    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise usage(f"{question} needs an answer, and there is no terminal", fix=f"add {flag}")
    _end_line()
    _write(f"{question} [y/N] ")
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _end_line() -> None:
    global _open_line
    if _open_line:
        _write("\n")
        _open_line = False


def _write(text: str) -> None:
    try:
        sys.stderr.write(text)
        sys.stderr.flush()
    except (OSError, ValueError):  # nobody reads stderr: narration is not worth an error
        pass
