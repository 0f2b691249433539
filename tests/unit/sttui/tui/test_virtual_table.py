"""The table renders what is seen and nothing else, and keeps its place while rows change."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from textual.app import App, ComposeResult

from sttui.tui.widgets.virtual_table import (
    TableColumn,
    TableRow,
    VirtualTable,
    column_widths,
    fit,
)

COLUMNS = (
    TableColumn("", 1),
    TableColumn("NAME", 0),
    TableColumn("STEP", 10, right=True),
    TableColumn("AGE", 8),
)


class Page(App[None]):
    CSS = "VirtualTable { height: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.table = VirtualTable(COLUMNS, empty="nothing\nhere", id="table")

    def compose(self) -> ComposeResult:
        yield self.table

    def shown(self) -> list[str]:
        return [strip.text[:-2] for strip in self.screen._compositor.render_strips()]


def row(number: int) -> TableRow:
    return TableRow(f"k{number}", ("x", f"job {number}", str(number), "now"))


@pytest.mark.parametrize(
    ("text", "width", "right", "shown"),
    [
        ("abc", 5, False, "abc  "),
        ("abc", 5, True, "  abc"),
        ("abcdef", 4, False, "abc…"),
        ("two\nlines", 9, False, "two lines"),
        ("日本語です", 6, False, "日本… "),
        ("word more", 6, False, "word… "),
        ("abc", 1, False, "…"),
    ],
)
def test_text_fills_its_cells_exactly(text: str, width: int, right: bool, shown: str) -> None:
    """Widths are terminal cells, a cut is marked, wide characters are never split."""
    assert fit(text, width, right=right) == shown
    assert cell_len(fit(text, width, right=right)) == width


@pytest.mark.parametrize(
    ("room", "widths"),
    [
        (80, [1, 55, 10, 8]),
        (44, [1, 29, 10, 0]),
        (30, [1, 27, 0, 0]),
        (10, [1, 0, 0, 0]),
    ],
)
def test_columns_are_dropped_from_the_right(room: int, widths: list[int]) -> None:
    """The flexible column takes what the dropped ones leave."""
    assert column_widths(COLUMNS, room) == widths


async def test_ten_thousand_rows_cost_what_is_seen() -> None:
    """Loading and scrolling make and render only lines in view."""
    app = Page()
    made = []

    def make(key: str) -> TableRow:
        made.append(key)
        return row(int(key[1:]))

    async with app.run_test(size=(60, 20)) as pilot:
        app.table.set_source([f"k{n}" for n in range(10_000)], make)
        await pilot.pause()
        assert 0 < len(set(made)) <= 20
        app.table.rendered = 0
        for _ in range(5):
            await pilot.press("pagedown")
        assert app.table.rendered <= 5 * 3 * 20
        await pilot.press("G")
        assert app.table.current == "k9999"
        assert "job 9999" in app.shown()[-1]
        assert len(set(made)) < 300


async def test_cursor_and_view_stay_on_their_rows() -> None:
    """Rows that appear above move neither the cursor nor what is in view."""
    app = Page()
    async with app.run_test(size=(60, 11)) as pilot:
        app.table.set_rows([row(n) for n in range(100)])
        app.table.move_to(50)
        await pilot.pause()
        before = app.shown()
        app.table.set_rows([row(n) for n in range(-7, 100)])
        await pilot.pause()
        assert app.table.current == "k50"
        assert app.shown()[:-1] == before[:-1]
        app.table.set_rows([row(n) for n in range(40)])
        await pilot.pause()
        assert app.table.current == "k39"
        app.table.set_rows([])
        assert app.table.current is None


async def test_an_empty_table_says_why() -> None:
    """All lines of the reason are shown, and enter does nothing."""
    app = Page()
    async with app.run_test(size=(60, 11)) as pilot:
        await pilot.press("enter", "j", "G")
        assert [line.strip() for line in app.shown()[2:4]] == ["nothing", "here"]
