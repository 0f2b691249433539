"""Golden results: what entries of a dataset file become."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.unit.trainer.config.importers.conftest import (
    PICTURES,
    Run,
    codes,
    job,
    notes,
    options,
    statuses,
)


class Case(NamedTuple):
    name: str
    entry: dict[str, Any]
    dataset: dict[str, Any]
    keys: dict[str, str] = {}  # noqa: RUF012
    run: dict[str, Any] = {}  # noqa: RUF012
    defaults: dict[str, Any] = {}  # noqa: RUF012


CASES = [
    Case("folder", {}, {"id": "pictures", "path": "pictures", "source": None}),
    Case(
        "id with other letters",
        {"id": "my set / 1"},
        {"id": "my-set-1"},
        keys={"id": "approximated"},
    ),
    Case("repeats count further passes", {"repeats": 9}, {"repeats": 10}),
    Case("no further passes", {"repeats": "0"}, {"repeats": 1}),
    Case(
        "never drawn from",
        {"probability": 0},
        {"enabled": False, "weight": None},
        keys={"probability": "mapped"},
    ),
    Case(
        "odds change only the order",
        {"probability": 0.25},
        {"enabled": None, "weight": None},
        keys={"probability": "approximated"},
    ),
    Case("disabled", {"disabled": "true"}, {"enabled": False}),
    Case("own batch", {"train_batch_size": "2"}, {"batch_size": 2}),
    Case(
        "schedule",
        {"start_step": 101, "end_step": 500, "start_epoch": 1},
        {"active": {"from_step": 100, "to_step": 500}},
        keys={"start_epoch": "ignored", "start_step": "mapped"},
    ),
    Case("prior", {"is_regularisation_data": True}, {"role": "prior"}),
    Case("slider", {"slider_strength": -1}, {"slider": -1.0}),
    Case("moved times", {"timestep_sampling_offset": 0.5}, {"timestep_offset": 0.5}),
    Case(
        "moved times of another density",
        {"timestep_sampling_offset": 0.5},
        {"timestep_offset": None},
        run={"flow_use_uniform_schedule": True},
        keys={"timestep_sampling_offset": "ignored"},
    ),
    Case(
        "subset",
        {"max_num_samples": 50},
        {"max_samples": 50},
        keys={"max_num_samples": "approximated"},
    ),
    # --- sizes
    Case("by the square", {"resolution": 768}, {"resolution": "768px2"}),
    Case(
        "by megapixels",
        {"resolution": 0.5, "resolution_type": "area"},
        {"resolution": "0.5mp"},
    ),
    Case(
        "by the short edge",
        {"resolution": 512, "resolution_type": "pixel"},
        {"resolution": "512px"},
    ),
    Case(
        "size of the run in its own unit",
        {"resolution_type": "pixel"},
        {"resolution": "640px"},
        run={"resolution": 640, "resolution_type": "pixel_area"},
        defaults={"resolution": "640px2"},
    ),
    Case(
        "crop off",
        {"crop": False, "crop_style": "random"},
        {"crop": None},
        keys={"crop": "mapped", "crop_style": "ignored"},
    ),
    Case("crop on", {"crop": True}, {"crop": {"position": "random", "aspect": "square"}}),
    Case(
        "crop in the middle",
        {"crop": True, "crop_style": "centre", "crop_aspect": "preserve"},
        {"crop": {"position": "center", "aspect": "preserve"}},
    ),
    Case(
        "listed shapes with weights",
        {
            "crop": True,
            "crop_style": "face",
            "crop_aspect": "random",
            "crop_aspect_buckets": [
                {"aspect_ratio": 1.0, "weight": 0.75},
                {"aspect": 0.5, "weight": 0.25},
            ],
        },
        {
            "crop": {
                "position": "face",
                "aspect": "random",
                "aspects": [1.0, 0.5],
                "weights": [0.75, 0.25],
            }
        },
    ),
    Case(
        "least edge",
        {"minimum_image_size": 512, "resolution_type": "pixel"},
        {"min_size": 512},
        keys={"minimum_image_size": "mapped"},
    ),
    Case(
        "least area as an edge",
        {"minimum_image_size": 0.5, "resolution": 1.0, "resolution_type": "area"},
        {"min_size": 707},
        keys={"minimum_image_size": "approximated"},
    ),
    Case(
        "least area of a square",
        {"minimum_image_size": 0.25, "resolution_type": "area", "resolution": 1, "crop": True},
        {"min_size": 500},
        keys={"minimum_image_size": "mapped"},
    ),
    Case(
        "limits of shape",
        {"minimum_aspect_ratio": 0.5, "maximum_aspect_ratio": 2},
        {"min_aspect": 0.5, "max_aspect": 2.0},
    ),
    Case(
        "downsampling",
        {
            "crop": True,
            "maximum_image_size": 2.0,
            "target_downsample_size": 1.5,
            "resolution": 1.0,
            "resolution_type": "area",
        },
        {"downsample": {"above": "2mp", "to": "1.5mp"}},
        keys={"maximum_image_size": "approximated"},
    ),
    Case(
        "downsampling without crop",
        {"maximum_image_size": 2048, "target_downsample_size": 1536},
        {"downsample": None},
        keys={"maximum_image_size": "ignored"},
    ),
    Case(
        "least size of the run",
        {"resolution_type": "pixel", "resolution": 512},
        {"min_size": 256},
        run={"minimum_image_size": 256},
    ),
    # --- captions
    Case(
        "file names by default",
        {"caption_strategy": None},
        {"caption": None},
        defaults={"caption": {"source": "filename", "dropout": 0.1}},
    ),
    Case(
        "one prompt",
        {"caption_strategy": "instanceprompt", "instance_prompt": "a photo of sks"},
        {},
        defaults={
            "caption": {"source": "instanceprompt", "prompt": "a photo of sks", "dropout": 0.1}
        },
    ),
    Case(
        "prompt of the run in front",
        {},
        {},
        run={
            "instance_prompt": "sks, ",
            "prepend_instance_prompt": True,
            "caption_dropout_probability": 0,
        },
        defaults={
            "caption": {"source": "textfile", "prompt": "sks, ", "prepend": True, "dropout": 0.0}
        },
    ),
    Case(
        "prompt without effect",
        {"instance_prompt": "sks"},
        {},
        keys={"instance_prompt": "ignored"},
        defaults={"caption": {"source": "textfile", "dropout": 0.1}},
    ),
    Case(
        "only the prompt",
        {"instance_prompt": ["a", "b"], "only_instance_prompt": True},
        {},
        defaults={"caption": {"source": "instanceprompt", "prompt": ["a", "b"], "dropout": 0.1}},
    ),
    Case(
        "whole files as captions",
        {"disable_multiline_split": True},
        {},
        defaults={"caption": {"source": "textfile", "split_lines": False, "dropout": 0.1}},
    ),
    Case(
        "shuffled tags",
        {
            "caption_shuffle": {
                "enable": True,
                "count": 3,
                "seed": 1,
                "split_on": "comma",
                "position_start": 2,
                "include_original": False,
            }
        },
        {},
        keys={"caption_shuffle.count": "mapped", "caption_shuffle.seed": "ignored"},
        defaults={
            "caption": {
                "source": "textfile",
                "shuffle": {
                    "variants": 3,
                    "separator": "comma",
                    "keep": 2,
                    "include_original": False,
                },
                "dropout": 0.1,
            }
        },
    ),
    # --- other places
    Case(
        "bucket",
        {
            "type": "aws",
            "instance_data_dir": None,
            "aws_bucket_name": "b",
            "aws_region_name": "eu",
            "aws_endpoint_url": "https://x",
            "aws_access_key_id": "AKIA",
            "aws_secret_access_key": "very-secret",
            "aws_data_prefix": "set/",
        },
        {"source": {"kind": "s3", "bucket": "b", "endpoint": "https://x", "prefix": "set/"}},
        keys={"aws_region_name": "ignored", "aws_secret_access_key": "ignored"},
    ),
    Case(
        "hub",
        {
            "type": "huggingface",
            "caption_strategy": "huggingface",
            "instance_data_dir": None,
            "dataset_name": "owner/set",
            "split": "test",
            "image_column": "picture",
            "metadata_backend": "huggingface",
            "huggingface": {"caption_column": ["a", "b.c"], "width_column": "w"},
        },
        {
            "source": {
                "kind": "hf",
                "path": "owner/set",
                "split": "test",
                "media_column": "picture",
            }
        },
        keys={"huggingface.caption_column": "mapped", "huggingface.width_column": "ignored"},
        defaults={"caption": {"source": "table", "column": ["a", "b.c"], "dropout": 0.1}},
    ),
    Case(
        "table of sizes alone",
        {"metadata_backend": "parquet", "parquet": {"path": "t.parquet", "width_column": "w"}},
        {"path": "pictures", "source": None},
        keys={"metadata_backend": "approximated", "parquet.path": "ignored"},
    ),
    Case(
        "shards",
        {
            "type": "webshart",
            "caption_strategy": "webshart",
            "instance_data_dir": None,
            "webshart": {"source": "pictures", "hf_token": "hf_x", "buffer_size": 3},
        },
        {"source": {"kind": "tar", "path": "pictures"}},
        keys={"webshart.hf_token": "ignored", "caption_strategy": "approximated"},
    ),
]


@pytest.mark.parametrize("case", CASES, ids=[c.name for c in CASES])
def test_entries_become_what_they_mean(run: Run, case: Case) -> None:
    """Values of the dataset and of the shared defaults, outcome of the keys, and lint."""
    entry = {k: v for k, v in (PICTURES | case.entry).items() if v is not None}
    others = [PICTURES | {"id": "other"}]  # something is trained on in any case
    alone = not case.dataset.keys() & {"enabled", "role", "active"}
    imported = run(options(**case.run), [entry] if alone else [entry, *others])
    assert {k: job(imported, f"data.datasets[0].{k}") for k in case.dataset} == case.dataset
    assert {k: job(imported, f"data.defaults.{k}") for k in case.defaults} == case.defaults
    found = statuses(imported)
    assert {k: found[f"datasets[0].{k}"] for k in case.keys} == case.keys
    assert codes(imported) in ([], ["DAT026"])  # shards are looked for, and the folder is empty


def test_sizes_are_chosen_as_in_the_source(run: Run) -> None:
    """Buckets stay the same ones, whatever the family's own alignment is."""
    imported = run(options(aspect_bucket_alignment=None))
    assert job(imported, "data.geometry") == "reference"
    assert job(imported, "data.align") == 64
    assert job(imported, "data.datasets[0].leftover") == "pad"


