"""Which keys of a job were read, told from which were only set."""

from __future__ import annotations

from contextlib import suppress

import pytest

from trainer.config.resolve import resolve
from trainer.config.schema.base import Section
from trainer.rehearse.reads import Reads, recording, unread

JOB = """
[model]
family = "sdxl"
path = "x"
[train]
steps = 3
[optimizer.args]
eps = 1e-7
[debug]
log_every = 2
[data.defaults.caption]
dropout = 0.5
[[data.datasets]]
id = "a"
path = "a"
repeats = 2
[[data.datasets]]
id = "b"
path = "a"
repeats = 3
conditioning = [{ generate = "canny", options = { low = 10, high = 20 } }]
"""


@pytest.fixture
def resolved(tmp_path):
    (tmp_path / "a").mkdir()
    found = resolve(JOB, base_dir=tmp_path, overrides=["job.seed=5"], env={})
    assert found.config is not None, found.findings
    return found


def test_what_is_read_is_not_told(resolved):
    """A key by its path, with the number in a list; keys that act later and defaults are not."""
    config = resolved.config
    with recording() as reads:
        reads.watch(config)
        assert (config.model.family, config.job.seed) == ("sdxl", 5)
        assert config.data.datasets[1].repeats == 3
        assert config.data.datasets[1].conditioning[0].options["low"] == 10
    idle = unread(resolved.origins, reads)
    assert "data.datasets[0].repeats" in idle
    assert "data.datasets[1].repeats" not in idle
    assert "model.path" in idle
    assert not {"model.family", "job.seed", "debug.log_every", "optimizer.args.eps"} & {*idle}
    assert not any(path.startswith("data.datasets[1].conditioning[0].options") for path in idle)
    assert not any(path.startswith(("noise.", "schedule.")) for path in idle)


def test_a_default_counts_where_a_dataset_has_taken_it_over(resolved):
    """A dataset with a section of its own reads the value there."""
    reads = Reads()
    assert "data.defaults.caption.dropout" in unread(resolved.origins, reads)
    reads.paths.add("data.datasets[1].caption.dropout")
    assert "data.defaults.caption.dropout" not in unread(resolved.origins, reads)


def test_sections_are_as_before_afterwards(resolved):
    """Nothing is noted outside the block, even when it ends with an error."""
    plain = Section.__getattribute__
    with suppress(KeyError), recording() as reads:
        reads.watch(resolved.config)
        raise KeyError
    assert resolved.config.train.steps == 3
    assert not reads.paths
    assert Section.__getattribute__ is plain
