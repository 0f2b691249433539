"""Base of the tabs of a job: they fetch their own data when they are looked at."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.containers import Vertical

from stdaemon.wire.jobs import Job

if TYPE_CHECKING:
    from sttui.tui.app import StuneApp


class JobTab(Vertical):
    """`update_data()` is called once a second while the tab is in front."""

    app: StuneApp  # type: ignore[assignment]

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self.job_id = job_id

    def update_data(self) -> None:
        """Ask the daemon for what is new."""

    def show_job(self, job: Job) -> None:
        """Draw what the state knows of the job."""

    def take_focus(self) -> None:
        """Give the keyboard to the main part of the tab."""
