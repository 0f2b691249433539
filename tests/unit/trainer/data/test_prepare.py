"""Preparing a job: what is encoded again and what is not, and what bad input leads to."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from tests.support.fake_family import FakeFamily, job
from tests.support.pictures import make_folder
from trainer import faults
from trainer.cache import build
from trainer.config.schema.root import JobConfig
from trainer.data.prepare import Prepared, eval_batches, prepare, steps_in_epochs
from trainer.errors import ConfigError, DataError, Preempted, TrainerError

SIZES = ((64, 64), (128, 64))


class Events(list[tuple[str, dict[str, Any]]]):
    def __call__(self, kind: str, **fields: Any) -> None:
        self.append((kind, fields))

    def findings(self) -> list[tuple[str, str]]:
        found = [f["finding"] for k, f in self if k == "finding"]
        return [(f["code"], f["level"]) for f in found if f["level"] != "info"]


def run(config: JobConfig, family: FakeFamily | None = None, events: Events | None = None):
    """(prepared, family after it)"""
    family = family or FakeFamily()
    events = Events() if events is None else events
    made = prepare(config, family, on_event=events, should_stop=lambda: False)
    return made, family


def dataset(root: Path, name: str = "a", **more: Any) -> dict[str, Any]:
    return {"id": name, "path": str(root / name)} | more


@pytest.fixture
def root(tmp_path: Path) -> Path:
    make_folder(tmp_path / "a", 10, sizes=SIZES)
    return tmp_path


def latents(prepared: Prepared, family: FakeFamily) -> dict[str, torch.Tensor]:
    reader, set_a = prepared.reader(family), prepared.plan_train.dataset(0)
    return {
        Path(i.relpath).name: reader.batch([i], [0], [i.captions[0]], set_a).latents[0]
        for i in prepared.plan_train.items()
    }


# --- what is encoded -------------------------------------------------------------------------


def test_first_start_encodes_everything_second_nothing(root):
    """Warm start: no encoder is loaded, the plan is the same, the phases are told."""
    events = Events()
    first, family = run(job(root, dataset(root)), events=events)
    assert family.num_pictures == 10
    assert family.loaded == set()
    phases = [(f["phase"], f["state"]) for k, f in events if k == "phase"]
    assert phases == [("scan", "begin"), ("scan", "end"), ("cache", "begin"), ("cache", "end")]
    done = [f for k, f in events if k == "cache.progress" and f["store"] == "latents"]
    assert (done[-1]["done"], done[-1]["total"]) == (10, 10)
    second, warm = run(job(root, dataset(root)))
    assert not warm.loads
    assert second.plan_train.plan_hash == first.plan_train.plan_hash


DRAWN = {"validation": {"prompts": ["x"], "resolution": "256px2"}}


@pytest.mark.parametrize(
    ("largest", "sections", "places"),
    [
        (256, DRAWN, []),
        (128, {"validation": {"resolution": "256px2"}}, []),  # nothing is drawn
        (128, DRAWN, ["validation.resolution"]),
        (64, {}, ["data.datasets"]),
        (64, DRAWN, ["data.datasets", "validation.resolution"]),
    ],
)
def test_sizes_beyond_the_positions_of_the_checkpoint(root, largest, sections, places):
    """Told before anything is encoded, with the places that ask for too much."""
    family = FakeFamily()
    family.largest_side = largest
    if not places:
        run(job(root, dataset(root), **sections), family)
        return
    with pytest.raises(ConfigError, match="CFG200") as caught:
        run(job(root, dataset(root), **sections), family)
    assert [f.where for f in caught.value.findings] == places
    if "data.datasets" in places:
        assert "1 of 2 training sizes" in str(caught.value)
    assert not family.loads


def test_training_options_do_not_encode_again(root):
    """Rate, batch size, rank, seed, repeats and name of the dataset leave the cache valid."""
    run(job(root, dataset(root)))
    shutil.copytree(root / "a", root / "moved", copy_function=shutil.copy)
    config = job(
        root,
        dataset(root, "moved", repeats=3, leftover="pad"),
        job={"seed": 7},
        train={"steps": 5, "batch_size": 4},
        optimizer={"lr": 0.5},
        adapter={"rank": 2},
    )
    assert not run(config)[1].loads


@pytest.mark.parametrize(
    ("change", "pictures", "captions"),
    [
        ({"defaults": {"resolution": "128px2"}}, 10, 0),
        ({"defaults": {"resolution": "64px2", "crop": {"aspect": "square"}}}, 5, 0),
        ({"defaults": {"resolution": "64px2", "crop": {"position": "corner"}}}, 0, 0),
        ({"defaults": {"resolution": "64px2"}, "background": "000000"}, 10, 0),
        ({"defaults": {"resolution": "64px2", "caption": {"source": "filename"}}}, 0, 10),
        ({"defaults": {"resolution": "64px2", "caption": {"dropout": 0.1}}}, 0, 1),
        ({"defaults": {"resolution": "64px2", "caption": {"filters": ["apple"]}}}, 0, 10),
        ({"defaults": {"resolution": "64px2", "caption": {"template": "x {caption}"}}}, 0, 14),
    ],
)
def test_a_change_encodes_exactly_what_it_shapes(root, change, pictures, captions):
    """Geometry, background and captions each touch their own entries only."""
    run(job(root, dataset(root)))
    _, family = run(job(root, dataset(root), data=change))
    assert (family.num_pictures, len(family.captions)) == (pictures, captions)


@pytest.mark.parametrize("which", ["vae", "text"])
def test_another_encoder_encodes_its_own_part_again(root, which):
    """New weights of one encoder leave the other's cache alone."""
    run(job(root, dataset(root)))
    _, family = run(job(root, dataset(root)), FakeFamily(**{which: "new"}))
    assert set(family.loads) == {which}


