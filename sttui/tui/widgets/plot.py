"""The widget around `chart`: a title with the newest value, and the drawing below."""

from __future__ import annotations

from collections.abc import Sequence

from rich.text import Text
from textual.widget import Widget

from sttui.format import values
from sttui.tui.ink import text_of
from sttui.tui.spans import Line
from sttui.tui.widgets.chart import Curve, chart


class Plot(Widget):
    """Redraws when its curves change."""

    DEFAULT_CSS = """
    Plot { height: 1fr; }
    """

    def __init__(self, title: str, *, ascii: bool, id: str) -> None:
        super().__init__(id=id)
        self.title = title
        self.ascii = ascii
        self.log_y = False
        self.curves: tuple[Curve, ...] = ()

    def set_curves(self, curves: Sequence[Curve], *, log_y: bool = False) -> None:
        if tuple(curves) != self.curves or log_y != self.log_y:
            self.curves, self.log_y = tuple(curves), log_y
            self.refresh()

    def render(self) -> Text:
        width, height = self.size
        lines = [self._head(width)]
        lines += chart(self.curves, width, height - 1, ascii=self.ascii, log_y=self.log_y)
        return text_of(self.app, lines[:height])

    def _head(self, width: int) -> Line:
        line: Line = [(self.title, "bold")]
        used = len(self.title)
        for curve in self.curves:
            known = [v for v in curve.values if v is not None]
            if not known:
                continue
            sign = curve.mark or ("-" if self.ascii else "─")
            text = f"  {sign} {curve.name} {values.number(known[-1])}"
            if used + len(text) <= width:
                line.append((text, curve.ink))
                used += len(text)
        if self.log_y and used + 11 <= width:
            line.append(("  log scale", "dim"))
        return line
