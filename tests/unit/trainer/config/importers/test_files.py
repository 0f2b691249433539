"""Reading: three forms of a configuration, folders, and files that are not quite well-formed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.unit.trainer.config.importers.conftest import (
    BASE,
    PICTURES,
    Run,
    codes,
    job,
    notes,
    options,
    statuses,
)
from trainer.config.importers.report import Imported
from trainer.config.importers.simpletuner.convert import import_simpletuner
from trainer.errors import ConfigError

ENV = """\
# comment
export MODEL_FAMILY='sdxl'
export MODEL_TYPE="lora"
export MAX_NUM_STEPS=300   # steps
export NUM_EPOCHS=0
export TRAIN_BATCH_SIZE=2
export LEARNING_RATE=2e-5
export OPTIMIZER="torch-adamw"
export USE_GRADIENT_CHECKPOINTING=false
export BASE_DIR="/data"
export OUTPUT_DIR="${BASE_DIR}/models"
export DATALOADER_CONFIG="config/multidatabackend.json"
export TRAINER_EXTRA_ARGS="--lora_rank=4 --use_ema"
export TRAINER_EXTRA_ARGS+=" --lr_warmup_steps 20"
export SIMPLETUNER_LOG_LEVEL=DEBUG
export USE_XFORMERS=true
if true; then
"""


def read(root: Path, *names: str, env: dict[str, str] | None = None) -> Imported:
    return import_simpletuner([root / n for n in names], base_dir=root, env=env or {})


def write(root: Path, name: str, data: Any) -> None:
    (root / name).write_text(data if isinstance(data, str) else json.dumps(data, indent=2))


def test_an_environment_file(root: Path) -> None:
    """Other names, earlier variables, raw flags; false is not passed on by that format."""
    write(root, "config/config.env", ENV)
    write(root, "config/multidatabackend.json", [PICTURES])
    imported = read(root, "config")
    assert job(imported, "train") == {"steps": 300, "batch_size": 2}
    assert job(imported, "adapter.rank") == 4
    assert job(imported, "ema.enabled") is True
    assert job(imported, "schedule.warmup") == 20
    assert job(imported, "job.output_dir") == "/data/models"
    assert job(imported, "compute") is None
    found = statuses(imported)
    assert found["MAX_NUM_STEPS"] == "mapped"
    assert found["USE_GRADIENT_CHECKPOINTING"] == "ignored"
    assert "false" in notes(imported)["USE_GRADIENT_CHECKPOINTING"]
    assert found["SIMPLETUNER_LOG_LEVEL"] == "ignored"
    assert found["USE_XFORMERS"] == "ignored"
    assert found["TRAINER_EXTRA_ARGS"] == "ignored"
    assert found["--lora_rank"] == "mapped"
    assert found["BASE_DIR"] == "unsupported"
    assert codes(imported) == []
    assert codes(imported, "warn").count("IMP003") == 1  # the line with `if`


def test_the_environment_file_of_a_named_environment(root: Path) -> None:
    """The shared one is read before it, and loses."""
    (root / "config" / "mine").mkdir()
    write(root, "config/config.env", ENV)
    write(root, "config/mine/config.env", "export MAX_NUM_STEPS=77\n")
    write(root, "config/multidatabackend.json", [PICTURES])
    imported = read(root, "config/mine")
    assert job(imported, "train") == {"steps": 77, "batch_size": 2}
    outcomes = [k.status for k in imported.keys if k.key == "MAX_NUM_STEPS"]
    assert outcomes == ["ignored", "mapped"]


def test_bitfit_of_an_environment_file(root: Path) -> None:
    """One variable stands for an option with a value."""
    write(root, "config/config.env", f"{ENV}export USE_BITFIT=true\n")
    write(root, "config/multidatabackend.json", [PICTURES])
    assert statuses(read(root, "config"))["USE_BITFIT"] == "unsupported"


def test_a_toml_file(root: Path) -> None:
    """A flat table with the same keys; places are lines."""
    lines = [f"{k} = {json.dumps(v)}" for k, v in BASE.items()]
    write(root, "config/config.toml", "\n".join(["# a run", *lines, 'nonsense = "x"', ""]))
    write(root, "config/multidatabackend.json", [PICTURES])
    imported = read(root, "config")
    assert job(imported, "train.steps") == 1000
    unknown = next(k for k in imported.keys if k.key == "nonsense")
    assert unknown.where.endswith(f"config.toml:{len(lines) + 2}")


@pytest.mark.parametrize(
    ("key", "path", "value", "wanted"),
    [
        ("--lora_rank", "adapter.rank", 4, 4),
        ("--lora-rank", "adapter.rank", "4", 4),
        ("save_total_limit", "checkpoint.keep", 2, 2),
        ("checkpointing_steps", "checkpoint.every_steps", "50", 50),
    ],
)
def test_spellings_of_keys(run: Run, key: str, path: str, value: Any, wanted: Any) -> None:
    """Dashes, and old names; the report keeps the source's spelling."""
    imported = run(options(lora_rank=None) | {key: value})
    assert job(imported, path) == wanted
    assert statuses(imported)[key] == "mapped"


