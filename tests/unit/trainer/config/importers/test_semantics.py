"""What a run means is the same after the import: figures computed on both sides."""

from __future__ import annotations

import json
import math
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.unit.trainer.config.importers.conftest import BASE, PICTURES, Run, codes, options
from trainer.config.importers.report import Imported
from trainer.config.importers.simpletuner.convert import import_simpletuner
from trainer.config.resolve import resolve

FIGURES = {
    "effective_batch",
    "total_steps",
    "adapter_scale",
    "timesteps",
    "shift",
    "loss_weighting",
    "learning_rate",
    "bucket_rule",
}
SENSIBLE = st.fixed_dictionaries(
    {
        "model_family": st.sampled_from(["flux", "sdxl", "sd1x"]),
        "model_type": st.sampled_from(["lora", "full"]),
        "max_train_steps": st.integers(200, 5000),
        "train_batch_size": st.integers(1, 8),
        "gradient_accumulation_steps": st.integers(1, 4),
        "learning_rate": st.floats(1e-6, 1e-4),
    },
    optional={
        "num_processes": st.integers(1, 8),
        "lr_scale": st.booleans(),
        "lr_scale_sqrt": st.booleans(),
        "lora_rank": st.integers(1, 128),
        "lora_alpha": st.floats(1, 128),
        "lora_dropout": st.floats(0, 0.3),
        "optimizer": st.sampled_from(["adamw_bf16", "bnb-adamw8bit", "adamw_schedulefree"]),
        "lr_scheduler": st.sampled_from(
            ["constant", "linear", "cosine", "sine", "cosine_with_restarts", "polynomial"]
        ),
        "lr_warmup_steps": st.integers(0, 100),
        "lr_num_cycles": st.integers(1, 3),
        "lr_end": st.floats(1e-9, 5e-7),
        "flow_schedule_shift": st.floats(0, 5),
        "flow_schedule_auto_shift": st.booleans(),
        "flow_sigmoid_scale": st.floats(0.5, 2),
        "flow_use_beta_schedule": st.booleans(),
        "flow_beta_schedule_alpha": st.floats(0.5, 4),
        "loss_type": st.sampled_from(["l2", "huber", "smooth_l1"]),
        "huber_schedule": st.sampled_from(["snr", "exponential", "constant"]),
        "huber_c": st.floats(0.01, 1),
        "snr_gamma": st.floats(1, 10),
        "use_ema": st.booleans(),
        "ema_decay": st.floats(0.5, 0.99),
        "ema_update_interval": st.integers(1, 10),
        "validation_prompt": st.sampled_from(["a cat", ""]),
        "validation_step_interval": st.integers(1, 200),
        "validation_guidance": st.floats(1, 8),
        "validation_resolution": st.sampled_from(["1024", "768x768", "1280x720", 512]),
        "validation_disable": st.booleans(),
        "disable_benchmark": st.booleans(),
        "validation_negative_prompt": st.sampled_from(["", "blurry"]),
        "caption_dropout_probability": st.floats(0, 0.5),
        "minimum_image_size": st.integers(0, 512),
        "dataloader_prefetch": st.booleans(),
        "max_grad_norm": st.floats(0, 2),
        "grad_clip_method": st.sampled_from(["value", "norm"]),
        "tokenizer_max_length": st.integers(77, 512),
        "flux_lora_target": st.sampled_from(["all", "context", "nano", "mmdit"]),
        "prediction_type": st.sampled_from(["epsilon", "v_prediction", "None"]),
    },
)
SETS = st.lists(
    st.fixed_dictionaries(
        {"caption_strategy": st.sampled_from(["textfile", "filename"])},
        optional={
            "repeats": st.integers(0, 20),
            "probability": st.floats(0.1, 1),
            "resolution": st.integers(512, 1024),
            "crop": st.booleans(),
            "crop_style": st.sampled_from(["random", "center", "corner", "face"]),
            "crop_aspect": st.sampled_from(["square", "preserve"]),
            "instance_prompt": st.just("sks"),
            "prepend_instance_prompt": st.booleans(),
            "minimum_image_size": st.integers(1, 512),
            "is_regularisation_data": st.booleans(),
            "timestep_sampling_offset": st.floats(-1, 1),
            "conditioning_data": st.just("masks"),
            "train_batch_size": st.integers(1, 4),
        },
    ),
    max_size=2,
)


