"""The log loses nothing silently, cannot steer the terminal, and follows until the reader looks."""

from __future__ import annotations

import pytest
from textual.app import App, ComposeResult

from sttui.tui.widgets.log_lines import LogLines, bare, clean
from sttui.tui.widgets.log_view import LogView


class Page(App[None]):
    CSS = "LogView { height: 1fr; }"

    def __init__(self, max_lines: int = 1000) -> None:
        super().__init__()
        self.view = LogView(id="log", max_lines=max_lines)

    def compose(self) -> ComposeResult:
        yield self.view

    def shown(self) -> list[str]:
        return [strip.text[:-1].rstrip() for strip in self.screen._compositor.render_strips()]


@pytest.mark.parametrize(
    ("line", "shown"),
    [
        ("plain", "plain"),
        ("\x1b[32mgreen\x1b[0m", "\x1b[32mgreen\x1b[0m"),
        ("\x1b[2J\x1b[10;5Hmoved", "moved"),
        ("\x1b]0;title\x07text", "text"),
        ("\x1b]52;c;c2VjcmV0\x1b\\text", "text"),
        ("\x1bPq#0;2;0;0;0\x1b\\text", "text"),
        ("\x1b[?1049hx", "x"),
        ("bell\x07 back\x08space\x00", "bell backspace"),
        ("10%\r50%\r100%", "100%"),
        ("100%\r", "100%"),
        ("a\tb", "a       b"),
        ("\x1b7saved\x1b8\x1bc", "saved"),
        ("\x1b]0;never ends", ""),
        ("\x9b2J eight bit", "2J eight bit"),
    ],
)
def test_only_colours_survive(line: str, shown: str) -> None:
    """Cursor movement, titles, clipboard and pictures are taken out; progress keeps its end."""
    assert clean(line) == shown


def test_a_hundred_thousand_lines_are_all_counted() -> None:
    """Ring plus dropped is what came, whatever the sizes of the chunks."""
    lines = LogLines(max_lines=20_000)
    text = "".join(f"line {n}\n" for n in range(100_000))
    for start in range(0, len(text), 7919):
        lines.write(text[start : start + 7919])
    assert (lines.total, lines.dropped, len(lines)) == (100_000, 80_000, 20_000)
    assert (lines[0], lines[19_999]) == ("line 80000", "line 99999")


def test_the_ring_is_bounded_in_characters_too() -> None:
    """Long lines are cut, and few of them fill the ring."""
    lines = LogLines(max_lines=1000, max_chars=10_000)
    for _ in range(100):
        lines.write("x" * 5000 + "\n")
    assert lines.total == 100
    assert len(lines) + lines.dropped == 100
    assert sum(map(len, lines)) <= 10_000 + 5000
    assert lines[0].endswith("(cut)")


def test_an_unfinished_line_is_shown() -> None:
    """A progress bar without a line break is visible, and its past is not kept."""
    lines = LogLines()
    for share in range(100):
        lines.write(f"\r{share}%")
    assert (len(lines), lines[0], lines.total) == (1, "99%", 0)
    assert len(lines.rest) < 10
    lines.write("\ndone\n")
    assert list(lines) == ["99%", "done"]


def test_older_lines_go_above_and_never_push_out_new_ones() -> None:
    """Only what the ring has room for is taken."""
    lines = LogLines(max_lines=5)
    lines.write("d\ne\n")
    assert lines.prepend("z\na\nb\nc") == 3
    assert list(lines) == ["a", "b", "c", "d", "e"]
    assert lines.prepend("y") == 0


async def test_following_stops_when_the_reader_moves_up() -> None:
    """New lines are counted while paused, the view stays, and the end resumes."""
    app = Page(max_lines=100)
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.focus()
        app.view.write("".join(f"line {n}\n" for n in range(90)))
        await pilot.pause()
        assert app.shown()[-1] == "line 89"
        await pilot.press("pageup")
        before = app.shown()
        app.view.write("".join(f"line {n}\n" for n in range(90, 120)))
        await pilot.pause()
        assert app.shown() == before
        assert app.view.status().startswith("paused, 30 new · 120 lines · 20 older")
        await pilot.press("G")
        assert app.shown()[-1] == "line 119"
        assert app.view.status().startswith("following")
        await pilot.press("space")
        assert not app.view.follow


async def test_search_finds_marks_and_goes_round() -> None:
    """Matches are counted; n and N go round; case and colour do not matter."""
    app = Page()
    async with app.run_test(size=(40, 10)) as pilot:
        app.view.focus()
        body = [f"line {n}" for n in range(60)]
        body[5], body[40] = "\x1b[31mA Nee\x1b[0mdle", "needle two"
        app.view.write("\n".join(body) + "\n")
        assert app.view.find("NEEDLE") == 2
        await pilot.pause()
        assert any("needle two" in line for line in app.shown())
        assert "match 2 of 2" in app.view.status()
        await pilot.press("n")
        assert "match 1 of 2" in app.view.status()
        assert any("A Needle" in line for line in app.shown())
        await pilot.press("N")
        assert "match 2 of 2" in app.view.status()
        assert app.view.find("absent") == 0
        assert "no 'absent'" in app.view.status()


async def test_long_lines_can_be_read_to_the_end() -> None:
    """Left and right move the view; nothing wraps."""
    app = Page()
    async with app.run_test(size=(20, 5)) as pilot:
        app.view.focus()
        app.view.write("0123456789" * 8 + "\n")
        await pilot.press("l", "l")
        assert app.shown()[0] == "2345678901234567890"
        await pilot.press("h", "h")
        assert app.shown()[0].startswith("0123")


def test_bare_text_has_no_colours() -> None:
    """Searching works on what is seen."""
    assert bare("\x1b[1;31mred\x1b[0m") == "red"