def test_an_old_name_gives_way_to_the_new_one(run: Run) -> None:
    """Whatever their order."""
    new, old = {"checkpoint_step_interval": 70}, {"checkpointing_steps": 50}
    for config in (options() | new | old, options() | old | new):
        imported = run(config)
        assert job(imported, "checkpoint.every_steps") == 70
        assert statuses(imported)["checkpointing_steps"] == "ignored"


def test_a_comma_too_many_comments_and_keys_written_twice(root: Path) -> None:
    """Read as the source's own examples need it, and told with the line."""
    text = json.dumps(options(lora_rank=4), indent=2)[:-2] + ',\n  // rank\n  "lora_rank": 8,\n}'
    write(root, "config/config.json", text)
    write(root, "config/multidatabackend.json", f"[{json.dumps(PICTURES)},]")
    imported = read(root, "config")
    assert job(imported, "adapter.rank") == 8
    told = [f for f in imported.findings if f.code == "IMP003"]
    assert len(told) == 4
    assert {f.level for f in told} == {"warn"}
    lines = text.count("\n")
    assert any(f.where.endswith(f"config.json:{lines}") for f in told)  # the repeated key
    assert codes(imported) == []


def test_commas_and_slashes_inside_of_texts_stay(root: Path) -> None:
    """Only what stands outside of texts is mended."""
    prompt = "a, } // b /* c */ ,]"
    write(root, "config/config.json", json.dumps(options(validation_prompt=prompt))[:-1] + ",}")
    write(root, "config/multidatabackend.json", [PICTURES])
    assert job(read(root, "config"), "validation.prompts") == [prompt]


def test_half_a_surrogate_pair_is_replaced(root: Path) -> None:
    """It can be written in JSON, but in no other file."""
    config = json.dumps(options(validation_prompt="cat")).replace("cat", "c\\ud800t")
    write(root, "config/config.json", config)
    write(root, "config/multidatabackend.json", [PICTURES])
    imported = read(root, "config")
    assert job(imported, "validation.prompts") == ["c\ufffdt"]
    imported.text.encode()


def test_configuration_and_datasets_named_apart(root: Path) -> None:
    """Two files, in either order."""
    write(root, "a.json", options())
    write(root, "b.json", [PICTURES])
    for names in (("a.json", "b.json"), ("b.json", "a.json")):
        imported = read(root, *names)
        assert job(imported, "data.datasets[0].id") == "pictures"
        assert codes(imported) == []


def test_a_dataset_file_that_is_named_by_the_configuration(root: Path) -> None:
    """Relative to the working directory of the source, which is above the file."""
    (root / "config" / "mine").mkdir()
    (root / "elsewhere").mkdir()
    write(root, "elsewhere/sets.json", [PICTURES])
    write(root, "config/mine/config.json", options(data_backend_config="elsewhere/sets.json"))
    write(root, "config/mine/other.json", [PICTURES | {"id": "wrong"}])
    imported = read(root, "config/mine")
    assert job(imported, "data.datasets[0].id") == "pictures"
    assert statuses(imported)["data_backend_config"] == "mapped"


def test_the_examples_of_the_source_name_files_beside_them(root: Path) -> None:
    """Wherever the tree of examples was copied to."""
    (root / "examples" / "cats").mkdir(parents=True)
    write(root, "examples/sets.json", [PICTURES | {"instance_data_dir": "../../pictures"}])
    config = options(data_backend_config="config/examples/sets.json")
    write(root, "examples/cats/config.json", config)
    imported = read(root, "examples/cats")
    assert job(imported, "data.datasets[0].id") == "pictures"
    assert job(imported, "data.datasets[0].path") == str(root / "pictures")


def test_datasets_that_stand_in_the_configuration(run: Run) -> None:
    """As a list, or as its text."""
    for value in ([PICTURES], json.dumps([PICTURES])):
        imported = run(options(data_backend_config=value), [])
        assert job(imported, "data.datasets[0].path") == "pictures"


def test_a_dataset_file_that_is_not_there(root: Path) -> None:
    """The job has no data then, which lint tells."""
    write(root, "config/config.json", options(data_backend_config="nowhere.json"))
    imported = read(root, "config")
    assert codes(imported) == ["CFG080"]
    assert "IMP008" in codes(imported, "warn")


