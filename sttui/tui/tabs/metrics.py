"""Loss and held-out loss, learning rate and gradient norm as plots."""

from __future__ import annotations

from textual.app import ComposeResult
from textual.containers import Horizontal, Vertical

from stdaemon.wire.metrics import MetricSeries
from sttui.tui.tabs.tab import JobTab
from sttui.tui.widgets.plot import Plot

NAMES = {
    "loss": "loss",
    "eval_loss": "held-out loss",
    "lr": "learning rate",
    "grad_norm": "gradient norm",
}


class MetricsTab(JobTab):
    DEFAULT_CSS = """
    MetricsTab Plot { padding: 0 1; width: 1fr; }
    MetricsTab #plot-loss { width: 2fr; }
    MetricsTab #right { width: 1fr; }
    .-s MetricsTab #right { display: none; }
    """

    def compose(self) -> ComposeResult:
        ascii = self.app.options.ascii
        with Horizontal():
            yield Plot(NAMES["loss"], ascii=ascii, id="plot-loss")
            with Vertical(id="right"):
                for name in ("eval_loss", "lr", "grad_norm"):
                    yield Plot(NAMES[name], ascii=ascii, id=f"plot-{name}")

    def update_data(self) -> None:
        points = max(100, self.size.width * 2)
        names = list(NAMES)
        self.app.call_daemon(
            lambda client: client.metrics(self.job_id, series=names, points=points), self._show
        )

    def _show(self, data: MetricSeries) -> None:
        for name, series in data.series.items():
            plot = self.query_one(f"#plot-{name}", Plot)
            plot.set_data(series.steps, series.values)
            if name == "eval_loss":
                plot.display = bool(series.steps)
