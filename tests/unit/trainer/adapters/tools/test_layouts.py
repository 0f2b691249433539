"""Round trips between the layouts, frozen names, and what is refused.

The names of the kohya and the original layouts are frozen in tests/golden/adapters:

    python -m tests.unit.trainer.adapters.tools.test_layouts
"""

from __future__ import annotations

from itertools import permutations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.adapter_files import GOLDEN, lora, noise, shapes, written
from tests.support.families import KINDS
from trainer.adapters.io import read_file
from trainer.adapters.keys.names import original_names
from trainer.adapters.tools.convert import convert
from trainer.adapters.tools.read import load_whole, take
from trainer.adapters.tools.record import DENOISER, DOWN, MID, UP, Adapter, Part
from trainer.adapters.tools.write import LAYOUTS, named
from trainer.errors import DataError

FROZEN = [(kind, layout) for kind in ("sdxl", "flux", "sd3") for layout in ("kohya", "original")]


def writable(kind: str) -> list[str]:
    return [n for n in LAYOUTS if original_names(kind) or n in ("diffusers", "comfyui", "lycoris")]


def expressible(kind: str) -> Adapter:
    """Without the layers that the original model of the family keeps under no fixed name."""
    adapter = lora(kind)
    table = original_names(kind)
    parts = [p for p in adapter.parts if table is None or table.write(p.module)]
    return adapter.with_parts(parts)


def lines(kind: str, layout: str) -> list[str]:
    tensors, _ = named(expressible(kind), layout, kind)
    return [f"{key} {list(t.shape)}" for key, t in sorted(tensors.items())]


@pytest.mark.parametrize(("kind", "layout"), FROZEN)
def test_golden_keys(kind, layout):
    """Names and shapes of the layouts that other programs made are frozen."""
    assert (GOLDEN / f"{kind}-{layout}.txt").read_text().splitlines() == lines(kind, layout)


@pytest.mark.parametrize("kind", KINDS)
def test_every_way_there_and_back_is_equal_to_the_byte(kind, tmp_path):
    """A -> B -> A gives the same file, header included, for each pair of layouts."""
    adapter = expressible(kind)
    files = {n: written(tmp_path / f"{n}.safetensors", adapter, n) for n in writable(kind)}
    for one, other in permutations(files, 2):
        there = tmp_path / f"{one}-{other}.safetensors"
        convert(files[one], there, layout=other, family=kind, force=True)
        back = tmp_path / "back.safetensors"
        convert(there, back, layout=one, family=kind, force=True)
        assert back.read_bytes() == files[one].read_bytes(), (one, other)
        assert read_file(there)[1]["note"] == "kept"


@st.composite
def flux_adapters(draw) -> Adapter:
    """Any of the layers, each with its own rank, alpha, dtype; some pairs share their down."""
    dtype = draw(st.sampled_from([torch.float32, torch.bfloat16, torch.float16]))
    bare = draw(st.booleans())
    dora = draw(st.booleans())
    share = draw(st.booleans())
    parts = []
    names = draw(st.lists(st.sampled_from(sorted(shapes("flux"))), min_size=1, unique=True))
    for number, module in enumerate(names):
        down, up = shapes("flux")[module]
        rank = 4 if share else draw(st.integers(1, 6))
        tensors = {
            DOWN: noise([rank, *down[1:]], 0 if share else number, dtype),
            UP: noise([up[0], rank], 100 + number, dtype) * draw(st.sampled_from([0.0, 1.0])),
        }
        if dora:
            tensors["dora_scale"] = noise([up[0], 1], 200 + number)
        alpha = None if bare else torch.tensor(draw(st.sampled_from([1.0, 4.0, 0.3])))
        parts.append(Part(DENOISER, module, tensors, alpha))
    return Adapter(tuple(parts), {"format": "pt"}, "diffusers", ("flux",))


