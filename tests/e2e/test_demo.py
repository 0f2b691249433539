"""The demo's job file through the real trainer process: numbers, pictures, a usable adapter."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from trainer.config.presets import BUILT_IN
from trainer.runs.events import read_events

STYLE = BUILT_IN / "demo" / "style.toml"
PROMPTS = ["a red car, sticker style", "grapes, sticker style"]


def train(run: Path, *settings: str) -> list[dict[str, Any]]:
    """Run style.toml with overrides; the events of the run."""
    command = [sys.executable, "-m", "trainer", "train", str(STYLE), "--run-dir", str(run)]
    for setting in settings:
        command += ["--set", setting]
    environment = os.environ | {"HF_HUB_OFFLINE": "1", "STUNE_HOME": str(run.parent / "home")}
    done = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900)
    assert done.returncode == 0, done.stderr
    return list(read_events(run / "events.jsonl"))


@pytest.fixture(scope="module")
def short(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    run = tmp_path_factory.mktemp("demo") / "run"
    texts = ", ".join(f'"{p}"' for p in PROMPTS)
    return run, train(run, "train.steps=4", f"validation.prompts=[{texts}]", "validation.steps=4")


def evals(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return [e for e in events if e["kind"] == "eval"]


def test_both_numbers_are_measured_at_both_ends(short) -> None:
    """Held-out loss and style distance stand in one record, before and after."""
    _, events = short
    assert [e["step"] for e in evals(events)] == [0, 4]
    for record in evals(events):
        assert record["loss"] > 0
        assert record["style_distance"] > 0


def test_before_and_after_can_be_seen(short) -> None:
    """The comparison has a pair for each prompt."""
    from PIL import Image

    run, _ = short
    with Image.open(run / "samples" / "compare.png") as sheet:
        width, height = sheet.size
    assert width > 2 * height  # four cells in one row
    for step in ("step-00000000", "step-00000004"):
        assert len(list((run / "samples" / step).glob("0*.png"))) == len(PROMPTS)


def test_the_adapter_loads_and_changes_the_picture(short) -> None:
    """The diffusers class itself reads the saved file, and it has an effect."""
    import numpy as np
    import torch
    from diffusers import FluxPipeline

    from bench.demo_model.recognise import draw

    run, events = short
    saved = next(e for e in events if e["kind"] == "adapter.saved" and e["layout"] == "diffusers")
    assert saved["verified"]
    pipeline = FluxPipeline.from_pretrained(BUILT_IN / "demo" / "model", torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    before = np.asarray(draw(pipeline, PROMPTS[:1])[0])
    pipeline.load_lora_weights(run / saved["path"])
    assert (np.asarray(draw(pipeline, PROMPTS[:1])[0]) != before).any()


@pytest.mark.slow
def test_the_demo_learns_its_style(tmp_path: Path) -> None:
    """As it ships: on things never shown in the style, loss and style distance fall clearly."""
    events = train(tmp_path / "run")
    before, *_, after = evals(events)
    assert after["loss"] < 0.9 * before["loss"]
    assert after["style_distance"] < 0.75 * before["style_distance"]