def test_the_text_false_counts_as_true(run: Run) -> None:
    """As in the source; and it is told, since it was hardly meant."""
    imported = run(datasets=[PICTURES | {"crop": "False"}])
    assert job(imported, "data.datasets[0].crop.aspect") == "square"
    assert "IMP010" in codes(imported, "warn")


def test_secrets_stay_out_of_the_job(run: Run) -> None:
    """Neither in the file nor in the report; where they belong is told."""
    secrets = {"aws_access_key_id": "AKIA123", "aws_secret_access_key": "s3cr3t"}
    entry = {"id": "a", "type": "aws", "aws_bucket_name": "b", "caption_strategy": "textfile"}
    entry |= {"aws_session_token": "{env:TOKEN}"}
    imported = run(datasets=[entry | secrets], env={"TOKEN": "s3cr3t"})
    everything = imported.text + str(imported.document()) + str(imported.findings)
    assert not any(secret in everything for secret in secrets.values())
    assert codes(imported, "info").count("IMP009") == 3
    assert "AWS_SECRET_ACCESS_KEY" in notes(imported)["datasets[0].aws_secret_access_key"]


def test_a_table_beside_a_folder(run: Run, root: Path) -> None:
    """Its column of paths, what is put before and behind each, and its captions."""
    (root / "table.parquet").touch()
    table = {"path": "table.parquet", "filename_column": "file", "caption_column": "text"}
    entry = PICTURES | {"caption_strategy": "parquet", "metadata_backend": "parquet"}
    imported = run(datasets=[entry | {"parquet": table | {"default_extension": "webp"}}])
    assert job(imported, "data.datasets[0].source") == {
        "kind": "table",
        "path": "table.parquet",
        "media_column": "file",
        "prefix": f"{root}/pictures/",
        "extension": ".webp",
    }
    assert job(imported, "data.defaults.caption.column") == "text"


