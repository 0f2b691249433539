"""The live log: the newest lines are fetched first, then what is added; older ones on demand."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Input, Static

from stdaemon.wire.logs import LogChunk
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.log_view import LogView

FIRST_LINES = 2000
OLDER_BYTES = 256 << 10


class LogTab(JobTab):
    every_s = 0.3

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.first: int | None = None  # byte offset of the oldest line at hand
        self.next: int | None = None
        self.ended = False
        self._trouble = ""

    def compose(self) -> ComposeResult:
        yield LogView(id="log-view")
        yield Input(placeholder="search the log, enter to go", id="search", classes="search")
        yield Static("", id="log-status", markup=False)

    def take_focus(self) -> None:
        self.query_one(LogView).focus()

    def trouble(self, text: str) -> None:
        self._trouble = text
        self._tell()

    def update_data(self) -> None:
        """Ask for what follows; the end of an ended job needs no asking."""
        if self.ended:
            return
        offset = self.next
        if offset is None:
            self.ask(lambda client: client.logs(self.job_id, tail=FIRST_LINES), self._add)
        else:
            self.ask(lambda client: client.logs(self.job_id, offset=offset), self._add)

    def _add(self, chunk: LogChunk) -> None:
        view = self.query_one(LogView)
        self.first = chunk.offset if self.first is None else self.first
        if self.next is not None and chunk.size < self.next:  # a rerun began a new file
            self.first, self.next = None, None
            return
        self.next = chunk.next_offset
        self.ended = chunk.done
        if chunk.text:
            view.write(chunk.text)
        self._tell()
        if chunk.next_offset < chunk.size:
            self.update_data()

    def on_log_view_at_top(self) -> None:
        """Older lines from the file, while there are any."""
        first = self.first
        if not first:
            return
        start = max(0, first - OLDER_BYTES)
        self.ask(
            lambda client: client.logs(self.job_id, offset=start, limit=first - start), self._older
        )

    def _older(self, chunk: LogChunk) -> None:
        """Whole lines only: what comes before the first line break is fetched the next time."""
        text = chunk.text
        if chunk.offset:
            cut = text.find("\n") + 1
            self.first = chunk.offset + len(text[:cut].encode())
            text = text[cut:]
        else:
            self.first = 0
        if text:
            self.query_one(LogView).prepend(text.removesuffix("\n"))

    def on_log_view_changed(self) -> None:
        self._tell()

    def _tell(self) -> None:
        status = self.query_one(LogView).status()
        if self.first:
            status += " · older ones above"
        if self.ended:
            status += " · the job has ended"
        self.query_one("#log-status", Static).update(self._trouble or status)

    def on_log_view_search_asked(self) -> None:
        field = self.query_one("#search", Input)
        field.display = True
        self.screen.set_focus(field)  # at once: what is typed next belongs to it

    def on_input_changed(self, event: Input.Changed) -> None:
        self.query_one(LogView).find(event.value)

    def on_input_submitted(self) -> None:
        self.close_search()

    def close_search(self, *, forget: bool = False) -> bool:
        """Back to the lines; True when the field was open."""
        field, view = self.query_one("#search", Input), self.query_one(LogView)
        was = field.display or bool(view.pattern and forget)
        field.display = False
        if forget:
            field.value = ""
            view.find("")
        self.screen.set_focus(view)
        return was
