"""What all screens share: the frame, the size class, and being told when the state has changed."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Static

from sttui.tui.size import SizeClass, size_class
from sttui.tui.spans import Line
from sttui.tui.state import select
from sttui.tui.state.store import HostState
from sttui.tui.widgets.header import Header
from sttui.tui.widgets.key_bar import KeyBar, KeyView

if TYPE_CHECKING:
    from sttui.tui.app import StuneApp

MIN_SIZE = "The terminal is too small: at least 60 columns and 16 lines are needed.\nq quits."


class StuneScreen(Screen[None]):
    """Header line, body, key bar. `show()` draws the state; it must be cheap."""

    AUTO_FOCUS = "VirtualTable"
    crumbs: tuple[str, ...] = ()
    app: StuneApp  # type: ignore[assignment]

    def compose(self) -> ComposeResult:
        yield Header()
        yield Static(MIN_SIZE, id="too-small", markup=False)
        with Container(id="body"):
            yield from self.body()
        yield KeyBar()

    def body(self) -> ComposeResult:
        yield from ()

    def place(self) -> tuple[str, ...]:
        """Where we are, for the header."""
        return self.crumbs

    def key_view(self) -> KeyView:
        """Which hints of the key bar do not apply now, and which do in addition."""
        app = self.app
        offer = not app.state.online and app.client.address.startswith("unix://")
        titles = {"global.quit": "Quit"} if len(app.screen_stack) == 1 else {}
        return KeyView(extra=frozenset({"global.daemon"} if offer else ()), titles=titles)

    @property
    def size_class(self) -> SizeClass:
        return size_class(self.size.width, self.size.height)

    def on_mount(self) -> None:
        self.refresh_state()

    def on_screen_resume(self) -> None:
        self.refresh_state()

    def on_resize(self, event: Resize) -> None:
        kind = size_class(event.size.width, event.size.height)
        for name in ("xs", "s", "m", "l"):
            self.set_class(name == kind, f"-{name}")
        self.call_after_refresh(self.refresh_state)

    def refresh_state(self) -> None:
        """Redraw from the state; called at most ten times a second."""
        if self.is_mounted and self.is_running and self.query(Header):
            self.set_class(self.app.state.connection not in ("online", "connecting"), "-stale")
            self.refresh_header()
            self.show(self.app.state)
            self.query_one(KeyBar).refresh_hints()

    def refresh_header(self) -> None:
        left, right = header_parts(
            self.app.state,
            self.place(),
            address=self.app.client.address,
            read_only=self.app.options.read_only,
            now=time.time(),
        )
        self.query_one(Header).set_parts(left, right)

    def show(self, state: HostState) -> None:
        """Draw the state."""


def header_parts(
    state: HostState, place: tuple[str, ...], *, address: str, read_only: bool, now: float
) -> tuple[Line, Line]:
    """What the header says, left and right."""
    host = state.hello.hostname if state.hello else address.rpartition("/")[2] or address
    if not state.hello and address.startswith("unix://"):
        host = "this machine"
    left: Line = [("stune", "bold blue"), ("  ", ""), (host, "")]
    for part in place:
        left += [(" › ", "dim"), (part, "bold")]
    trouble = select.connection_text(state, now)
    if trouble:
        return left, [(trouble, "yellow" if state.online or not state.problem else "red")]
    right: Line = [("read-only", "yellow")] if read_only else []
    right += [(text, "") for text in select.counters(state)]
    clock = time.strftime("%H:%M", time.localtime(now + state.clock_offset_s))
    return left, [*right, (clock, "dim")]
