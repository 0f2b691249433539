"""Which frames and which part of the sound are taken: arithmetic that holds for every clip."""

from __future__ import annotations

import re
import tomllib
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trainer.config.schema.media import AudioConfig, VideoConfig
from trainer.data.bad import BadSample
from trainer.data.frames import (
    available,
    frame_count,
    frame_indices,
    frame_span,
    picked_fps,
    video_bucket,
)
from trainer.data.probe import Facts
from trainer.data.sound import (
    SLACK_S,
    audio_bucket,
    lyrics_file,
    parse_lyrics,
    seconds_of,
    start_of,
)

RATES = st.sampled_from([0.0, 8.0, 12.5, 23.976023976, 24.0, 25.0, 29.97002997, 30.0, 59.94, 120.0])
CLIPS = st.builds(Facts, frames=st.integers(1, 2000), fps=RATES)
COUNTS = st.none() | st.integers(1, 200)
SETTINGS = st.builds(
    VideoConfig,
    frames=COUNTS,
    max_frames=COUNTS,
    fps=st.none() | st.floats(0.5, 240),
    interval=st.integers(1, 40),
    start=st.sampled_from(["beginning", "middle", "random"]),
)
RULES = st.sampled_from([(1, 0), (4, 1), (8, 1), (4, 0), (6, 5)])
DRAWS = st.floats(0, 1, exclude_max=True)


def clip(frames: int = 100, fps: float = 24.0) -> Facts:
    return Facts(width=64, height=48, frames=frames, fps=fps)


@given(CLIPS, SETTINGS, RULES, DRAWS)
def test_frames_are_in_the_clip_and_in_order(facts, video, rule, draw):
    """Whatever is asked: distinct frames, rising, evenly apart, none that the clip lacks."""
    stride, offset = rule
    try:
        count = frame_count(facts, video, stride=stride, offset=offset)
    except BadSample:
        return
    assert count % stride == offset % stride
    assert count <= min(video.frames or count, video.max_frames or count, facts.frames)
    picked = frame_indices(facts, video, count, draw)
    assert len(picked) == count
    assert 0 <= picked[0] <= picked[-1] < facts.frames
    steps = {b - a for a, b in pairwise(picked)}
    assert not steps or (min(steps) >= 1 and max(steps) - min(steps) <= 1)


@given(CLIPS, SETTINGS)
def test_everything_offered_can_be_taken_and_no_more(facts, video):
    """The count on offer is exact: that many frames fit into the clip, one more does not."""
    offered = available(facts, video)
    picked = frame_indices(facts, video, offered, 0.0)
    assert picked[-1] < facts.frames
    with pytest.raises(AssertionError):
        frame_indices(facts, video, offered + 1, 0.0)


@given(CLIPS, SETTINGS, RULES)
def test_a_count_is_the_largest_that_fits(facts, video, rule):
    """Lowering loses less than one interval and one stride."""
    stride, offset = rule
    limit = min(
        [available(facts, video), *(n for n in (video.frames, video.max_frames) if n is not None)]
    )
    try:
        count = frame_count(facts, video, stride=stride, offset=offset)
    except BadSample:
        assert limit < offset + max(stride, video.interval) + stride
    else:
        assert limit - count < video.interval + stride


@given(CLIPS, st.floats(0.5, 240), DRAWS)
def test_the_wanted_rate_is_met(facts, fps, draw):
    """Picked frames follow each other at the wanted rate, or at a slower clip's own."""
    video = VideoConfig(fps=fps, start="random")
    rate = picked_fps(facts, video)
    assert rate == pytest.approx(min(fps, facts.fps) if facts.fps else 0.0)
    picked = frame_indices(facts, video, available(facts, video), draw)
    if facts.fps and len(picked) > 1:
        span_s = (picked[-1] - picked[0]) / facts.fps
        assert abs(span_s - (len(picked) - 1) / rate) <= 1 / facts.fps


