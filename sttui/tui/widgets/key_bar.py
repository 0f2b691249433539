"""The last line: the keys that work now. Whole hints only; help and the way out always show.

Each hint is a button for the mouse as well. Keys that change something are left out while
nothing may be changed.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from rich.segment import Segment
from textual.events import Click, Mount
from textual.screen import ActiveBinding
from textual.strip import Strip
from textual.widget import Widget

from sttui.tui.ink import ink
from sttui.tui.keys import BY_ID, key_name

MAX_HINTS = 8
LAST = ("global.help", "global.quit")


@dataclass(frozen=True, slots=True)
class Hint:
    key: str
    name: str
    title: str

    @property
    def width(self) -> int:
        return len(self.name) + 1 + len(self.title)


@dataclass(frozen=True, slots=True)
class KeyView:
    """What a screen knows better than its bindings: by ids of the key table."""

    without: frozenset[str] = frozenset()
    extra: frozenset[str] = frozenset()
    titles: Mapping[str, str] = field(default_factory=dict)


def hints(active: Iterable[ActiveBinding], view: KeyView, *, may_change: bool) -> list[Hint]:
    """One hint per entry of the key table, in the order of nearness; the last ones last."""
    found: dict[str, Hint] = {}
    for entry in active:
        binding, id = entry.binding, entry.binding.id or ""
        known = BY_ID.get(id)
        if known is None or id in found or id in view.without or not entry.enabled:
            continue
        if not (known.shown or id in view.extra) or (known.mutates and not may_change):
            continue
        usual = known.key.split(",")
        name = usual[0] if binding.key in usual else binding.key
        title = view.titles.get(id, binding.description)
        found[id] = Hint(binding.key, key_name(name), title)
    first = [found.pop(id) for id in sorted(view.extra) if id in found]
    tail = [found.pop(id) for id in LAST if id in found]
    return [*first, *found.values(), *tail]


def that_fit(all_hints: list[Hint], width: int, *, tail: int) -> list[Hint]:
    """As many as there is room for; the last `tail` are kept first."""
    kept = all_hints[len(all_hints) - tail :] if tail else []
    used = sum(h.width + 2 for h in kept)
    front: list[Hint] = []
    for hint in all_hints[: len(all_hints) - tail]:
        if used + hint.width > width or len(front) + tail >= MAX_HINTS:
            break
        front.append(hint)
        used += hint.width + 2
    return front + kept


class KeyBar(Widget):
    """Docked at the bottom of every screen."""

    DEFAULT_CSS = """
    KeyBar { height: 1; dock: bottom; padding: 0 1; background: $panel; }
    """

    def __init__(self) -> None:
        super().__init__()
        self._hints: list[Hint] = []

    def on_mount(self, event: Mount) -> None:
        self.screen.bindings_updated_signal.subscribe(self, lambda screen: self.refresh_hints())
        self.refresh_hints()

    def refresh_hints(self) -> None:
        if not (self.is_attached and self.screen.is_mounted and self.screen.is_running):
            return  # still being composed, or already going
        may_change = not getattr(getattr(self.app, "options", None), "read_only", False)
        active = self.screen.active_bindings.values()
        tail = sum(1 for id in LAST if any(a.binding.id == id for a in active))
        view = getattr(self.screen, "key_view", KeyView)()
        known = hints(active, view, may_change=may_change)
        shown = that_fit(known, self.size.width, tail=tail)
        if shown != self._hints:
            self._hints = shown
            self.refresh()

    def on_resize(self) -> None:
        self.refresh_hints()

    def render_line(self, y: int) -> Strip:
        base = self.rich_style
        key, title = base + ink(self.app, "bold blue"), base + ink(self.app, "dim")
        segments: list[Segment] = []
        for hint in self._hints:
            gap = "  " if segments else ""
            segments += [Segment(gap + hint.name, key), Segment(f" {hint.title}", title)]
        return Strip(segments).crop_extend(0, self.size.width, base)

    def on_click(self, event: Click) -> None:
        x = event.x - self.styles.padding.left
        for hint in self._hints:
            if 0 <= x < hint.width:
                self.app.simulate_key(hint.key)
                return
            x -= hint.width + 2
