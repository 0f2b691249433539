"""Two small dialogs: a question before something that cannot be undone, and a form of text fields.

The default answer of a question is No. A form stays open until its answer was accepted, so
nothing that was typed is lost when the daemon refuses it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.screen import ModalScreen
from textual.widgets import Input, Label, Static

from sttui.tui.keys import bindings
from sttui.tui.widgets.key_bar import KeyBar


class Confirm(ModalScreen[bool]):
    BINDINGS = bindings("confirm")  # type: ignore[assignment]

    def __init__(self, question: str, effect: str) -> None:
        super().__init__()
        self.question, self.effect = question, effect

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self.question, classes="heading", markup=False)
            yield Static(self.effect, markup=False)
            yield Static("y yes    n no (default)", classes="hint", markup=False)
        yield KeyBar()

    def action_answer(self, yes: bool) -> None:
        self.dismiss(yes)


@dataclass(frozen=True, slots=True)
class Field:
    id: str
    label: str
    value: str = ""
    hint: str = ""
    required: bool = False


class Form(ModalScreen[None]):
    """Calls `send(answers, form)`; whoever gets it calls `form.done()` or `form.tell(problem)`."""

    BINDINGS = bindings("form")  # type: ignore[assignment]
    DEFAULT_CSS = """
    Form Input { border: none; height: 1; padding: 0 1; background: $panel; }
    Form Input:focus { border: none; background: $boost; text-style: bold; }
    Form:nocolor Input { text-style: underline; }
    Form Label { margin-top: 1; color: $text-muted; }
    """

    def __init__(
        self,
        heading: str,
        fields: Sequence[Field],
        send: Callable[[Mapping[str, str], Form], None],
        *,
        about: str = "",
    ) -> None:
        super().__init__()
        self.heading, self.fields, self.send, self.about = heading, fields, send, about
        self._sent = False

    def compose(self) -> ComposeResult:
        with Vertical(classes="dialog"):
            yield Static(self.heading, classes="heading", markup=False)
            if self.about:
                yield Static(self.about, markup=False)
            for field in self.fields:
                yield Label(field.label, markup=False)
                yield Input(field.value, placeholder=field.hint, id=field.id)
            yield Static("", classes="problem", markup=False)
        yield KeyBar()

    def on_mount(self) -> None:
        empty = [f.id for f in self.fields if f.required and not f.value]
        first = empty[0] if empty else self.fields[0].id
        self.set_focus(self.query_one(f"#{first}", Input))

    def on_input_submitted(self) -> None:
        self.action_submit()

    def action_submit(self) -> None:
        if self._sent:
            return  # a second press while the first is on its way
        answers = {f.id: self.query_one(f"#{f.id}", Input).value.strip() for f in self.fields}
        for field in self.fields:
            if field.required and not answers[field.id]:
                self.tell(f"{field.label}: needed")
                self.set_focus(self.query_one(f"#{field.id}", Input))
                return
        self._sent = True
        self.send(answers, self)

    def tell(self, problem: str) -> None:
        """Show why the answer was not accepted."""
        self._sent = False
        place = self.query_one(".problem", Static)
        place.update(problem)
        place.add_class("-shown")

    def done(self) -> None:
        if self.is_current:
            self.dismiss(None)

    def action_leave(self) -> None:
        self.dismiss(None)