def test_one_edited_caption_costs_one_text(root):
    """B08 acceptance 5: one encode of text, none of pictures."""
    run(job(root, dataset(root)))
    (root / "a" / "p003.txt").write_text("a yellow apple 3\nan altogether new thing\n")
    _, family = run(job(root, dataset(root)))
    assert family.captions == ["an altogether new thing"]
    assert family.num_pictures == 0


def test_one_replaced_picture_costs_one_latent(root):
    """New bytes under an old name are encoded, the others are not."""
    run(job(root, dataset(root)))
    Image.new("RGB", (64, 64), (1, 2, 3)).save(root / "a" / "p003.png")
    assert run(job(root, dataset(root)))[1].num_pictures == 1


def test_moved_and_renamed_folder_costs_nothing(root):
    """B08 acceptance 4, with random crops too: names and places are no part of a key."""
    crop = {"defaults": {"resolution": "64px2", "crop": {"position": "random"}}}
    run(job(root, dataset(root), data=crop))
    os.rename(root / "a", root / "b")
    os.rename(root / "b" / "p000.png", root / "b" / "renamed.png")
    os.rename(root / "b" / "p000.txt", root / "b" / "renamed.txt")
    assert not run(job(root, dataset(root, "b"), data=crop))[1].loads


def test_two_files_of_one_stem_are_two_samples(root):
    """a.png and a.jpg share the caption file and nothing else."""
    Image.new("RGB", (64, 64), (9, 9, 9)).save(root / "a" / "p000.jpg")
    made, family = run(job(root, dataset(root)))
    assert len(latents(made, family)) == 11
    assert not torch.equal(latents(made, family)["p000.jpg"], latents(made, family)["p000.png"])


def test_copies_are_encoded_once_and_trained_each(root):
    """The cache stores one latent for equal bytes; the plan holds both."""
    shutil.copy(root / "a" / "p000.png", root / "a" / "copy.png")
    shutil.copy(root / "a" / "p000.txt", root / "a" / "copy.txt")
    made, family = run(job(root, dataset(root)))
    assert family.num_pictures == 10
    assert len(made.plan_train) == 11


# --- bad input -------------------------------------------------------------------------------


