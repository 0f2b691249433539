"""All keys of the interface: one table from which bindings, footer and documentation are made.

Every entry has an id and can be remapped in `keymap.toml` of the configuration home:
`jobs.stop = "S"`. Keys that change something are marked; read-only mode takes them away.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from pathlib import Path

from textual.binding import Binding


@dataclass(frozen=True, slots=True)
class Key:
    id: str
    key: str
    action: str
    title: str
    shown: bool = True  # in the footer
    mutates: bool = False
    verb: str = ""  # the equivalent command line


KEYS: dict[str, tuple[Key, ...]] = {
    "global": (
        Key("global.dashboard", "1", "go('dashboard')", "Dashboard", shown=False),
        Key("global.jobs", "2", "go('jobs')", "Jobs", verb="jobs", shown=False),
        Key("global.presets", "3", "go('presets')", "Presets", verb="preset ls", shown=False),
        Key("global.help", "question_mark", "help", "Keys"),
        Key("global.refresh", "ctrl+r", "reconnect", "Reconnect", shown=False),
        Key("global.back", "escape", "back", "Back", shown=False),
        Key("global.quit", "q", "leave", "Back/quit"),
        Key("global.exit", "ctrl+q", "quit", "Quit", shown=False),
        Key("global.daemon", "S", "start_daemon", "Start daemon", verb="daemon start", shown=False),
    ),
    "list": (
        Key("list.down", "j,down", "move(1)", "Down", shown=False),
        Key("list.up", "k,up", "move(-1)", "Up", shown=False),
        Key("list.first", "g,home", "move_to(0)", "First", shown=False),
        Key("list.last", "G,end", "move_to(-1)", "Last", shown=False),
        Key("list.page_down", "ctrl+f,pagedown", "page(1)", "Page down", shown=False),
        Key("list.page_up", "ctrl+b,pageup", "page(-1)", "Page up", shown=False),
        Key("list.open", "enter", "choose", "Open"),
    ),
    "jobs": (
        Key("jobs.log", "L", "open('log')", "Log", verb="logs"),
        Key("jobs.pause", "p", "act('pause')", "Pause/resume", verb="pause", mutates=True),
        Key("jobs.stop", "s", "act('stop')", "Stop", verb="stop", mutates=True),
        Key("jobs.cancel", "d", "act('cancel')", "Cancel", verb="cancel", mutates=True),
        Key("jobs.rerun", "R", "act('rerun')", "Rerun", verb="rerun", mutates=True, shown=False),
        Key(
            "jobs.checkpoint",
            "C",
            "act('checkpoint')",
            "Checkpoint now",
            verb="checkpoint",
            mutates=True,
            shown=False,
        ),
        Key("jobs.copy", "y", "copy_id", "Copy id", shown=False),
        Key("jobs.filter", "slash", "filter", "Filter", shown=False),
    ),
    "detail": (
        Key("detail.next_tab", "right_square_bracket", "tab(1)", "Next tab"),
        Key("detail.previous_tab", "left_square_bracket", "tab(-1)", "Previous tab", shown=False),
    ),
    "log": (
        Key("log.follow", "space", "toggle_follow", "Follow"),
        Key("log.end", "G,end", "to_end", "End", shown=False),
        Key("log.search", "slash", "search", "Search"),
        Key("log.next", "n", "search_next(1)", "Next match", shown=False),
        Key("log.previous", "N", "search_next(-1)", "Previous match", shown=False),
    ),
    "presets": (
        Key("presets.submit", "enter,s", "choose", "Use preset", verb="submit", mutates=True),
    ),
}


def load_keymap(path: Path) -> dict[str, str]:
    """The user's own keys by id; a broken file is reported by the caller."""
    if not path.exists():
        return {}
    data = tomllib.loads(path.read_text())
    flat: dict[str, str] = {}
    for group, entries in data.items():
        for name, key in entries.items():
            flat[f"{group}.{name}"] = str(key)
    return flat


def bindings(group: str) -> list[Binding]:
    """Textual bindings of one group; ids make them remappable."""
    return [
        Binding(k.key, k.action, k.title, show=k.shown, id=k.id, priority=k.id == "global.exit")
        for k in KEYS[group]
    ]


def document() -> str:
    """The key sheet as Markdown (docs/reference/keys.md)."""
    lines = ["# Keys", "", "Generated from `sttui/tui/keys.py`; ids are for `keymap.toml`.", ""]
    for group, keys in KEYS.items():
        lines += [f"## {group}", "", "| Key | Does | Command line | Id |", "|---|---|---|---|"]
        for key in keys:
            shown = " ".join(f"`{NAMES.get(k, k)}`" for k in key.key.split(","))
            verb = f"`stune {key.verb}`" if key.verb else "–"
            lines.append(f"| {shown} | {key.title} | {verb} | `{key.id}` |")
        lines.append("")
    return "\n".join(lines)


NAMES = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
}