@pytest.mark.parametrize(
    ("frames", "video", "rule", "count"),
    [
        (100, {}, (1, 0), 100),
        (100, {}, (4, 1), 97),
        (100, {}, (8, 1), 97),
        (100, {"frames": 81}, (4, 1), 81),
        (100, {"frames": 80}, (4, 1), 77),
        (100, {"frames": 81, "interval": 16}, (4, 1), 81),  # counted from the first frame
        (75, {"interval": 10}, (4, 1), 69),
        (75, {"interval": 10}, (1, 0), 70),
        (100, {"max_frames": 50}, (8, 1), 49),
        (100, {"fps": 12}, (1, 0), 50),
        (101, {"fps": 12}, (1, 0), 51),
        (100, {"fps": 60}, (1, 0), 100),
        (1, {}, (4, 1), 1),
        (4, {"min_frames": 4}, (4, 1), 1),
    ],
)
def test_counts_by_example(frames, video, rule, count):
    """The numbers that people of the field expect."""
    stride, offset = rule
    assert frame_count(clip(frames), VideoConfig(**video), stride=stride, offset=offset) == count


@pytest.mark.parametrize(
    ("frames", "video", "rule", "reason"),
    [
        (15, {"min_frames": 16}, (1, 0), "it has 15 frames, fewer than 16"),
        (1, {"min_frames": 2}, (1, 0), "it has 1 frame, fewer than 2"),
        (30, {"min_frames": 16, "fps": 12}, (1, 0), "it has 15 frames at 12 fps, fewer than 16"),
        (7, {"interval": 8}, (1, 0), "it has 7 frames; the interval is 8"),
        (3, {}, (4, 0), "it has 3 frames; the family takes multiples of 4 frames"),
        (4, {}, (6, 5), "it has 4 frames; the family takes 6 k [+] 5 frames"),
    ],
)
def test_short_clips_say_why_they_are_left_out(frames, video, rule, reason):
    """What the clip has, and what it would need."""
    with pytest.raises(BadSample, match=f"^{reason}$"):
        frame_count(clip(frames), VideoConfig(**video), stride=rule[0], offset=rule[1])


def test_where_a_clip_is_cut():
    """Beginning, middle, and by a draw that reaches both ends."""
    taken = {
        start: [frame_indices(clip(10), VideoConfig(start=start), 4, d)[0] for d in (0, 0.999)]
        for start in ("beginning", "middle", "random")
    }
    assert taken == {"beginning": [0, 0], "middle": [3, 3], "random": [0, 6]}
    assert frame_indices(clip(10), VideoConfig(fps=8), 4, 0.0) == [0, 3, 6, 9]


def test_buckets_and_the_sound_of_frames():
    """A bucket is size and count; the sound of picked frames is the time they are shown."""
    video = VideoConfig(frames=25, fps=12, start="middle")
    assert video_bucket((832, 480), clip(), video, stride=8, offset=1) == (832, 480, 25)
    picked = frame_indices(clip(), video, 25, 0.0)
    start_s, seconds = frame_span(clip(), video, picked)
    assert start_s == pytest.approx(picked[0] / 24)
    assert seconds == pytest.approx(25 / 12)


# --- sound -------------------------------------------------------------------------------------

RECORDINGS = st.builds(Facts, duration_s=st.floats(0.01, 4000), channels=st.integers(1, 6))
AUDIO = st.builds(
    AudioConfig,
    interval_s=st.sampled_from([0.1, 0.5, 1.0, 3.0, 7.5]),
    max_s=st.none() | st.floats(0.5, 300),
    truncate=st.sampled_from(["beginning", "end", "random"]),
)


