"""Actions on the selected job, shared by every screen that selects one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from stdaemon.wire.jobs import Job
from sttui.format.states import is_terminal
from sttui.tui.keys import KEYS, bindings
from sttui.tui.screens.dialog import Confirm
from sttui.tui.widgets.key_bar import KeyView

if TYPE_CHECKING:
    from sttui.tui.app import StuneApp

EFFECTS = {
    "stop": "It saves a checkpoint and ends. Pause instead keeps it in line.",
    "cancel": "It ends for good. Results written so far stay on disk.",
}


JOB_KEYS = frozenset({"list.open"} | {key.id for key in KEYS["jobs"]})


class JobActions:
    """Mixin of screens, before `StuneScreen`; `selected()` tells which job is meant."""

    JOB_BINDINGS = bindings("jobs")
    app: StuneApp  # type: ignore[assignment]

    def selected(self) -> Job | None:
        return None

    def key_view(self) -> KeyView:
        """Keys for a job only where there is one, named after what they would do."""
        view: KeyView = super().key_view()  # type: ignore[misc]
        job = self.selected()
        if job is None:
            return replace(view, without=JOB_KEYS)
        state, titles = str(job.state), dict(view.titles)
        if state in ("paused", "held"):
            titles["jobs.pause"] = "Resume" if state == "paused" else "Release"
        if not is_terminal(state):
            return replace(view, titles=titles)
        ended = frozenset({"jobs.stop", "jobs.pause", "jobs.cancel"})
        return replace(view, without=ended, extra=view.extra | {"jobs.rerun"}, titles=titles)

    def action_open(self, tab: str = "overview") -> None:
        job = self._one()
        if job is not None:
            self.app.open_job(job.id, tab)

    def action_act(self, action: str) -> None:
        job = self._one()
        if job is None or not self.app.may_change(action):
            return
        state = str(job.state)
        if action == "pause" and state == "paused":
            action = "resume"
        elif action == "pause" and state == "held":
            action = "release"
        if is_terminal(state) and action != "rerun":
            self.app.notify(f"{action}: {job.name} has ended", severity="warning", markup=False)
        elif action in EFFECTS:
            self.app.push_screen(
                Confirm(f"{action.capitalize()} {job.name}?", EFFECTS[action]),
                lambda yes: self.app.act(job.id, action) if yes else None,
            )
        else:
            self.app.act(job.id, action)

    def action_copy_id(self) -> None:
        job = self._one()
        if job is not None:
            self.app.copy_to_clipboard(job.id)
            self.app.notify(f"copied {job.id}", timeout=2)

    def _one(self) -> Job | None:
        job = self.selected()
        if job is None:
            self.app.notify("no job is selected", severity="warning", timeout=2)
        return job
