"""Presets of the host: choose one, fill in what is yours, submit.

A preset with its own data needs no answer at all: enter opens the form, enter sends it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial

from textual.app import ComposeResult
from textual.containers import Container, VerticalScroll
from textual.widgets import Input, Static

from stdaemon.client.errors import ClientError
from stdaemon.wire.jobs import Job, JobSubmit
from stdaemon.wire.presets import PresetInfo, PresetText
from sttui.format import values
from sttui.tui.ink import text_of
from sttui.tui.keys import bindings
from sttui.tui.screens.base import StuneScreen
from sttui.tui.screens.dialog import Field, Form
from sttui.tui.spans import Line
from sttui.tui.state.store import HostState
from sttui.tui.widgets.virtual_table import TableColumn, TableRow, VirtualTable

COLUMNS = (
    TableColumn("PRESET", 20),
    TableColumn("MODE", 7),
    TableColumn("VRAM", 5, right=True),
    TableColumn("WHAT", 0),
)


class Presets(StuneScreen):
    BINDINGS = bindings("presets") + bindings("filter")
    CSS_PATH = "presets.tcss"
    crumbs = ("Presets",)

    def __init__(self) -> None:
        super().__init__()
        self.presets: dict[str, PresetInfo] = {}
        self.texts: dict[str, str] = {}
        self._asked = False

    def body(self) -> ComposeResult:
        yield Input(placeholder="words of name, title or notes", id="filter", classes="search")
        with Container(id="panes"):
            yield VirtualTable(COLUMNS, empty="loading …", id="presets")
            with VerticalScroll(id="side", can_focus=False):
                yield Static("", id="text", classes="lines", markup=False)

    def show(self, state: HostState) -> None:
        if state.online and not self._asked:
            self._asked = True
            self.app.call_daemon(lambda client: client.presets(), self._show_list, self._failed)
        elif not state.online and not self.presets:
            self.query_one(VirtualTable).set_rows([], empty=state.problem or "connecting …")

    def _failed(self, error: ClientError) -> None:
        self._asked = False
        self.query_one(VirtualTable).set_rows([], empty=error.finding.message)

    def _show_list(self, presets: list[PresetInfo]) -> None:
        self.presets = {p.name: p for p in presets}
        self._fill()

    def _fill(self) -> None:
        words = self.query_one("#filter", Input).value.lower().split()
        found = [p for p in self.presets.values() if all(w in _words(p) for w in words)]
        empty = "No preset matches." if words else "No presets on this host."
        self.query_one(VirtualTable).set_rows([_row(p) for p in found], empty=empty)

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        name = message.key
        if name in self.texts:
            self._draw(name)
        else:
            self.app.call_daemon(lambda client: client.preset(name), self._keep)

    def _keep(self, preset: PresetText) -> None:
        self.texts[preset.name] = preset.text
        if self.query_one(VirtualTable).current == preset.name:
            self._draw(preset.name)

    def _draw(self, name: str) -> None:
        notes = self.presets[name].notes if name in self.presets else ""
        lines: list[Line] = [[(notes, "")], []] if notes else []
        lines += toml_lines(self.texts[name])
        self.query_one("#text", Static).update(text_of(self.app, lines))
        self.query_one("#side", VerticalScroll).scroll_home(animate=False)

    # --- filter ----------------------------------------------------------------------------

    def action_filter(self) -> None:
        field = self.query_one("#filter", Input)
        field.display = True
        self.set_focus(field)  # at once: what is typed next belongs to it

    def on_input_changed(self) -> None:
        self._fill()

    def on_input_submitted(self) -> None:
        self.set_focus(self.query_one(VirtualTable))

    def step_back(self) -> bool:
        field = self.query_one("#filter", Input)
        was = field.display
        field.value = ""
        field.display = False
        self.set_focus(self.query_one(VirtualTable))
        return was

    # --- submitting ------------------------------------------------------------------------

    def action_choose(self) -> None:
        name = self.query_one(VirtualTable).current
        if name is not None:
            self._ask(self.presets[name])

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        self._ask(self.presets[message.key])

    def _ask(self, preset: PresetInfo) -> None:
        if not self.app.may_change("submit"):
            return
        form = Form(
            f"Submit {preset.name}",
            fields_for(preset),
            partial(self._send, preset),
            about=preset.title,
        )
        self.app.push_screen(form)

    def _send(self, preset: PresetInfo, answers: Mapping[str, str], form: Form) -> None:
        local = self.app.client.address.startswith("unix://")

        def made(job: Job) -> None:
            form.done()
            self.app.submitted(job)

        def refused(error: ClientError) -> None:
            found = error.finding
            where = f"{found.where}: " if found.where and "/" not in found.where else ""
            form.tell("\n".join(filter(None, (f"{where}{found.message}", found.fix))))

        job = job_of(preset, answers, base_dir=os.getcwd() if local else "/")
        self.app.call_daemon(lambda client: client.submit(job), made, refused)


def fields_for(preset: PresetInfo) -> list[Field]:
    """What only the user can know, and the two things that are changed most often."""
    fields = [Field("name", "Name of the job", preset.name.replace("/", "-"), required=True)]
    if preset.needs_data:
        hint = "pictures with .txt captions beside them"
        fields.append(Field("data", "Dataset folder on the host", "", hint, required=True))
    return [*fields, Field("steps", "Steps", "", "as the preset says")]


def job_of(preset: PresetInfo, answers: Mapping[str, str], *, base_dir: str = "/") -> JobSubmit:
    """The job that a filled-in form means."""
    lines = [f'preset = "{preset.name}"']
    if answers.get("data"):
        path = os.path.expanduser(answers["data"]) if base_dir != "/" else answers["data"]
        path = path.replace("\\", "\\\\").replace('"', '\\"')
        lines += ["", "[[data.datasets]]", 'id = "pictures"', f'path = "{path}"']
    overrides = [f"train.steps={answers['steps']}"] if answers.get("steps") else []
    return JobSubmit(
        text="\n".join(lines) + "\n",
        name=answers.get("name") or None,
        overrides=overrides,
        base_dir=base_dir,
    )


def toml_lines(text: str) -> list[Line]:
    """A job file with its sections and comments told apart."""
    lines: list[Line] = []
    for raw in text.rstrip().split("\n"):
        if raw.startswith("["):
            lines.append([(raw, "blue")])
        elif raw.lstrip().startswith("#"):
            lines.append([(raw, "dim")])
        else:
            code, mark, comment = raw.partition("  #")
            lines.append([(code, ""), (mark + comment, "dim")])
    return lines


def _words(preset: PresetInfo) -> str:
    return f"{preset.name} {preset.family} {preset.title} {preset.mode} {preset.notes}".lower()


def _row(preset: PresetInfo) -> TableRow:
    vram = values.UNKNOWN if preset.vram_gb is None else f"{preset.vram_gb} GB"
    cells = (preset.name, preset.mode, vram, preset.title)
    return TableRow(preset.name, cells, ("bold", "", "", ""))
