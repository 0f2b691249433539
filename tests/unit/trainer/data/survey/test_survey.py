"""What scan, stats, buckets, captions and preview say of small folders, to the last number."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tests.support.pictures import make_folder
from tests.unit.trainer.data.lint.looking import job, quiet, subject_of
from trainer.data.prepare import make_sampler
from trainer.data.survey.buckets import buckets_document, train_plan
from trainer.data.survey.captions import captions_document, tags_of, words_of
from trainer.data.survey.numbers import histogram, summary
from trainer.data.survey.preview import preview_document
from trainer.data.survey.scan import Scanned, findings_of, scan_all, scan_document
from trainer.data.survey.stats import stats_document
from trainer.data.survey.subject import Subject, open_subject
from trainer.data.survey.watch import Watch
from trainer.errors import ConfigError, DataError, Preempted


def looked(place: Path, *overrides: str, **options) -> tuple[Subject, list[Scanned]]:
    subject = subject_of(place, *overrides, **options)
    return subject, scan_all(subject, quiet())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Twelve pictures of two shapes, six with a caption file beside them, one of those empty."""
    folder = make_folder(tmp_path / "set", 12, sizes=((256, 256), (512, 256)))
    for number in range(6, 12):
        (folder / f"p{number:03d}.txt").unlink()
    (folder / "p000.txt").write_text(" ")
    return folder


def test_a_folder_is_a_dataset_with_defaults(tmp_path: Path) -> None:
    """Its name becomes the id; family, size and kind can be said."""
    folder = make_folder(tmp_path / "my pictures (2)", 1)
    subject = open_subject(folder, family="flux", resolution="512px")
    assert (subject.facts.key, subject.job) == ("flux", None)
    assert subject.datasets[0].id == "my-pictures-2"
    assert (subject.datasets[0].geometry.edge, subject.datasets[0].geometry.align) == (512, 16)


def test_a_job_file_needs_no_length(tmp_path: Path) -> None:
    """How long is trained is none of this; family and size can be overridden."""
    folder = make_folder(tmp_path / "set", 1)
    path = job(tmp_path / "job.json", {"id": "a", "path": str(folder)}, adapter={"rank": 4})
    assert open_subject(path).job == path
    assert open_subject(path, family="sd1x").facts.key == "sd1x"


@pytest.mark.parametrize(
    ("options", "error", "about"),
    [
        ({"family": "fluxx"}, ConfigError, "fluxx"),
        ({"resolution": "large"}, ConfigError, "large"),
        ({"overrides": ["data.mixx=1"]}, ConfigError, "mixx"),
    ],
)
def test_wrong_settings_are_refused(folder: Path, options, error, about: str) -> None:
    """With the word that is wrong."""
    with pytest.raises(error, match=about):
        open_subject(folder, **options)


def test_a_missing_folder_is_a_data_error(tmp_path: Path) -> None:
    """Exit code 65 in the child, with the path."""
    with pytest.raises(DataError, match="DAT001"):
        open_subject(job(tmp_path / "job.json", {"id": "a", "path": str(tmp_path / "no")}))


def test_the_funnel_loses_nothing_silently(folder: Path, tmp_path: Path) -> None:
    """Every stage counts, unreadable files are listed in full, and nothing ends the look."""
    for number in range(25):
        (folder / f"bad-{number:02d}.png").write_bytes(b"no picture")
    _, parts = looked(folder)
    (found,) = scan_document(parts)["datasets"]
    assert (found["found"], found["readable"], found["captioned"], found["used"]) == (37, 12, 5, 5)
    assert found["lost"] == {"unreadable": 25, "uncaptioned": 6, "bad caption": 1}
    assert len(found["quarantine"]) == 25
    assert found["paired"] is None
    assert found["bytes"] == sum(p.stat().st_size for p in folder.glob("*.png"))
    assert {f.code for f in findings_of(parts)} == {"DAT003", "DAT006", "DAT007"}
    assert all(f.level == "warn" for f in findings_of(parts))


