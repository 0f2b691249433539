"""Imported jobs that edit pictures: what lint would refuse is not written."""

from __future__ import annotations

import pytest

from tests.unit.trainer.config.importers.conftest import (
    PICTURES,
    Run,
    codes,
    job,
    options,
    statuses,
)

EDITS = [
    ("qwen_image", "edit-v1"),
    ("qwen_image", "edit-v3"),
    ("longcat_image", "edit"),
    ("kandinsky5_image", "i2i-lite-sft"),
]
BEFORE = PICTURES | {
    "id": "before",
    "dataset_type": "conditioning",
    "conditioning_type": "reference_loose",
}
PAIRS = [PICTURES | {"conditioning_data": "before"}, BEFORE]


@pytest.mark.parametrize(("family", "flavour"), EDITS)
def test_pairs_of_pictures(family: str, flavour: str, run: Run) -> None:
    """The flavour by its name, references of their own size where the model allows it; prompts
    without a picture are left out."""
    config = options(model_family=family, model_flavour=flavour, validation_prompt="a cat")
    imported = run(config, PAIRS)
    assert job(imported, "model.flavour") == flavour
    loose = {} if family == "kandinsky5_image" else {"match": "loose"}
    assert job(imported, "data.datasets[0].conditioning") == [{"dataset": "before"} | loose]
    assert job(imported, "validation") is None
    assert statuses(imported)["validation_prompt"] == "unsupported"
    assert codes(imported) == []


def test_several_pictures_are_shown_together(run: Run) -> None:
    """The source draws one of them; the text here is read with all."""
    style = BEFORE | {"id": "style"}
    sets = [PICTURES | {"conditioning_data": ["before", "style"]}, BEFORE, style]
    drawn = {"conditioning_multidataset_sampling": "random"}
    imported = run(options(model_family="qwen_image", model_flavour="edit-v2", **drawn), sets)
    assert job(imported, "data.conditioning_mix") is None
    assert statuses(imported)["conditioning_multidataset_sampling"] == "approximated"
    assert codes(imported) == []
    assert job(run(options(), sets), "data.conditioning_mix") == "random"


def test_a_flavour_for_text_alone_has_no_pictures(run: Run) -> None:
    """Of the same family: they are set aside."""
    imported = run(options(model_family="qwen_image", model_flavour="v2.0"), PAIRS)
    assert job(imported, "data.datasets[0].conditioning") is None
    assert statuses(imported)["datasets[0].conditioning_data"] == "unsupported"
