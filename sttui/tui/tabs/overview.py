"""What a job is and how it got here: facts, phases, findings, attempts and states."""

from __future__ import annotations

import textwrap
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from stdaemon.client.api import Client
from stdaemon.wire.jobs import JobDetail
from sttui.format import values
from sttui.format.progress import event_line
from sttui.format.states import look
from sttui.tui.ink import text_of
from sttui.tui.spans import Line
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.virtual_table import fit

LEVELS = {"error": "red", "warn": "yellow", "info": "blue"}
EVENTS_PER_CALL = 2000
INDENT = 14  # of the text of a finding, behind level and code
LAST_EVENTS = 8
NOISE = ("progress", "cache.progress", "phase", "control.ack", "finding")


@dataclass
class Story:
    """What the run itself has told: phases with their durations, and its last events."""

    seen: int = 0
    phases: list[tuple[str, float, float | None]] = field(default_factory=list)
    last: list[tuple[float, str]] = field(default_factory=list)

    def add(self, events: Sequence[Mapping[str, Any]]) -> None:
        for event in events:
            self.seen = max(self.seen, int(event.get("seq", 0)))
            kind, ts = event.get("kind"), float(event.get("ts", 0.0))
            if kind == "phase":
                self._phase(str(event.get("phase")), str(event.get("state")), ts)
            elif kind == "run.end":
                self._close(ts)
            if kind not in NOISE and (text := event_line(event)):
                self.last = [*self.last, (ts, text)][-LAST_EVENTS:]

    def _phase(self, name: str, state: str, ts: float) -> None:
        if state == "begin":
            self._close(ts)
            self.phases.append((name, ts, None))
        else:
            self._close(ts)

    def _close(self, ts: float) -> None:
        if self.phases and self.phases[-1][2] is None:
            name, begin, _ = self.phases[-1]
            self.phases[-1] = (name, begin, ts)

    def durations(self, now: float) -> dict[str, float]:
        """Seconds per phase, summed over attempts."""
        total: dict[str, float] = {}
        for name, begin, end in self.phases:
            total[name] = total.get(name, 0.0) + (now if end is None else end) - begin
        return total


class OverviewTab(JobTab):
    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.story = Story()

    def compose(self) -> ComposeResult:
        with VerticalScroll(id="overview-scroll"):
            yield Static("loading …", id="facts", classes="lines", markup=False)

    def take_focus(self) -> None:
        self.query_one("#overview-scroll").focus()

    def update_data(self) -> None:
        after = self.story.seen

        def fetch(client: Client) -> tuple[JobDetail, list[dict[str, Any]]]:
            page = client.job_events(self.job_id, after=after, limit=EVENTS_PER_CALL)
            return client.job(self.job_id), page.events

        self.ask(fetch, self._show)

    def _show(self, answer: tuple[JobDetail, list[dict[str, Any]]]) -> None:
        job, events = answer
        self.story.add(events)
        wide = self.size.width >= 120
        body = overview_lines(job, self.story, self.size.width - 2, wide=wide)
        self.query_one("#facts", Static).update(text_of(self.app, body))


def overview_lines(job: JobDetail, story: Story, width: int, *, wide: bool) -> list[Line]:
    """All sections, in two columns when there is room."""
    now = job.ended_at or max(time.time(), job.started_at or 0.0)
    column = width // 2 if wide else width
    left = [*_facts(job, column - 2), *_phases(story, now), *_findings(job, column - 2)]
    right = [*_attempts(job), *_states(job), *_events(story, column)]
    if not wide:
        return [*left, *right]
    right = right[1:]  # no empty line above the first section of a column
    rows: list[Line] = []
    for index in range(max(len(left), len(right))):
        line = left[index] if index < len(left) else []
        used = sum(len(text) for text, _ in line)
        pad = [(" " * max(1, column - used), "")]
        rows.append([*line, *pad, *(right[index] if index < len(right) else [])])
    return rows


def _facts(job: JobDetail, width: int) -> list[Line]:
    rows = [
        ("Id", f"{job.id}, number {job.number}"),
        ("Created", values.moment(job.created_at)),
        ("Started", values.moment(job.started_at)),
    ]
    if job.ended_at:
        took = job.ended_at - (job.started_at or job.ended_at)
        rows.append(("Ended", f"{values.moment(job.ended_at)}, took {values.duration(took)}"))
    if job.blocked_by or job.hold_reasons:
        rows.append(("Waits", job.blocked_by or ", ".join(job.hold_reasons)))
    if job.tags:
        rows.append(("Tags", ", ".join(job.tags)))
    rows.append(("Folder", job.run_dir))
    return [[(f"{name:<9} ", "dim"), (fit(value, width - 10).rstrip(), "")] for name, value in rows]


def _section(title: str, lines: list[Line]) -> list[Line]:
    return [[], [(title, "bold")], *lines] if lines else []


def _phases(story: Story, now: float) -> list[Line]:
    spent = story.durations(now)
    if not spent:
        return []
    line: Line = []
    for name, seconds in spent.items():
        line += [(f"{'  ' if line else ''}{name} ", "dim"), (values.duration(seconds), "")]
    return _section("Time spent", [line])


def _findings(job: JobDetail, width: int) -> list[Line]:
    lines: list[Line] = []
    for found in job.findings[-8:]:
        head: Line = [(f"{found.level:<5} {found.code}  ", LEVELS.get(found.level, ""))]
        for text in textwrap.wrap(found.message, max(20, width - INDENT)):
            lines.append([*head, (text, "")])
            head = [(" " * INDENT, "")]
        for text in textwrap.wrap(f"→ {found.fix}" if found.fix else "", max(20, width - INDENT)):
            lines.append([*head, (text, "dim")])
    return _section("Findings", lines)


def _attempts(job: JobDetail) -> list[Line]:
    lines: list[Line] = []
    for attempt in job.attempts[-6:]:
        ended, started = attempt.ended_at, attempt.started_at
        took = ended - started if ended and started else None
        how = attempt.reason or "running"
        more = f"{values.duration(took):>9}" if took is not None else f"pid {attempt.pid}"
        lines.append([(f"{attempt.number:<3}", "dim"), (f"{how:<22} ", ""), (more, "dim")])
    return _section("Attempts", lines)


def _states(job: JobDetail) -> list[Line]:
    lines: list[Line] = []
    for change in job.transitions[-8:]:
        by = f" by {change.actor}" if change.actor not in ("", "daemon") else ""
        lines.append(
            [
                (f"{values.clock(change.ts)[11:]}  ", "dim"),
                (f"{change.new:<11} ", look(change.new).style),
                (f"{change.cause}{by}", ""),
            ]
        )
    return _section("States", lines)


def _events(story: Story, width: int) -> list[Line]:
    lines: list[Line] = [
        [(f"{values.clock(ts)[11:]}  ", "dim"), (fit(text, width - 10).rstrip(), "")]
        for ts, text in reversed(story.last)
    ]
    return _section("Last events of the run", lines)