def test_pairs_are_part_of_the_funnel(tmp_path: Path) -> None:
    """Samples without a mask are lost at their own stage."""
    folder = make_folder(tmp_path / "set", 4)
    masks = tmp_path / "masks"
    masks.mkdir()
    for name in ("p000.png", "p002.png"):
        Image.new("L", (64, 64), 255).save(masks / name)
    path = job(
        tmp_path / "job.json",
        {"id": "a", "path": str(folder), "conditioning": [{"dataset": "m"}]},
        {"id": "m", "path": str(masks), "role": "mask"},
    )
    _, parts = looked(path, resolution=None)
    found = scan_document(parts)["datasets"]
    assert (found[0]["captioned"], found[0]["paired"], found[0]["used"]) == (4, 2, 2)
    assert found[1]["used"] == 2


def test_stats_count_sizes_shapes_words_and_bytes(folder: Path) -> None:
    """The latents of five pictures at 256 px²: exactly their tensors and a little for the index."""
    subject, parts = looked(folder, "data.missing_caption=empty")
    stats = stats_document(subject, parts)
    (one,) = stats["datasets"]
    assert (one["found"], one["used"], one["formats"]) == (12, 12, {"png": 12})
    assert one["width"] == {"min": 256.0, "median": 384.0, "mean": 384.0, "max": 512.0}
    assert one["sizes"] == [{"label": "256-384 px", "count": 12}]
    assert [(b["label"], b["count"]) for b in one["aspects"] if b["count"]] == [
        ("1:1", 6),
        ("16:9", 6),
    ]
    assert (one["caption_words"][0], one["enlarged"]) == ({"label": "0", "count": 7}, 0)
    table = parts[0].table
    pixels = sum(int(np.prod(table.placement(row).target)) for row in range(len(table)))
    tensors = pixels // 64 * 4 * 4
    assert 0 < stats["total"]["cache_bytes"] - tensors < 1000 * len(table)
    assert stats["total"]["text_cache_bytes"] is None, "the model is not there"


def test_cache_size_follows_the_settings(folder: Path) -> None:
    """Half in bf16, double with the spread, and once for every crop that is kept."""

    def size(*overrides: str) -> int:
        subject, parts = looked(folder, "data.missing_caption=empty", *overrides)
        return stats_document(subject, parts)["total"]["cache_bytes"]

    plain = size()
    crops = ["data.defaults.crop.position=random", "data.defaults.crop.variants=3"]
    assert size('cache.dtype="bf16"') == pytest.approx(plain / 2, rel=0.1)
    assert size('cache.latents="distribution"') == pytest.approx(plain * 2, rel=0.1)
    assert size(*crops) == pytest.approx(plain * 3, rel=0.01)


def test_text_cache_is_told_for_a_local_model(tiny_model, folder: Path) -> None:
    """Different captions, once each, by the widths in the model's own configuration."""
    subject, parts = looked(folder, f'model.path="{tiny_model("sdxl")}"')
    told = stats_document(subject, parts)["total"]["text_cache_bytes"]
    captions = {c for row in range(5) for c in parts[0].table.captions(row)}
    assert told
    assert told % len(captions) == 0


@pytest.mark.parametrize(
    ("family", "tokens", "width"),
    [("flux2", 32, 16 * 3), ("hidream", 32, 32 * 3 + 16 * 32), ("omnigen", None, 0)],
)
def test_text_cache_counts_what_is_kept(family, tokens, width, tiny_model, folder: Path) -> None:
    """Three states of one of two encoders, thirty-two of Llama, next to nothing for ids."""
    more = [f"model.max_tokens={tokens}"] if tokens else []
    of = [f'model.family="{family}"', f'model.path="{tiny_model(family)}"']
    subject, parts = looked(folder, *of, *more)
    captions = {c for row in range(5) for c in parts[0].table.captions(row)}
    told = stats_document(subject, parts)["total"]["text_cache_bytes"]
    assert told == len(captions) * (tokens or 0) * width * 4  # bytes of a number


