"""resize, merge, diff and prune: what they do to the change of each layer."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.adapter_files import lora, noise, written
from trainer.adapters.io import read_file
from trainer.adapters.tools.diff import diff
from trainer.adapters.tools.merge import merge
from trainer.adapters.tools.prune import Choice, prune
from trainer.adapters.tools.read import load_whole
from trainer.adapters.tools.record import DENOISER, DOWN, UP, Part
from trainer.adapters.tools.resize import Limit, energies, resize, smaller
from trainer.errors import DataError


def change(part: Part) -> torch.Tensor:
    up, down = part.tensors[UP].double().flatten(1), part.tensors[DOWN].double().flatten(1)
    return part.scale * up @ down


def some_part(rank: int, seed: int = 0, alpha: float = 3.0) -> Part:
    tensors = {DOWN: noise([rank, 24], seed), UP: noise([20, rank], seed + 1)}
    return Part(DENOISER, "transformer_blocks.0.attn.to_q", tensors, torch.tensor(alpha))


@settings(max_examples=30, deadline=None)
@given(st.integers(1, 12), st.integers(0, 50), st.sampled_from([3.0, -1.0, 0.5]))
def test_more_rank_keeps_more_energy(rank, seed, alpha):
    """The error falls with each rank, is the best that can be, and is none at full rank."""
    part = some_part(rank, seed, alpha)
    whole = change(part)
    singular = torch.linalg.svdvals(whole)
    last = float("inf")
    for keep in range(1, rank + 1):
        small, share = smaller(part, Limit(rank=keep))
        error = float((change(small) - whole).norm())
        best = float(singular[keep:].norm())
        assert error <= last + 1e-6
        assert error == pytest.approx(best, abs=1e-5)
        assert share == pytest.approx(float(energies(part)[keep - 1]), abs=1e-6)
        assert small.scale == pytest.approx(part.scale, rel=1e-6)
        last = error
    assert smaller(part, Limit(rank=rank))[0] is part


def test_energy_and_norm_choose_the_rank():
    """The smallest rank that holds the share, and the directions above the bound."""
    part = some_part(8)
    shares = energies(part)
    keep = int((shares < 0.9).sum()) + 1
    assert smaller(part, Limit(energy=0.9))[0].rank == keep
    assert 1 < keep < 8
    bound = float(torch.linalg.svdvals(change(part))[2])
    assert smaller(part, Limit(norm=bound * 0.999))[0].rank == 3
    assert smaller(part, Limit(norm=1e9))[0].rank == 1


@pytest.mark.parametrize("limit", [Limit(), Limit(rank=0), Limit(energy=1.5), Limit(norm=-1.0)])
def test_bounds_of_sizes(limit, tmp_path):
    """A size that makes no sense is a finding, and nothing is written."""
    file = written(tmp_path / "a.safetensors", lora("flux"))
    with pytest.raises(DataError, match="LOR033"):
        resize(file, tmp_path / "b.safetensors", limit, family="flux")
    assert not (tmp_path / "b.safetensors").exists()


def test_full_rank_is_the_same_file(tmp_path):
    """Resizing to the rank that is there changes not a bit, convolutions included."""
    file = written(tmp_path / "a.safetensors", lora("sdxl"))
    resize(file, tmp_path / "b.safetensors", Limit(rank=4), family="sdxl")
    assert (tmp_path / "b.safetensors").read_bytes() == file.read_bytes()
    resize(file, tmp_path / "c.safetensors", Limit(rank=2), family="sdxl")
    small = load_whole(tmp_path / "c.safetensors", "sdxl")
    assert {part.rank for part in small.parts} == {2}
    assert {float(part.alpha) for part in small.parts if part.alpha is not None} == {1.0}


def test_merging_adds_up_what_the_files_do(tmp_path):
    """Ranks add up and nothing is lost, for other ranks, alphas and layouts, and for layers that
    one file lacks."""
    one = lora("flux", rank=3, alpha=6.0)
    two = lora("flux", rank=5, alpha=None, seed=500, only="attn")
    files = [
        (written(tmp_path / "a.safetensors", one), 0.7),
        (written(tmp_path / "b.safetensors", two, "original"), -1.5),
    ]
    merge(files, tmp_path / "c.safetensors", family="flux")
    found = load_whole(tmp_path / "c.safetensors", "flux").by_name()
    other = two.by_name()
    for key, part in one.by_name().items():
        expected = 0.7 * change(part)
        if key in other:
            expected = expected - 1.5 * change(other[key])
        assert torch.allclose(change(found[key]), expected, atol=1e-6), key
    assert {part.rank for key, part in found.items() if key in other} >= {8}
    merge(files, tmp_path / "d.safetensors", rank=2, family="flux")
    assert {part.rank for part in load_whole(tmp_path / "d.safetensors", "flux").parts} == {2}


def test_equal_scales_keep_the_tensors(tmp_path):
    """Two halves of one training are put side by side without touching a value."""
    one, two = lora("flux"), lora("flux", seed=500)
    files = [
        (written(tmp_path / "a.safetensors", one), 1.0),
        (written(tmp_path / "b.safetensors", two), 1.0),
    ]
    merge(files, tmp_path / "c.safetensors", family="flux")
    found = load_whole(tmp_path / "c.safetensors", "flux").parts[0]
    ups = [a.by_name()[(found.component, found.module)].tensors[UP] for a in (one, two)]
    assert found.tensors[UP].equal(torch.cat(ups, dim=1))


def test_dora_is_not_added_up(tmp_path):
    """Two lengths of one row have no sum that acts as both; the layer is named."""
    files = [
        (written(tmp_path / f"{n}.safetensors", lora("flux", seed=n, dora=True)), 1.0)
        for n in range(2)
    ]
    with pytest.raises(DataError, match="LOR030"):
        merge(files, tmp_path / "c.safetensors", family="flux")


def test_other_families_are_not_merged(tmp_path):
    """Layers of two models have nothing to do with each other."""
    files = [
        (written(tmp_path / f"{kind}.safetensors", lora(kind)), 1.0) for kind in ("sd3", "sdxl")
    ]
    with pytest.raises(DataError, match="LOR030"):
        merge(files, tmp_path / "c.safetensors")


def test_diff_compares_changes_not_tensors(tmp_path):
    """Another layout and a scale folded in are no difference; one changed layer is the only one."""
    one = lora("flux", alpha=2.0)
    folded = [
        replace(p, tensors={**p.tensors, UP: p.tensors[UP] * 0.5}, alpha=None) for p in one.parts
    ]
    first = written(tmp_path / "a.safetensors", one)
    second = written(tmp_path / "b.safetensors", one.with_parts(folded), "kohya")
    assert diff(first, second, family="flux")["equal"]
    third = folded[3].mapped(lambda t: t * 1.01)
    parts = [*folded[:3], third, *folded[4:-1]]
    other = written(tmp_path / "c.safetensors", one.with_parts(parts))
    answer = diff(first, other, family="flux")
    rows = {row["layer"]: row for row in answer["layers"] if row["state"] != "equal"}
    assert not answer["equal"]
    assert rows[third.name]["relative"] == pytest.approx(0.0201 / 1.0201, rel=1e-3)
    assert rows[folded[-1].name]["state"] == "only in the first"
    assert len(rows) == 2


def test_prune_says_what_goes(tmp_path):
    """By pattern and by size; the rest keeps every bit."""
    adapter = lora("flux")
    tiny = adapter.parts[0].mapped(lambda t: t * 1e-4)
    parts = [tiny, *adapter.parts[1:]]
    file = written(tmp_path / "a.safetensors", adapter.with_parts(parts), "comfyui")
    choice = Choice(drop=["single_*"], below=1e-3)
    answer, findings = prune(file, tmp_path / "b.safetensors", choice, family="flux")
    assert not findings
    gone = {row["layer"] for row in answer["pruned"]}
    expected = {p.module for p in adapter.parts if p.module.startswith("single_")} | {tiny.module}
    assert gone == expected
    before, after = read_file(file)[0], read_file(tmp_path / "b.safetensors")[0]
    assert all(after[key].equal(before[key]) for key in after)
    assert len(before) - len(after) == 3 * len(gone)
    for choice in (Choice(drop=["nothing_*"]), Choice(drop=["*"])):
        with pytest.raises(DataError, match="LOR031"):
            prune(file, tmp_path / "c.safetensors", choice, family="flux")


def test_broken_layers_go_only_when_asked(tmp_path):
    """A missing half stops every verb that writes, until it is pruned on purpose."""
    adapter = lora("flux")
    half = replace(adapter.parts[0], tensors={DOWN: adapter.parts[0].tensors[DOWN]})
    broken = adapter.with_parts([half, *adapter.parts[1:]])
    file = written(tmp_path / "a.safetensors", broken, "lycoris")
    out = tmp_path / "b.safetensors"
    with pytest.raises(DataError, match="LOR023"):
        prune(file, out, Choice(drop=["single_*"]), family="flux")
    with pytest.raises(DataError, match="LOR023"):
        resize(file, out, Limit(rank=1), family="flux")
    answer, findings = prune(file, out, Choice(unknown=True), family="flux")
    assert [(f.code, f.level) for f in findings] == [("LOR023", "warn")]
    assert answer["layers"] == len(adapter.parts) - 1
