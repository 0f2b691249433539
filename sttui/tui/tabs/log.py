"""The live log: the newest lines first fetched, then everything that is added."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input, Static

from stdaemon.wire.logs import LogChunk
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.log_view import LogView

FIRST_LINES = 2000


class LogTab(JobTab):
    DEFAULT_CSS = """
    LogTab #search { display: none; height: 1; border: none; padding: 0 1; background: $panel; }
    LogTab #search.-open { display: block; }
    LogTab #status { height: 1; color: $text-muted; }
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.position: int | None = None
        self._busy = False

    def compose(self) -> ComposeResult:
        yield LogView(id="log")
        yield Input(placeholder="search", id="search")
        yield Static("", id="status", markup=False)

    def take_focus(self) -> None:
        self.query_one(LogView).focus()

    def update_data(self) -> None:
        """Ask for what follows; at most one request is on its way."""
        if self._busy:
            return
        self._busy = True
        offset = self.position

        def fetch(client) -> LogChunk:
            if offset is None:
                return client.logs(self.job_id, tail=FIRST_LINES)
            return client.logs(self.job_id, offset=offset)

        self.app.call_daemon(fetch, self._add, failed=self._failed)

    def _failed(self) -> None:
        self._busy = False

    def _add(self, chunk: LogChunk) -> None:
        self._busy = False
        view = self.query_one(LogView)
        if chunk.text:
            view.write(chunk.text)
        self.position = chunk.next_offset
        self.query_one("#status", Static).update(view.status())
        if chunk.next_offset < chunk.size:
            self.update_data()

    def action_search(self) -> None:
        field = self.query_one("#search", Input)
        field.add_class("-open")
        field.focus()

    def on_input_submitted(self, event: Input.Submitted) -> None:
        view = self.query_one(LogView)
        hits = view.find(event.value)
        self.query_one("#search", Input).remove_class("-open")
        self.query_one("#status", Static).update(f"{hits} lines match (n next, N previous)")
        view.focus()
