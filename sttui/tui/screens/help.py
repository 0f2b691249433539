"""The key sheet: the keys that work here first, then all others, with their command lines."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from textual.app import ComposeResult
from textual.containers import VerticalScroll
from textual.screen import ModalScreen
from textual.widgets import Static

from sttui.tui.ink import text_of
from sttui.tui.keys import KEYS, TITLES, bindings, key_name
from sttui.tui.spans import Line
from sttui.tui.widgets.key_bar import KeyBar


class Help(ModalScreen[None]):
    BINDINGS = bindings("help")
    DEFAULT_CSS = """
    Help > .dialog { width: 76; height: 90%; }
    """

    def __init__(
        self, here: Collection[str], keymap: Mapping[str, str], *, read_only: bool
    ) -> None:
        super().__init__()
        self.here, self.keymap, self.read_only = here, keymap, read_only

    def compose(self) -> ComposeResult:
        with VerticalScroll(classes="dialog"):
            yield Static("", id="sheet", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        lines = sheet(self.here, self.keymap, read_only=self.read_only)
        self.query_one("#sheet", Static).update(text_of(self.app, lines))
        self.query_one(VerticalScroll).focus()


def sheet(
    here: Collection[str], keymap: Mapping[str, str], *, read_only: bool = False
) -> list[Line]:
    """Groups with keys of `here` first; `here` holds the ids of active bindings."""
    groups = sorted(KEYS, key=lambda g: (g == "global", not any(k.id in here for k in KEYS[g])))
    active = [g for g in groups if any(k.id in here for k in KEYS[g])]
    lines: list[Line] = [[("Keys that work here", "bold blue")], []]
    for group in [*active, *(g for g in groups if g not in active)]:
        if group == next((g for g in groups if g not in active), None):
            lines += [[("Elsewhere", "bold blue")], []]
        lines.append([(TITLES[group], "bold")])
        for key in KEYS[group]:
            if read_only and key.mutates:
                continue
            names = " ".join(key_name(k) for k in keymap.get(key.id, key.key).split(","))
            verb = f"stune {key.verb}" if key.verb else ""
            lines.append([(f"  {names:<18}", "blue"), (f"{key.title:<24}", ""), (verb, "dim")])
        lines.append([])
    return lines