@settings(max_examples=60, deadline=None)
@given(flux_adapters(), st.sampled_from(LAYOUTS))
def test_any_adapter_acts_the_same_in_any_layout(adapter, layout):
    """What is read back has the same effect on each layer, or the layout refused to take it."""
    try:
        tensors, metadata = named(adapter, layout, "flux")
    except DataError as error:
        partly = any("dora_scale" in part.tensors for part in adapter.parts)
        expected = partly and layout in ("kohya", "original") and error.finding.code == "LOR024"
        if not expected:
            raise
        return
    back, findings = take(tensors, metadata, where="x", family="flux")
    assert not findings
    ours, theirs = adapter.by_name(), back.by_name()
    assert ours.keys() == theirs.keys()
    for key, part in ours.items():
        assert torch.allclose(_change(theirs[key]), _change(part), rtol=1e-5, atol=1e-6)
        if layout in ("diffusers", "comfyui", "lycoris"):
            assert theirs[key].tensors.keys() == part.tensors.keys()
            assert all(t.equal(part.tensors[n]) for n, t in theirs[key].tensors.items())
            assert theirs[key].scale == pytest.approx(part.scale, rel=1e-6)


def _change(part: Part) -> torch.Tensor:
    return part.scale * part.tensors[UP].float() @ part.tensors[DOWN].float()


def test_a_shared_down_is_stored_once():
    """q, k and v with one down matrix become one pair of their rank, not of three times it."""
    adapter = lora("flux", only="transformer_blocks.0.attn.to_")
    down = adapter.parts[0].tensors[DOWN]
    parts = [Part(p.component, p.module, {**p.tensors, DOWN: down}, p.alpha) for p in adapter.parts]
    tensors, metadata = named(adapter.with_parts(parts), "original", "flux")
    fused = "diffusion_model.double_blocks.0.img_attn.qkv"
    assert tensors[f"{fused}.lora_A.weight"].equal(down)
    assert float(tensors[f"{fused}.alpha"]) == 2.0
    assert "img_attn" not in metadata.get("stune.fused", "")
    apart, _ = named(adapter, "original", "flux")
    assert apart[f"{fused}.lora_A.weight"].shape[0] == 3 * len(down)


def test_alpha_of_fused_blocks_keeps_the_scale():
    """Three ranks side by side need three times the alpha, or the adapter would act weaker."""
    tensors, _ = named(lora("sd3", only="blocks.0.attn.to_"), "kohya", "sd3")
    fused = "lora_unet_joint_blocks_0_x_block_attn_qkv"
    assert float(tensors[f"{fused}.alpha"]) / len(tensors[f"{fused}.lora_down.weight"]) == 2.0 / 4


def test_unusual_alpha_tensors_come_back(tmp_path):
    """Half-precision alphas of another program survive the layout that has none."""
    adapter = lora("sdxl")
    parts = [
        Part(p.component, p.module, p.tensors, torch.full((1,), 3.0, dtype=torch.float16))
        for p in adapter.parts
    ]
    first = written(tmp_path / "a.safetensors", adapter.with_parts(parts), "kohya")
    convert(first, tmp_path / "b.safetensors", layout="diffusers", family="sdxl")
    convert(tmp_path / "b.safetensors", tmp_path / "c.safetensors", layout="kohya", family="sdxl")
    assert (tmp_path / "c.safetensors").read_bytes() == first.read_bytes()


def _algorithm(name: str) -> dict[str, torch.Tensor]:
    return {
        "loha": {f"hada_w{n}_{h}": noise(s, n) for n in (1, 2) for h, s in _LOHA},
        "lokr": {"lokr_w1": noise([4, 4], 1), "lokr_w2": noise([8, 8], 2)},
        "full": {"diff": noise([32, 32], 3)},
        "tucker": {
            DOWN: noise([4, 32, 1, 1], 1),
            UP: noise([32, 4, 1, 1], 2),
            MID: noise([4, 4, 3, 3], 3),
        },
    }[name]


