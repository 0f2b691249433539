"""Validation pictures: the set of one step at a time, as large as fits; zoom shows one alone.

`b` flips between the first set (before training) and the one in view. Pictures are scaled by the
daemon to the size of the tiles and fetched by one request at a time.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.widgets import Static

from stdaemon.client.api import Client
from stdaemon.wire.samples import Sample
from sttui.tui.keys import bindings
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.gallery import Gallery

MAX_PICTURES = 16
CACHE = 256

Pixels = tuple[int, int, bytes]
Wanted = tuple[str, int, int]  # path and size


class SamplesTab(JobTab, can_focus=True):
    BINDINGS = bindings("samples")
    every_s = 2.0

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.samples: list[Sample] = []
        self.steps: list[int] = []
        self.at = -1
        self.picked = 0
        self.zoomed = False
        self.flipped = False
        self._pixels: dict[Wanted, Pixels] = {}

    def compose(self) -> ComposeResult:
        plain = self.app.options.ascii or not self.app.options.colour
        yield Static("", id="which", markup=False)
        yield Gallery(plain=plain, id="gallery")

    def take_focus(self) -> None:
        self.focus()

    def trouble(self, text: str) -> None:
        if text:
            self.query_one("#which", Static).update(text)

    def update_data(self) -> None:
        self.ask(lambda client: client.samples(self.job_id), self._listed)

    def _listed(self, samples: list[Sample]) -> None:
        at_newest = self.at in (-1, len(self.steps) - 1)
        self.samples = samples
        self.steps = sorted({s.step for s in samples})
        if at_newest or self.at >= len(self.steps):
            self.at = len(self.steps) - 1
        self.draw()

    @property
    def step(self) -> int | None:
        if not self.steps:
            return None
        return self.steps[0 if self.flipped else self.at]

    def in_view(self) -> list[Sample]:
        shown = [s for s in self.samples if s.step == self.step][:MAX_PICTURES]
        self.picked = max(0, min(self.picked, len(shown) - 1))
        return shown[self.picked : self.picked + 1] if self.zoomed else shown

    def draw(self) -> None:
        """Put what is known on the screen and ask for the next picture that is missing."""
        label, gallery = self.query_one("#which", Static), self.query_one(Gallery)
        shown = self.in_view()
        if not shown:
            label.update("No pictures yet: they appear when the job validates.")
            return
        label.update(self._which(shown))
        first = shown[0]
        aspect = first.width / first.height if first.width and first.height else 1.0
        marked = 0 if self.zoomed else self.picked
        gallery.lay_out([s.prompt for s in shown], marked, aspect=aspect)
        gallery.forget()
        missing: Wanted | None = None
        for index, sample in enumerate(shown):
            wanted = (sample.path, *gallery.pixels())
            if wanted in self._pixels:
                gallery.set_picture(index, *self._pixels[wanted])
            elif missing is None:
                missing = wanted
        if missing is not None:
            self._fetch(missing)

    def _fetch(self, wanted: Wanted) -> None:
        path, width, height = wanted

        def fetch(client: Client) -> Pixels:
            return client.pixels(self.job_id, path, width=width, height=height)

        def fetched(pixels: Pixels) -> None:
            if len(self._pixels) >= CACHE:
                self._pixels.pop(next(iter(self._pixels)))
            self._pixels[wanted] = pixels
            self.draw()

        self.ask(fetch, fetched)

    def _which(self, shown: list[Sample]) -> str:
        text = f"Step {self.step}"
        if self.flipped:
            text += f" (before; b shows step {self.steps[self.at]})"
        else:
            text += f" ({self.at + 1} of {len(self.steps)})"
        if self.zoomed:
            sample = shown[0]
            seed = f", seed {sample.seed}" if sample.seed is not None else ""
            text += f" · {sample.width}x{sample.height}{seed}"
        return text

    def on_resize(self) -> None:
        self.call_after_refresh(self.draw)

    def action_step(self, direction: int) -> None:
        self.flipped = False
        self.at = max(0, min(len(self.steps) - 1, self.at + direction))
        self.draw()

    def action_pick(self, direction: int) -> None:
        self.picked += direction
        self.draw()

    def action_zoom(self) -> None:
        self.zoomed = not self.zoomed
        self.draw()

    def action_before(self) -> None:
        self.flipped = not self.flipped and len(self.steps) > 1
        self.draw()