def test_bucket_numbers_are_those_of_training(folder: Path) -> None:
    """Samples, batches, leftovers; the sum is what the sampler really draws in its first epoch."""
    subject, parts = looked(
        folder, "data.missing_caption=empty", "train.batch_size=4", "train.epochs=3"
    )
    document, findings = buckets_document(subject, parts)
    rows = {b["bucket"]: (b["samples"], b["batches"], b["left"]) for b in document["buckets"]}
    assert rows == {"256x256": (6, 1, 2), "384x192": (6, 1, 2)}
    assert findings == []
    sampler = make_sampler(train_plan(parts), subject.config)
    assert document["epoch"]["batches"] == sampler.micro_steps_until(1)
    assert document["epoch"]["steps_of_run"] == sampler.steps_until(3)
    assert "4 draws are carried into the next epoch" in document["epoch"]["shown"]


@pytest.mark.parametrize("leftover", ["carry", "drop", "pad", "merge"])
@pytest.mark.parametrize("repeats", [1, 3])
def test_first_epoch_for_every_leftover(folder: Path, tmp_path: Path, leftover, repeats) -> None:
    """The arithmetic shown equals the sampler's for each policy and with repeats."""
    data = {"id": "a", "path": str(folder), "repeats": repeats, "leftover": leftover}
    path = job(tmp_path / "job.json", data, data={"missing_caption": "empty"})
    subject, parts = looked(path, "train.batch_size=4", "train.accumulate=2", resolution=None)
    document, _ = buckets_document(subject, parts)
    sampler = make_sampler(train_plan(parts), subject.config)
    assert document["epoch"]["batches"] == sampler.micro_steps_until(1)
    assert document["epoch"]["steps"] == sampler.steps_until(1)


def test_batch_sizes_of_datasets_count(folder: Path, tmp_path: Path) -> None:
    """A dataset with its own batch size is divided by it."""
    data = {"id": "a", "path": str(folder), "batch_size": 3}
    path = job(tmp_path / "job.json", data, data={"missing_caption": "empty"})
    subject, parts = looked(path, "train.batch_size=4", resolution=None)
    document, _ = buckets_document(subject, parts)
    assert [(b["batch_size"], b["batches"]) for b in document["buckets"]] == [(3, 2), (3, 2)]


def test_nothing_to_train_on_is_said(tmp_path: Path) -> None:
    """An empty folder, and leftovers that are all dropped."""
    (tmp_path / "none").mkdir()
    document, _ = buckets_document(*looked(tmp_path / "none"))
    assert document["epoch"]["shown"] == ["nothing to train on"]
    few = make_folder(tmp_path / "few", 2)
    path = job(tmp_path / "job.json", {"id": "a", "path": str(few), "leftover": "drop"})
    subject, parts = looked(path, "train.batch_size=8", "train.steps=5", resolution=None)
    document, _ = buckets_document(subject, parts)
    assert "nothing is trained" in document["epoch"]["shown"][-1]


def test_captions_are_counted_once_for_each_sample(folder: Path) -> None:
    """Words and tags by the captions that hold them, repetitions, the longest, the limit."""
    (folder / "p001.txt").write_text("cat, cat, a red mat, cat\n")
    for name in ("p002.txt", "p003.txt"):
        (folder / name).write_text("a red apple 3\n")
    subject, parts = looked(folder)
    (one,) = captions_document(subject, parts)["datasets"]
    assert (one["samples"], one["missing"], one["unusable"]) == (5, 6, 1)
    words = {entry["text"]: entry["count"] for entry in one["top_words"]}
    assert words["cat"] == 1
    assert {e["text"]: e["count"] for e in one["top_tags"]} == {"cat": 1, "a red mat": 1}
    assert one["repeated"] == [{"caption": "a red apple 3", "count": 2}]
    assert (one["token_limit"], one["tokens_exact"], one["over_limit"]) == (77, False, 0)


