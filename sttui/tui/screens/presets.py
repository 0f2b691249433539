"""Presets of the host: choose one, fill in what is yours, submit."""

from __future__ import annotations

from functools import partial

from textual.app import ComposeResult
from textual.containers import Horizontal, VerticalScroll
from textual.widgets import Static

from stdaemon.client.api import Client
from stdaemon.wire.jobs import JobSubmit
from stdaemon.wire.presets import PresetInfo
from sttui.format import values
from sttui.tui.keys import bindings
from sttui.tui.screens.base import StuneScreen
from sttui.tui.screens.prompt import Field, Prompt
from sttui.tui.widgets.virtual_table import TableColumn, TableRow, VirtualTable

COLUMNS = (
    TableColumn("PRESET", 24),
    TableColumn("MODE", 8),
    TableColumn("VRAM", 7, right=True),
    TableColumn("WHAT", 0),
)


class Presets(StuneScreen):
    title_text = "Presets"
    BINDINGS = bindings("presets")
    DEFAULT_CSS = """
    Presets #presets { width: 3fr; }
    Presets #side { width: 2fr; padding-left: 2; }
    Presets.-s #side { display: none; }
    """

    def __init__(self) -> None:
        super().__init__()
        self.presets: dict[str, PresetInfo] = {}
        self.texts: dict[str, str] = {}

    def body(self) -> ComposeResult:
        with Horizontal():
            yield VirtualTable(COLUMNS, empty="loading …", id="presets")
            with VerticalScroll(id="side", can_focus=False):
                yield Static("", id="text", markup=False)

    def on_screen_resume(self) -> None:
        super().on_screen_resume()
        self.app.call_daemon(lambda client: client.presets(), self._show_list)

    def _show_list(self, presets: list[PresetInfo]) -> None:
        self.presets = {p.name: p for p in presets}
        rows = [TableRow(p.name, (p.name, p.mode, _vram(p.vram_gb), p.title)) for p in presets]
        table = self.query_one(VirtualTable)
        table.set_rows(rows)
        table.focus()

    def on_virtual_table_moved(self, message: VirtualTable.Moved) -> None:
        name = message.key
        if name in self.texts:
            self.query_one("#text", Static).update(self.texts[name])
        else:
            self.app.call_daemon(partial(_text, name=name), partial(self._show_text, name))

    def _show_text(self, name: str, text: str) -> None:
        self.texts[name] = text
        if self.query_one(VirtualTable).current == name:
            self.query_one("#text", Static).update(text)

    def action_choose(self) -> None:
        name = self.query_one(VirtualTable).current
        if name is not None:
            self._ask(self.presets[name])

    def on_virtual_table_chosen(self, message: VirtualTable.Chosen) -> None:
        self._ask(self.presets[message.key])

    def _ask(self, preset: PresetInfo) -> None:
        if self.app.options.read_only:
            self.app.notify("read-only: nothing can be submitted", severity="warning")
            return
        fields = [Field("name", "Name of the job", preset.name.replace("/", "-"))]
        if preset.needs_data:
            fields.append(Field("data", "Folder of pictures on the host", "", "/data/pictures"))
        fields.append(Field("steps", "Steps (empty: as the preset says)", "", "2000"))
        form = Prompt(f"Submit {preset.name}: {preset.title}", fields)
        self.app.push_screen(form, partial(self._submit, preset))

    def _submit(self, preset: PresetInfo, answer: dict[str, str] | None) -> None:
        if answer is not None:
            self.app.submit(job_of(preset, answer))


def job_of(preset: PresetInfo, answer: dict[str, str]) -> JobSubmit:
    """The job that a filled-in form means."""
    lines = [f'preset = "{preset.name}"']
    if answer.get("data"):
        path = answer["data"].replace("\\", "\\\\").replace('"', '\\"')
        lines += ["", "[[data.datasets]]", 'id = "pictures"', f'path = "{path}"']
    overrides = [f"train.steps={answer['steps']}"] if answer.get("steps") else []
    return JobSubmit(
        text="\n".join(lines) + "\n", name=answer.get("name") or None, overrides=overrides
    )


def _text(client: Client, *, name: str) -> str:
    return client.preset(name).text


def _vram(gigabytes: int | None) -> str:
    return values.UNKNOWN if gigabytes is None else f"{gigabytes} GB"