def imported_from(config: dict[str, Any], sets: list[dict[str, Any]]) -> Imported:
    """All sets have a folder of their own, beside one that is trained on in any case."""
    masks = {"dataset_type": "conditioning", "conditioning_type": "mask"}
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        entries = [PICTURES, PICTURES | {"id": "masks"} | masks]
        for number, entry in enumerate(sets):
            own = {"id": f"set{number}", "instance_data_dir": f"set{number}"}
            entries.append(PICTURES | own | entry)
        for entry in entries:
            (root / entry["instance_data_dir"]).mkdir(exist_ok=True)
        entries[0] = PICTURES | {"conditioning_data": "masks"}
        (root / "config.json").write_text(json.dumps(config))
        (root / "sets.json").write_text(json.dumps(entries))
        paths = [root / "config.json", root / "sets.json"]
        return import_simpletuner(paths, base_dir=root, env={})


@settings(max_examples=60, deadline=None)
@given(SENSIBLE, SETS)
def test_a_sensible_run_passes_lint_and_means_the_same(
    config: dict[str, Any], sets: list[dict[str, Any]]
) -> None:
    """No error in the job; steps, batch, rate and scale by the source's arithmetic."""
    imported = imported_from({"num_train_epochs": 0} | config, sets)
    assert codes(imported) == [], imported.text
    figures = imported.semantics
    assert figures.keys() == FIGURES
    differing = {name: m for name, m in figures.items() if not m.equal}
    assert not differing, imported.text
    batch = config["train_batch_size"] * config["gradient_accumulation_steps"]
    batch *= config.get("num_processes", 1)
    assert figures["effective_batch"].here == batch
    assert figures["total_steps"].here == config["max_train_steps"]
    factor = 1.0
    if config.get("lr_scale"):
        factor = math.sqrt(batch) if config.get("lr_scale_sqrt") else batch
    assert figures["learning_rate"].here == pytest.approx(config["learning_rate"] * factor)


def test_the_job_resolves_to_what_the_figures_say(run: Run, tmp_path: Path) -> None:
    """They are read from the text that was written, not from the translation."""
    imported = run(options(num_processes=2, lora_alpha=8))
    config = resolve(imported.text, base_dir=tmp_path, env={}).config
    assert config is not None
    assert imported.semantics["effective_batch"].here == config.train.accumulate == 2
    assert imported.semantics["adapter_scale"].here == 0.5


def test_epochs_have_a_formula(run: Run) -> None:
    """Their steps depend on the data, which an import does not read."""
    figure = run(options(max_train_steps=None, num_train_epochs=3)).semantics["total_steps"]
    assert (figure.source, figure.here) == ("3 epochs", "3 epochs")
    assert "depends on the data" in figure.note


def test_a_figure_that_differs_is_seen(run: Run) -> None:
    """Where the source has no counterpart here, the figures tell."""
    imported = run(options(lora_type="lycoris", lycoris_config={"algo": "tlora"}))
    assert not imported.semantics["adapter_scale"].equal


def test_figures_of_a_job_that_is_not_valid(run: Run) -> None:
    """The source's side is there all the same."""
    imported = run({k: v for k, v in BASE.items() if k != "model_family"})
    assert imported.semantics["effective_batch"].source == 1
    assert imported.semantics["effective_batch"].here is None


def test_defaults_of_the_source_are_listed(run: Run) -> None:
    """Values that nobody wrote, but that train."""
    imported = run({"model_family": "flux", "model_type": "lora"})
    listed = {d.key: d.value for d in imported.defaults}
    wanted = {"train_batch_size": 4, "learning_rate": 4e-7, "num_train_epochs": 1}
    assert wanted.items() <= listed.items()
    assert listed["lora_dropout"] == 0.1
    assert listed["model_flavour"] == "krea"
