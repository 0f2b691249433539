"""Loss and held-out loss, learning rate, gradient norm and style distance as charts.

One chart at a time on a small screen (`m` for the next one), a large and several small ones
otherwise. Smoothing happens here; the daemon sends the least and greatest of each bucket.
"""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from stdaemon.client.api import Client
from stdaemon.wire.metrics import MetricSeries, Series
from sttui.tui.keys import bindings
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.chart import Curve, loss_curves
from sttui.tui.widgets.plot import Plot

NAMES = {
    "loss": "Loss",
    "lr": "Learning rate",
    "grad_norm": "Gradient norm",
    "style_distance": "Distance to the style",
}
SERIES = ("loss", "eval_loss", "lr", "grad_norm", "style_distance")
WEIGHTS = (0.0, 0.6, 0.85, 0.95, 0.98)
MAX_POINTS = 4000


class MetricsTab(JobTab, can_focus=True):
    BINDINGS = bindings("metrics")
    every_s = 1.0

    def __init__(self, job_id: str) -> None:
        super().__init__(job_id)
        self.main = "loss"
        self.log_scale = False
        self.weight = 2
        self.data: dict[str, Series] = {}

    def compose(self) -> ComposeResult:
        ascii = self.app.options.ascii
        with Horizontal(id="plots"):
            yield Plot("Loss", ascii=ascii, id="plot-main")
            with Vertical(id="plots-side"):
                for index in range(len(NAMES) - 1):
                    yield Plot("", ascii=ascii, id=f"plot-{index}")

    def take_focus(self) -> None:
        self.focus()

    def update_data(self) -> None:
        points = min(MAX_POINTS, max(200, self.size.width * 2))

        def fetch(client: Client) -> MetricSeries:
            return client.metrics(self.job_id, series=SERIES, points=points)

        self.ask(fetch, self._take)

    def _take(self, answer: MetricSeries) -> None:
        self.data = answer.series
        self._draw()

    def _draw(self) -> None:
        main = self.query_one("#plot-main", Plot)
        main.title = NAMES[self.main]
        main.set_curves(self._curves(self.main), log_y=self.log_scale)
        rest = [name for name in self._present() if name != self.main]
        for index in range(len(NAMES) - 1):
            plot = self.query_one(f"#plot-{index}", Plot)
            plot.display = index < len(rest)
            if index < len(rest):
                plot.title = NAMES[rest[index]]
                plot.set_curves(self._curves(rest[index]))
        main.refresh()

    def _present(self) -> list[str]:
        """Series with data, and the loss in any case."""
        return [n for n in NAMES if n == "loss" or (n in self.data and self.data[n].steps)]

    def _curves(self, name: str) -> list[Curve]:
        series = self.data.get(name)
        if series is None:
            return []
        if name != "loss":
            return [Curve("now", series.steps, series.values, "blue")]
        ascii = self.app.options.ascii
        return loss_curves(self.data, WEIGHTS[self.weight], ascii=ascii)

    def action_series(self, step: int) -> None:
        names = self._present()
        place = names.index(self.main) if self.main in names else 0
        self.main = names[(place + step) % len(names)]
        self._draw()

    def action_log_y(self) -> None:
        self.log_scale = not self.log_scale
        self._draw()

    def action_smooth(self, step: int) -> None:
        self.weight = max(0, min(len(WEIGHTS) - 1, self.weight + step))
        self._draw()
