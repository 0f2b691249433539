"""The difference of two checkpoints: recovered, in each layout, within few tensors of memory."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.support.adapter_files import lora, noise, written
from trainer.adapters.tools.bake import bake
from trainer.adapters.tools.extract import Wanted, extract
from trainer.adapters.tools.read import load_whole
from trainer.adapters.tools.record import DOWN, UP, Part
from trainer.adapters.tools.write import LAYOUTS
from trainer.errors import DataError

ROOT = Path(__file__).parents[5]
WEIGHTS = "transformer/diffusion_pytorch_model.safetensors"


def change(part: Part) -> torch.Tensor:
    return (
        part.scale * part.tensors[UP].double().flatten(1) @ part.tensors[DOWN].double().flatten(1)
    )


@pytest.mark.parametrize("kind", ["flux", "sdxl"])
def test_a_difference_of_low_rank_is_recovered(kind, tiny_model, tmp_path):
    """What was baked in comes out again, layer by layer, with its own rank and no other layer."""
    adapter = lora(kind, rank=3, alpha=3.0)
    parts = [part.mapped(lambda t: t * 5.0) for part in adapter.parts]
    file = written(tmp_path / "a.safetensors", adapter.with_parts(parts))
    bake(file, tiny_model(kind), tmp_path / "tuned", family=kind)
    out = tmp_path / "out.safetensors"
    _, findings = extract(tiny_model(kind), tmp_path / "tuned", out, Wanted(rank=8), family=kind)
    assert not findings
    found = load_whole(out, kind).by_name()
    assert found.keys() == {(p.component, p.module) for p in parts}
    for part in parts:
        made, told = change(found[(part.component, part.module)]), change(part)
        assert float((made - told).norm() / told.norm()) < 1e-5
        assert found[(part.component, part.module)].rank == 3


@pytest.mark.parametrize("layout", LAYOUTS)
def test_extract_writes_each_layout(layout, tiny_model, tmp_path):
    """The layout asked for is the one written, and bakes back to the tuned weights."""
    file = written(tmp_path / "a.safetensors", lora("flux", only="transformer_blocks.0.attn"))
    bake(file, tiny_model("flux"), tmp_path / "tuned", family="flux")
    out = tmp_path / "out.safetensors"
    extract(tiny_model("flux"), tmp_path / "tuned", out, Wanted(rank=4, layout=layout))
    bake(out, tiny_model("flux"), tmp_path / "again", family="flux")
    tuned, again = (load_file(tmp_path / name / WEIGHTS) for name in ("tuned", "again"))
    assert all(torch.allclose(tuned[name], again[name], atol=1e-6) for name in tuned)


def test_energy_cuts_the_rank(tiny_model, tmp_path):
    """A share of the energy needs fewer directions than all of them."""
    file = written(tmp_path / "a.safetensors", lora("flux", rank=6, only="to_q"))
    bake(file, tiny_model("flux"), tmp_path / "tuned", family="flux")
    answer, _ = extract(
        tiny_model("flux"), tmp_path / "tuned", tmp_path / "b.safetensors", Wanted(energy=0.8)
    )
    assert all(1 <= row["rank"] < 6 and row["energy"] >= 0.8 for row in answer["layers"])


def test_what_a_lora_cannot_hold_is_told(tiny_model, tmp_path):
    """A changed bias is reported, not lost in silence; equal models make no file."""
    tuned = tmp_path / "tuned"
    shutil.copytree(tiny_model("flux"), tuned)
    tensors = load_file(tuned / WEIGHTS)
    tensors["proj_out.bias"] += 1.0
    tensors["x_embedder.weight"] += 0.1
    save_file(tensors, tuned / WEIGHTS)
    out = tmp_path / "out.safetensors"
    _, findings = extract(tiny_model("flux"), tuned, out, Wanted(rank=2))
    assert [(f.code, f.level) for f in findings] == [("LOR032", "warn")]
    assert "proj_out.bias" in findings[0].message
    with pytest.raises(DataError, match="LOR032"):
        extract(tuned, tuned, tmp_path / "none.safetensors", Wanted())


def test_original_single_files(tmp_path):
    """Two files with the vendor's names and fused projections give a LoRA in diffusers' names,
    which bakes into the file it came from."""
    base = {
        "model.diffusion_model.double_blocks.0.img_attn.qkv.weight": noise([96, 32], 1),
        "model.diffusion_model.single_blocks.0.linear1.weight": noise([224, 32], 2),
        "model.diffusion_model.single_blocks.0.linear2.weight": noise([32, 160], 3),
        "vae.decoder.weight": noise([4, 4], 4),
    }
    tuned = {
        name: t + noise([t.shape[0], 2], n + 9) @ noise([2, t.shape[1]], n + 19) * 10
        for n, (name, t) in enumerate(base.items())
        if "model" in name
    }
    save_file(base, tmp_path / "base.safetensors")
    save_file(base | tuned, tmp_path / "tuned.safetensors")
    out = tmp_path / "out.safetensors"
    places = tmp_path / "base.safetensors", tmp_path / "tuned.safetensors"
    extract(*places, out, Wanted(rank=4), family="flux")
    names = {part.module for part in load_whole(out, "flux").parts}
    assert "transformer_blocks.0.attn.to_k" in names
    assert "single_transformer_blocks.0.proj_mlp" in names
    bake(out, places[0], tmp_path / "baked.safetensors", family="flux")
    baked = load_file(tmp_path / "baked.safetensors")
    assert baked.keys() == base.keys()
    assert all(torch.allclose(baked[name], t, atol=1e-5) for name, t in (base | tuned).items())


def test_damaged_files_are_findings(tiny_model, tmp_path):
    """A cut-off file, a text file and a missing one are told apart from a crash."""
    whole = (tiny_model("flux") / WEIGHTS).read_bytes()
    for number, content in enumerate([whole[:-100], b"no tensors here at all", b""]):
        file = tmp_path / f"{number}.safetensors"
        file.write_bytes(content)
        with pytest.raises(DataError, match="LOR032"):
            extract(file, file, tmp_path / "out.safetensors", Wanted(), family="flux")
    gone = tmp_path / "gone.safetensors"
    with pytest.raises(DataError, match="LOR032"):
        extract(gone, gone, tmp_path / "out.safetensors", Wanted(), family="flux")


CHILD = """
import json, re, sys
from pathlib import Path
import torch
from trainer.adapters.tools.bake import bake
from trainer.adapters.tools.extract import Wanted, extract
torch.svd_lowrank(torch.randn(64, 64), q=8)  # libraries that load at first use
base, tuned, out, baked = map(Path, sys.argv[1:])
def peak():
    # ru_maxrss would begin with what the parent had when it forked
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) * 1024
before = peak()
extract(base, tuned, out, Wanted(rank=4), family="flux")
middle = peak()
bake(out, base, baked, family="flux")
end = peak()
whole = [torch.ones(base.stat().st_size // 4) for base in (base, tuned)]
print(json.dumps([before, middle, end, peak()]))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_is_that_of_a_few_tensors(tmp_path):
    """A pair of 300 MB is compared, and one of them changed, in at most six times the largest
    tensor."""
    width, blocks = 1536, 16
    largest = 2 * width * width * 4
    base, tuned = tmp_path / "base.safetensors", tmp_path / "tuned.safetensors"
    weights = {
        f"transformer_blocks.{n}.ff.net.0.proj.weight": noise([2 * width, width], n)
        for n in range(blocks)
    }
    save_file(weights, base)
    for n, name in enumerate(weights):
        weights[name] += noise([2 * width, 2], 50 + n) @ noise([2, width], 90 + n)
    save_file(weights, tuned)
    del weights
    assert base.stat().st_size > 300e6
    out, baked = tmp_path / "out.safetensors", tmp_path / "baked.safetensors"
    line = [sys.executable, "-c", CHILD, *map(str, (base, tuned, out, baked))]
    # what is freed goes back at once: what is held is to be counted, not what the allocator keeps
    freed = {"MALLOC_MMAP_THRESHOLD_": "1000000", "OMP_NUM_THREADS": "1"}
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | freed
    done = subprocess.run(line, env=environment, capture_output=True, check=True, timeout=120)
    before, extracted, end, all_at_once = json.loads(done.stdout)
    assert extracted - before <= 6 * largest, (extracted - before) / largest
    assert end - before <= 6 * largest, (end - before) / largest
    assert all_at_once - before > 30 * largest  # the measurement sees what is in memory
    assert len(load_whole(out, "flux").parts) == blocks
