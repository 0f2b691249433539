"""Actions on the selected job, shared by every screen that selects one."""

from __future__ import annotations

from typing import TYPE_CHECKING

from stdaemon.wire.jobs import Job
from sttui.format.states import is_terminal
from sttui.tui.keys import bindings
from sttui.tui.screens.confirm import Confirm

if TYPE_CHECKING:
    from sttui.tui.app import StuneApp

QUESTIONS = {
    "stop": "Stop {name}? A checkpoint is kept.",
    "cancel": "Cancel {name}? It ends for good.",
}


class JobActions:
    """Mixin of screens; `selected()` tells which job is meant."""

    JOB_BINDINGS = bindings("jobs")
    app: StuneApp  # type: ignore[assignment]

    def selected(self) -> Job | None:
        return None

    def action_open(self, tab: str = "overview") -> None:
        job = self.selected()
        if job is not None:
            self.app.open_job(job.id, tab)

    def action_act(self, action: str) -> None:
        job = self.selected()
        if job is None:
            return
        if action == "pause" and str(job.state) in ("paused", "held"):
            action = "resume"
        if action in QUESTIONS and not is_terminal(str(job.state)):
            question = QUESTIONS[action].format(name=job.name)

            def answered(yes: bool | None) -> None:
                if yes:
                    self.app.act(job.id, action)

            self.app.push_screen(Confirm(question), answered)
        else:
            self.app.act(job.id, action)

    def action_copy_id(self) -> None:
        job = self.selected()
        if job is not None:
            self.app.copy_to_clipboard(job.id)
            self.app.notify(f"copied {job.id}", timeout=2)
