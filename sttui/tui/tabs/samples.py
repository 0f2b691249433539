"""Validation pictures: one set of a step at a time, in as many columns as fit."""

from __future__ import annotations

from functools import partial

from textual.app import ComposeResult
from textual.binding import Binding
from textual.containers import Grid, Vertical
from textual.widgets import Static

from stdaemon.client.api import Client
from stdaemon.wire.samples import Sample
from sttui.images.blocks import pixel_size
from sttui.tui.columns import plain
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.picture import Picture

MAX_PICTURES = 8


class SamplesTab(JobTab, can_focus=True):
    BINDINGS = [  # noqa: RUF012
        Binding("left,h", "step(-1)", "Earlier"),
        Binding("right,l", "step(1)", "Later"),
    ]
    DEFAULT_CSS = """
    SamplesTab #which { height: 1; color: $text-muted; }
    SamplesTab Grid { grid-gutter: 0 2; }
    SamplesTab .cell { height: 1fr; }
    SamplesTab .prompt { height: 1; }
    """

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.samples: list[Sample] = []
        self.steps: list[int] = []
        self.at = -1
        self._drawn: tuple[int, tuple[int, int]] | None = None

    def compose(self) -> ComposeResult:
        yield Static("", id="which", markup=False)
        with Grid():
            for index in range(MAX_PICTURES):
                with Vertical(classes="cell", id=f"cell-{index}"):
                    yield Picture(plain=self._plain, id=f"picture-{index}")
                    yield Static("", classes="prompt", id=f"prompt-{index}", markup=False)

    @property
    def _plain(self) -> bool:
        return self.app.options.ascii or not self.app.options.colour

    def take_focus(self) -> None:
        self.focus()

    def update_data(self) -> None:
        self.app.call_daemon(lambda client: client.samples(self.job_id), self._listed)

    def _listed(self, samples: list[Sample]) -> None:
        newest = self.at in (-1, len(self.steps) - 1)
        self.samples = samples
        self.steps = sorted({s.step for s in samples})
        if newest:
            self.at = len(self.steps) - 1
        self._draw()

    def action_step(self, direction: int) -> None:
        self.at = max(0, min(len(self.steps) - 1, self.at + direction))
        self._draw()

    def on_resize(self) -> None:
        self._draw()

    def _draw(self) -> None:
        label = self.query_one("#which", Static)
        if not self.steps:
            label.update("no pictures yet")
            return
        step = self.steps[self.at]
        label.update(f"step {step}  ({self.at + 1} of {len(self.steps)}, left/right for others)")
        shown = [s for s in self.samples if s.step == step][:MAX_PICTURES]
        columns = max(1, min(4, self.size.width // 26, len(shown)))
        rows = -(-len(shown) // columns)
        state = (step, (self.size.width, self.size.height))
        if state == self._drawn or not self.size.width:
            return
        self._drawn = state
        grid = self.query_one(Grid)
        grid.styles.grid_size_columns = columns
        grid.styles.grid_size_rows = rows
        cell_width = self.size.width // columns - 2
        cell_height = max(2, (self.size.height - 1) // rows - 1)
        for index in range(MAX_PICTURES):
            self.query_one(f"#cell-{index}").display = index < len(shown)
        for index, sample in enumerate(shown):
            text = plain(sample.prompt, self.app.options)[:cell_width]
            self.query_one(f"#prompt-{index}", Static).update(text)
            width, height = pixel_size(cell_width, cell_height, ascii=self._plain)
            fetch = partial(_pixels, job=self.job_id, path=sample.path, width=width, height=height)
            self.app.call_daemon(fetch, partial(self._show_picture, index))

    def _show_picture(self, index: int, pixels: tuple[int, int, bytes]) -> None:
        self.query_one(f"#picture-{index}", Picture).set_pixels(*pixels)


def _pixels(
    client: Client, *, job: str, path: str, width: int, height: int
) -> tuple[int, int, bytes]:
    return client.pixels(job, path, width=width, height=height)
