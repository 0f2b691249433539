"""Validation pictures of every family, and a stop that is heard while one is drawn."""

from __future__ import annotations

import json
from contextlib import nullcontext
from types import SimpleNamespace
from typing import Any

import pytest
from PIL import Image

from tests.support.families import KINDS, edge, tiny_config, tiny_family
from trainer.data.drawings import Drawing
from trainer.runs.layout import RunDir
from trainer.validate.sample import make_samples

PROMPT = "a red apple"


class Listener:
    """A session that hears a stop request after so many looks."""

    def __init__(self, run: RunDir, *, patience: float = float("inf")) -> None:
        self.run, self.looks, self._patience = run, 0, patience
        self.events = SimpleNamespace(emit=lambda *_, **__: None)

    def stop_requested(self) -> bool:
        self.looks += 1
        return self.looks > self._patience


def drawing(kind: str, path: Any) -> Any:
    """What drawing needs of the loop's parts: one prompt, three steps, guidance."""
    validation = {"prompts": [PROMPT], "steps": 3, "guidance": 3.0}
    config = tiny_config(kind, path, validation=validation)
    family = tiny_family(kind, path, "text", "vae", "denoiser")
    texts = dict(zip((PROMPT, ""), family.encode_text([PROMPT, ""]), strict=True))
    family.unload("text")
    size = edge(kind)
    drawings = [Drawing(PROMPT, texts[PROMPT], texts[""])]
    prepared = SimpleNamespace(sample_size=(size, size), drawings=drawings)
    quiet = {"autocast": nullcontext, "weights_for_use": nullcontext}
    trainable = SimpleNamespace(for_use=nullcontext)
    return SimpleNamespace(
        config=config, family=family, prepared=prepared, trainable=trainable, **quiet
    )


@pytest.mark.parametrize("kind", KINDS)
def test_a_stop_is_heard_between_two_calls_of_the_denoiser(kind, tiny_model, tmp_path):
    """Whatever the pipeline calls back: the set stays without its mark, training goes on after."""
    parts = drawing(kind, tiny_model(kind))
    run = RunDir(tmp_path / "run")
    stopping, listening = Listener(run, patience=1), Listener(run)
    make_samples(parts, stopping, 1)  # type: ignore[arg-type]
    assert stopping.looks == 2
    assert not list(run.samples_at(1).glob("*.png"))
    assert not (run.samples_at(1) / "meta.json").exists()
    assert parts.family.denoiser.training
    make_samples(parts, listening, 2)  # type: ignore[arg-type]
    assert listening.looks >= 3
    meta = json.loads((run.samples_at(2) / "meta.json").read_text())
    assert [entry["prompt"] for entry in meta["images"]] == [PROMPT]
    with Image.open(run.samples_at(2) / meta["images"][0]["file"]) as picture:
        assert picture.size == parts.prepared.sample_size
    assert not parts.family.denoiser._forward_pre_hooks  # training steps do not ask
