"""What a rehearsal tells: every phase with status, time and peaks, and what was found in it.

Phases follow one another, so to begin one is to end the one before. A phase fails by an error that
is raised in it, or by a finding of level error that the run would only have written down.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from trainer.findings import Finding, at_or_above
from trainer.rehearse.peaks import device_peak, host_peak, reset_peaks
from trainer.runs.events import EventTail

SCHEMA = "rehearsal/1"
PHASES = (
    *("lint", "place", "inputs", "scan", "encode", "load", "train", "checkpoint"),
    *("reload", "validate", "export"),
)
Status = Literal["passed", "failed", "skipped", "not reached"]


class Failed(Exception):
    """A phase reported an error; the findings are in the report."""


@dataclass(slots=True)
class Phase:
    """One phase; `codes` are those of its findings."""

    name: str
    status: Status = "not reached"
    seconds: float | None = None
    host_peak_bytes: int | None = None
    device_peak_bytes: int | None = None
    note: str = ""
    codes: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Effect:
    """What an option that promises an effect really did; `share` is of what was to be expected."""

    option: str
    unit: str
    before: float | None = None
    after: float | None = None
    share: float | None = None
    note: str = ""


class Report:
    """The phases so far; `show` hears of each one as it begins."""

    def __init__(self, show: Callable[[str], None] = lambda phase: None) -> None:
        self.phases = {name: Phase(name) for name in PHASES}
        self.findings: list[Finding] = []
        self.effects: list[Effect] = []
        self.facts: dict[str, Any] = {}
        self._show = show
        self._open: Phase | None = None
        self._since = self._start = time.perf_counter()
        self._events: EventTail | None = None

    def listen(self, events: EventTail) -> None:
        """From now on findings among these events count for the phase they come in."""
        self._events = events

    def begin(self, name: str) -> None:
        """End the phase before; raises Failed when there was an error in it."""
        self.end()
        self._open, self._since = self.phases[name], time.perf_counter()
        self._show(name)
        reset_peaks()

    def add(self, *found: Finding) -> None:
        """Findings of the open phase; what was said before is not said again."""
        for one in found:
            if any((one.code, one.message) == (old.code, old.message) for old in self.findings):
                continue
            self.findings.append(one)
            if self._open is not None:
                self._open.codes.append(one.code)

    def skip(self, name: str, note: str) -> None:
        """A phase for which the job has nothing to do."""
        self.end()
        self.phases[name].status, self.phases[name].note = "skipped", note

    def end(self) -> None:
        """The open phase passed, unless it reported an error."""
        if self._open is None:
            return
        self._hear()
        errors = at_or_above([f for f in self.findings if f.code in self._open.codes], "error")
        failed = bool(errors)
        self._close("failed" if failed else "passed")
        if failed:
            raise Failed

    def fail(self, *found: Finding) -> None:
        """The open phase ended with an error."""
        self._hear()
        self.add(*found)
        self._close("failed")

    def _hear(self) -> None:
        for event in self._events.poll() if self._events is not None else ():
            if event["kind"] == "finding":
                self.add(Finding(**event["finding"]))

    def _close(self, status: Status) -> None:
        if self._open is None:
            return
        phase, self._open = self._open, None
        phase.status = status
        phase.seconds = round(time.perf_counter() - self._since, 3)
        phase.host_peak_bytes, phase.device_peak_bytes = host_peak(), device_peak()

    @property
    def passed(self) -> bool:
        return all(phase.status in ("passed", "skipped") for phase in self.phases.values())

    def document(self) -> dict[str, Any]:
        """The data of the JSON document."""
        return {
            "status": "passed" if self.passed else "failed",
            "failed_phase": next(
                (p.name for p in self.phases.values() if p.status == "failed"), None
            ),
            **self.facts,
            "seconds": round(time.perf_counter() - self._start, 3),
            "phases": [asdict(phase) for phase in self.phases.values()],
            "effects": [asdict(effect) for effect in self.effects],
        }