def test_cache_entries_are_not_needed_but_their_filters_are(run: Run, root: Path) -> None:
    """The filters of the entry that a dataset names, else of the default one."""
    (root / "filters.txt").write_text("blurry\n\\d+px\ns/cat/dog\ns/a/b/\n")
    caches = [
        {"id": "te", "dataset_type": "text_embeds", "default": True, "cache_dir": "c"},
        {"id": "te2", "dataset_type": "text_embeds", "caption_filter_list": "filters.txt"},
    ]
    other = PICTURES | {"id": "other", "text_embeds": "te2"}
    imported = run(datasets=[PICTURES, other, *caches])
    wanted = ["blurry", r"s/\d+px//", "s/cat/dog/"]
    assert job(imported, "data.datasets[0].caption.filters") is None
    assert job(imported, "data.datasets[1].caption.filters") == wanted
    assert len(job(imported, "data.datasets")) == 2
    found = statuses(imported)
    assert found["datasets[2].cache_dir"] == "ignored"
    assert found["datasets[3].caption_filter_list"] == "approximated"  # of one without effect
    assert codes(imported) == []


def test_masks_are_linked_from_either_side(run: Run) -> None:
    """The samples name their partners here."""
    mask = {"dataset_type": "conditioning", "conditioning_type": "mask"}
    masks = PICTURES | {"id": "masks"} | mask
    forward = run(datasets=[PICTURES | {"conditioning_data": "masks"}, masks])
    back = run(datasets=[PICTURES, masks | {"source_dataset_id": "pictures"}])
    for imported in (forward, back):
        assert job(imported, "data.datasets[0].conditioning") == [{"dataset": "masks"}]
        assert job(imported, "data.datasets[1].role") == "mask"
        assert job(imported, "data.datasets[1].leftover") is None
        assert codes(imported) == []
    assert statuses(back)["datasets[1].source_dataset_id"] == "mapped"