_LOHA = (("a", [32, 4]), ("b", [4, 32]))


@pytest.mark.parametrize("algo", ["loha", "lokr", "full", "tucker"])
def test_other_algorithms_travel_where_they_have_names(algo, tmp_path):
    """ComfyUI's and LyCORIS' layouts take them; PEFT's refuses, and says which layer it is."""
    module = "transformer_blocks.0.attn.to_q"
    adapter = Adapter((Part(DENOISER, module, _algorithm(algo), torch.tensor(2.0)),), {})
    adapter = Adapter(adapter.parts, {"format": "pt"}, "lycoris", ("flux",))
    first = written(tmp_path / "a.safetensors", adapter, "lycoris")
    convert(first, tmp_path / "b.safetensors", layout="comfyui", family="flux")
    convert(tmp_path / "b.safetensors", tmp_path / "c.safetensors", layout="lycoris", family="flux")
    assert (tmp_path / "c.safetensors").read_bytes() == first.read_bytes()
    with pytest.raises(DataError) as caught:
        convert(first, tmp_path / "d.safetensors", layout="diffusers", family="flux")
    assert caught.value.finding.code == "LOR024"
    assert module in caught.value.finding.message
    assert not (tmp_path / "d.safetensors").exists()


def test_fused_loha_is_taken_apart_by_rows(tmp_path):
    """A LoHa of the fused projection acts on q, k and v as it did on all of it."""
    tensors = {
        f"lora_unet_double_blocks_0_img_attn_qkv.hada_w{n}_{half}": noise(shape, n)
        for n in (1, 2)
        for half, shape in (("a", [96, 4]), ("b", [4, 32]))
    }
    adapter, findings = take(tensors, {}, where="x", family="flux")
    assert not findings
    whole = torch.cat(
        [
            (p.tensors["hada_w1_a"] @ p.tensors["hada_w1_b"])
            * (p.tensors["hada_w2_a"] @ p.tensors["hada_w2_b"])
            for p in adapter.parts
        ]
    )
    w = {key.rpartition(".")[2]: t for key, t in tensors.items()}
    assert torch.equal(whole, (w["hada_w1_a"] @ w["hada_w1_b"]) * (w["hada_w2_a"] @ w["hada_w2_b"]))


def test_fused_lokr_is_refused():
    """The Kronecker product of a fused projection has no parts of its own kind."""
    stem = "lora_unet_double_blocks_0_img_attn_qkv"
    tensors = {f"{stem}.lokr_w1": noise([3, 4], 1), f"{stem}.lokr_w2": noise([32, 8], 2)}
    with pytest.raises(DataError, match="LOR024"):
        take(tensors, {}, where="x", family="flux")


def test_equal_names_need_no_family(tmp_path):
    """Where all families that fit write the same names, nobody is asked which one it is."""
    first = written(tmp_path / "a.safetensors", lora("flux", only="attn"), "original")
    assert load_whole(first).families == ("chroma", "flux")
    assert convert(first, tmp_path / "b.safetensors", layout="comfyui")["family"] == (
        "chroma or flux"
    )
    unet = written(tmp_path / "c.safetensors", lora("sd1x"), "kohya")
    with pytest.raises(DataError, match="LOR022"):
        convert(unet, tmp_path / "d.safetensors", layout="original")


def test_an_output_is_not_overwritten(tmp_path):
    """A file that is there stays, unless --force says otherwise."""
    first = written(tmp_path / "a.safetensors", lora("flux"))
    with pytest.raises(DataError, match="LOR034"):
        convert(first, first, layout="comfyui", family="flux")


def write_golden() -> None:
    for kind, layout in FROZEN:
        (GOLDEN / f"{kind}-{layout}.txt").write_text("\n".join(lines(kind, layout)) + "\n")


if __name__ == "__main__":
    write_golden()
