"""All keys, in one place."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from sttui.tui.keys import KEYS, NAMES


class Help(ModalScreen[None]):
    BINDINGS = [Binding("escape,q,question_mark", "dismiss", "Close")]  # noqa: RUF012
    DEFAULT_CSS = """
    Help { align: center middle; }
    Help > VerticalScroll { width: 70; max-width: 95%; height: 90%; padding: 1 2;
                            border: round $primary; background: $surface; }
    """

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield Static(sheet(), markup=False)


def sheet() -> str:
    lines = []
    for group, keys in KEYS.items():
        lines.append(group)
        for key in keys:
            names = " ".join(NAMES.get(k, k) for k in key.key.split(","))
            verb = f"stune {key.verb}" if key.verb else ""
            lines.append(f"  {names:<16} {key.title:<18} {verb}")
        lines.append("")
    return "\n".join(lines)
