"""All keys of the interface: one table from which bindings, key bar and documentation are made.

Every entry has an id and can be remapped in `keymap.toml` of the configuration home:
`jobs.stop = "S"`. Keys that change something are marked; read-only mode takes them away.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from textual.binding import Binding, BindingType


@dataclass(frozen=True, slots=True)
class Key:
    """`key` may list several, divided by commas; `verb` is the equivalent command."""

    id: str
    key: str
    action: str
    title: str
    shown: bool = True  # in the key bar
    mutates: bool = False
    verb: str = ""


def _hidden(id: str, key: str, action: str, title: str, verb: str = "") -> Key:
    return Key(id, key, action, title, shown=False, verb=verb)


def _change(id: str, key: str, action: str, title: str, verb: str, *, shown: bool = True) -> Key:
    return Key(id, key, action, title, shown=shown, mutates=True, verb=verb)


KEYS: dict[str, tuple[Key, ...]] = {
    "list": (
        Key("list.open", "enter", "choose", "Open", verb="show"),
        _hidden("list.down", "j,down", "move(1)", "Next row"),
        _hidden("list.up", "k,up", "move(-1)", "Previous row"),
        _hidden("list.first", "g,home", "move_to(0)", "First row"),
        _hidden("list.last", "G,end", "move_to(-1)", "Last row"),
        _hidden("list.half_down", "ctrl+d", "page(0.5)", "Half a page down"),
        _hidden("list.half_up", "ctrl+u", "page(-0.5)", "Half a page up"),
        _hidden("list.page_down", "ctrl+f,pagedown", "page(1)", "Page down"),
        _hidden("list.page_up", "ctrl+b,pageup", "page(-1)", "Page up"),
    ),
    "filter": (
        Key("filter.open", "slash", "filter", "Filter"),
    ),
    "jobs": (
        Key("jobs.log", "L", "open('log')", "Log", verb="logs"),
        _change("jobs.stop", "s", "act('stop')", "Stop", "stop"),
        _change("jobs.pause", "p", "act('pause')", "Pause", "pause"),
        _change("jobs.cancel", "d", "act('cancel')", "Cancel", "cancel"),
        _change("jobs.rerun", "R", "act('rerun')", "Rerun", "rerun", shown=False),
        _change(
            "jobs.checkpoint", "C", "act('checkpoint')", "Checkpoint", "checkpoint", shown=False
        ),
        _hidden("jobs.copy", "y", "copy_id", "Copy id", verb="jobs -o id"),
    ),
    "detail": (
        Key("detail.next_tab", "right_square_bracket", "tab(1)", "Next tab"),
        _hidden("detail.previous_tab", "left_square_bracket", "tab(-1)", "Previous tab"),
    ),
    "log": (
        Key("log.follow", "space", "toggle_follow", "Follow"),
        Key("log.search", "slash", "search", "Search"),
        _hidden("log.next", "n", "search_next(1)", "Next match"),
        _hidden("log.previous", "N", "search_next(-1)", "Previous match"),
        _hidden("log.down", "j,down", "move(1)", "Line down"),
        _hidden("log.up", "k,up", "move(-1)", "Line up"),
        _hidden("log.first", "g,home", "to_start", "Oldest line"),
        _hidden("log.end", "G,end", "to_end", "Newest line, follow"),
        _hidden("log.half_down", "ctrl+d", "turn(0.5)", "Half a page down"),
        _hidden("log.half_up", "ctrl+u", "turn(-0.5)", "Half a page up"),
        _hidden("log.page_down", "ctrl+f,pagedown", "turn(1)", "Page down"),
        _hidden("log.page_up", "ctrl+b,pageup", "turn(-1)", "Page up"),
        _hidden("log.right", "l,right", "shift(16)", "To the right"),
        _hidden("log.left", "h,left", "shift(-16)", "To the left"),
    ),
    "metrics": (
        Key("metrics.next", "m", "series(1)", "Next series", verb="metrics"),
        Key("metrics.log_y", "Y", "log_y", "Log scale"),
        Key("metrics.smoother", "greater_than_sign", "smooth(1)", "Smoother"),
        _hidden("metrics.rougher", "less_than_sign", "smooth(-1)", "Less smooth"),
    ),
    "samples": (
        Key("samples.earlier", "left,h", "step(-1)", "Earlier", verb="samples"),
        Key("samples.later", "right,l", "step(1)", "Later"),
        Key("samples.zoom", "enter,z", "zoom", "Zoom"),
        Key("samples.before", "b", "before", "Before/after"),
        _hidden("samples.next", "j,down", "pick(1)", "Next picture"),
        _hidden("samples.previous", "k,up", "pick(-1)", "Previous picture"),
    ),
    "presets": (
        _change("presets.submit", "s", "choose", "Submit", "submit --preset"),
    ),
    "form": (
        Key("form.submit", "enter,ctrl+s", "submit", "Submit"),
        Key("form.next", "tab,down", "app.focus_next", "Next field"),
        _hidden("form.previous", "shift+tab,up", "app.focus_previous", "Previous field"),
        Key("form.leave", "escape", "leave", "Leave"),
    ),
    "confirm": (
        Key("confirm.yes", "y", "answer(True)", "Yes"),
        Key("confirm.no", "n,escape,enter", "answer(False)", "No"),
    ),
    "help": (
        Key("help.close", "escape,q,question_mark,enter", "dismiss", "Close"),
    ),
    "global": (
        _hidden("global.dashboard", "1", "go('dashboard')", "Dashboard"),
        _hidden("global.jobs", "2", "go('jobs')", "Jobs", verb="jobs"),
        _hidden("global.presets", "3", "go('presets')", "Presets", verb="preset ls"),
        _hidden("global.palette", "ctrl+p", "command_palette", "Command palette"),
        _hidden("global.theme", "ctrl+t", "change_theme", "Theme"),
        _hidden("global.refresh", "ctrl+r", "reconnect", "Reconnect, refresh"),
        _change("global.daemon", "S", "start_daemon", "Start daemon", "daemon start",
                shown=False),
        _hidden("global.suspend", "ctrl+z", "suspend_process", "Suspend to the shell"),
        _hidden("global.exit", "ctrl+q", "quit", "Quit"),
        _hidden("global.back", "escape", "one_back", "Back"),
        Key("global.help", "question_mark", "help", "Keys"),
        Key("global.quit", "q", "leave", "Back"),
    ),
}  # fmt: skip

TITLES = {
    "list": "Lists",
    "filter": "Filter of jobs and presets",
    "jobs": "A job",
    "detail": "Job detail",
    "log": "Log",
    "metrics": "Metrics",
    "samples": "Samples",
    "presets": "Presets",
    "form": "Forms",
    "confirm": "Questions",
    "help": "Key sheet",
    "global": "Everywhere",
}
NAMES = {
    "question_mark": "?",
    "slash": "/",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "greater_than_sign": ">",
    "less_than_sign": "<",
    "escape": "esc",
    "pagedown": "PgDn",
    "pageup": "PgUp",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
}
BY_ID = {key.id: key for keys in KEYS.values() for key in keys}


def key_name(key: str) -> str:
    """How a key is written for people."""
    return NAMES.get(key, key)


def bindings(group: str) -> list[BindingType]:
    """Textual bindings of one group; ids make them remappable."""
    return [
        Binding(k.key, k.action, k.title, show=k.shown, id=k.id, priority=k.id == "global.exit")
        for k in KEYS[group]
    ]


def load_keymap(path: Path) -> dict[str, str]:
    """The user's own keys by id; ValueError names what is wrong with the file."""
    if not path.exists():
        return {}
    flat: dict[str, str] = {}
    for group, entries in tomllib.loads(path.read_text(encoding="utf-8")).items():
        if not isinstance(entries, dict):
            raise ValueError(f"{group} must be written as a table entry such as jobs.stop")
        for name, key in entries.items():
            if f"{group}.{name}" not in BY_ID:
                raise ValueError(f"there is no key with the id {group}.{name}")
            flat[f"{group}.{name}"] = str(key)
    return flat


