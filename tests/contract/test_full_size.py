"""Facts that only a published model can bear out, on models of that size without weights."""

from __future__ import annotations

import re

import pytest
from torch import nn

from tests.contract.test_presets import PARAMETERS
from tests.support.families import WITHOUT_BLOCKS
from tests.support.full_size import SETTINGS, count, full_size, resident
from trainer.adapters.targets import ends_in
from trainer.catalog import family_facts
from trainer.memory.blocks import repeated_blocks

NAMES = sorted(SETTINGS)


@pytest.mark.parametrize("name", NAMES)
def test_it_is_as_large_as_published(name: str) -> None:
    """Within half a percent of the number that the presets are measured by."""
    assert count(name) == pytest.approx(PARAMETERS[name], rel=0.005)


@pytest.mark.parametrize("name", NAMES)
def test_every_target_is_there(name: str) -> None:
    """No ending of a preset that finds nothing in the real model, or finds what has no weight."""
    modules = dict(full_size(name).named_modules())
    for preset, endings in family_facts(name.partition(" ")[0]).lora_targets.items():
        for ending in endings:
            found = [module for path, module in modules.items() if ends_in(path, ending)]
            # Flux.2 names blocks by number, and its smaller flavours have fewer
            assert found or re.search(r"\.\d+\.", ending), f"{preset}: {ending}"
            assert all(isinstance(module, (nn.Linear, nn.Conv2d)) for module in found), ending


@pytest.mark.parametrize("name", NAMES)
def test_its_classes_and_blocks_are_found(name: str) -> None:
    """Of LyCORIS presets, and of the levers that work block by block."""
    module, facts = full_size(name), family_facts(name.partition(" ")[0])
    classes = {type(part).__name__ for part in module.modules()}
    for preset, wanted in facts.lycoris_targets.items():
        assert set(wanted) <= classes, preset
    if facts.key not in WITHOUT_BLOCKS:
        assert len(repeated_blocks(module)) >= 4


@pytest.mark.parametrize("name", [n for n in NAMES if family_facts(n.split()[0]).quant_levels])
def test_rounding_takes_most_of_its_weight(name: str) -> None:
    """Eight bits leave at most four fifths of bf16, four bits two thirds: rules that name
    sensitive layers spare nothing by accident. Half of the oldest UNets is convolutions."""
    rest = 0.1 if name in ("sd1x", "sd2x") else 0.0
    whole = resident(name)
    assert resident(name, "int8-torchao") < (0.8 + rest) * whole
    assert resident(name, "nf4-bnb") < (0.7 + rest) * whole
