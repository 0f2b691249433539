"""Adapters that validation pictures are drawn with.

SimpleTuner loads them beside the trained adapter, and by default draws no picture without them.
"""

from __future__ import annotations

from typing import Any

from trainer.config.importers import values
from trainer.config.importers.simpletuner.settings.adapter import load
from trainer.config.importers.simpletuner.translation import Translation

_MODE = "validation_adapter_mode"
_ONE = ("validation_adapter_path", "validation_adapter_name", "validation_adapter_strength")


def drawn_with(t: Translation) -> None:
    lycoris = t.draft.get("adapter.kind") == "lycoris"
    if lycoris and t.given("validation_lycoris_strength"):
        t.carry("validation_lycoris_strength", "validation.adapter_strength", "float", float)
    t.ignore(["validation_lycoris_strength"], "the adapter is no LyCORIS one")
    mode = t.read(_MODE, "text").strip().lower()
    if mode == "none":
        t.ignore([*_ONE, "validation_adapter_config", _MODE], "no adapter is drawn with")
        return
    _listed(t) if t.given("validation_adapter_config") else _single(t)
    if t.draft.get("validation.adapters"):
        t.put(_MODE, "validation.adapters_only", mode == "adapter_only")
    t.ignore([*_ONE, _MODE], "there is no adapter to draw with")


def _single(t: Translation) -> None:
    base = "validation.adapters[0]"
    if t.carry("validation_adapter_path", f"{base}.path", "text", t.places.written):
        t.carry("validation_adapter_name", f"{base}.name", "text")
        t.carry("validation_adapter_strength", f"{base}.strength", "float", float)


def _listed(t: Translation) -> None:
    """A list of runs, each with one file; several files in one run have no counterpart."""
    name = "validation_adapter_config"
    found = load(t, t.source.value(name))
    entries = list(found.values()) if isinstance(found, dict) else found
    left = 0
    count = 0
    for entry in entries if isinstance(entries, list) else ():
        given = _entry(entry)
        if given is None:
            left += 1
            continue
        for key, value in given.items():
            value = t.places.written(value) if key == "path" else value
            t.draft.set(f"validation.adapters[{count}].{key}", value)
        count += 1
    if not count:
        t.refuse(name, "it lists no adapter file")
    elif left:
        note = f"without {left} that are no single file"
        t.source.approximated(name, "validation.adapters", note)
    else:
        t.source.mapped(name, "validation.adapters")


def _entry(entry: Any) -> dict[str, Any] | None:
    """Path, name and strength of one run; None when it is not one file."""
    if isinstance(entry, str):
        return {"path": entry}
    if not isinstance(entry, dict):
        return None
    inner = entry.get("adapters")
    if isinstance(inner, list):
        if len(inner) != 1 or not isinstance(inner[0], dict):
            return None
        entry = entry | inner[0]
    path = entry.get("path")
    if not isinstance(path, str):
        return None
    label = entry.get("label") or entry.get("name") or entry.get("adapter_name")
    strength = values.number(entry.get("strength", 1.0))
    named = {"name": label} if isinstance(label, str) else {}
    return {"path": path, **named, "strength": float(1.0 if strength is None else strength)}
