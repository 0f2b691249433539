"""Base of the tabs of a job: they fetch their own data while they are looked at.

At most one request of a tab is on its way; a failure is told in place, once, and the next tick
tries again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from textual.containers import Vertical

from stdaemon.client.api import Client
from stdaemon.client.errors import ClientError
from stdaemon.wire.jobs import Job

if TYPE_CHECKING:
    from sttui.tui.app import StuneApp

T = TypeVar("T")


class JobTab(Vertical):
    """`update_data()` is called every `every_s` seconds while the tab is in front."""

    app: StuneApp  # type: ignore[assignment]
    every_s = 1.0

    def __init__(self, job_id: str) -> None:
        super().__init__()
        self.job_id = job_id
        self.busy = False

    def update_data(self) -> None:
        """Ask the daemon for what is new."""

    def show_job(self, job: Job) -> None:
        """Draw what the state knows of the job."""

    def take_focus(self) -> None:
        """Give the keyboard to the main part of the tab."""

    def trouble(self, text: str) -> None:
        """Show that the data could not be fetched; an empty text takes it back."""

    def ask(self, call: Callable[[Client], T], then: Callable[[T], None]) -> None:
        """One request at a time; its answer comes back on the interface's thread."""
        if self.busy:
            return
        self.busy = True

        def answered(result: T) -> None:
            self.busy = False
            self.trouble("")
            then(result)

        def failed(error: ClientError) -> None:
            self.busy = False
            self.trouble(error.finding.message)

        self.app.call_daemon(call, answered, failed)
