"""One question to the trainer: a child process that answers with one JSON document.

`python -m trainer VERB …` writes its document to stdout and progress to stderr, one JSON object a
line. The child has its own session: Ctrl-C reaches only this program, which passes it on; the
second time it ends the child.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from threading import Thread
from typing import IO, Any

from sttui.cli import narrate
from sttui.cli.failure import CliError
from sttui.cli.foreground import PLAIN_EVERY_S, Throttle, require_trainer
from sttui.format.progress import event_line
from trainer.findings import Finding, finding

COMMAND = (sys.executable, "-m", "trainer")
TAIL = 15  # lines of a crash that are shown


@dataclass(frozen=True, slots=True)
class Document:
    """What the child answered."""

    schema: str
    data: Any
    findings: tuple[Finding, ...]


def ask(
    argv: Sequence[str],
    *,
    packages: Sequence[str] = ("numpy",),
    text: str | None = None,
    answers: Sequence[int] = (0,),
) -> Document:
    """The answer; CliError with its findings and exit code when the child failed.

    `text` is what the child reads from stdin; `answers` are exit codes that come with an answer.
    """
    require_trainer(packages)
    child = subprocess.Popen(
        [*COMMAND, *argv],
        stdin=subprocess.DEVNULL if text is None else subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )
    assert child.stdout is not None
    assert child.stderr is not None
    answer: list[bytes] = []
    reader = Thread(target=lambda out: answer.append(out.read()), args=(child.stdout,))
    reader.start()
    with _Interrupts(child):
        _hand_over(child, text)
        said = _narrate(child.stderr)
        code = child.wait()
    reader.join()
    document = _parsed(answer[0])
    if code in answers and document is not None and document.data is not None:
        return document
    if document is not None and document.findings:
        raise CliError(narrate.exit_of_trainer(code), *document.findings)
    if code in (-signal.SIGINT, -signal.SIGTERM, -signal.SIGKILL):
        raise CliError(narrate.SIGINT)
    for line in said[-TAIL:]:
        narrate.say(f"  {line}", "dim")
    raise CliError(narrate.FAILED, finding("ENV116", f"the trainer process ended with code {code}"))


def _hand_over(child: subprocess.Popen[bytes], text: str | None) -> None:
    if child.stdin is None or text is None:
        return
    with suppress(BrokenPipeError):  # the child says itself why it ended before it read
        with child.stdin as stdin:
            stdin.write(text.encode())


def _narrate(stream: IO[bytes]) -> list[str]:
    """Show progress while it comes; everything else the child said is returned."""
    throttle = Throttle(0.0 if narrate.is_terminal() else PLAIN_EVERY_S)
    said = []
    for raw in stream:
        line = raw.decode(errors="replace").rstrip()
        try:
            event = json.loads(line)
        except ValueError:
            event = None
        if not isinstance(event, dict):
            said.append(line)
        elif (text := event_line(event)) and throttle.due():
            narrate.progress(text)
    return said


def _parsed(answer: bytes) -> Document | None:
    try:
        body = json.loads(answer)
    except ValueError:
        return None
    return Document(body["schema"], body["data"], tuple(Finding(**f) for f in body["findings"]))


class _Interrupts:
    """The first interrupt asks the child to stop, the second ends it."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._asked = False
        self._old: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._old[number] = signal.signal(number, self._forward)

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _forward(self, number: int, frame: object) -> None:
        if self._child.poll() is None:
            self._child.send_signal(signal.SIGKILL if self._asked else signal.SIGINT)
        self._asked = True
