"""Which part of a recording is trained on: pure arithmetic on what its header says.

Durations are lowered to multiples of an interval, so that recordings of about the same length
share a batch. The lyrics of a song are a second text beside its caption.
"""

from __future__ import annotations

from trainer.config.schema.media import AudioConfig
from trainer.data.bad import BadSample
from trainer.data.captions import CaptionFile, Text
from trainer.data.probe import Facts

SLACK_S = 0.05  # headers round durations, encoders add or drop a block: heard as nothing


def seconds_of(facts: Facts, audio: AudioConfig) -> float:
    """Length of the part that is taken, in seconds; BadSample says why it is too short."""
    if not facts.channels:
        raise BadSample("it has no sound")
    length = facts.duration_s
    if length + SLACK_S < audio.min_s:
        raise BadSample(f"it lasts {length:.3g} s, less than {audio.min_s:g} s")
    kept = length if audio.max_s is None else min(length, audio.max_s)
    intervals = int((kept + SLACK_S) // audio.interval_s)
    if not intervals:
        raise BadSample(
            f"it lasts {length:.3g} s, less than the interval of {audio.interval_s:g} s"
        )
    return intervals * audio.interval_s


def start_of(facts: Facts, audio: AudioConfig, seconds: float, draw: float) -> float:
    """Where the part of `seconds` begins; `draw` in [0, 1) places a random one."""
    free = max(0.0, facts.duration_s - seconds)
    match audio.truncate:
        case "beginning":
            return 0.0
        case "end":
            return free
        case "random":
            return draw * free


def audio_bucket(facts: Facts, audio: AudioConfig) -> float:
    """Recordings of one batch share their length in seconds; BadSample as `seconds_of`."""
    return seconds_of(facts, audio)


def lyrics_file(audio: AudioConfig) -> CaptionFile | None:
    """The file beside a recording that holds its lyrics, if the dataset reads one."""
    if audio.lyrics_suffix is None:
        return None
    return CaptionFile(audio.lyrics_suffix, f"lyrics:{audio.lyrics_suffix}", parse_lyrics)


def parse_lyrics(data: bytes, name: str) -> Text:
    """One text, its lines and the empty ones between verses kept."""
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        return None, f"{name} is not UTF-8 text (byte {error.start})"
    lines = "\n".join(line.strip() for line in text.splitlines()).strip()
    return (lines, None) if lines else (None, f"{name} is empty")