def conflicts(keymap: Mapping[str, str]) -> list[str]:
    """Keys that would mean two things at the same place: within a group, or global and here."""
    found = []
    for group in KEYS:
        taken: dict[str, str] = {}
        for key in (*KEYS[group], *(KEYS["global"] if keymap and group != "global" else ())):
            for name in keymap.get(key.id, key.key).split(","):
                other = taken.setdefault(name.strip(), key.id)
                mapped = key.id in keymap or other in keymap
                if other != key.id and (mapped or key.id.split(".")[0] == group):
                    found.append(f"{key_name(name)} means {other} and {key.id}")
    return found


def document() -> str:
    """The key sheet as Markdown (docs/reference/keys.md)."""
    lines = [
        "# Keys",
        "",
        "Generated from `sttui/tui/keys.py` by `make docs`; do not edit.",
        "",
        "Every key can be changed by its id in `keymap.toml` of the configuration directory,",
        'for example `jobs.stop = "S"`; several keys are divided by commas. In the interface `?`',
        "shows the keys that work where you are. Keys marked ● change something: `--read-only`",
        "takes them away.",
        "",
    ]
    for group, keys in KEYS.items():
        lines += [f"## {TITLES[group]}", "", "| Key | Does | Command line | Id |"]
        lines.append("|---|---|---|---|")
        for key in keys:
            shown = " ".join(f"`{key_name(k)}`" for k in key.key.split(","))
            verb = f"`stune {key.verb}`" if key.verb else "–"
            mark = " ●" if key.mutates else ""
            lines.append(f"| {shown} | {key.title}{mark} | {verb} | `{key.id}` |")
        lines.append("")
    return "\n".join(lines)
