"""What all screens share: the frame, and being told when the state has changed."""

from __future__ import annotations

from typing import TYPE_CHECKING

from textual.app import ComposeResult
from textual.containers import Container
from textual.events import Resize
from textual.screen import Screen
from textual.widgets import Footer, Static

from sttui.tui.size import size_class
from sttui.tui.state.store import HostState

if TYPE_CHECKING:
    from sttui.tui.app import StuneApp

MIN_SIZE = "the terminal is too small: at least 60 x 16 is needed (q quits)"


class StuneScreen(Screen[None]):
    """Header line, body, footer. `show()` draws the state; it must be cheap."""

    AUTO_FOCUS = "VirtualTable"
    title_text = ""
    stune: StuneApp

    DEFAULT_CSS = """
    StuneScreen > #header { height: 1; background: $panel; padding: 0 1; }
    StuneScreen > #body { height: 1fr; padding: 0 1; }
    StuneScreen > #too-small { display: none; height: 1fr; }
    StuneScreen.-xs > #body { display: none; }
    StuneScreen.-xs > #too-small { display: block; }
    .title { height: 1; color: $text-muted; text-style: bold; }
    """

    def compose(self) -> ComposeResult:
        yield Static("", id="header", markup=False)
        yield Static(MIN_SIZE, id="too-small")
        with Container(id="body"):
            yield from self.body()
        yield Footer(show_command_palette=False)

    def body(self) -> ComposeResult:
        yield from ()

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
        app: StuneApp = self.app  # type: ignore[assignment]
        if not self.is_mounted:
            return
        self.query_one("#header", Static).update(app.header_text(self.title_text, self.size.width))
        self.show(app.state)

    def show(self, state: HostState) -> None:
        """Draw the state."""