def test_a_filter_keeps_the_captions_that_hold_it(folder: Path) -> None:
    """Whatever the case."""
    subject, parts = looked(folder)
    (one,) = captions_document(subject, parts, pattern="BLUE")["datasets"]
    assert one["captions"] == 4
    assert all("blue" in entry["caption"] for entry in one["longest"])


def test_words_and_tags() -> None:
    """Apostrophes and hyphens belong to words; empty tags are none."""
    assert words_of("It’s a well-known DOG, isn't_it") == [
        *("it’s", "a", "well-known", "dog", "isn't", "it"),
    ]
    assert tags_of(" a  b ,, c, ") == ["a b", "c"]


def test_preview_draws_by_seed_and_finds_by_name(folder: Path, tmp_path: Path) -> None:
    """The same seed shows the same samples; box and bucket are those of the table."""
    subject, parts = looked(folder)

    def names(**options) -> list[str]:
        document = preview_document(subject, parts, quiet(), **options)
        return [sample["path"] for sample in document["samples"]]

    assert names(count=3) == names(count=3)
    assert {tuple(names(count=3, seed=s)) for s in range(6)} != {tuple(names(count=3))}
    assert names(count=1, only=["p00[24].png", "*5.png"]) == ["p002.png", "p004.png", "p005.png"]
    with pytest.raises(DataError, match=r"zzz\.png"):
        names(count=1, only=["zzz.png"])
    document = preview_document(
        subject, parts, quiet(), count=1, only=["p001.png"], out=tmp_path / "a" / "s.png", thumbs=20
    )
    (sample,) = document["samples"]
    placement = parts[0].table.placement(0)
    assert sample["bucket"] == list(placement.target)
    assert sample["box"] == [
        round(placement.left / placement.resize[0], 4),
        0.0,
        *sample["box"][2:],
    ]
    assert (sample["thumb"]["width"], sample["thumb"]["height"]) == (20, 10)
    with Image.open(tmp_path / "a" / "s.png") as sheet:
        assert sheet.format == "PNG"


def test_histograms_name_their_classes() -> None:
    """Edges belong to the class above; empty ends are cut, gaps are not."""
    bars = histogram(np.array([1, 5, 5, 30]), (1, 5, 10, 20), ("0", "1-4", "5-9", "10-19", "20+"))
    assert [(b["label"], b["count"]) for b in bars] == [
        *(("1-4", 1), ("5-9", 2), ("10-19", 0), ("20+", 1)),
    ]
    assert histogram(np.array([]), (1,), ("a", "b")) == []
    assert summary(np.array([])) is None


def test_progress_is_throttled_and_a_stop_is_heard() -> None:
    """The end always comes through; after a stop the next tick raises."""
    lines: list[str] = []
    watch = Watch(lines.append)
    for done in range(1000):
        watch.tick("reading", done, 999)
    events = [json.loads(line) for line in lines]
    assert len(events) < 50
    assert events[-1] == {"kind": "data.progress", "stage": "reading", "done": 999, "total": 999}
    watch.stop = True
    with pytest.raises(Preempted):
        watch.tick("reading", 1)


@pytest.mark.parametrize("action", ["scan", "stats", "buckets", "captions", "lint", "preview"])
def test_looking_at_pictures_loads_no_torch(folder: Path, action: str) -> None:
    """So it starts at once, also where torch is not installed."""
    code = (
        "import sys; sys.modules['torch'] = None; from trainer.__main__ import main; "
        f"sys.exit(main(['data', {action!r}, {str(folder)!r}]))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, timeout=120)
    assert done.returncode == 0, done.stderr.decode()
    assert json.loads(done.stdout)["schema"] == f"data-{action}/1"