def test_segmentation_masks_count_every_colour(run: Run) -> None:
    """Their type is an option of the link."""
    kind = {"dataset_type": "conditioning", "conditioning_type": "segmentation"}
    masks = PICTURES | {"id": "masks"} | kind
    config = options(masked_loss_probability="0.5")
    imported = run(config, [PICTURES | {"conditioning_data": ["masks"]}, masks])
    link = {"dataset": "masks", "options": {"segmentation": True}}
    assert job(imported, "data.datasets[0].conditioning") == [link]
    assert job(imported, "loss.mask.probability") == 0.5
    assert codes(imported) == []
    assert job(run(config), "loss") is None  # it acts on such masks only


SDXL = {"model_family": "sdxl", "model_flavour": None}


def test_pictures_that_the_family_does_not_look_at(run: Run) -> None:
    """They are set aside instead of being encoded for nothing."""
    control = PICTURES | {"id": "control", "dataset_type": "conditioning"}
    sets = [PICTURES | {"conditioning_data": "control"}, control]
    imported = run(options(**SDXL), datasets=sets)
    assert job(run(datasets=sets), "data.datasets[0].conditioning") is not None
    assert job(imported, "data.datasets[0].conditioning") is None
    assert job(imported, "data.datasets[1].enabled") is False
    assert statuses(imported)["datasets[0].conditioning_data"] == "unsupported"
    assert codes(imported) == []


def test_partners_that_are_made(run: Run) -> None:
    """Masks of random shapes with their options; what cannot be made is told."""
    made = [
        {
            "type": "random_masks",
            "min_coverage": "0.2",
            "invert_mask": "true",
            "mask_value": 255,
            "max_masks": 1000,
        },
        {"type": "optical_flow"},
        {"type": "canny", "low_threshold": 20},
    ]
    imported = run(options(**SDXL), datasets=[PICTURES | {"conditioning": made}])
    options_ = {"min_coverage": 0.2, "invert": True}
    wanted = [{"generate": "random_masks", "options": options_}]
    assert job(imported, "data.datasets[0].conditioning") == wanted
    found = statuses(imported)
    assert found["datasets[0].conditioning[0].type"] == "mapped"
    assert found["datasets[0].conditioning[0].mask_value"] == "unsupported"
    assert found["datasets[0].conditioning[0].max_masks"] == "unsupported"  # out of bounds
    assert found["datasets[0].conditioning[1].type"] == "unsupported"
    assert found["datasets[0].conditioning[2].type"] == "unsupported"  # SDXL does not look at it


