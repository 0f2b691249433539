"""A table that renders only what is seen: ten thousand rows cost what twenty do.

Rows are lists of single-line texts with a key each; the cursor follows its key, so updates never
move it. Columns have a priority order: those that do not fit are dropped from the right.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from sttui.tui.keys import bindings

GAP = 2


@dataclass(frozen=True, slots=True)
class TableColumn:
    """`width` in cells, 0 takes what is left; numbers go to the right."""

    title: str
    width: int
    right: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    key: str
    cells: tuple[str, ...]
    style: str = ""


class VirtualTable(ScrollView, can_focus=True):
    """Emits `Chosen` on enter or double click, `Moved` when the cursor is on another row."""

    BINDINGS = bindings("list")
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--header", "table--cursor"}
    DEFAULT_CSS = """
    VirtualTable { height: 1fr; }
    VirtualTable .table--header { text-style: bold; color: $text-muted; }
    VirtualTable .table--cursor { text-style: reverse; }
    """

    class Chosen(Message):
        def __init__(self, table: VirtualTable, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

    class Moved(Message):
        def __init__(self, table: VirtualTable, key: str) -> None:
            super().__init__()
            self.table = table
            self.key = key

    def __init__(self, columns: Sequence[TableColumn], *, empty: str = "", id: str) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.rows: list[TableRow] = []
        self.cursor = 0
        self.empty = empty
        self.rendered = 0  # lines rendered so far: tests count them

    # --- content ---------------------------------------------------------------------------

    def set_rows(self, rows: Sequence[TableRow]) -> None:
        """Replace all rows; the cursor stays on its key, or near where it was."""
        if self.rows == list(rows):
            return
        key = self.current
        self.rows = list(rows)
        places = {row.key: index for index, row in enumerate(self.rows)}
        last = max(0, len(self.rows) - 1)
        self.cursor = places.get(key or "", min(self.cursor, last))
        self.virtual_size = Size(0, len(self.rows) + 1)
        self.refresh()
        if self.current != key and self.current is not None:
            self.post_message(self.Moved(self, self.current))

    @property
    def current(self) -> str | None:
        return self.rows[self.cursor].key if self.rows else None

    # --- drawing ---------------------------------------------------------------------------

    def widths(self) -> list[int]:
        """Width per column for the present size; 0 for those that do not fit."""
        room = self.size.width
        fixed: list[int] = []
        for column in self.columns:
            need = (column.width or 12) + (GAP if fixed else 0)
            fits = sum(fixed) + GAP * max(0, len(fixed) - 1) + need <= room
            fixed.append((column.width or 12) if fits else 0)
            if not fits:
                break
        fixed += [0] * (len(self.columns) - len(fixed))
        used = sum(w for w in fixed if w) + GAP * (sum(1 for w in fixed if w) - 1)
        for index, column in enumerate(self.columns):
            if column.width == 0 and fixed[index]:
                fixed[index] += max(0, room - used)
                break
        return fixed

    def line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        parts = []
        for column, text, width in zip(self.columns, cells, widths, strict=True):
            if width:
                parts.append(fit(text, width, right=column.right))
        return (" " * GAP).join(parts)

    def render_line(self, y: int) -> Strip:
        self.rendered += 1
        width = self.size.width
        base = self.rich_style
        if y == 0:
            style = base + self.get_component_rich_style("table--header", partial=True)
            text = self.line([c.title for c in self.columns], self.widths())
            return Strip([Segment(set_cell_size(text, width), style)])
        index = y - 1 + self.scroll_offset.y
        if index >= len(self.rows):
            text = self.empty if not self.rows and y == 2 else ""
            return Strip([Segment(set_cell_size(text, width), base + Style(dim=True))])
        row = self.rows[index]
        style = base + Style.parse(row.style)
        if index == self.cursor and self.has_focus:
            style += self.get_component_rich_style("table--cursor", partial=True)
        text = self.line(row.cells, self.widths())
        return Strip([Segment(set_cell_size(text, width), style)])

    # --- moving ----------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        self.move_to(self.cursor + step)

    def action_move_to(self, index: int) -> None:
        self.move_to(index if index >= 0 else len(self.rows) - 1)

    def action_page(self, direction: int) -> None:
        self.move_to(self.cursor + direction * max(1, self.size.height - 2))

    def action_choose(self) -> None:
        if self.current is not None:
            self.post_message(self.Chosen(self, self.current))

    def move_to(self, index: int) -> None:
        if not self.rows:
            return
        self.cursor = max(0, min(index, len(self.rows) - 1))
        top, visible = self.scroll_offset.y, max(1, self.size.height - 1)
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False)
        elif self.cursor >= top + visible:
            self.scroll_to(y=self.cursor - visible + 1, animate=False)
        self.refresh()
        self.post_message(self.Moved(self, self.rows[self.cursor].key))

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: Click) -> None:
        if event.y > 0:
            self.move_to(event.y - 1 + self.scroll_offset.y)
            if event.chain == 2:
                self.action_choose()


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly `width` cells; a cut is marked."""
    text = text.replace("\n", " ")
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, max(0, width - 1)) + "…" if width > 1 else text[:width]
    pad = " " * (width - length)
    return pad + text if right else text + pad
