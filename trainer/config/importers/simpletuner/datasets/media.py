"""Frames of videos, length of recordings."""

from __future__ import annotations

from trainer.config.importers.simpletuner.datasets.entry import Entry
from trainer.config.importers.simpletuner.translation import Translation
from trainer.config.importers.values import Kind

_VIDEO: dict[str, str] = {
    "num_frames": "frames",
    "min_frames": "min_frames",
    "max_frames": "max_frames",
    "frame_interval": "interval",
}
_AUDIO: dict[str, tuple[str, Kind]] = {
    "sample_rate": ("rate", "int"),
    "channels": ("channels", "int"),
    "duration_interval": ("interval_s", "float"),
    "min_duration_seconds": ("min_s", "float"),
    "max_duration_seconds": ("max_s", "float"),
    "truncation_mode": ("truncate", "text"),
    "lyrics_suffix": ("lyrics_suffix", "text"),
}
_SHARED_AUDIO = {
    "audio_channels": "channels",
    "audio_duration_interval": "duration_interval",
    "audio_max_duration_seconds": "max_duration_seconds",
    "audio_min_duration_seconds": "min_duration_seconds",
    "audio_truncation_mode": "truncation_mode",
}


def media(entry: Entry) -> None:
    if entry.kind == "video":
        for name, key in _VIDEO.items():
            entry.carry(f"video.{name}", f"video.{key}", "int")
        if entry.given("video.num_frames") and not entry.given("video.min_frames"):
            frames = entry.read("video.num_frames", "int")
            if frames is not None:
                entry.set("video.min_frames", frames)
    if entry.kind == "audio":
        for name, (key, kind) in _AUDIO.items():
            change = float if kind == "float" else lambda value: value
            entry.carry(f"audio.{name}", f"audio.{key}", kind, change)


def shared_audio(t: Translation, kinds: set[str]) -> None:
    """Lengths that the run sets for all recordings."""
    for option, name in _SHARED_AUDIO.items():
        if "audio" in kinds:
            key, kind = _AUDIO[name]
            change = float if kind == "float" else lambda value: value
            t.carry(option, f"data.defaults.audio.{key}", kind, change)
        t.source.ignored(option, "no dataset holds recordings")
