"""Run the trainer as a child process and show its progress, without a daemon.

The child gets its own session: Ctrl-C reaches only this program, which passes it on once, and the
trainer writes a checkpoint and ends. Progress comes from the run directory's event file, the same
file a daemon would read.
"""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from sttui.cli import narrate
from sttui.cli.failure import CliError
from sttui.format.progress import event_line
from trainer.config.resolve import Resolved
from trainer.findings import Finding, at_or_above, finding
from trainer.runs.events import EventTail
from trainer.runs.exitrecord import read_exit
from trainer.runs.files import write_atomic, write_json
from trainer.runs.homes import data_home
from trainer.runs.layout import RunDir

COMMAND = (sys.executable, "-m", "trainer")
POLL_S = 0.2
PLAIN_EVERY_S = 5.0


@dataclass(slots=True)
class Outcome:
    """How a foreground run ended and the events of this attempt."""

    run: RunDir
    code: int
    events: list[dict[str, Any]] = field(default_factory=list)

    def last(self, kind: str) -> dict[str, Any] | None:
        return next((e for e in reversed(self.events) if e["kind"] == kind), None)

    def first(self, kind: str) -> dict[str, Any] | None:
        return next((e for e in self.events if e["kind"] == kind), None)


def require_trainer(packages: Sequence[str] = ("torch", "diffusers", "peft")) -> None:
    """Refuse early when the training packages are not installed."""
    from importlib.util import find_spec

    missing = [name for name in packages if find_spec(name) is None]
    if missing:
        raise CliError(
            narrate.FINDINGS,
            finding(
                "ENV121",
                f"the training packages are not installed: {', '.join(missing)}",
                why="the base installation is client and daemon only",
                fix="pip install 'simpletuner-terminal[train]', or use --host with a GPU machine",
            ),
        )


def prepare(result: Resolved, text: str, *, name: str, out: Path | None) -> RunDir:
    """A run directory with the job as submitted and as effective."""
    errors = at_or_above(result.findings, "error")
    if result.config is None or errors:
        raise CliError(narrate.FINDINGS, *(errors or result.findings))
    narrate.report(result.findings)
    job = result.config.job
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder = (job.name or name or "run").replace("/", "-")
    chosen = out or job.output_dir or data_home() / "runs" / f"{folder}-{stamp}"
    run = RunDir(Path(chosen).expanduser().resolve()).create()
    write_atomic(run.config, text.encode())
    write_json(run.effective, result.effective())
    return run


def train(run: RunDir, *, show: Callable[[str], None] = narrate.progress) -> Outcome:
    """Train in `run` until the child ends; its exit code is the outcome."""
    tail = EventTail(run.events, run.events.stat().st_size if run.events.exists() else 0)
    line = [
        *COMMAND,
        "train",
        str(run.effective),
        "--run-dir",
        str(run.path),
    ]
    run.exit.unlink(missing_ok=True)
    with run.log.open("ab") as log:
        child = subprocess.Popen(
            line, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
        )
    outcome = Outcome(run, -1)
    with _Forwarding(child):
        outcome.code = _follow(child, tail, outcome.events, show)
    return outcome


def _follow(
    child: subprocess.Popen[bytes],
    tail: EventTail,
    seen: list[dict[str, Any]],
    show: Callable[[str], None],
) -> int:
    throttle = Throttle(0.0 if narrate.is_terminal() else PLAIN_EVERY_S)
    while True:
        try:
            code: int | None = child.wait(timeout=POLL_S)
        except subprocess.TimeoutExpired:
            code = None
        for event in tail.poll():
            seen.append(event)
            show_event(event, throttle, show)
        if code is not None:
            return code


class Throttle:
    """Whether a progress line is due; the first one always is."""

    def __init__(self, every_s: float) -> None:
        self._every_s = every_s
        self._next = 0.0

    def due(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        self._next = now + self._every_s
        return True


def show_event(event: dict[str, Any], throttle: Throttle, show: Callable[[str], None]) -> None:
    """One event of a run for people; progress only as often as the throttle lets it."""
    kind = event["kind"]
    if kind == "finding":
        narrate.report([Finding(**event["finding"])])
        return
    text = event_line(event)
    if text is None or kind in ("control.ack", "sample.saved"):
        return
    if kind in ("progress", "cache.progress"):
        at_end = event.get("step", event.get("done")) == event.get("total")
        if throttle.due() or at_end:
            show(text)
    else:
        narrate.say(text, "dim" if kind == "phase" else "")


class _Forwarding:
    """Passes interrupts on to the child: the first asks for a checkpoint, the second ends it."""

    def __init__(self, child: subprocess.Popen[bytes]) -> None:
        self._child = child
        self._old: dict[int, Any] = {}

    def __enter__(self) -> None:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
            self._old[number] = signal.signal(number, self._forward)

    def __exit__(self, *exc: object) -> None:
        for number, handler in self._old.items():
            signal.signal(number, handler)

    def _forward(self, number: int, frame: object) -> None:
        if self._child.poll() is None:
            narrate.say("stopping: the trainer writes a checkpoint and ends (again: at once)")
            self._child.send_signal(signal.SIGINT if number == signal.SIGINT else signal.SIGTERM)


def explain_failure(outcome: Outcome) -> None:
    """Say why the run did not succeed, unless its events told it already."""
    record = read_exit(outcome.run.exit)
    told = any(e["kind"] == "finding" and e["finding"]["level"] == "error" for e in outcome.events)
    if record is not None and record.finding and not told:
        narrate.report([Finding(**record.finding)])
    elif record is None and not told:
        lines = outcome.run.log.read_text(errors="replace").splitlines()[-15:]
        for line in lines:
            narrate.say(f"  {line}", "dim")
    if outcome.code == 75:
        narrate.say(f"resume it: stune train {outcome.run.effective} --out {outcome.run.path}")
    else:
        narrate.say(f"log: {outcome.run.log}")
