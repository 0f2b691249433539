"""The guide on memory shows settings that exist, and jobs that pass lint."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainer.catalog import OPTIMIZERS
from trainer.catalog.quants import QUANTS
from trainer.config.keys import leaf_keys
from trainer.config.resolve import resolve

GUIDE = (Path(__file__).resolve().parents[4] / "docs" / "guides" / "memory.md").read_text("utf-8")
BLOCKS = re.findall(r"^```toml\n(.*?)^```", GUIDE, re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("block", BLOCKS)
def test_a_job_with_a_block_of_it_passes(block, tmp_path):
    """No error and no remark, on the family that the guide speaks of."""
    (tmp_path / "a").mkdir()
    base = '[train]\nsteps = 100\n[[data.datasets]]\nid = "a"\npath = "a"\n'
    model = '[model]\nfamily = "flux"\n'
    text = block.replace("[model]\n", model) if "[model]" in block else model + block
    assert resolve(text + base, base_dir=tmp_path, env={}).findings == []


def test_keys_and_names_exist():
    """A renamed key would leave the guide behind."""
    keys = set(re.findall(r"`((?:compute|model|optimizer|cache|train)\.[a-z_.]+)", GUIDE))
    known = set(leaf_keys())
    assert len(keys) > 12
    assert {k for k in keys if k not in known and not any(n.startswith(k) for n in known)} == set()
    forms = set(re.findall(r"`((?:int|fp|nf)\d-[a-z]+)`", GUIDE))
    assert forms == set(QUANTS)
    assert {"adamw8bit", "adamw_bf16"} <= OPTIMIZERS.keys()
