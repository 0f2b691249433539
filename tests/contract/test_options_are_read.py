"""No key of a job file is without effect: the training code reads each of them.

A cheap check by name: a key that no module outside the configuration mentions cannot do anything.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trainer.config.keys import leaf_keys

TRAINER = Path(__file__).resolve().parents[2] / "trainer"
SOURCE = "\n".join(
    path.read_text(encoding="utf-8")
    for path in sorted(TRAINER.rglob("*.py"))
    if "config" not in path.relative_to(TRAINER).parts
)
BY_DUMP = "optimizer.args."  # handed to the optimiser as a whole, checked against the catalog
IN_THE_DAEMON = {"job.tags", "job.notes"}  # kept with the run, shown by the clients


@pytest.mark.parametrize("path", list(leaf_keys()))
def test_a_key_is_read(path: str) -> None:
    """As an attribute, somewhere in the training code."""
    if path.startswith(BY_DUMP):
        path = "optimizer.args"
    if path in IN_THE_DAEMON:
        return
    name = path.rpartition(".")[2]
    assert re.search(rf"\.{name}\b", SOURCE), f"nothing reads {path}"
