"""What the header of a sample says; nothing is decoded."""

from __future__ import annotations

from typing import BinaryIO, NamedTuple

from trainer.data.sources.base import Kind


class Facts(NamedTuple):
    """Sizes of a sample; what does not apply to its kind is 0."""

    width: int = 0  # pixels, upright
    height: int = 0
    frames: int = 0
    fps: float = 0.0
    duration_s: float = 0.0
    channels: int = 0  # of sound
    rate: int = 0  # of sound, Hz


def probe(file: BinaryIO | str, kind: Kind) -> Facts:
    """Facts of an open file or a path; BadSample when its header cannot be read."""
    match kind:
        case "image":
            from trainer.data.pixels import picture_size

            return Facts(*picture_size(file))
        case "video":
            from trainer.data.video import video_facts

            return video_facts(file)
        case "audio":
            from trainer.data.audio import audio_facts

            return audio_facts(file)
        case "caption":
            return Facts()