def test_only_a_dataset_file(root: Path) -> None:
    """No job without a model, but the datasets are there."""
    write(root, "sets.json", [PICTURES])
    imported = read(root, "sets.json")
    assert job(imported, "data.datasets[0].id") == "pictures"
    assert imported.config.keys() == {"data"}
    assert imported.semantics == {}
    assert "IMP011" in codes(imported, "warn")
    assert codes(imported) == ["CFG005"]


@pytest.mark.parametrize(
    ("files", "named", "code"),
    [
        ({}, ["missing.json"], "IMP001"),
        ({"a.json": "{"}, ["a.json"], "IMP001"),
        ({"a.json": "[" * 100_000}, ["a.json"], "IMP001"),
        ({"a.toml": "a = "}, ["a.toml"], "IMP001"),
        ({"a.json": "3"}, ["a.json"], "IMP002"),
        ({"a.json": "{}", "b.json": "{}"}, ["a.json", "b.json"], "IMP002"),
        ({"a.json": '[{"id": "a"}]', "b.json": '[{"id": "b"}]'}, ["."], "IMP002"),
        ({}, ["."], "IMP002"),
    ],
)
def test_what_cannot_be_imported(
    root: Path, files: dict[str, str], named: list[str], code: str
) -> None:
    """One finding that says why, never a traceback."""
    for name, text in files.items():
        write(root, name, text)
    with pytest.raises(ConfigError) as caught:
        read(root, *named)
    assert [f.code for f in caught.value.findings] == [code]


def test_bytes_that_are_no_text(root: Path) -> None:
    """As any other unreadable file."""
    (root / "a.json").write_bytes(b"\xff\xfe{}")
    with pytest.raises(ConfigError):
        read(root, "a.json")


def test_a_byte_order_mark_is_no_mistake(root: Path) -> None:
    """Some editors write one."""
    (root / "a.json").write_bytes(b"\xef\xbb\xbf" + json.dumps(options()).encode())
    write(root, "b.json", [PICTURES])
    assert codes(read(root, "a.json", "b.json")) == []


def test_values_from_the_environment(run: Run) -> None:
    """They are taken as they are now; one that is not set is told."""
    imported = run(options(output_dir="/out/{env:NAME}"), env={"NAME": "cats"})
    assert job(imported, "job.output_dir") == "/out/cats"
    assert "NAME" in notes(imported)["output_dir"]
    unset = run(options(output_dir="/out/{env:NAME}"))
    assert "IMP012" in codes(unset, "warn")
    assert job(unset, "job.output_dir") == "/out/{env:NAME}"


def test_relative_paths_lead_to_the_same_place(root: Path) -> None:
    """Unchanged for a job beside them, absolute for one elsewhere; hub ids stay hub ids."""
    (root / "elsewhere").mkdir()
    config = options(pretrained_model_name_or_path="owner/model", output_dir="out")
    write(root, "config/config.json", config)
    write(root, "config/multidatabackend.json", [PICTURES])
    here = import_simpletuner([root / "config"], out=root / "job.toml", env={})
    there = import_simpletuner([root / "config"], out=root / "elsewhere" / "job.toml", env={})
    assert job(here, "data.datasets[0].path") == "pictures"
    assert job(there, "data.datasets[0].path") == str(root / "pictures")
    assert job(there, "job.output_dir") == str(root / "out")
    assert job(there, "model.path") == "owner/model"
    (root / "owner" / "model").mkdir(parents=True)
    local = import_simpletuner([root / "config"], out=root / "elsewhere" / "job.toml", env={})
    assert job(local, "model.path") == str(root / "owner" / "model")


def test_prompts_of_a_library_file(run: Run, root: Path) -> None:
    """They are written into the job, after the single prompt."""
    write(root, "config/prompts.json", {"a": "a cat", "b": {"prompt": "a dog", "strength": 1}})
    changes = {"validation_prompt": "a bird", "user_prompt_library": "config/prompts.json"}
    imported = run(options(**changes))
    assert job(imported, "validation.prompts") == ["a bird", "a cat", "a dog"]
    assert statuses(imported)["user_prompt_library"] == "approximated"


def test_targets_and_lycoris_of_files(run: Run, root: Path) -> None:
    """Options that name a JSON file."""
    write(root, "config/targets.json", ["to_q"])
    imported = run(options(peft_lora_target_modules="config/targets.json"))
    assert job(imported, "adapter.targets") == ["to_q"]
    write(root, "config/lycoris_config.json", {"algo": "locon", "linear_dim": 4, "linear_alpha": 1})
    imported = run(options(lora_type="lycoris"))
    assert job(imported, "adapter.alpha") == 1.0
