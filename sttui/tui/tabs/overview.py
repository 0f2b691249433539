"""History and findings of a job."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.widgets import Static

from stdaemon.wire.jobs import JobDetail
from sttui.format import values
from sttui.tui.columns import plain
from sttui.tui.tabs.tab import JobTab


class OverviewTab(JobTab):
    def compose(self) -> ComposeResult:
        with VerticalScroll(id="scroll"):
            yield Static("", id="facts", markup=False)

    def take_focus(self) -> None:
        self.query_one("#scroll").focus()

    def update_data(self) -> None:
        self.app.call_daemon(lambda client: client.job(self.job_id), self._show)

    def _show(self, job: JobDetail) -> None:
        text = "\n".join(lines(job))
        self.query_one("#facts", Static).update(plain(text, self.app.options))


def lines(job: JobDetail) -> list[str]:
    rows = [
        ("id", f"{job.id} (number {job.number})"),
        ("created", values.moment(job.created_at)),
        ("started", values.moment(job.started_at)),
        ("ended", values.moment(job.ended_at)),
        ("directory", job.run_dir),
        ("tags", ", ".join(job.tags) or values.UNKNOWN),
    ]
    out = [f"{name:<10} {value}" for name, value in rows]
    if job.findings:
        out += ["", "Findings"]
        for finding in job.findings[-8:]:
            out.append(f"  {finding.level} {finding.code} {finding.message}")
            if finding.fix:
                out.append(f"    fix: {finding.fix}")
    out += ["", "Attempts"]
    for attempt in job.attempts:
        took = (attempt.ended_at or 0) - (attempt.started_at or 0) if attempt.ended_at else None
        how = attempt.reason or "running"
        out.append(f"  {attempt.number}  {how:<16} {values.duration(took):>8}  pid {attempt.pid}")
    out += ["", "States"]
    for change in job.transitions[-12:]:
        by = f" by {change.actor}" if change.actor not in ("", "daemon") else ""
        out.append(f"  {values.clock(change.ts)[11:]}  {change.new:<10} {change.cause}{by}")
    return out
