"""Presets of the daemon's host."""

from __future__ import annotations

from stdaemon.wire.base import Message


class PresetInfo(Message):
    name: str
    family: str = ""
    title: str = ""
    vram_gb: int | None = None
    mode: str = ""
    notes: str = ""
    built_in: bool = True
    needs_data: bool = True


class PresetText(Message):
    name: str
    text: str
