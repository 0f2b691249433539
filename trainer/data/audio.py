"""Sound of a recording or of a film: what its header says, and its samples.

Times count from where the pictures of a film begin, so its sound stays with them; for a recording
from its first sample.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from trainer.config.schema.media import AudioConfig
from trainer.data.bad import BadSample
from trainer.data.container import (
    MICROSECOND,
    File,
    decoded,
    film,
    library,
    opened,
    packets,
    sound,
)
from trainer.data.probe import Facts
from trainer.data.sound import SLACK_S

if TYPE_CHECKING:
    from av.audio.frame import AudioFrame
    from av.audio.stream import AudioStream
    from av.container import InputContainer

Samples = NDArray[np.float32]
FAR_S = 20.0  # what lies before is decoded sooner than sought for exactly
LEAD_S = 1.0  # decoded before a part: codecs build on what went before
SILENCE = 1 / 32768  # the smallest step of 16 bit
ESTIMATING = ("mp3", "aac")  # formats whose length is estimated from the bit rate
SURE_S = 0.2  # an estimate this near to the counted length knows of the encoder's padding, too
PEAK_SAMPLES = 256  # in one peak of a waveform before it is drawn


def audio_facts(file: File) -> Facts:
    """Duration, channels and rate of the sound of a recording or a film."""
    with opened(file) as container:
        track = _track(container)
        duration_s = _duration_s(container, track)
        if duration_s <= 0 or not track.channels or not track.rate:
            raise BadSample("it holds no sound")
        return Facts(duration_s=duration_s, channels=track.channels, rate=track.rate)


def _track(container: InputContainer) -> AudioStream:
    track = sound(container)
    if track is None:
        raise BadSample("it has no sound")
    return track


def _duration_s(container: InputContainer, track: AudioStream) -> float:
    unit_s = float(track.time_base or 0)
    told = unit_s * track.duration if track.duration else (container.duration or 0) * MICROSECOND
    if container.format.name not in ESTIMATING:
        return told
    counted = unit_s * sum(packet.duration or 0 for packet in packets(container, track))
    return told if abs(told - counted) < SURE_S else counted


def read_audio(file: File, audio: AudioConfig, start_s: float, seconds: float) -> Tensor:
    """Sound from `start_s` on: float tensor [C, N] in -1..1, N = seconds x rate exactly.

    BadSample when there is no sound, it ends before, or nothing is heard.
    """
    wanted = round(seconds * audio.rate)
    with opened(file) as container:
        parts, have, skip = [], 0, 0
        for begins_s, part in _resampled(container, start_s, audio.rate):
            parts.append(part)
            have += part.shape[1]
            skip = round((start_s - begins_s) * audio.rate)
            if have >= skip + wanted:
                break
    if not parts:
        raise BadSample("it holds no sound")
    late = min(wanted, max(0, -skip))  # it begins behind the pictures
    heard = np.concatenate(parts, axis=1)[:, max(0, skip) :][:, : wanted - late]
    missing_s = (wanted - late - heard.shape[1]) / audio.rate
    if missing_s > SLACK_S:
        raise BadSample(f"its sound ends {missing_s:.3g} s too early")
    if not heard.size or np.abs(heard).max() < SILENCE:
        raise BadSample(f"it is silent from {start_s:.3g} s on for {seconds:.3g} s")
    whole = np.zeros((audio.channels, wanted), dtype=np.float32)
    whole[:, late : late + heard.shape[1]] = _mixed(heard, audio.channels)
    return torch.from_numpy(whole)


def _mixed(samples: Samples, channels: int) -> Samples:
    """One channel is the mean of two; two are copies of one: neither gets louder or quieter."""
    mixed = samples.mean(axis=0, keepdims=True) if channels < len(samples) else samples
    return mixed.clip(-1.0, 1.0)


def _resampled(
    container: InputContainer, start_s: float, rate: int
) -> Iterator[tuple[float, Samples]]:
    """Parts [1 or 2, n] from `start_s` or earlier to the end, each with the time in seconds at
    which the first one begins."""
    track = _track(container)
    origin_s = _origin_s(container, track)
    if start_s > FAR_S and track.time_base:
        place = (origin_s + start_s - LEAD_S) / float(track.time_base)
        container.seek(int(place), stream=track)
    layout = "mono" if track.channels == 1 else "stereo"
    resampler = library().AudioResampler(format="fltp", layout=layout, rate=rate)
    begins_s: float | None = None
    for frame in _frames(container, track):
        if begins_s is None:
            begins_s = (frame.time or 0.0) - origin_s if frame else 0.0
        for part in resampler.resample(frame):
            yield begins_s, part.to_ndarray()


def _frames(container: InputContainer, track: AudioStream) -> Iterator[AudioFrame | None]:
    """Decoded frames, then None: the resampler gives what it still holds."""
    form: object = None
    for frame in decoded(container, track):
        this = (frame.rate, frame.layout.name, frame.format.name)
        if form not in (None, this):
            raise BadSample("its sound changes its form")
        form = this
        yield frame
    yield None


def _origin_s(container: InputContainer, track: AudioStream) -> float:
    """Time of the first picture of a film, or of the first sample of a recording."""
    try:
        stream = film(container)
    except BadSample:
        stream = track
    return float((stream.start_time or 0) * (stream.time_base or 0))


def waveform(file: File, width: int) -> list[float]:
    """`width` peaks from 0 to 1 over the whole sound, for a preview."""
    assert width > 0, "a preview has a width"
    peaks: list[float] = []
    with opened(file) as container:
        resampler = library().AudioResampler(format="fltp")
        for frame in _frames(container, _track(container)):
            for part in resampler.resample(frame):
                loud = np.abs(part.to_ndarray()).max(axis=0)
                edges = range(0, len(loud), PEAK_SAMPLES)
                peaks += [float(p) for p in np.maximum.reduceat(loud, edges)]
    if not peaks:
        raise BadSample("it holds no sound")
    edges = np.arange(width) * len(peaks) // width
    return np.maximum.reduceat(np.array(peaks).clip(0.0, 1.0), edges).tolist()