def test_options_of_made_partners_that_do_not_act(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They are not written, since lint would refuse them; a family that looks at partners."""
    from dataclasses import replace

    from trainer import catalog

    facts = catalog.family_facts("flux")
    looking = replace(facts, supports=facts.supports | {"conditioning"})
    monkeypatch.setattr(catalog, "family_facts", lambda key: looking)
    made = {"type": "jpeg", "quality_mode": "range", "quality": 30, "quality_range": [20, 40]}
    control = PICTURES | {"id": "control", "dataset_type": "conditioning", "resolution": 512}
    entry = PICTURES | {"conditioning": made, "conditioning_data": "control"}
    imported = run(datasets=[entry, control])
    assert job(imported, "data.datasets[0].conditioning") == [
        {"dataset": "control", "match": "loose"},
        {"generate": "jpeg", "options": {"quality_mode": "range", "quality_range": [20, 40]}},
    ]
    assert job(imported, "data.datasets[1].resolution") == "512px2"
    assert job(imported, "data.conditioning_mix") == "random"
    assert statuses(imported)["datasets[0].conditioning.quality"] == "ignored"
    assert codes(imported) == []


def test_a_held_out_dataset_is_measured(run: Run) -> None:
    """Role eval, without what belongs to training; its options act only then."""
    held_out = PICTURES | {"id": "held-out", "dataset_type": "eval", "repeats": 3}
    imported = run(options(eval_steps_interval=100, num_eval_images=8), [PICTURES, held_out])
    assert job(imported, "data.datasets[1]") == {
        "id": "held-out",
        "path": "pictures",
        "role": "eval",
    }
    assert job(imported, "eval") == {"every_steps": 100, "samples": 8}
    assert statuses(imported)["datasets[1].repeats"] == "ignored"
    alone = run(options(eval_steps_interval=100))
    assert job(alone, "eval") is None
    assert statuses(alone)["eval_steps_interval"] == "ignored"


def test_captions_are_shared_only_where_all_agree(run: Run) -> None:
    """Each dataset has its own as soon as one differs."""
    other = PICTURES | {"id": "other", "caption_strategy": "filename"}
    imported = run(datasets=[PICTURES, other])
    assert job(imported, "data.defaults.caption") == {"dropout": 0.1}
    assert job(imported, "data.datasets[0].caption") == {"source": "textfile"}
    assert statuses(imported)["datasets[1].caption_strategy"] == "mapped"


def test_placeholders_are_filled_in(run: Run, root: Path) -> None:
    """In the texts of an entry."""
    (root / "sets").mkdir()
    (root / "sets" / "flux-pictures").mkdir()
    entry = PICTURES | {"instance_data_dir": "{env:HERE}/{model_family}-{id}"}
    imported = run(datasets=[entry], env={"HERE": "sets"})
    assert job(imported, "data.datasets[0].path") == "sets/flux-pictures"
    assert "HERE" in notes(imported)["datasets[0].instance_data_dir"]
    assert "IMP012" in codes(run(datasets=[entry]), "warn")


def test_an_image_family_cannot_train_videos(run: Run) -> None:
    """Frames are carried over, and lint says that the family is the wrong one."""
    video = {"num_frames": 49, "is_i2v": False}
    imported = run(datasets=[PICTURES | {"dataset_type": "video", "video": video}])
    assert job(imported, "data.datasets[0].kind") == "video"
    assert job(imported, "data.datasets[0].video") == {"frames": 49, "min_frames": 49}
    assert codes(imported) == ["CFG160"]


@pytest.mark.parametrize("entry", [None, 3, [], {}, "text"])
def test_what_is_no_entry_is_told(run: Run, entry: Any) -> None:
    """The others are imported all the same."""
    imported = run(datasets=[entry, PICTURES])
    assert statuses(imported)["datasets[0]"] == "unsupported"
    assert job(imported, "data.datasets[0].id") == "pictures"


def test_grounding_is_not_used(run: Run) -> None:
    """An entry of a type that has no place here does not become a dataset."""
    grounding = {"id": "g", "dataset_type": "grounding", "instance_data_dir": "pictures"}
    imported = run(datasets=[PICTURES, grounding])
    assert len(job(imported, "data.datasets")) == 1
    assert statuses(imported)["datasets[1].instance_data_dir"] == "unsupported"
