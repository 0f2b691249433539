"""A small form: a few named text fields, enter submits, escape leaves."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static


@dataclass(frozen=True, slots=True)
class Field:
    id: str
    label: str
    value: str = ""
    hint: str = ""


class Prompt(ModalScreen[dict[str, str] | None]):
    BINDINGS = [  # noqa: RUF012
        Binding("escape", "leave", "Leave"),
        Binding("ctrl+s", "submit", "Submit"),
    ]
    DEFAULT_CSS = """
    Prompt { align: center middle; }
    Prompt > Vertical { width: 72; max-width: 95%; height: auto; padding: 1 2;
                        border: round $primary; background: $surface; }
    Prompt Input { border: none; height: 1; padding: 0 1; background: $panel; }
    Prompt Label { margin-top: 1; color: $text-muted; }
    """

    def __init__(self, title: str, fields: Sequence[Field]) -> None:
        super().__init__()
        self.heading = title
        self.fields = fields

    def compose(self) -> ComposeResult:
        with Vertical():
            yield Static(self.heading, markup=False)
            for field in self.fields:
                yield Label(field.label, markup=False)
                yield Input(field.value, placeholder=field.hint, id=field.id)
            yield Static("")
            yield Static("enter submit    tab next field    esc leave", markup=False)

    def on_mount(self) -> None:
        if self.fields:
            self.query(Input).first().focus()

    def on_input_submitted(self) -> None:
        self.action_submit()

    def action_submit(self) -> None:
        self.dismiss({f.id: self.query_one(f"#{f.id}", Input).value for f in self.fields})

    def action_leave(self) -> None:
        self.dismiss(None)