def spoil(path: Path, how: str) -> None:
    data = path.read_bytes()
    path.write_bytes({"empty": b"", "cut": data[: len(data) * 2 // 3], "foreign": b"hello"}[how])


@pytest.mark.parametrize("how", ["empty", "cut", "foreign"])
def test_one_bad_picture_of_fifty_is_one_finding(tmp_path, how):
    """B08 acceptance 8: 49 are cached, the others keep their own latents, one finding names it."""
    make_folder(tmp_path / "a", 50, sizes=SIZES)
    make_folder(tmp_path / "whole" / "a", 50, sizes=SIZES)
    spoil(tmp_path / "a" / "p007.png", how)
    events = Events()
    made, family = run(job(tmp_path, dataset(tmp_path)), events=events)
    assert events.findings() == [("DAT003", "warn")]
    assert "p007.png" in next(f["finding"]["message"] for k, f in events if k == "finding")
    assert made.funnels["a"].used == len(made.plan_train) == 49
    without = tmp_path / "whole"
    os.unlink(without / "a" / "p007.png")
    expected = latents(*run(job(without, dataset(without))))
    found = latents(made, family)
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[name], expected[name]) for name in expected)


@pytest.mark.parametrize("how", ["empty", "cut"])
def test_bad_picture_is_remembered_until_it_is_mended(tmp_path, how):
    """The second start loads no encoder for it, reports it again, and has the same plan."""
    make_folder(tmp_path / "a", 10)
    good = (tmp_path / "a" / "p007.png").read_bytes()
    spoil(tmp_path / "a" / "p007.png", how)
    first, _ = run(job(tmp_path, dataset(tmp_path)))
    events = Events()
    second, family = run(job(tmp_path, dataset(tmp_path)), events=events)
    assert not family.loads
    assert events.findings() == [("DAT003", "warn")]
    assert second.plan_train.plan_hash == first.plan_train.plan_hash
    (tmp_path / "a" / "p007.png").write_bytes(good)
    assert len(run(job(tmp_path, dataset(tmp_path)))[0].plan_train) == 10


def test_picture_replaced_between_scan_and_encoding_is_not_kept_under_the_old_name(root):
    """Other bytes of the same size: the run ends, the next one encodes what is there."""

    class Replacing(FakeFamily):
        def load(self, which: str) -> None:
            if which == "text":
                path = root / "a" / "p003.png"
                data = bytearray(path.read_bytes())
                data[-1] ^= 1  # after the picture: it still decodes
                path.write_bytes(data)
            super().load(which)

    with pytest.raises(DataError, match="replaced since it was indexed") as error:
        run(job(root, dataset(root)), Replacing())
    assert error.value.finding.code == "DAT003"
    assert len(run(job(root, dataset(root)))[0].plan_train) == 10


def test_max_samples_does_not_move_when_a_picture_turns_out_bad(tmp_path):
    """A picture found broken while encoding is not replaced by another at the next start."""
    make_folder(tmp_path / "a", 12)
    first, _ = run(job(tmp_path, dataset(tmp_path, max_samples=6)))
    victim = tmp_path / "a" / next(first.plan_train.items()).relpath
    spoil(victim, "cut")
    config = job(tmp_path, dataset(tmp_path, max_samples=6))
    second, third = run(config)[0], run(config)[0]
    assert len(second.plan_train) == len(third.plan_train) == 5
    assert second.plan_train.plan_hash == third.plan_train.plan_hash


def test_latent_that_is_not_finite_is_left_out(root):
    """An encoder that answers NaN for one picture costs that picture, with its own code."""
    Image.new("RGB", (64, 64), (0, 0, 0)).save(root / "a" / "p000.png")
    events = Events()
    made, _ = run(job(root, dataset(root)), events=events)
    assert events.findings() == [("DAT101", "warn")]
    assert len(made.plan_train) == 9


def test_on_corrupt_fail_ends_the_run_for_a_picture_that_does_not_decode(root):
    """The decoder's verdict counts like the header's."""
    spoil(root / "a" / "p000.png", "cut")
    config = job(root, dataset(root), data={"on_corrupt": "fail"})
    with pytest.raises(DataError) as error:
        run(config)
    assert error.value.finding.code == "DAT003"
    assert error.value.exit_code == 65


@pytest.mark.parametrize(
    ("prepare_folder", "code"),
    [
        (lambda folder: shutil.rmtree(folder), "DAT001"),
        (lambda folder: [p.unlink() for p in folder.iterdir()], "DAT002"),
        (lambda folder: [spoil(p, "empty") for p in sorted(folder.glob("*.png"))[:3]], "DAT004"),
        (lambda folder: (folder / "p001.txt").unlink(), "DAT006"),
        (lambda folder: (folder / "p001.txt").write_text("\n"), "DAT007"),
    ],
)
def test_bad_folder_is_a_data_error_that_says_what_to_do(root, prepare_folder, code):
    """Missing, empty, mostly broken, without captions: exit 65, code, place and remedy."""
    prepare_folder(root / "a")
    with pytest.raises(DataError) as error:
        run(job(root, dataset(root)))
    problem = error.value.finding
    assert (problem.code, error.value.exit_code) == (code, 65)
    assert str(root / "a") in problem.where
    assert problem.fix


def test_unusable_cache_folder_is_a_finding(root):
    """A file where the cache should be, or a damaged database: DAT103 with the place."""
    (root / "cache").write_text("")
    with pytest.raises(TrainerError) as error:
        run(job(root, dataset(root)))
    assert error.value.finding.code == "DAT103"
    (root / "cache").unlink()
    (root / "cache").mkdir()
    (root / "cache" / "cache.db").write_bytes(b"no database" * 1000)
    with pytest.raises(TrainerError) as error:
        run(job(root, dataset(root)))
    assert error.value.finding.code == "DAT103"
    assert str(root / "cache") in error.value.finding.where


@pytest.mark.parametrize("point", ["cache.before_shard@2", "index.after_commit@1"])
def test_full_disk_keeps_what_is_done(root, monkeypatch, point):
    """ENOSPC while caching: DAT102, and the next start encodes only the rest."""
    monkeypatch.setattr(build, "FLUSH_BYTES", 0)
    monkeypatch.setattr(faults, "_spec", f"{point}=enospc")
    monkeypatch.setattr(faults, "_passes", {})
    with pytest.raises(TrainerError) as error:
        run(job(root, dataset(root)))
    assert error.value.finding.code == "DAT102"
    _, family = run(job(root, dataset(root)))
    assert family.num_pictures == 10
    # the second group fails once, while the third is encoded; both are written when the build ends
    assert len(family.captions) == (14 - 9 if "shard" in point else 14)


@pytest.mark.parametrize(("policy", "count"), [("skip", 9), ("filename", 10), ("empty", 10)])
def test_missing_caption_policies(root, policy, count):
    """Policies other than fail train on."""
    (root / "a" / "p001.txt").unlink()
    made, family = run(job(root, dataset(root), data={"missing_caption": policy}))
    assert len(made.plan_train) == count
    assert ("p001" in family.captions) == (policy == "filename")


@pytest.mark.parametrize("after", [0, 1, 3, 6])
def test_stop_request_ends_with_75_and_the_next_start_goes_on(root, after):
    """Asked to stop anywhere in the preparation: Preempted, nothing lost."""
    left = iter([False] * after)
    family = FakeFamily()
    with pytest.raises(Preempted) as error:
        prepare(
            job(root, dataset(root)),
            family,
            on_event=Events(),
            should_stop=lambda: next(left, True),
        )
    assert error.value.exit_code == 75
    assert family.loaded == set()
    _, second = run(job(root, dataset(root)))
    assert family.num_pictures + second.num_pictures == 10


# --- what the loop asks for ------------------------------------------------------------------


def test_validation_texts_are_ready_without_encoders(root):
    """Prompts and the negative prompt are encoded with the captions."""
    validation = {"prompts": ["a red car", "a boat"], "negative": "blurry"}
    made, _ = run(job(root, dataset(root), validation=validation))
    assert [d.prompt for d in made.drawings] == ["a red car", "a boat"]
    texts = [made.drawings[0].text, made.drawings[1].text, made.drawings[0].negative]
    embeds = [entry["embeds"][0].tolist() for entry in texts]
    assert embeds == [FakeFamily.embed(t).tolist() for t in ("a red car", "a boat", "blurry")]
    assert made.sample_size == (64, 64)


@pytest.mark.parametrize("apart", [False, True])
def test_a_negative_prompt_may_be_worded_otherwise(root, apart):
    """What is both caption and negative has two entries where the family tells them apart, and
    one where it does not; a second start finds all of them."""
    validation = {"prompts": ["blurry"], "negative": "blurry"}
    config = job(root, dataset(root), validation=validation)
    family = FakeFamily()
    family.apart = apart
    made, _ = run(config, family)
    (drawing,) = made.drawings
    same = torch.equal(drawing.text["embeds"], drawing.negative["embeds"])
    assert same is not apart
    assert family.captions.count("blurry") == 1
    assert family.captions.count("not blurry") == apart
    again = FakeFamily()
    again.apart = apart
    run(config, again)
    assert again.captions == []


def test_eval_batches_are_always_the_same_and_from_every_bucket(root):
    """Chosen by hash, first captions, no dropout, at most the asked number."""
    make_folder(root / "held", 12, sizes=SIZES, seed=5)
    config = job(root, dataset(root), dataset(root, "held", role="eval"), eval={"samples": 7})
    made, family = run(config)
    one, two = (list(eval_batches(made, family, config)) for _ in range(2))
    assert sum(len(b.sample_ids) for b in one) == 7
    assert len({b.latents.shape[1:] for b in one}) == 2
    assert [b.sample_ids for b in one] == [b.sample_ids for b in two]
    assert all(torch.equal(a.latents, b.latents) for a, b in zip(one, two, strict=True))
    assert made.plan_train.plan_hash != made.plan_eval.plan_hash


def test_no_eval_dataset_is_an_empty_plan(root):
    """Without evaluation data the plan is false and there are no batches."""
    config = job(root, dataset(root))
    made, family = run(config)
    assert not made.plan_eval
    assert list(eval_batches(made, family, config)) == []


def test_steps_in_epochs(root):
    """Ten samples twice in batches of two with accumulation: whole optimiser steps, rounded up."""
    config = job(root, dataset(root, repeats=2), train={"epochs": 1, "batch_size": 2})
    made, _ = run(config)
    assert steps_in_epochs(made, config, 1) == 10
    more = config.train.model_copy(update={"accumulate": 4})
    assert steps_in_epochs(made, config.model_copy(update={"train": more}), 1) == 3


# --- overlays and merged buckets ---------------------------------------------------------------


def test_overlay_leaves_out_and_replaces_without_touching_the_folder(root):
    """The named picture is not trained on, the named caption is another; files stay as they are."""
    before = {p.name: p.read_bytes() for p in (root / "a").iterdir()}
    overlay = root / "second-thoughts.toml"
    overlay.write_text(
        '[exclude]\n"p002.png" = "blurred"\n[captions]\n"p003.png" = ["one", "two"]\n'
        '[exclude."nowhere.png"]\n'.replace('[exclude."nowhere.png"]\n', "")
    )
    family, events = FakeFamily(), Events()
    made, _ = run(job(root, dataset(root, overlay=str(overlay))), family, events)
    items = {item.relpath: item for item in made.plan_train.items()}
    assert len(items) == 9
    assert "p002.png" not in items
    assert items["p003.png"].captions == ("one", "two")
    assert {"one", "two"} <= set(family.captions)
    assert made.funnels["a"].lost["excluded"].examples == [("p002.png", "blurred")]
    assert {p.name: p.read_bytes() for p in (root / "a").iterdir()} == before
    plain, _ = run(job(root, dataset(root)))
    assert plain.plan_train.plan_hash != made.plan_train.plan_hash


def test_overlay_with_unknown_names_is_told(root):
    """A name that matches nothing is a slip, and said."""
    overlay = root / "o.toml"
    overlay.write_text('[exclude]\n"p02.png" = ""\n')
    events = Events()
    run(job(root, dataset(root, overlay=str(overlay))), events=events)
    assert [level for _, level in events.findings()] == ["warn"]


def test_merged_buckets_train_in_the_nearest_shape(tmp_path):
    """A slightly wide picture among square ones is cut to their shape; a very wide one waits."""
    make_folder(tmp_path / "a", 6, sizes=((64, 64),))
    Image.new("RGB", (76, 64), (200, 10, 10)).save(tmp_path / "a" / "odd.png")
    (tmp_path / "a" / "odd.txt").write_text("an odd one")
    Image.new("RGB", (300, 64), (10, 10, 200)).save(tmp_path / "a" / "far.png")
    (tmp_path / "a" / "far.txt").write_text("a far one")
    geometry = {"data": {"align": 4}}
    carried, _ = run(job(tmp_path, dataset(tmp_path), **geometry))
    assert sorted(p.rows for p in carried.plan_train.pools) == [1, 1, 6]
    events = Events()
    merged, _ = run(job(tmp_path, dataset(tmp_path, leftover="merge"), **geometry), events=events)
    assert sorted(p.rows for p in merged.plan_train.pools) == [1, 7]
    odd = next(i for i in merged.plan_train.items() if i.relpath == "odd.png")
    assert odd.placement.target == (64, 64)
    told = [f["finding"] for kind, f in events if kind == "finding"]
    assert [f["code"] for f in told if f["code"] == "DAT064"] == ["DAT064"]