@given(RECORDINGS, AUDIO, DRAWS)
def test_the_part_lies_in_the_recording(facts, audio, draw):
    """A whole number of intervals, within the recording but for what headers round away."""
    try:
        seconds = seconds_of(facts, audio)
    except BadSample:
        assert min(facts.duration_s, audio.max_s or 1e9) < audio.interval_s
        return
    start_s = start_of(facts, audio, seconds, draw)
    assert seconds == pytest.approx(round(seconds / audio.interval_s) * audio.interval_s)
    assert start_s >= 0
    assert start_s + seconds <= facts.duration_s + SLACK_S + 1e-6
    limit = min(facts.duration_s, audio.max_s or 1e9)
    assert limit - seconds < audio.interval_s
    assert audio_bucket(facts, audio) == seconds


def test_parts_by_example():
    """A quarter of a minute stays one even when its header says a little less."""
    facts = Facts(duration_s=14.98, channels=2, rate=44100)
    assert seconds_of(facts, AudioConfig()) == 15.0
    assert seconds_of(facts, AudioConfig(max_s=10)) == 9.0
    assert start_of(facts, AudioConfig(truncate="end"), 9.0, 0.0) == pytest.approx(5.98)
    assert start_of(facts, AudioConfig(truncate="random"), 9.0, 0.5) == pytest.approx(2.99)
    assert start_of(facts, AudioConfig(truncate="end"), 15.0, 0.0) == 0.0


@pytest.mark.parametrize(
    ("facts", "audio", "reason"),
    [
        (Facts(duration_s=2, channels=1), {}, "it lasts 2 s, less than the interval of 3 s"),
        (Facts(duration_s=9, channels=1), {"min_s": 10}, "it lasts 9 s, less than 10 s"),
        (Facts(duration_s=9), {}, "it has no sound"),
    ],
)
def test_short_recordings_say_why_they_are_left_out(facts, audio, reason):
    """How long it is, and how long it had to be."""
    with pytest.raises(BadSample, match=f"^{reason}$"):
        seconds_of(facts, AudioConfig(**audio))


def test_lyrics_keep_their_lines():
    """One text with its verses; the name of what cannot be read."""
    assert lyrics_file(AudioConfig()) is None
    file = lyrics_file(AudioConfig(lyrics_suffix=".lyrics.txt"))
    assert file is not None
    assert file.suffix == ".lyrics.txt"
    text = "\ufeff[verse]\r\n one \r\n\r\n[chorus]\r\ntwo\r\n\r\n".encode()
    assert file.parse(text, "a.lyrics.txt") == ("[verse]\none\n\n[chorus]\ntwo", None)
    assert parse_lyrics(b" \n ", "a.lyrics.txt") == (None, "a.lyrics.txt is empty")
    assert parse_lyrics(b"ab\xff", "x") == (None, "x is not UTF-8 text (byte 2)")


# --- the guide ---------------------------------------------------------------------------------

GUIDE = Path(__file__).resolve().parents[4] / "docs" / "guides" / "video-and-audio.md"


def test_the_guide_tells_the_truth():
    """Its settings are valid, its picked frames and its lowered counts are what comes out."""
    text = GUIDE.read_text(encoding="utf-8")
    blocks = re.findall(r"^```toml\n(.*?)^```", text, re.DOTALL | re.MULTILINE)
    settings: dict[str, dict] = {}
    for block in blocks:
        settings |= tomllib.loads(block)["data"]["defaults"]
    AudioConfig(**settings["audio"])
    video = VideoConfig(**settings["video"] | {"start": "beginning"})
    numbers = re.search(r"takes frames ([\d, ]+) …", text)
    assert numbers is not None
    listed = [int(number) for number in numbers[1].split(",")]
    assert frame_indices(clip(fps=30), video, len(listed), 0.0) == listed
    made = [frame_count(clip(n), VideoConfig(), stride=4, offset=1) for n in (81, 80)]
    assert made == [81, 77]
    assert frame_count(clip(81), VideoConfig(interval=16), stride=4, offset=1) == 81
    assert f"forgiven {SLACK_S:g} s" in text
