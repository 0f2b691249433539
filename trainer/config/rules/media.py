"""Rules on frames of videos and lengths of recordings."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Literal

from trainer.catalog.facts import FamilyFacts
from trainer.config.rules.problem import Problem
from trainer.config.schema.media import AudioConfig, VideoConfig
from trainer.config.schema.root import JobConfig

SUFFIX = re.compile(r"[._-][\w.-]*\w")
WITH_SOUND = ("audio", "video")  # kinds of samples that have some


def _videos(config: JobConfig) -> Iterator[tuple[str, VideoConfig]]:
    yield "data.defaults.video", config.data.defaults.video
    for index, dataset in enumerate(config.data.datasets):
        if dataset.video is not None:
            yield f"data.datasets[{index}].video", dataset.video


def _audios(config: JobConfig) -> Iterator[tuple[str, AudioConfig]]:
    yield "data.defaults.audio", config.data.defaults.audio
    for index, dataset in enumerate(config.data.datasets):
        if dataset.audio is not None:
            yield f"data.datasets[{index}].audio", dataset.audio


def one_length(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, video in _videos(config):
        if video.frames and video.max_frames and video.max_frames < video.frames:
            yield Problem(
                code="CFG170",
                key=f"{key}.frames",
                idle=True,
                message=f"frames = {video.frames} has no effect: clips are cut to "
                f"{video.max_frames}",
                fix=f"remove frames, or raise max_frames to {video.frames}",
                patch={f"{key}.frames": None},
            )


def frames_fill_an_interval(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, video in _videos(config):
        longest = min((n for n in (video.frames, video.max_frames) if n), default=None)
        if longest is not None and longest < video.interval:
            yield Problem(
                code="CFG171",
                key=f"{key}.interval",
                message=f"no clip has {video.interval} frames left of the {longest} it is cut to",
                why="frame counts are lowered to multiples of the interval",
                fix=f"lower the interval to {longest} or less",
                patch={f"{key}.interval": longest},
            )


def sound_fills_an_interval(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, audio in _audios(config):
        if audio.max_s is not None and audio.max_s < audio.interval_s:
            yield Problem(
                code="CFG172",
                key=f"{key}.interval_s",
                message=f"no recording has {audio.interval_s:g} s left of the {audio.max_s:g} s it "
                "is cut to",
                why="durations are lowered to multiples of the interval",
                fix=f"lower interval_s to {audio.max_s:g} or less",
                patch={f"{key}.interval_s": audio.max_s},
            )


def lyrics_are_another_file(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    shared = config.data.defaults
    for index, dataset in enumerate(config.data.datasets):
        caption, audio = dataset.caption or shared.caption, dataset.audio or shared.audio
        same = caption.source == "textfile" and caption.suffix == audio.lyrics_suffix
        if same and dataset.kind == "audio":
            where = f"data.datasets[{index}]" if dataset.audio else "data.defaults"
            yield Problem(
                code="CFG173",
                key=f"{where}.audio.lyrics_suffix",
                message=f"dataset {dataset.id}: lyrics and captions are read from the same "
                f"{audio.lyrics_suffix} files",
                why="the model would be told the lyrics twice, and no description",
                fix='use another ending for one of them, as ".lyrics.txt"',
            )


def lyrics_suffix_is_one(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for key, audio in _audios(config):
        if audio.lyrics_suffix is not None and not SUFFIX.fullmatch(audio.lyrics_suffix):
            yield Problem(
                code="CFG174",
                key=f"{key}.lyrics_suffix",
                message=f"{audio.lyrics_suffix!r} is no ending of a file name",
                why="it replaces the ending of the recording",
                fix='begin it with ".", "_" or "-", as ".lyrics.txt"',
            )


def lyrics_beside_files(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    for index, dataset in enumerate(config.data.datasets):
        audio = dataset.audio or config.data.defaults.audio
        elsewhere = dataset.source is not None and dataset.source.kind != "local"
        if dataset.kind == "audio" and audio.lyrics_suffix is not None and elsewhere:
            where = f"data.datasets[{index}]" if dataset.audio else "data.defaults"
            yield Problem(
                code="CFG176",
                key=f"{where}.audio.lyrics_suffix",
                message=f"dataset {dataset.id}: lyrics are read from files beside the recordings "
                "of a folder",
                why="its source has none",
                fix="bring the recordings into a folder, or remove lyrics_suffix",
            )


def sections_of_their_kind(config: JobConfig, facts: FamilyFacts) -> Iterator[Problem]:
    kinds = {dataset.kind for dataset in config.data.datasets}
    for section, fitting in _SECTIONS:
        if section in config.data.defaults.model_fields_set and kinds.isdisjoint(fitting):
            yield _idle("data.defaults", section, "no dataset of the job")
        for index, dataset in enumerate(config.data.datasets):
            if section in dataset.model_fields_set and dataset.kind not in fitting:
                which = f"the {dataset.kind} dataset {dataset.id}"
                yield _idle(f"data.datasets[{index}]", section, which)


_SECTIONS: tuple[tuple[Literal["video", "audio"], tuple[str, ...]], ...] = (
    ("video", ("video",)),
    ("audio", WITH_SOUND),
)


def _idle(where: str, section: str, which: str) -> Problem:
    return Problem(
        code="CFG175",
        key=f"{where}.{section}",
        idle=True,
        message=f"{section} settings have no effect: {which} holds no {section}",
        fix=f"remove them, or set the kind of the dataset to {section}",
        patch={f"{where}.{section}": None},
    )


RULES = (
    one_length,
    frames_fill_an_interval,
    sound_fills_an_interval,
    lyrics_are_another_file,
    lyrics_suffix_is_one,
    lyrics_beside_files,
    sections_of_their_kind,
)
