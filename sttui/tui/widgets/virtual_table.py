"""A table that renders only what is seen: ten thousand rows cost what twenty do.

Rows are single-line texts with a key each; the cursor follows its key, so updates never move it
and rows that appear above do not shift what the reader looks at. Columns have a priority order:
those that do not fit are dropped from the right. A cut text ends with an ellipsis.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

from sttui.tui.ink import ink
from sttui.tui.keys import bindings

GAP = 2
FLEXIBLE_MIN = 20


@dataclass(frozen=True, slots=True)
class TableColumn:
    """`width` in cells, 0 takes what is left; numbers go to the right."""

    title: str
    width: int
    right: bool = False


@dataclass(frozen=True, slots=True)
class TableRow:
    """`inks` colour single cells; an empty tuple leaves all plain."""

    key: str
    cells: tuple[str, ...]
    inks: tuple[str, ...] = ()


class VirtualTable(ScrollView, can_focus=True):
    """Emits `Chosen` on enter or double click, `Moved` when the cursor is on another row."""

    BINDINGS = bindings("list")
    COMPONENT_CLASSES: ClassVar[set[str]] = {"table--header", "table--cursor", "table--blurred"}
    DEFAULT_CSS = """
    VirtualTable { height: 1fr; scrollbar-size-vertical: 1; overflow-x: hidden; }
    VirtualTable .table--header { color: $text-muted; }
    VirtualTable .table--cursor {
        background: $block-cursor-background; color: $block-cursor-foreground;
    }
    VirtualTable .table--blurred { background: $block-cursor-blurred-background; }
    VirtualTable:nocolor .table--header { text-style: underline; }
    VirtualTable:nocolor .table--cursor { text-style: reverse; }
    VirtualTable:nocolor .table--blurred { text-style: bold; }
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

    def __init__(
        self, columns: Sequence[TableColumn], *, empty: str = "", opens: bool = True, id: str
    ) -> None:
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.keys: list[str] = []
        self._row: Callable[[str], TableRow] = _no_row
        self._rows: list[TableRow] = []
        self.cursor = 0
        self.empty = empty
        self.opens = opens  # whether enter leads anywhere
        self.rendered = 0  # lines rendered so far: tests count them

    # --- content ---------------------------------------------------------------------------

    def set_rows(self, rows: Sequence[TableRow], *, empty: str | None = None) -> None:
        """Replace all rows."""
        new = list(rows)
        if empty is not None and empty != self.empty:
            self.empty = empty
            self.refresh()
        if self._rows != new:
            self._rows = new
            table = {row.key: row for row in new}
            self.set_source(list(table), table.__getitem__)

    def set_source(self, keys: list[str], row: Callable[[str], TableRow]) -> None:
        """Keys of all rows, and how to make one: only rows in view are ever made.

        The cursor stays on its key, or near where it was; so does what is in view.
        """
        key, before = self.current, self.cursor
        self._row = row
        self.refresh()
        if keys == self.keys:
            return
        self.keys = keys
        known = key is not None and before < len(keys) and keys[before] == key
        place = before if known else keys.index(key) if key in keys else None
        self.cursor = min(before, max(0, len(keys) - 1)) if place is None else place
        self.virtual_size = Size(0, len(keys) + 1)
        if place is not None and place != before and self.scroll_offset.y:
            self._scroll(self.scroll_offset.y + place - before)
        if self.current != key and self.current is not None:
            self.post_message(self.Moved(self, self.current))

    @property
    def current(self) -> str | None:
        return self.keys[self.cursor] if self.keys else None

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        return self.opens if action == "choose" else True

    # --- drawing ---------------------------------------------------------------------------

    def room(self) -> int:
        return self.scrollable_content_region.width

    def widths(self) -> list[int]:
        """Width per column for the present size; 0 for those that do not fit."""
        return column_widths(self.columns, self.room())

    def render_line(self, y: int) -> Strip:
        self.rendered += 1
        width, base = self.room(), self.rich_style
        if y == 0:
            style = base + self.get_component_rich_style("table--header", partial=True)
            return self._strip([c.title for c in self.columns], (), style, width)
        index = y - 1 + self.scroll_offset.y
        if index >= len(self.keys):
            lines = ["", *self.empty.split("\n")] if not self.keys else []
            text = lines[y - 1] if y <= len(lines) else ""
            return Strip([Segment(fit(text, width), base + ink(self.app, "dim"))], width)
        row = self._row(self.keys[index])
        if index != self.cursor:
            return self._strip(row.cells, row.inks, base, width)
        name = "table--cursor" if self.has_focus else "table--blurred"
        style = base + self.get_component_rich_style(name, partial=True)
        inks = tuple(i if i != "dim" else "" for i in row.inks)
        return self._strip(row.cells, inks, style, width)

    def _strip(self, cells: Sequence[str], inks: Sequence[str], base: Style, width: int) -> Strip:
        segments: list[Segment] = []
        for index, (column, size) in enumerate(zip(self.columns, self.widths(), strict=True)):
            if not size:
                continue
            if segments:
                segments.append(Segment(" " * GAP, base))
            name = inks[index] if inks else ""
            style = base + ink(self.app, name) if name else base
            segments.append(Segment(fit(cells[index], size, right=column.right), style))
        return Strip(segments).crop_extend(0, width, base)

    # --- moving ----------------------------------------------------------------------------

    def action_move(self, step: int) -> None:
        self.move_to(self.cursor + step)

    def action_move_to(self, index: int) -> None:
        self.move_to(index if index >= 0 else len(self.keys) - 1)

    def action_page(self, share: float) -> None:
        page = max(1, self.size.height - 2)
        self.move_to(self.cursor + round(share * page))

    def action_choose(self) -> None:
        if self.current is not None:
            self.post_message(self.Chosen(self, self.current))

    def move_to(self, index: int) -> None:
        if not self.keys:
            return
        self.cursor = max(0, min(index, len(self.keys) - 1))
        top, visible = self.scroll_offset.y, max(1, self.size.height - 1)
        if self.cursor < top:
            self._scroll(self.cursor)
        elif self.cursor >= top + visible:
            self._scroll(self.cursor - visible + 1)
        self.refresh()
        self.post_message(self.Moved(self, self.keys[self.cursor]))

    def _scroll(self, y: int) -> None:
        """At once, even before the layout knows that there is something to scroll."""
        self.scroll_to(y=y, animate=False, force=True, immediate=True)

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: Click) -> None:
        index = event.y - 1 + self.scroll_offset.y
        if event.y > 0 and index < len(self.keys):
            self.move_to(index)
            if event.chain == 2 and self.opens:
                self.action_choose()


def _no_row(key: str) -> TableRow:
    raise KeyError(key)


def column_widths(columns: Sequence[TableColumn], room: int) -> list[int]:
    """Columns that fit from the left; the flexible one takes what is left over."""
    widths: list[int] = []
    used = 0
    for column in columns:
        need = (column.width or FLEXIBLE_MIN) + (GAP if widths else 0)
        if used + need > room and widths:
            break
        used += need
        widths.append(column.width or FLEXIBLE_MIN)
    for index, column in enumerate(columns[: len(widths)]):
        if column.width == 0:
            widths[index] += max(0, room - used)
            break
    return widths + [0] * (len(columns) - len(widths))


def fit(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly `width` cells; a cut is marked."""
    text = text.replace("\n", " ")
    length = cell_len(text)
    if length > width:
        return set_cell_size(set_cell_size(text, width - 1).rstrip() + "…", width) if width else ""
    pad = " " * (width - length)
    return pad + text if right else text + pad
